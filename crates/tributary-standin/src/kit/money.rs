//! Currencies, and amounts as text. All amounts are integers of minor units.

/// A currency and how many decimals it has. Kept here and not taken from the adapter: what checks
/// it must not share its tables.
#[derive(Debug, PartialEq, Eq)]
pub struct Currency {
    /// ISO 4217 code.
    pub code: &'static str,
    /// Decimals: 2 for EUR, 0 for JPY, 3 for KWD.
    pub decimals: u8,
}

macro_rules! currencies {
    ($($code:ident $decimals:literal),*) => {
        $(#[doc = concat!(stringify!($code), ", ", $decimals, " decimals.")]
        pub static $code: Currency = Currency { code: stringify!($code), decimals: $decimals };)*
    };
}
currencies!(EUR 2, GBP 2, USD 2, JPY 0, KWD 3, NGN 2, GHS 2, KES 2, ZAR 2, PHP 2, VND 0);

impl Currency {
    /// The asset as Formance writes it: `EUR/2`, `JPY`.
    pub fn asset(&self) -> String {
        match self.decimals {
            0 => self.code.to_owned(),
            decimals => format!("{}/{decimals}", self.code),
        }
    }

    /// An amount with all decimals of the currency: `10.00`, `-0.05`, `1000` (JPY).
    pub fn decimal(&self, amount_minor: i64) -> String {
        let sign = if amount_minor < 0 { "-" } else { "" };
        let places = usize::from(self.decimals);
        let digits = format!("{:0>width$}", amount_minor.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// The minor units that a decimal text spells; `None` where it has more decimals than the
    /// currency, or is no decimal.
    pub fn minor(&self, decimal: &str) -> Option<i64> {
        let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
        let fraction = fraction.trim_end_matches('0');
        let places = usize::from(self.decimals);
        (fraction.len() <= places).then(|| format!("{whole}{fraction:0<places$}").parse().ok())?
    }

    /// An amount as a serializer of binary fractions writes it, without zeros at the end: `10`,
    /// `-0.5`.
    pub fn shortest(&self, amount_minor: i64) -> String {
        let decimal = self.decimal(amount_minor);
        if !decimal.contains('.') {
            return decimal;
        }
        decimal.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_digit_by_digit() {
        for (currency, minor, decimal, shortest) in [
            (&EUR, 1_000, "10.00", "10"),
            (&EUR, -5, "-0.05", "-0.05"),
            (&EUR, 0, "0.00", "0"),
            (&EUR, -150, "-1.50", "-1.5"),
            (&JPY, 1_000, "1000", "1000"),
            (&JPY, 0, "0", "0"),
            (&KWD, 1_001, "1.001", "1.001"),
            (&EUR, i64::MIN, "-92233720368547758.08", "-92233720368547758.08"),
        ] {
            assert_eq!(
                (currency.decimal(minor).as_str(), currency.shortest(minor).as_str()),
                (decimal, shortest)
            );
            assert_eq!((currency.minor(decimal), currency.minor(shortest)), (Some(minor), Some(minor)));
        }
        assert_eq!((EUR.minor("1.001"), JPY.minor("1.5"), EUR.minor("x")), (None, None, None));
        assert_eq!((EUR.asset().as_str(), JPY.asset().as_str()), ("EUR/2", "JPY"));
    }
}
