//! Dates as a bank states them: a day first of all; a time and an offset only where it says so.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveTime};
use chrono_tz::Tz;

/// A date, with what the file says of time and zone. The day is the bank's own and is never moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatedDate {
    /// The day as written; of a time with an offset, in the zone of [`crate::Settings`] where one is set.
    pub date: NaiveDate,
    /// The time of that day, where one is written.
    pub time: Option<NaiveTime>,
    /// How far from UTC that is, in minutes to the east, where it is written.
    pub offset_minutes: Option<i32>,
    /// The text of the file.
    pub text: String,
}

impl StatedDate {
    /// A day without a time, and the text that it was read from.
    pub fn day(date: NaiveDate, text: impl Into<String>) -> Self {
        Self { date, time: None, offset_minutes: None, text: text.into() }
    }

    /// An xs:date or xs:dateTime: `2026-03-01`, with `Z` or `+01:00`, with a time and fractions.
    pub(crate) fn xs(text: &str, zone: Option<Tz>) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("{text:?} is no date");
        let (day, rest) = text.split_at_checked(10).ok_or_else(wrong)?;
        let date = NaiveDate::parse_from_str(day, "%Y-%m-%d").map_err(|_| wrong())?;
        let Some(clock) = rest.strip_prefix('T') else {
            let offset_minutes = offset(rest).ok_or_else(wrong)?;
            return Ok(Self { date, time: None, offset_minutes, text: text.to_owned() });
        };
        let at = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
        let (clock, zone_text) = clock.split_at(at);
        let time = time(clock).ok_or_else(wrong)?;
        let offset_minutes = offset(zone_text).ok_or_else(wrong)?;
        Ok(Self { date, time: Some(time), offset_minutes, text: text.to_owned() }.within(zone))
    }

    /// The same instant on the clock of `zone`, where both an instant and a zone are known.
    pub(crate) fn within(self, zone: Option<Tz>) -> Self {
        let (Some(zone), Some(instant)) = (zone, self.instant()) else { return self };
        let local = instant.with_timezone(&zone);
        Self {
            date: local.date_naive(),
            time: Some(local.time()),
            ..self.with_offset_of(local.fixed_offset())
        }
    }

    fn with_offset_of(self, local: DateTime<FixedOffset>) -> Self {
        Self { offset_minutes: Some(local.offset().local_minus_utc() / 60), ..self }
    }

    /// The instant, where the file gives a time and an offset.
    pub fn instant(&self) -> Option<DateTime<FixedOffset>> {
        let offset = FixedOffset::east_opt(self.offset_minutes? * 60)?;
        self.date.and_time(self.time?).and_local_timezone(offset).single()
    }
}

/// `hh:mm:ss` with fractions, or 24:00:00 as the end of the day.
fn time(text: &str) -> Option<NaiveTime> {
    if text.starts_with("24:00") {
        return NaiveTime::from_hms_opt(23, 59, 59);
    }
    NaiveTime::parse_from_str(text, "%H:%M:%S%.f").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M")).ok()
}

/// `Z`, `+01:00`, `+0100` in minutes; nothing is no offset.
pub fn offset(text: &str) -> Option<Option<i32>> {
    match text.as_bytes() {
        [] => Some(None),
        b"Z" => Some(Some(0)),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let digits: Vec<u8> = rest.iter().copied().filter(|b| *b != b':').collect();
            let [h1, h2, m1, m2] = digits.as_slice() else { return None };
            if !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let part = |a: u8, b: u8| i32::from(a - b'0') * 10 + i32::from(b - b'0');
            let minutes = part(*h1, *h2) * 60 + part(*m1, *m2);
            (minutes < 24 * 60).then_some(Some(if *sign == b'-' { -minutes } else { minutes }))
        }
        _ => None,
    }
}

/// `YYMMDD`: 80 to 99 are of the last century. A day that the month does not have (30 February, of interest
/// by years of 360 days) is its last one; the flag says so.
pub fn yymmdd(text: &str) -> Option<(NaiveDate, bool)> {
    if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| text.get(from..from + 2)?.parse::<u32>().ok();
    let year = i32::try_from(part(0)?).ok()?;
    let year = if year >= 80 { 1900 + year } else { 2000 + year };
    clamped(year, part(2)?, part(4)?)
}

/// The day, or the last one of the month where that has fewer than the 31 that any may have.
pub fn clamped(year: i32, month: u32, day: u32) -> Option<(NaiveDate, bool)> {
    if let Some(date) = NaiveDate::from_ymd_opt(year, month, day) {
        return Some((date, false));
    }
    if !(1..=31).contains(&day) {
        return None;
    }
    let last = (28..=31).rev().find_map(|day| NaiveDate::from_ymd_opt(year, month, day))?;
    Some((last, true))
}

/// `MMDD` in the year that puts it nearest to `anchor`, clamped as [`yymmdd`] does.
pub fn mmdd(text: &str, anchor: NaiveDate) -> Option<(NaiveDate, bool)> {
    if text.len() != 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (month, day) = (text.get(0..2)?.parse().ok()?, text.get(2..4)?.parse().ok()?);
    (anchor.year() - 1..=anchor.year() + 1)
        .filter_map(|year| clamped(year, month, day))
        .min_by_key(|(date, bent)| (*bent, (*date - anchor).num_days().abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_stays_as_written_and_its_offset_is_kept() {
        let stated = StatedDate::xs("2026-03-01T23:00:00.123456Z", None).unwrap();
        assert_eq!((stated.date, stated.offset_minutes), (day("2026-03-01"), Some(0)));
        let stated = StatedDate::xs("2026-03-01+01:00", None).unwrap();
        assert_eq!((stated.date, stated.offset_minutes, stated.time), (day("2026-03-01"), Some(60), None));
    }

    #[test]
    fn eleven_at_night_in_utc_is_the_next_day_in_brussels_where_the_zone_is_set() {
        let zone = Some(chrono_tz::Europe::Brussels);
        assert_eq!(StatedDate::xs("2026-02-01T23:00:00Z", zone).unwrap().date, day("2026-02-02"));
        assert_eq!(StatedDate::xs("2026-02-01", zone).unwrap().date, day("2026-02-01"));
    }

    #[test]
    fn a_day_and_month_belong_to_the_year_nearest_to_the_statement() {
        for (text, anchor, wanted) in [
            ("1231", "2019-01-02", "2018-12-31"),
            ("0105", "2014-12-31", "2015-01-05"),
            ("1201", "2017-11-30", "2017-12-01"),
            ("0229", "2024-03-01", "2024-02-29"),
        ] {
            assert_eq!(mmdd(text, day(anchor)), Some((day(wanted), false)), "{text} by {anchor}");
        }
    }

    #[test]
    fn the_thirtieth_of_february_is_its_last_day_and_said_to_be() {
        assert_eq!(yymmdd("230230"), Some((day("2023-02-28"), true)));
        assert_eq!(yymmdd("362268"), None);
        assert_eq!(yymmdd("23023x"), None);
        assert_eq!(mmdd("0230", day("2024-03-01")), Some((day("2024-02-29"), true)));
    }
}
