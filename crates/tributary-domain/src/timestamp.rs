//! Points in time: UTC, µs, in the years that Go's JSON knows.

use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};

use super::RecordError;

/// A time after Go's zero time (0001-01-01T00:00:00Z) and before the year 10000, in whole µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Takes the `value` of `field`: RFC 3339 with any offset and precision. What is finer
    /// than a µs is cut.
    pub fn parse(field: &'static str, value: &str) -> Result<Self, RecordError> {
        let time = DateTime::parse_from_rfc3339(value).map_err(|_| {
            RecordError::new(
                field,
                format!("{value:?} is not an RFC 3339 time such as \"2026-03-01T12:00:00Z\""),
            )
        })?;
        Self::try_from_utc(time.with_timezone(&Utc))
            .ok_or_else(|| RecordError::new(field, format!("{value:?} is not in the years 1 to 9999")))
    }

    /// As [`Timestamp::parse`], where the field may be absent.
    pub fn parse_optional(field: &'static str, value: Option<&str>) -> Result<Option<Self>, RecordError> {
        value.map(|value| Self::parse(field, value)).transpose()
    }

    /// Cuts `time` to µs; `None` outside the years that can be served.
    pub fn try_from_utc(time: DateTime<Utc>) -> Option<Self> {
        let time = time.trunc_subsecs(6);
        let served =
            (1..=9999).contains(&time.year()) && time > DateTime::<Utc>::from_timestamp(-62_135_596_800, 0)?;
        served.then_some(Self(time))
    }

    /// The current time of this machine's clock, for facts that come without a time of their own.
    pub fn now() -> Self {
        Self(Utc::now().trunc_subsecs(6))
    }

    /// The time as canonical JSON has it: RFC 3339 in UTC, with its microseconds.
    pub fn to_text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// The time as chrono knows it.
    pub fn as_utc(self) -> DateTime<Utc> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_nanoseconds_are_read_as_instants_of_whole_microseconds() {
        let time = Timestamp::parse("createdAt", "2026-03-01T14:00:00.123456789+02:00").unwrap();
        assert_eq!(time.as_utc().to_rfc3339(), "2026-03-01T12:00:00.123456+00:00");
    }

    #[test]
    fn times_that_go_cannot_read_are_refused() {
        for bad in [
            "",
            "2026-03-01",
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00.0000001Z",
            "10000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "yesterday",
        ] {
            assert!(Timestamp::parse("createdAt", bad).is_err(), "{bad}");
        }
    }
}
