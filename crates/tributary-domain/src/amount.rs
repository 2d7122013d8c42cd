//! Money: an integer count of minor units.

use super::RecordError;

/// An integer number of minor units (of an asset such as `EUR/2`), at most 38 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

/// The first number that has more than 38 digits; the tables keep below it, too.
const LIMIT: i128 = 10_i128.pow(38);

impl Amount {
    /// Takes the `value` of `field`: base-10 digits, with `-` in front where it is negative.
    pub fn parse(field: &'static str, value: &str) -> Result<Self, RecordError> {
        let digits = value.strip_prefix('-').unwrap_or(value);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RecordError::new(
                field,
                format!("{value:?} is not an integer of minor units, such as \"1050\" for 10.50 EUR/2"),
            ));
        }
        match value.parse::<i128>() {
            Ok(amount) if amount > -LIMIT && amount < LIMIT => Ok(Self(amount)),
            _ => Err(RecordError::new(field, "has more than 38 digits")),
        }
    }

    /// As [`Amount::parse`], where a negative amount is refused: of a transaction, the
    /// direction follows from its type.
    pub fn parse_unsigned(field: &'static str, value: &str) -> Result<Self, RecordError> {
        let amount = Self::parse(field, value)?;
        if amount.0 < 0 {
            return Err(RecordError::new(
                field,
                format!("{value} is negative; the type tells the direction"),
            ));
        }
        Ok(amount)
    }

    /// The number of minor units.
    pub fn minor_units(self) -> i128 {
        self.0
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_minor_units_are_amounts() {
        assert_eq!(Amount::parse("amount", "0010").unwrap().to_string(), "10");
        assert_eq!(Amount::parse("amount", "-5").unwrap().minor_units(), -5);
        for bad in ["", "-", "+5", "10.50", "1e3", " 1", "٣", "0x10", &"9".repeat(39)] {
            assert!(Amount::parse("amount", bad).is_err(), "{bad}");
        }
        assert!(Amount::parse_unsigned("amount", "-5").is_err());
    }
}
