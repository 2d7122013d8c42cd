//! Lists of ids as JSON has them, and as a form or a query does: 17, 18.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

/// Up to there, every whole number is one that languages with floats alone can hold, too.
const MOST_EXACT: i64 = (1 << 53) - 1;

fn is_id(number: &i64) -> bool {
    (1..=MOST_EXACT).contains(number)
}

/// How `numbers` are described: ids, up to so many.
pub fn numbers_schema<const MOST: usize>() -> Array {
    let id = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MOST_EXACT));
    ArrayBuilder::new().items(id).min_items(Some(1)).max_items(Some(MOST)).build()
}

/// Ids, out of an array or a text with commas or blanks between them.
pub fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    deserializer.deserialize_any(Numbers)
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Vec<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ids")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<i64>, E> {
        let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                part.parse().ok().filter(is_id).ok_or_else(|| E::custom(format!("{part:?} is no id")))
            })
            .collect()
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
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= MOST_EXACT as f64);
        let whole = number.as_i64().or_else(|| float.map(|float| float as i64));
        whole.filter(is_id).map(Self).ok_or_else(|| D::Error::custom(format!("{number} is no id")))
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
            serde_json::from_str::<serde_json::Value>(&format!("{{\"ids\": {text}}}"))
                .and_then(Ids::deserialize)
                .map(|Ids { ids }| ids)
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("[1, 2.0, 9007199254740991]"), Ok(vec![1, 2, MOST_EXACT]));
        // read to the last digit, which takes a feature of serde_json
        assert_eq!(
            read("[3672469330469366.0, 9007199254740991.0]"),
            Ok(vec![3_672_469_330_469_366, MOST_EXACT])
        );
        assert_eq!(read("\"17, 18 19\""), Ok(vec![17, 18, 19]));
        for wrong in [
            "[0]",
            "[-1]",
            "\"-1\"",
            "[1.5]",
            "[9007199254740992]",
            "[9223372036854775808]",
            "[1e300]",
            "[\"1\"]",
            "\"x\"",
            "[9007199254740993.0]",
        ] {
            read(wrong).unwrap_err();
        }
    }
}
