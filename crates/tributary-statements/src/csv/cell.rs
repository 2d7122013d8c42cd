//! Amounts and dates as tables have them.

use chrono::NaiveDate;

use super::description::{DateOrder, DecimalMark};
use crate::ofx::ungrouped;
use crate::{Currency, StatedDate, decimal};

/// An amount with its sign: before it, behind it, or as parentheses; with the currency beside it or not.
pub fn units(text: &str, currency: Currency, mark: DecimalMark) -> Result<i128, String> {
    let wrong = || format!("{text:?} is no amount of {currency}");
    let mut digits =
        text.replace(['\u{2212}', '\u{2013}'], "-").replace(['\u{a0}', '\u{202f}', ' ', '\''], "\u{1}");
    for beside in [currency.code(), "€", "$", "£"] {
        let bare = digits.trim_matches('\u{1}');
        let bare = bare.strip_prefix(beside).or_else(|| bare.strip_suffix(beside)).unwrap_or(bare);
        digits = bare.trim_matches('\u{1}').to_owned();
    }
    let (negative, digits) = sign(&digits).ok_or_else(wrong)?;
    let (mark, group) = mark.and_group();
    let (whole, fraction) = decimal::split(digits, mark);
    let group = if whole.contains('\u{1}') { '\u{1}' } else { group };
    let whole = ungrouped(whole, group).ok_or_else(wrong)?;
    let units = decimal::minor_units(&whole, fraction, currency).map_err(|_| wrong())?;
    Ok(if negative { -units } else { units })
}

/// Whether it is negative, and what is left. Two signs are none.
fn sign(text: &str) -> Option<(bool, &str)> {
    let bare = |rest: &str| !rest.contains(['-', '+', '(', ')']);
    let found = if let Some(inner) = text.strip_prefix('(') {
        (true, inner.strip_suffix(')')?)
    } else if let Some(rest) = text.strip_prefix('-').or_else(|| text.strip_suffix('-')) {
        (true, rest)
    } else {
        (false, text.strip_prefix('+').unwrap_or(text))
    };
    let digits = found.1.trim_matches('\u{1}');
    bare(digits).then_some((found.0, digits))
}

/// A date in the order that the description has, with whatever is between its parts.
pub fn day(text: &str, order: DateOrder) -> Result<StatedDate, String> {
    let wrong = || format!("{text:?} is no date in the order that the description says");
    let day = text.trim().split(['T', ' ']).next().unwrap_or_default();
    let compact = day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = match (compact, order) {
        (true, DateOrder::YearMonthDay) => vec![&day[..4], &day[4..6], &day[6..]],
        (true, _) => vec![&day[..2], &day[2..4], &day[4..]],
        (false, _) => day.trim_end_matches('.').split(['.', '/', '-']).collect(),
    };
    let [first, second, third] = parts.as_slice() else { return Err(wrong()) };
    let (year, month, day_of_month) = match order {
        DateOrder::YearMonthDay => (first, second, third),
        DateOrder::DayMonthYear => (third, second, first),
        DateOrder::MonthDayYear => (third, first, second),
    };
    let number = |text: &str| -> Option<u32> {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let year = match (year.len(), number(year)) {
        (4, Some(year)) => i32::try_from(year).ok(),
        (2, Some(year)) => i32::try_from(2000 + year).ok(),
        _ => None,
    };
    let date = year.zip(number(month)).zip(number(day_of_month));
    let date = date.and_then(|((year, month), day)| NaiveDate::from_ymd_opt(year, month, day));
    date.map(|date| StatedDate::day(date, text.trim())).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_an_amount_is_the_same_money_or_refused() {
        let euro = Currency::iso("EUR").unwrap();
        for (text, mark, wanted) in [
            ("1.234,56", DecimalMark::Comma, 123_456),
            ("-1.234,56", DecimalMark::Comma, -123_456),
            ("1 234,56", DecimalMark::Comma, 123_456),
            ("1\u{a0}234,56-", DecimalMark::Comma, -123_456),
            ("1\u{202f}234 567,5", DecimalMark::Comma, 123_456_750),
            ("1'234.56", DecimalMark::Point, 123_456),
            ("(20.00)", DecimalMark::Point, -2_000),
            ("\u{2212}20.00 €", DecimalMark::Point, -2_000),
            ("EUR 20", DecimalMark::Point, 2_000),
            ("€-20.5", DecimalMark::Point, -2_050),
            ("1,650.00", DecimalMark::Point, 165_000),
            ("-20", DecimalMark::Comma, -2_000),
        ] {
            assert_eq!(units(text, euro, mark), Ok(wanted), "{text}");
        }
        for text in ["12.34", "1.23,45", "--1", "(1", "1e3", "", "-", "1,005", "12,34,56"] {
            assert!(units(text, euro, DecimalMark::Comma).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_are_read_in_the_order_that_is_said_and_in_no_other() {
        for (text, order) in [
            ("2019.04.19.", DateOrder::YearMonthDay),
            ("20190419", DateOrder::YearMonthDay),
            ("2019-04-19T11:33:59", DateOrder::YearMonthDay),
            ("19.04.19", DateOrder::DayMonthYear),
            ("19/4/2019 10:00", DateOrder::DayMonthYear),
            ("4/19/2019", DateOrder::MonthDayYear),
        ] {
            assert_eq!(day(text, order).unwrap().date.to_string(), "2019-04-19", "{text}");
        }
        assert!(day("19/04/2019", DateOrder::MonthDayYear).is_err());
        assert!(day("2019-04-19", DateOrder::DayMonthYear).is_err());
    }
}
