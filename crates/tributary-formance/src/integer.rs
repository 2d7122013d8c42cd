//! Integers of any length, read as Go's `big.Int` reads base 10.

use std::fmt;

use serde::{Serialize, Serializer};

/// An amount in minor units: an integer of any length, held in its one canonical
/// decimal form (`-5`, `0`, `7`; never `+7`, `007` or `-0`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Integer(String);

impl Integer {
    /// Reads an optional sign and at least one ASCII digit, and nothing else:
    /// no spaces, underscores, exponents or digits of other scripts.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let canonical = match digits.trim_start_matches('0') {
            "" => "0".to_owned(),
            significant if text.starts_with('-') => format!("-{significant}"),
            significant => significant.to_owned(),
        };
        Some(Self(canonical))
    }

    /// The canonical decimal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is above zero.
    pub fn is_positive(&self) -> bool {
        !self.0.starts_with('-') && self.0 != "0"
    }

    /// The value as a machine integer, or `None` beyond 127 bits.
    pub fn to_i128(&self) -> Option<i128> {
        self.0.parse().ok()
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As a string: JSON numbers lose digits on the way.
impl Serialize for Integer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_of_a_number_has_one_canonical_form() {
        for (given, canonical) in [
            ("5", "5"),
            ("+7", "7"),
            ("007", "7"),
            ("-007", "-7"),
            ("-0", "0"),
            ("+000", "0"),
            ("99999999999999999999999999999999999999999999", "99999999999999999999999999999999999999999999"),
        ] {
            let integer = Integer::parse(given).unwrap();
            assert_eq!(integer.as_str(), canonical, "{given}");
        }
    }

    #[test]
    fn what_is_not_a_base_10_integer_is_refused() {
        for text in [
            "",
            "+",
            "-",
            " 5",
            "5 ",
            "1.5",
            "10.50",
            "1e3",
            "1_000",
            "0x10",
            "--5",
            "+-5",
            "\u{663}",
            "\u{2212}5",
        ] {
            assert_eq!(Integer::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn zero_is_not_positive() {
        let positive = |text| Integer::parse(text).unwrap().is_positive();
        assert!(positive("1"));
        assert!(!positive("0"));
        assert!(!positive("-1"));
    }
}
