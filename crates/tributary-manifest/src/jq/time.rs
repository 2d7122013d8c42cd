//! Times in filters: `parse_time`.

use chrono_tz::Tz;
use jaq_core::native::{Filter as NativeFilter, bome, v};
use jaq_core::{DataT, Error, RunPtr};
use jaq_json::Val;

use super::text;
use crate::time::{by_pattern, normalized};

/// The filters: `parse_time` makes RFC 3339 of a time in one of the usual forms, `parse_time($pattern)` of one
/// by a pattern of strftime. `parse_time_in($zone)` and `parse_time_in($zone; $pattern)` read times that do
/// not say by whose clock they are by that of `$zone`.
pub fn filters<D: for<'a> DataT<V<'a> = Val>>() -> [NativeFilter<RunPtr<D>>; 4] {
    [
        ("parse_time", v(0), |cv| bome(read(&cv.1, None, None))),
        ("parse_time", v(1), |mut cv| {
            let pattern = cv.0.pop_var();
            bome(read(&cv.1, None, Some(&pattern)))
        }),
        ("parse_time_in", v(1), |mut cv| {
            let zone = cv.0.pop_var();
            bome(read(&cv.1, Some(&zone), None))
        }),
        ("parse_time_in", v(2), |mut cv| {
            let pattern = cv.0.pop_var();
            let zone = cv.0.pop_var();
            bome(read(&cv.1, Some(&zone), Some(&pattern)))
        }),
    ]
}

/// What makes a time of a number, which is seconds or milliseconds since 1970 as a rule.
fn hint(time: &Val) -> &'static str {
    match time {
        Val::Num(_) => "; of seconds since 1970 `todate` makes one, of milliseconds `. / 1000 | todate`",
        _ => "",
    }
}

fn read(time: &Val, zone: Option<&Val>, pattern: Option<&Val>) -> Result<Val, Error<Val>> {
    let zone = zone.map(|zone| {
        let named = text(zone).and_then(|name| name.parse::<Tz>().ok());
        named.ok_or_else(|| Error::str(format!("{zone} is no time zone, such as \"Europe/Berlin\"")))
    });
    let zone = zone.transpose()?;
    let pattern = pattern.map(|pattern| {
        text(pattern)
            .ok_or_else(|| Error::str(format!("{pattern} is no pattern, such as \"%d.%m.%Y %H:%M\"")))
    });
    let read = match (text(time), pattern.transpose()?) {
        (Some(time), None) => normalized(&time, zone),
        (Some(time), Some(pattern)) => by_pattern(&time, &pattern, zone),
        (None, _) => None,
    };
    read.map(Val::from).ok_or_else(|| Error::str(format!("{time} is no time{}", hint(time))))
}
