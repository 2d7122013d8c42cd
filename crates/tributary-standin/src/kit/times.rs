//! Times as text and back, in microseconds since 1970-01-01T00:00:00Z.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

/// One millisecond, second and day in microseconds.
pub const MILLISECOND_US: i64 = 1_000;
/// One second in microseconds.
pub const SECOND_US: i64 = 1_000_000;
/// One day in microseconds.
pub const DAY_US: i64 = 86_400 * SECOND_US;

fn utc(at_us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at_us).unwrap_or_default()
}

/// `2026-03-01T12:00:00+00:00`, cut to the second.
pub fn seconds_offset(at_us: i64) -> String {
    utc(at_us).to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// `2026-03-01T12:00:00+0000`, cut to the second.
pub fn seconds_bare_offset(at_us: i64) -> String {
    utc(at_us).format("%Y-%m-%dT%H:%M:%S%z").to_string()
}

/// `2026-03-01T12:00:00.123Z`, cut to the millisecond.
pub fn millis(at_us: i64) -> String {
    utc(at_us).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `2026-03-01T12:00:00.123456Z`
pub fn micros(at_us: i64) -> String {
    utc(at_us).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `2026-03-01`
pub fn date(at_us: i64) -> String {
    utc(at_us).format("%Y-%m-%d").to_string()
}

/// A time that a client gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The moment, or the start of the day.
    pub at_us: i64,
    /// Whether only the day was given.
    pub is_date: bool,
}

impl Given {
    /// Reads `2026-03-01T12:00:00.123Z`, any RFC 3339 time, or `2026-03-01`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(Self { at_us: time.timestamp_micros(), is_date: false });
        }
        let midnight = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?;
        Some(Self { at_us: midnight.and_utc().timestamp_micros(), is_date: true })
    }

    /// The last microsecond that is meant: that of the day where a day was given.
    pub fn end_us(self) -> i64 {
        if self.is_date { self.at_us + DAY_US - 1 } else { self.at_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_never_rounded_and_read_back() {
        let at_us = Given::parse("2026-03-01T13:00:00.999999+01:00").unwrap().at_us;
        assert_eq!(micros(at_us), "2026-03-01T12:00:00.999999Z");
        assert_eq!(millis(at_us), "2026-03-01T12:00:00.999Z");
        assert_eq!(seconds_offset(at_us), "2026-03-01T12:00:00+00:00");
        assert_eq!(seconds_bare_offset(at_us), "2026-03-01T12:00:00+0000");
        assert_eq!(date(at_us), "2026-03-01");
        let day = Given::parse("2026-03-01").unwrap();
        assert_eq!(micros(day.end_us()), "2026-03-01T23:59:59.999999Z");
        assert_eq!(Given::parse("yesterday"), None);
    }
}
