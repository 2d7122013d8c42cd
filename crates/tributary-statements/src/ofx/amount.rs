//! Amounts and times of OFX.

use chrono::{NaiveDate, NaiveTime};

use crate::{Currency, DecimalMark, StatedDate, decimal};

/// A signed amount with a point or a comma. One separator is the decimal mark, unless three digits follow it:
/// `1,650` could be either, so the provider has to say. Of both, the last is the mark and the other groups.
pub fn units(text: &str, currency: Currency, mark: Option<DecimalMark>) -> Result<i128, String> {
    let text = text.trim();
    let wrong = || format!("{text:?} is no amount");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match (mark, digits.rfind('.'), digits.rfind(',')) {
        (Some(mark), ..) => {
            let (mark, group) = mark.and_group();
            let (whole, fraction) = decimal::split(digits, mark);
            (ungrouped(whole, group).ok_or_else(wrong)?, fraction)
        }
        (None, None, None) => (digits.to_owned(), ""),
        (None, Some(point), Some(comma)) => {
            let at = point.max(comma);
            let group = if at == point { ',' } else { '.' };
            (ungrouped(&digits[..at], group).ok_or_else(wrong)?, &digits[at + 1..])
        }
        (None, point, comma) => {
            let at = point.or(comma).unwrap_or(0);
            if digits.len() - at == 4 && comma.is_some() {
                return Err(format!(
                    "{text:?} is either thousands or a part: say in the provider's file which mark is the decimal one"
                ));
            }
            (digits[..at].to_owned(), &digits[at + 1..])
        }
    };
    let units = decimal::minor_units(&whole, fraction, currency).map_err(|_| wrong())?;
    Ok(if negative { -units } else { units })
}

/// Digits in groups of three, without what groups them; `None` where the groups are not of three.
pub fn ungrouped(text: &str, group: char) -> Option<String> {
    let mut groups = text.split(group);
    let first = groups.next()?;
    let mut digits = first.to_owned();
    for next in groups {
        if next.len() != 3 || first.is_empty() || first.len() > 3 {
            return None;
        }
        digits.push_str(next);
    }
    Some(digits)
}

/// `YYYYMMDD[hhmmss[.xxx]][[offset:name]]`. `None` where it is all zeros, which says nothing.
pub fn time(text: &str) -> Result<Option<StatedDate>, String> {
    let text = text.trim();
    let wrong = || format!("{text:?} is no date");
    if text.is_empty() || text.bytes().all(|b| b == b'0') {
        return Ok(None);
    }
    let (day, rest) = text.split_at_checked(8).ok_or_else(wrong)?;
    if !day.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let date = NaiveDate::parse_from_str(day, "%Y%m%d").map_err(|_| wrong())?;
    let clock: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let time = match clock.len() {
        6 => NaiveTime::parse_from_str(&clock, "%H%M%S").ok(),
        4 => NaiveTime::parse_from_str(&clock, "%H%M").ok(),
        _ => None,
    };
    let offset_minutes = rest.split_once('[').and_then(|(_, zone)| offset(zone.trim_end_matches(']')));
    Ok(Some(StatedDate { date, time, offset_minutes, text: text.to_owned() }))
}

/// `-5`, `+5.30`, `-6:CST`: hours, and minutes behind a point. The name may lie, so the number counts.
fn offset(text: &str) -> Option<i32> {
    let number = text.split(':').next()?.trim();
    let (hours, minutes) = number.split_once('.').unwrap_or((number, "0"));
    let negative = hours.starts_with('-');
    let hours: i32 = hours.parse().ok()?;
    let minutes: i32 = minutes.parse().ok()?;
    let total = hours.abs().checked_mul(60)?.checked_add(minutes)?;
    (total < 24 * 60).then_some(if negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_commas_are_decimal_or_group_and_what_is_neither_is_refused() {
        let euro = Currency::iso("EUR").unwrap();
        for (text, wanted) in [
            ("-836.30", -83_630),
            ("0,00", 0),
            ("750", 75_000),
            ("1,650.00", 165_000),
            ("1.650,00", 165_000),
            ("-1.234.567,8", -123_456_780),
            ("+.5", 50),
        ] {
            assert_eq!(units(text, euro, None), Ok(wanted), "{text}");
        }
        for text in ["1,650", "$120", ".", "", "1,65,000.00", "1e3", "12-", "1.005"] {
            assert!(units(text, euro, None).is_err(), "{text}");
        }
        assert_eq!(units("1,650", euro, Some(DecimalMark::Point)), Ok(165_000));
    }

    #[test]
    fn a_date_is_as_written_whatever_the_zone_says() {
        let day =
            |text: &str| time(text).unwrap().map(|stated| (stated.date.to_string(), stated.offset_minutes));
        for (text, offset) in [
            ("20260301", None),
            ("20260301000000", None),
            ("20260301000000[-6:CST]", Some(-360)),
            ("20260301120000.000[-3:GMT]", Some(-180)),
            ("20260301120000[-5]", Some(-300)),
            ("20260301120000.000 GMT", None),
            ("20260301120000[+5.30:IST]", Some(330)),
        ] {
            assert_eq!(day(text), Some(("2026-03-01".to_owned(), offset)), "{text}");
        }
        assert_eq!(time("00000000"), Ok(None));
        assert!(time("2026").is_err());
        assert!(time("20261301").is_err());
    }
}
