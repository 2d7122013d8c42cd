//! Times as the tables hold them.

use crate::gotime::GoTime;

/// The time as a column holds it and sorts by it: in UTC, rounded (half up) to
/// the microsecond.
pub(super) fn stored(time: GoTime) -> GoTime {
    let micros = (time.unix_nanos() + 500).div_euclid(1_000);
    let seconds = i64::try_from(micros.div_euclid(1_000_000)).expect("at most one second more than it was");
    let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).expect("below one second");
    GoTime::from_unix(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_holds_utc_to_the_nearest_microsecond() {
        for (given, held) in [
            ("2026-03-01T14:00:00.0000004+02:00", "2026-03-01T12:00:00Z"),
            ("2026-03-01T12:00:00.0000005Z", "2026-03-01T12:00:00.000001Z"),
            ("2026-03-01T12:00:00.9999996Z", "2026-03-01T12:00:01Z"),
            ("1969-12-31T23:59:59.9999994Z", "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(stored(GoTime::parse(given.as_bytes()).unwrap()).to_string(), held, "{given}");
        }
    }
}
