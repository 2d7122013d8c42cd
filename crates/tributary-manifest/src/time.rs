//! Times as APIs write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::manifest::read_local;

/// An RFC 3339 time with any offset as an instant.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

/// The latest that a time of RFC 3339 can be: an hour later where its zone is not known, since the hour may
/// come twice.
pub fn latest(text: &str) -> Option<DateTime<Utc>> {
    let unsure = text.ends_with("-00:00");
    instant(text).map(|at| if unsure { at + TimeDelta::hours(1) } else { at })
}

/// A time in one of the usual forms as RFC 3339: with an offset (`Z`, `+01:00`, `+0100`), with a
/// blank instead of the `T`, without any offset, or a date alone (its midnight, in UTC).
///
/// What has no offset is by the clock of `zone`, or else taken as UTC. Where that does not say when it
/// was (there is no zone, the hour comes twice when clocks are put back, it is a date alone) it is
/// the earliest that it can be, written `-00:00`, as RFC 3339 writes a zone that is not known.
pub fn normalized(text: &str, zone: Option<Tz>) -> Option<String> {
    let text = text.trim();
    let spaced = text.replacen(' ', "T", 1);
    let zoned = instant(&spaced)
        .or_else(|| DateTime::parse_from_str(&spaced, "%Y-%m-%dT%H:%M:%S%.f%#z").ok().map(|at| at.to_utc()));
    if let Some(at) = zoned {
        let unknown = spaced.ends_with("-00:00");
        return Some(written(at, unknown));
    }
    match NaiveDateTime::parse_from_str(&spaced, "%Y-%m-%dT%H:%M:%S%.f") {
        Ok(local) => Some(of_clock(local, zone)),
        Err(_) => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(of_day),
    }
}

/// As [`normalized`], of a time that is written by a pattern of strftime.
pub fn by_pattern(text: &str, pattern: &str, zone: Option<Tz>) -> Option<String> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_str(text, pattern) {
        return Some(written(at.to_utc(), false));
    }
    match NaiveDateTime::parse_from_str(text, pattern) {
        Ok(local) => Some(of_clock(local, zone)),
        Err(_) => NaiveDate::parse_from_str(text, pattern).ok().map(of_day),
    }
}

fn of_clock(local: NaiveDateTime, zone: Option<Tz>) -> String {
    let (at, unsure) = zone.map_or((local.and_utc(), true), |zone| read_local(local, zone));
    written(at, unsure)
}

fn of_day(date: NaiveDate) -> String {
    written(date.and_time(chrono::NaiveTime::MIN).and_utc(), true)
}

fn written(at: DateTime<Utc>, zone_is_unknown: bool) -> String {
    let text = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    if zone_is_unknown { text.replace('Z', "-00:00") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_of_a_time_are_understood_and_others_are_not() {
        for (text, normal) in [
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
            ("2026-03-01T12:00:00.5+01:00", "2026-03-01T11:00:00.500Z"),
            ("2026-03-01T12:00:00+1100", "2026-03-01T01:00:00Z"),
            ("2026-03-01 12:00:00", "2026-03-01T12:00:00-00:00"),
            ("2026-03-01T12:00:00.123", "2026-03-01T12:00:00.123-00:00"),
            ("2026-03-01", "2026-03-01T00:00:00-00:00"),
            ("2026-03-01T12:00:00-00:00", "2026-03-01T12:00:00-00:00"),
        ] {
            assert_eq!(normalized(text, None).as_deref(), Some(normal), "{text}");
        }
        for text in ["", "yesterday", "01.03.2026", "2026-13-01", "1772366400"] {
            assert_eq!(normalized(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_clock_whose_zone_is_known_says_when_but_for_the_hour_that_comes_twice() {
        let berlin = Some(Tz::Europe__Berlin);
        for (text, normal) in [
            ("2026-07-01 12:00:00", "2026-07-01T10:00:00Z"),
            ("2026-01-01T12:00:00.5", "2026-01-01T11:00:00.500Z"),
            ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z"),
            ("2026-10-25 02:30:00", "2026-10-25T00:30:00-00:00"),
            ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
            ("2026-03-29 02:30:00", "2026-03-29T01:00:00-00:00"),
            ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z"),
            ("2026-07-01", "2026-07-01T00:00:00-00:00"),
        ] {
            assert_eq!(normalized(text, berlin).as_deref(), Some(normal), "{text}");
        }
        assert_eq!(latest("2026-10-25T00:30:00-00:00"), instant("2026-10-25T01:30:00Z"));
        assert_eq!(latest("2026-10-25T00:30:00Z"), instant("2026-10-25T00:30:00Z"));
    }

    #[test]
    fn times_are_read_by_a_pattern() {
        let berlin = Some(Tz::Europe__Berlin);
        for (text, pattern, zone, normal) in [
            ("01.07.2026 12:00", "%d.%m.%Y %H:%M", berlin, Some("2026-07-01T10:00:00Z")),
            ("01.07.2026 12:00", "%d.%m.%Y %H:%M", None, Some("2026-07-01T12:00:00-00:00")),
            ("01/07/26", "%d/%m/%y", berlin, Some("2026-07-01T00:00:00-00:00")),
            ("20260701120000+0900", "%Y%m%d%H%M%S%z", berlin, Some("2026-07-01T03:00:00Z")),
            ("1.7.2026", "%d/%m/%Y", None, None),
            ("31.02.2026", "%d.%m.%Y", None, None),
        ] {
            assert_eq!(by_pattern(text, pattern, zone).as_deref(), normal, "{text}");
        }
    }
}
