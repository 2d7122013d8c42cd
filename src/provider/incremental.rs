//! From where a stream goes on: arithmetic on instants.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

use super::jq::Filter;

/// A stream whose API answers with what changed since a given time.
#[derive(Debug)]
pub struct UpdatedWindow {
    /// The time of a record's last change.
    pub cursor: Filter,
    /// The query parameter that takes the time to ask from.
    pub param: String,
    pub lookback: TimeDelta,
    pub start: TimeDelta,
}

impl UpdatedWindow {
    /// The query parameter for a request at `now` that goes on from `stored`.
    ///
    /// The lower bound is inclusive, lies the lookback before the newest change seen (an API may
    /// show a change after its own timestamp), and never further back than the API answers: a
    /// quiet account's last change grows older than that, and all before was read back then.
    pub fn query(&self, stored: Option<DateTime<Utc>>, now: DateTime<Utc>) -> (String, String) {
        let furthest = now - self.start;
        let from = stored.map_or(furthest, |stored| (stored - self.lookback).max(furthest));
        // formatting cuts to milliseconds, which only asks for more
        (self.param.clone(), from.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// The cursor after an answer to a request sent at `asked_at`: the newest change in it, but
/// never before the `stored` one, and never ahead of the request: a record dated into the
/// future must not make the stream skip what happens until then.
pub fn advance(
    stored: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
    asked_at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    stored.max(newest.map(|newest| newest.min(asked_at)))
}

/// Reads a cursor as [`to_json`] wrote it.
pub fn from_json(cursor: &Value) -> Option<DateTime<Utc>> {
    instant(cursor.as_str()?)
}

/// The cursor as it is kept.
pub fn to_json(cursor: DateTime<Utc>) -> Value {
    Value::String(cursor.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// An RFC 3339 time with any offset as an instant.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        instant(text).unwrap()
    }

    fn window() -> UpdatedWindow {
        UpdatedWindow {
            cursor: Filter::compile("feed", "incremental.cursor", "", ".updatedAt").unwrap(),
            param: "since".to_owned(),
            lookback: TimeDelta::hours(1),
            start: TimeDelta::days(180),
        }
    }

    #[test]
    fn the_first_request_asks_as_far_back_as_the_api_answers() {
        let (param, from) = window().query(None, at("2026-07-01T00:00:00Z"));
        assert_eq!((param.as_str(), from.as_str()), ("since", "2026-01-02T00:00:00.000Z"));
    }

    #[test]
    fn later_requests_ask_again_for_the_lookback_in_utc_and_never_round_up() {
        let stored = at("2026-03-01T14:00:00.1239999+02:00");
        let (_, from) = window().query(Some(stored), at("2026-03-02T00:00:00Z"));
        assert_eq!(from, "2026-03-01T11:00:00.123Z");
    }

    #[test]
    fn an_account_that_was_quiet_for_longer_than_the_api_goes_back_can_still_be_asked_for() {
        let (_, from) = window().query(Some(at("2025-01-01T00:00:00Z")), at("2026-07-01T00:00:00Z"));
        assert_eq!(from, "2026-01-02T00:00:00.000Z");
    }

    #[test]
    fn the_cursor_follows_instants_not_texts() {
        let earlier = at("2026-03-01T23:30:00+02:00");
        let later = at("2026-03-01T22:00:00Z");
        let asked = at("2026-03-02T00:00:00Z");
        assert_eq!(advance(Some(earlier), Some(later), asked), Some(later));
        assert_eq!(advance(Some(later), Some(earlier), asked), Some(later), "it never goes back");
        assert_eq!(advance(Some(later), None, asked), Some(later));
        assert_eq!(advance(None, None, asked), None);
    }

    #[test]
    fn a_record_from_the_future_does_not_carry_the_cursor_past_the_request() {
        let asked = at("2026-03-02T00:00:00Z");
        assert_eq!(advance(None, Some(at("2099-01-01T00:00:00Z")), asked), Some(asked));
    }

    #[test]
    fn cursors_survive_being_kept() {
        let cursor = at("2026-03-01T12:00:00.123456Z");
        assert_eq!(from_json(&to_json(cursor)), Some(cursor));
        for broken in [Value::Null, Value::from(1), Value::from("yesterday")] {
            assert_eq!(from_json(&broken), None);
        }
    }
}
