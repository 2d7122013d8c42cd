//! Times as APIs write them.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};

use jaq_core::native::{Filter as NativeFilter, bome, v};
use jaq_core::{DataT, Error, RunPtr};
use jaq_json::Val;

use super::manifest::TimeFormat;

/// An RFC 3339 time with any offset as an instant.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

impl TimeFormat {
    /// The step between two times that can be written.
    pub fn unit(self) -> TimeDelta {
        match self {
            Self::Micros => TimeDelta::microseconds(1),
            Self::Millis | Self::UnixMillis => TimeDelta::milliseconds(1),
            Self::Seconds | Self::UnixSeconds => TimeDelta::seconds(1),
            Self::Date => TimeDelta::days(1),
        }
    }

    /// The latest time that can be written and is not after `at`.
    pub fn floor(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let unit = self.unit().num_microseconds().expect("a day has few microseconds");
        let micros = at.timestamp_micros();
        DateTime::from_timestamp_micros(micros - micros.rem_euclid(unit)).unwrap_or(at)
    }

    /// The earliest time that can be written and is not before `at`.
    pub fn ceil(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.floor(at);
        if floor == at { at } else { floor + self.unit() }
    }

    /// The text of `at`, cut to what can be written.
    pub fn write(self, at: DateTime<Utc>) -> String {
        match self {
            Self::Seconds => at.to_rfc3339_opts(SecondsFormat::Secs, true),
            Self::Millis => at.to_rfc3339_opts(SecondsFormat::Millis, true),
            Self::Micros => at.to_rfc3339_opts(SecondsFormat::Micros, true),
            Self::Date => at.date_naive().to_string(),
            Self::UnixSeconds => at.timestamp().to_string(),
            Self::UnixMillis => at.timestamp_millis().to_string(),
        }
    }
}

/// The filter `parse_time`: a time in one of the usual forms as RFC 3339.
pub fn filters<D: for<'a> DataT<V<'a> = Val>>() -> [NativeFilter<RunPtr<D>>; 1] {
    [("parse_time", v(0), |cv| {
        let time = match &cv.1 {
            Val::TStr(bytes) => std::str::from_utf8(bytes).ok().and_then(normalized),
            _ => None,
        };
        bome(time.map(Val::from).ok_or_else(|| Error::str(format!("{} is no time", cv.1))))
    })]
}

/// A time in one of the usual forms as RFC 3339: with an offset (`Z`, `+01:00`, `+0100`), with a
/// blank instead of the `T`, without any offset (taken as UTC), or a date alone (its midnight, in
/// UTC).
pub fn normalized(text: &str) -> Option<String> {
    let text = text.trim();
    let spaced = text.replacen(' ', "T", 1);
    let at = instant(&spaced)
        .or_else(|| DateTime::parse_from_str(&spaced, "%Y-%m-%dT%H:%M:%S%.f%#z").ok().map(|at| at.to_utc()))
        .or_else(|| {
            chrono::NaiveDateTime::parse_from_str(&spaced, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|at| at.and_utc())
        })
        .or_else(|| {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            date.and_hms_opt(0, 0, 0).map(|at| at.and_utc())
        })?;
    Some(at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(format.floor(time), at(floor), "{format:?}");
            assert_eq!(format.write(time), text, "{format:?}");
            assert_eq!(format.ceil(format.floor(time)), format.floor(time), "{format:?}");
            assert_eq!(format.ceil(time), format.floor(time) + format.unit(), "{format:?}");
        }
    }

    #[test]
    fn the_usual_forms_of_a_time_are_understood_and_others_are_not() {
        for (text, normal) in [
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
            ("2026-03-01T12:00:00.5+01:00", "2026-03-01T11:00:00.500Z"),
            ("2026-03-01T12:00:00+1100", "2026-03-01T01:00:00Z"),
            ("2026-03-01 12:00:00", "2026-03-01T12:00:00Z"),
            ("2026-03-01T12:00:00.123", "2026-03-01T12:00:00.123Z"),
            ("2026-03-01", "2026-03-01T00:00:00Z"),
        ] {
            assert_eq!(normalized(text).as_deref(), Some(normal), "{text}");
        }
        for text in ["", "yesterday", "01.03.2026", "2026-13-01", "1772366400"] {
            assert_eq!(normalized(text), None, "{text}");
        }
    }
}
