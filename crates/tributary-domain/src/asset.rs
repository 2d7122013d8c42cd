//! What money is counted in.

use super::RecordError;

/// An asset in Formance's Unambiguous Monetary Notation: `USD/2`, `JPY`, `BTC/8`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset(String);

impl Asset {
    /// Takes the `value` of `field`, which has to match
    /// `^[A-Z][A-Z0-9]{0,16}(_[A-Z]{1,16})?(/[0-9]{1,6})?$`.
    pub fn parse(field: &'static str, value: &str) -> Result<Self, RecordError> {
        if is_umn(value) {
            return Ok(Self(value.to_owned()));
        }
        Err(RecordError::new(
            field,
            format!("{value:?} is no UMN asset such as \"USD/2\", \"JPY\" or \"BTC/8\""),
        ))
    }

    /// The asset as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_umn(value: &str) -> bool {
    let (name, digits) = match value.split_once('/') {
        Some((name, digits)) => (name, Some(digits)),
        None => (value, None),
    };
    let (code, suffix) = match name.split_once('_') {
        Some((code, suffix)) => (code, Some(suffix)),
        None => (name, None),
    };
    let all = |part: &str, longest: usize, fits: fn(u8) -> bool| {
        (1..=longest).contains(&part.len()) && part.bytes().all(fits)
    };
    all(code, 17, |b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && suffix.is_none_or(|suffix| all(suffix, 16, |b| b.is_ascii_uppercase()))
        && digits.is_none_or(|digits| all(digits, 6, |b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_umn_assets_pass() {
        for good in ["USD/2", "JPY", "BTC/8", "A", "ABCDEFGHIJKLMNOPQ", "EUR_SEPA/2", "X1/123456"] {
            assert!(Asset::parse("currency", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "usd",
            "US D",
            "USD/",
            "USD/1234567",
            "1USD",
            "USD_",
            "USD_a",
            "USD/2/2",
            "ABCDEFGHIJKLMNOPQR",
            "EUR\n",
        ] {
            assert!(Asset::parse("currency", bad).is_err(), "{bad}");
        }
    }
}
