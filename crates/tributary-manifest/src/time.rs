//! Times as APIs write them.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

/// An RFC 3339 time with any offset as an instant.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

/// A time in one of the usual forms as RFC 3339: with an offset (`Z`, `+01:00`, `+0100`), with a
/// blank instead of the `T`, without any offset (taken as UTC), or a date alone (its midnight, in
/// UTC). Of the last two the zone is not known, which RFC 3339 writes `-00:00`.
pub fn normalized(text: &str) -> Option<String> {
    let text = text.trim();
    let spaced = text.replacen(' ', "T", 1);
    let zoned = instant(&spaced)
        .or_else(|| DateTime::parse_from_str(&spaced, "%Y-%m-%dT%H:%M:%S%.f%#z").ok().map(|at| at.to_utc()));
    if let Some(at) = zoned {
        let unknown = spaced.ends_with("-00:00");
        return Some(written(at, unknown));
    }
    let local =
        chrono::NaiveDateTime::parse_from_str(&spaced, "%Y-%m-%dT%H:%M:%S%.f").ok().or_else(|| {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            date.and_hms_opt(0, 0, 0)
        })?;
    Some(written(local.and_utc(), true))
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
            assert_eq!(normalized(text).as_deref(), Some(normal), "{text}");
        }
        for text in ["", "yesterday", "01.03.2026", "2026-13-01", "1772366400"] {
            assert_eq!(normalized(text), None, "{text}");
        }
    }
}
