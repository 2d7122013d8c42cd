//! Lists of numbers as JSON has them, and as a form or a query does: 17, 18.

use std::fmt;

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
        while let Some(number) = numbers.next_element()? {
            read.push(number);
        }
        Ok(read)
    }
}
