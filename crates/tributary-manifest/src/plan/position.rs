//! How far a partition of a stream was read: what is kept as its cursor.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The cursor of a partition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Everything up to this time was read, by walks that ended; of a stream without times, when
    /// the last walk began that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<DateTime<Utc>>,
    /// The id of the last event read, or the token from which to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Whether a walk has ended that began with nothing: what came before is history.
    #[serde(default)]
    pub complete: bool,
    /// The streams that share the answers and got all of them, up to here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fed: Vec<String>,
    /// How many runs in a row could not go on from here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// The walk that has not ended yet: a run that is killed goes on at its next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walk: Option<Walk>,
}

fn is_none(number: &u64) -> bool {
    *number == 0
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A walk through the pages of one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walk {
    pub begun_at: DateTime<Utc>,
    /// The window that is asked for; `until` also where the API takes no other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// The newest record in it so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
    /// What the next page is asked for with; `None` for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// What the page before held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The report that its rows are fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// The token for the next run, as far as it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_mark: Option<String>,
    /// How long windows are at most, in microseconds, since a longer one was too much for the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_us: Option<i64>,
    /// How many records this window had so far, where that shows whether it was too long.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rows: u64,
}

/// A report that the API was asked to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub id: String,
    pub created_at: DateTime<Utc>,
    /// Whether it was seen to be ready.
    #[serde(default)]
    pub is_ready: bool,
    /// Where it is fetched, if the API says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What a page is asked for with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// The number of the page, or of the records before it.
    Number(u64),
    /// What the page before said.
    Text(String),
    /// As `Text`, where it was a number: in the digits of the provider.
    Digits(String),
    Url(String),
    /// The time at which the page before ended.
    Time(DateTime<Utc>),
    /// The time of the records beyond which it lies.
    Beyond(DateTime<Utc>),
}

impl Token {
    /// A digest, by which two are the same or not.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(serde_json::to_vec(self).expect("a token is plain JSON")).into()
    }
}

impl Position {
    /// Reads a cursor as [`Position::to_json`] wrote it; nothing was read before the first.
    pub fn from_json(kept: Option<serde_json::Value>) -> Result<Self, String> {
        match kept {
            None => Ok(Self::default()),
            Some(kept) => serde_json::from_value(kept.clone()).map_err(|_| kept.to_string()),
        }
    }

    /// The cursor as it is kept.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a position is plain JSON")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn positions_survive_being_kept() {
        let at: DateTime<Utc> = "2026-03-01T12:00:00.123456Z".parse().unwrap();
        for token in [
            Token::Number(3),
            Token::Text("x".into()),
            Token::Digits("2.0".into()),
            Token::Url("https://x".into()),
            Token::Time(at),
            Token::Beyond(at),
        ] {
            let walk = Walk {
                begun_at: at,
                from: Some(at),
                until: None,
                newest: Some(at),
                token: Some(token),
                fingerprint: Some("f".into()),
                report: Some(Report { id: "r".into(), created_at: at, is_ready: true, url: None }),
                next_mark: Some("t".into()),
                longest_us: Some(1),
                rows: 7,
            };
            let position = Position {
                watermark: Some(at),
                mark: Some("EV1".into()),
                complete: true,
                fed: vec!["balances".into()],
                failed: 2,
                walk: Some(walk),
            };
            assert_eq!(Position::from_json(Some(position.to_json())), Ok(position));
        }
        assert_eq!(Position::from_json(None), Ok(Position::default()));
        let begun = Position { walk: Some(crate::plan::window::whole(at)), ..Position::default() };
        let kept = json!({"complete": false, "walk": {"begun_at": "2026-03-01T12:00:00.123456Z"}});
        assert_eq!(begun.to_json(), kept, "what is not there is not kept");
    }

    #[test]
    fn what_is_no_position_is_not_guessed_at() {
        for broken in [json!(null), json!(17), json!("2026-03-01T12:00:00Z"), json!({"watermark": "soon"})] {
            assert_eq!(Position::from_json(Some(broken.clone())), Err(broken.to_string()));
        }
    }
}
