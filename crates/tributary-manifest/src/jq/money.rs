//! Money in filters, digit by digit: `umn`, `minor_units` and `major_units`. Any arithmetic of jq on
//! a decimal number goes through a float, so a mapping must never calculate with amounts itself.

use std::fmt::Display;

use jaq_core::native::{Filter as NativeFilter, bome, unary, v};
use jaq_core::{DataT, Error, RunPtr};
use jaq_json::{Num, Val};

use super::iso4217;

/// The largest power of ten that an amount may be written with; beyond it is no money.
const LARGEST_EXPONENT: i32 = 60;

/// The filters: `umn` turns a currency code into an asset (`"GBP"` into `"GBP/2"`),
/// `minor_units($currency)` turns a decimal number or text into the text of its minor units, and
/// `major_units($currency)` turns minor units into the decimal number; `shifted($decimals)` and
/// `shifted_back($decimals)` do so with any number of decimals. With `iso_` before their names, the
/// first three cannot be redefined.
pub fn filters<D: for<'a> DataT<V<'a> = Val>>() -> [NativeFilter<RunPtr<D>>; 8] {
    [
        ("umn", v(0), |cv| bome(text(&cv.1).and_then(umn).map(Val::from).map_err(Error::str))),
        ("iso_umn", v(0), |cv| bome(text(&cv.1).and_then(umn).map(Val::from).map_err(Error::str))),
        ("minor_units", v(1), |cv| unary(cv, in_minor_units)),
        ("iso_minor_units", v(1), |cv| unary(cv, in_minor_units)),
        ("major_units", v(1), |cv| unary(cv, in_major_units)),
        ("iso_major_units", v(1), |cv| unary(cv, in_major_units)),
        ("shifted", v(1), |cv| {
            unary(cv, |amount, decimals| {
                let shifted = given_decimals(&decimals).and_then(|decimals| shifted(&amount, decimals));
                shifted.map(Val::from).map_err(Error::str)
            })
        }),
        ("shifted_back", v(1), |cv| {
            unary(cv, |units, decimals| {
                let decimal = given_decimals(&decimals).and_then(|decimals| shifted_back(&units, decimals));
                decimal.map_err(Error::str)
            })
        }),
    ]
}

fn given_decimals(decimals: &Val) -> Result<u8, String> {
    let given = match decimals {
        Val::Num(Num::Int(decimals)) => u8::try_from(*decimals).ok(),
        _ => None,
    };
    given.ok_or_else(|| format!("{decimals} is no number of decimals"))
}

fn in_minor_units(amount: Val, currency: Val) -> Result<Val, Error<Val>> {
    let units = text(&currency).and_then(|currency| minor_units(&amount, currency));
    units.map(Val::from).map_err(Error::str)
}

fn in_major_units(units: Val, currency: Val) -> Result<Val, Error<Val>> {
    let decimals = text(&currency).and_then(decimals);
    decimals.and_then(|decimals| shifted_back(&units, decimals)).map_err(Error::str)
}

/// The number of `units` with the decimal point moved to the left.
fn shifted_back(units: &Val, decimals: u8) -> Result<Val, String> {
    let decimal = decimal(&shifted(units, 0)?, decimals);
    jaq_json::read::parse_single(decimal.as_bytes()).map_err(|error| error.to_string())
}

/// Whole minor units with the decimal point moved to the left: `1050` of a currency with 2 decimals
/// is `10.50`.
fn decimal(units: &str, decimals: u8) -> String {
    let (sign, digits) = units.strip_prefix('-').map_or(("", units), |digits| ("-", digits));
    let decimals = usize::from(decimals);
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn text(value: &Val) -> Result<&str, String> {
    match value {
        Val::TStr(bytes) => std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned()),
        other => Err(format!("{other} is no text")),
    }
}

fn decimals(currency: &str) -> Result<u8, String> {
    iso4217::decimals(currency)
        .ok_or_else(|| format!("{currency:?} is no currency code of ISO 4217, such as \"GBP\""))
}

fn umn(currency: &str) -> Result<String, String> {
    Ok(match decimals(currency)? {
        0 => currency.to_owned(),
        decimals => format!("{currency}/{decimals}"),
    })
}

fn minor_units(amount: &Val, currency: &str) -> Result<String, String> {
    shifted(amount, decimals(currency)?)
}

/// The text of `amount` with the decimal point moved to the right.
fn shifted(amount: &Val, decimals: u8) -> Result<String, String> {
    match amount {
        Val::Num(Num::Int(integer)) => shift(&integer.to_string(), decimals),
        Val::Num(Num::BigInt(integer)) => shift(&integer.to_string(), decimals),
        Val::Num(Num::Dec(decimal)) => shift(decimal, decimals),
        Val::Num(Num::Float(float)) => {
            Err(format!("{float} was calculated, so its digits are not exact; take the amount as it came"))
        }
        Val::TStr(_) => shift(text(amount)?, decimals),
        other => Err(no_amount(other)),
    }
}

/// The digits of the decimal number `amount`, where it is whole.
pub fn whole(amount: &str) -> Option<String> {
    shift(amount, 0).ok()
}

fn no_amount(value: impl Display) -> String {
    format!("{value} is no amount such as 10.50")
}

/// Moves the decimal point of `amount` by `decimals` to the right; refuses what is then not
/// whole.
fn shift(amount: &str, decimals: u8) -> Result<String, String> {
    let (negative, unsigned) = match amount.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, amount),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() <= LARGEST_EXPONENT))
        }
        None => (unsigned, Some(0)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (Some(exponent), true, true) = (exponent, all_digits(whole), all_digits(fraction)) else {
        return Err(no_amount(amount));
    };
    let mut digits = format!("{whole}{fraction}");
    let places = fraction.len() as i64 - i64::from(exponent) - i64::from(decimals);
    if places > 0 {
        let kept = digits.len().saturating_sub(places as usize);
        if digits[kept..].bytes().any(|b| b != b'0') {
            return Err(format!(
                "{amount} has more than {decimals} decimals, the smallest unit of its currency"
            ));
        }
        digits.truncate(kept);
    } else {
        digits.extend(std::iter::repeat_n('0', places.unsigned_abs() as usize));
    }
    let digits = digits.trim_start_matches('0');
    Ok(match (digits, negative) {
        ("", _) => "0".to_owned(),
        (digits, true) => format!("-{digits}"),
        (digits, false) => digits.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_become_minor_units_digit_by_digit() {
        for (amount, decimals, expected) in [
            ("10.1", 2, "1010"),
            ("10.10000", 2, "1010"),
            ("9007199254740993", 2, "900719925474099300"),
            ("90071992547409.93", 2, "9007199254740993"),
            ("0.29", 2, "29"),
            ("-0.05", 2, "-5"),
            ("-0", 2, "0"),
            ("0010", 0, "10"),
            ("1.5e3", 2, "150000"),
            ("150e-2", 2, "150"),
            ("12.345", 3, "12345"),
            ("500", 0, "500"),
        ] {
            assert_eq!(shift(amount, decimals).as_deref(), Ok(expected), "{amount}");
        }
    }

    #[test]
    fn minor_units_become_the_number_digit_by_digit() {
        for (units, currency, expected) in [
            ("1050", "EUR", "10.50"),
            ("5", "EUR", "0.05"),
            ("-5", "EUR", "-0.05"),
            ("0", "EUR", "0.00"),
            ("900719925474099301", "EUR", "9007199254740993.01"),
            ("1050", "JPY", "1050"),
            ("1001", "KWD", "1.001"),
        ] {
            for units in
                [Val::from(units.to_owned()), jaq_json::read::parse_single(units.as_bytes()).unwrap()]
            {
                let number = in_major_units(units, Val::from(currency.to_owned())).unwrap();
                assert_eq!(number.to_string(), expected);
            }
        }
        for units in ["1.5", "x", ""] {
            assert!(
                in_major_units(Val::from(units.to_owned()), Val::from("EUR".to_owned())).is_err(),
                "{units}"
            );
        }
    }

    #[test]
    fn what_is_finer_than_the_smallest_unit_is_refused_and_never_rounded() {
        for (amount, decimals) in [("10.101", 2), ("0.5", 0), ("1e-3", 2), ("0.0000001", 2)] {
            assert!(shift(amount, decimals).unwrap_err().contains("decimals"), "{amount}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for amount in ["", "-", ".5", "5.", "+5", "1,000.00", " 1", "0x10", "1e", "1e99", "NaN", "٣"] {
            assert!(shift(amount, 2).unwrap_err().contains("no amount"), "{amount}");
        }
        let calculated = Val::from(10.1_f64);
        assert!(minor_units(&calculated, "GBP").unwrap_err().contains("calculated"));
        assert!(minor_units(&Val::Null, "GBP").is_err());
    }

    #[test]
    fn assets_are_written_as_formance_reads_them() {
        for (currency, expected) in [("GBP", "GBP/2"), ("JPY", "JPY"), ("KWD", "KWD/3")] {
            assert_eq!(umn(currency).as_deref(), Ok(expected));
        }
        assert!(umn("ZZZ").unwrap_err().contains("ZZZ"));
    }
}
