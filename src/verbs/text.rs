//! Lists of numbers as JSON has them, and as a form or a query does: 17, 18.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// Numbers, out of an array or a text with commas or blanks between them.
pub fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    deserializer.deserialize_any(Numbers)
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Vec<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<i64>, E> {
        let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
        parts.map(|part| part.parse().map_err(|_| E::custom(format!("{part:?} is no number")))).collect()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vec<i64>, A::Error> {
        let mut read = Vec::new();
        while let Some(Whole(number)) = numbers.next_element()? {
            read.push(number);
        }
        Ok(read)
    }
}

/// A whole number, also as languages write it that have floats alone: `17.0`.
struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        // up to there, a float is what it says
        let float =
            number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0);
        let whole = number.as_i64().or_else(|| float.map(|float| float as i64));
        whole.map(Self).ok_or_else(|| D::Error::custom(format!("{number} is no whole number of 64 bits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Ids {
        #[serde(deserialize_with = "numbers")]
        ids: Vec<i64>,
    }

    #[test]
    fn ids_come_as_a_list_or_as_a_text_and_whole_whatever_wrote_them() {
        let read = |text: &str| {
            serde_json::from_str(&format!("{{\"ids\": {text}}}"))
                .map(|Ids { ids }| ids)
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("[1, -2.0, 9223372036854775807]"), Ok(vec![1, -2, i64::MAX]));
        assert_eq!(read("\"17, 18 19\""), Ok(vec![17, 18, 19]));
        for wrong in ["[1.5]", "[9223372036854775808]", "[1e300]", "[\"1\"]", "\"x\"", "[9007199254740993.0]"]
        {
            read(wrong).unwrap_err();
        }
    }
}
