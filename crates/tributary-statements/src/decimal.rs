//! Decimal text to minor units, without a float in between.

use tributary_domain::Amount;

use crate::Currency;

/// The minor units of `currency` that an unsigned decimal is: `whole` digits and `fraction` digits, either
/// may be empty. More decimals than the currency has are taken where they are zeros.
pub fn minor_units(whole: &str, fraction: &str, currency: Currency) -> Result<i128, String> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(format!("\"{whole}.{fraction}\" is no amount"));
    }
    let decimals = usize::from(currency.decimals());
    let (kept, beyond) = fraction.split_at(fraction.len().min(decimals));
    if beyond.bytes().any(|b| b != b'0') {
        return Err(format!(
            "{whole}.{fraction} has more decimals than {currency}, which has {decimals}: a part of it would be lost"
        ));
    }
    let text = format!("{whole}{kept:0<decimals$}");
    Amount::parse("amount", &text).map(Amount::minor_units).map_err(|error| error.to_string())
}

/// Splits `text` at its only `mark`; without one, all of it is whole.
pub fn split(text: &str, mark: char) -> (&str, &str) {
    text.split_once(mark).unwrap_or((text, ""))
}

/// The amount of so many minor units, which no file is let to exceed.
pub fn amount(minor_units: i128) -> Result<Amount, String> {
    Amount::parse("amount", &minor_units.to_string()).map_err(|error| error.to_string())
}

/// Minor units as people write them: `-12.34 EUR`.
pub fn written(minor_units: i128, currency: Currency) -> String {
    let decimals = usize::from(currency.decimals());
    let sign = if minor_units < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", minor_units.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let point = if decimals == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction} {currency}")
}

/// An xs:decimal: an optional sign, digits, a point; no exponent.
pub fn xs_decimal(text: &str, currency: Currency) -> Result<i128, String> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = split(digits, '.');
    let units =
        minor_units(whole, fraction, currency).map_err(|_| format!("{text:?} is no amount of {currency}"))?;
    Ok(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euro() -> Currency {
        Currency::iso("EUR").unwrap()
    }

    #[test]
    fn every_lexical_form_of_a_decimal_is_the_same_money() {
        for (text, units) in [
            ("+1", 100),
            ("01.00", 100),
            (".5", 50),
            ("5.", 500),
            ("000000000000149.87", 14_987),
            ("18.150", 1_815),
        ] {
            assert_eq!(xs_decimal(text, euro()), Ok(units), "{text}");
        }
        let yen = Currency::iso("JPY").unwrap();
        assert_eq!(xs_decimal("2700", yen), Ok(2_700));
    }

    #[test]
    fn what_would_lose_a_part_of_the_money_is_refused() {
        for text in ["1e3", "1.005", "", ".", "1,00", "1.2.3", "٣", "1 000", "--1", &"9".repeat(40)] {
            assert!(xs_decimal(text, euro()).is_err(), "{text}");
        }
    }

    #[test]
    fn minor_units_are_written_as_people_do() {
        assert_eq!(written(-5, euro()), "-0.05 EUR");
        assert_eq!(written(123_456, euro()), "1234.56 EUR");
        assert_eq!(written(7, Currency::iso("JPY").unwrap()), "7 JPY");
    }
}
