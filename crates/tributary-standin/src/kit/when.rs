//! When a fault happens, and what a refused client is told about the wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;
use serde::Deserialize;

use super::ids;

/// Which requests (or changes) a fault hits. Of the requests, only those with a valid token
/// count, and only those that no other fault has hit already.
///
/// In JSON: `{"every": 3, "at_most": 10, "path_part": "/payments"}` or
/// `{"per_mille": 50, "seed": 7}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    every: u64,
    at_most: u64,
    path_part: Option<String>,
    per_mille: u32,
    seed: u64,
}

impl Default for When {
    fn default() -> Self {
        Self { every: 1, at_most: u64::MAX, path_part: None, per_mille: 1_000, seed: 0 }
    }
}

impl When {
    /// Every `n`th request, for ever; 0 is never.
    pub fn every(n: u64) -> Self {
        Self { every: n, ..Self::default() }
    }

    /// The next `n` requests, and none after them.
    pub fn next(n: u64) -> Self {
        Self { at_most: n, ..Self::default() }
    }

    /// `per_mille` of 1,000 requests, drawn from the seed: the same ones each time.
    pub fn chance(per_mille: u32, seed: u64) -> Self {
        Self { per_mille, seed, ..Self::default() }
    }

    /// At most `n` times in all.
    #[must_use]
    pub fn at_most(self, n: u64) -> Self {
        Self { at_most: n, ..self }
    }

    /// Only requests whose path contains this text count, such as `/feed/`.
    #[must_use]
    pub fn on(self, path_part: impl Into<String>) -> Self {
        Self { path_part: Some(path_part.into()), ..self }
    }
}

/// How far one fault's schedule has come.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    visible: u64,
    /// How often the fault has hit.
    pub hits: u64,
}

impl Schedule {
    /// Whether the fault hits this request, which then counts.
    pub fn hits(&mut self, when: Option<&When>, path: &str) -> bool {
        let counts = |when: &&When| when.path_part.as_ref().is_none_or(|part| path.contains(part.as_str()));
        let Some(when) = when.filter(counts) else {
            return false;
        };
        self.visible += 1;
        let drawn = ids::hash(when.seed, "chance", self.visible) % 1_000 < u64::from(when.per_mille);
        let hit = drawn && self.hits < when.at_most && self.visible.is_multiple_of(when.every);
        self.hits += u64::from(hit);
        hit
    }
}

/// What a 429 says about the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// `Retry-After: <seconds>`
    Seconds(u32),
    /// `Retry-After: <HTTP date>`, this many seconds after the machine's now, rounded up to the
    /// whole second that such a date can express.
    Date(u32),
    /// `Retry-After: 0`, which must not be taken for leave to hammer on.
    Zero,
    /// No such header.
    Absent,
}

impl RetryAfter {
    /// The value of the header, where there is to be one.
    pub(super) fn header(self) -> Option<HeaderValue> {
        match self {
            Self::Seconds(seconds) => Some(HeaderValue::from(seconds)),
            Self::Zero => Some(HeaderValue::from(0)),
            Self::Absent => None,
            Self::Date(seconds) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                // A date has whole seconds: cutting would let the client come back too early.
                let whole_seconds = now.as_secs() + u64::from(now.subsec_nanos() > 0);
                let until = UNIX_EPOCH + Duration::from_secs(whole_seconds + u64::from(seconds));
                HeaderValue::try_from(httpdate::fmt_http_date(until)).ok()
            }
        }
    }

    /// The `turn`th (from 0) of what the 429s say in turn; nothing where nothing is given.
    pub(super) fn in_turn(all: &[Self], turn: u64) -> Self {
        turn.checked_rem(all.len() as u64).map_or(Self::Absent, |place| all[place as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(when: &When, requests: usize) -> Vec<bool> {
        let mut schedule = Schedule::default();
        (0..requests).map(|_| schedule.hits(Some(when), "/v2/payments")).collect()
    }

    #[test]
    fn a_chance_hits_about_as_often_as_it_says_and_the_same_requests_each_time() {
        let when = When::chance(100, 7);
        let first = hits(&when, 10_000);
        assert_eq!(first, hits(&when, 10_000));
        assert_ne!(first, hits(&When::chance(100, 8), 10_000));
        let count = first.iter().filter(|hit| **hit).count();
        assert!((800..1_200).contains(&count), "{count}");
        assert_eq!(hits(&When::chance(0, 7), 100), [false; 100]);
    }

    #[test]
    fn only_the_named_paths_count_and_json_says_the_same() {
        assert_eq!(hits(&When::every(2).at_most(1), 4), [false, true, false, false]);
        assert_eq!(hits(&When::next(1).on("/refunds"), 2), [false, false]);
        assert_eq!(hits(&When::every(0), 3), [false; 3]);
        let json = r#"{"every":2,"at_most":1}"#;
        assert_eq!(serde_json::from_str::<When>(json).unwrap(), When::every(2).at_most(1));
    }
}
