//! Times as an API can be asked for them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use jaq_json::Val;

use super::TimeFormat;
use crate::jq;

impl TimeFormat {
    /// The step between two times that can be written, but for days that are shorter or longer.
    pub fn unit(&self) -> TimeDelta {
        match self {
            Self::Micros => TimeDelta::microseconds(1),
            Self::Millis | Self::UnixMillis => TimeDelta::milliseconds(1),
            Self::Seconds | Self::UnixSeconds | Self::HttpDate => TimeDelta::seconds(1),
            Self::Date => TimeDelta::days(1),
            Self::Pattern(pattern) => pattern.unit(),
        }
    }

    /// The error says why times written so could not be told apart.
    pub fn check(&self) -> Result<(), &str> {
        match self {
            Self::Pattern(pattern) => pattern.check(),
            _ => Ok(()),
        }
    }

    /// Whether it knows days only.
    pub fn counts_days(&self) -> bool {
        self.unit() == TimeDelta::days(1)
    }

    /// By how much a limit may be written wider than it is.
    pub fn widening(&self) -> TimeDelta {
        match self {
            Self::Pattern(pattern) => pattern.widening(),
            _ => TimeDelta::zero(),
        }
    }

    /// The latest time that can be written and is not after `at`.
    pub fn floor(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        if let Self::Pattern(pattern) = self {
            return pattern.floor(at);
        }
        let unit = self.unit().num_microseconds().expect("a day has few microseconds");
        let micros = at.timestamp_micros();
        DateTime::from_timestamp_micros(micros - micros.rem_euclid(unit)).unwrap_or(at)
    }

    /// The earliest time that can be written and is not before `at`.
    pub fn ceil(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        if self.floor(at) == at { at } else { self.after(at) }
    }

    /// The earliest time that can be written and is after `at`.
    pub fn after(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Pattern(pattern) => pattern.after(at),
            _ => self.floor(at) + self.unit(),
        }
    }

    /// The latest time that can be written and is before `at`, which can be.
    pub fn before(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        self.floor(at - TimeDelta::microseconds(1))
    }

    /// The text of `at`, cut to what can be written.
    pub fn write(&self, at: DateTime<Utc>) -> String {
        match self {
            Self::Seconds => at.to_rfc3339_opts(SecondsFormat::Secs, true),
            Self::Millis => at.to_rfc3339_opts(SecondsFormat::Millis, true),
            Self::Micros => at.to_rfc3339_opts(SecondsFormat::Micros, true),
            Self::Date => at.date_naive().to_string(),
            Self::UnixSeconds => at.timestamp().to_string(),
            Self::UnixMillis => at.timestamp_millis().to_string(),
            Self::HttpDate => httpdate::fmt_http_date(at.into()),
            Self::Pattern(pattern) => pattern.text(at),
        }
    }

    /// What is sent as the limit that asks for all at and after `at`. What is counted since 1970 is a number.
    pub fn lower(&self, at: DateTime<Utc>) -> Val {
        match self {
            Self::Pattern(pattern) => Val::from(pattern.lower(at)),
            _ => self.value(at),
        }
    }

    /// What is sent as the limit that asks for all before `at`.
    pub fn upper(&self, at: DateTime<Utc>) -> Val {
        match self {
            Self::Pattern(pattern) => Val::from(pattern.upper(at)),
            _ => self.value(at),
        }
    }

    fn value(&self, at: DateTime<Utc>) -> Val {
        let text = self.write(at);
        match self {
            Self::UnixSeconds | Self::UnixMillis => jq::number(&text),
            _ => Val::from(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::instant;

    fn at(text: &str) -> DateTime<Utc> {
        instant(text).unwrap()
    }

    #[test]
    fn times_are_written_as_finely_as_the_api_can_be_asked() {
        let time = at("2026-03-01T14:00:00.1239999+02:00");
        for (format, floor, text) in [
            (TimeFormat::Micros, "2026-03-01T12:00:00.123999Z", "2026-03-01T12:00:00.123999Z"),
            (TimeFormat::Millis, "2026-03-01T12:00:00.123Z", "2026-03-01T12:00:00.123Z"),
            (TimeFormat::Seconds, "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
            (TimeFormat::Date, "2026-03-01T00:00:00Z", "2026-03-01"),
            (TimeFormat::UnixSeconds, "2026-03-01T12:00:00Z", "1772366400"),
            (TimeFormat::UnixMillis, "2026-03-01T12:00:00.123Z", "1772366400123"),
            (TimeFormat::HttpDate, "2026-03-01T12:00:00Z", "Sun, 01 Mar 2026 12:00:00 GMT"),
        ] {
            assert_eq!(format.floor(time), at(floor), "{format:?}");
            assert_eq!(format.write(time), text, "{format:?}");
            assert_eq!(format.ceil(format.floor(time)), format.floor(time), "{format:?}");
            assert_eq!(format.ceil(time), format.floor(time) + format.unit(), "{format:?}");
        }
    }
}
