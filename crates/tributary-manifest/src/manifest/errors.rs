//! `errors:`: what answers of the API mean, where HTTP's own meaning is not theirs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::period::Period;

/// What some answers mean.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// Which answers the rule is about: everything that is given has to hold.
    pub when: When,
    /// What such an answer leads to.
    #[serde(rename = "do")]
    pub action: Action,
    /// How long to wait before the next request, with `retry` and `rate_limited`; pauses that grow
    /// if not given.
    #[serde(default)]
    pub wait: Option<Wait>,
    /// What errors say about it; the beginning of the body if not given.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Which answers: everything that is given has to hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Statuses and ranges of them, as in `[429, 500-599]`; any if not given.
    pub status: Vec<Statuses>,
    /// Headers that have exactly this value, by name.
    pub header: BTreeMap<String, String>,
    /// jq on the body, which has to yield something else than false and null.
    pub body: Option<String>,
}

/// A status, or a range such as `500-599`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(pub RangeInclusive<u16>);

/// What an answer leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send it again.
    Retry,
    /// Send it again, and nothing of what `scope` of the limits says before that.
    RateLimited,
    /// Get another access token, then send it again, once.
    RefreshToken,
    /// Leave this partition out in this run.
    SkipPartition,
    /// Begin the partition's pages anew.
    ResetPaging,
    /// Sending it again is of no use.
    Fatal,
}

/// Where the time to wait is found: in seconds, or as a date.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The name of the header that holds it.
    Header(String),
    /// jq on the body: seconds, a date, or seconds or milliseconds since 1970.
    Body(String),
    /// A length of time, always the same.
    Period(Period),
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$" },
            ],
        })
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(u16),
            Range(String),
        }
        let range = match Written::deserialize(deserializer)? {
            Written::One(status) => Some((status, status)),
            Written::Range(text) => {
                let (from, to) = text.split_once('-').unwrap_or((&text, &text));
                from.trim().parse().ok().zip(to.trim().parse().ok())
            }
        };
        range
            .filter(|(from, to)| (100..=599).contains(from) && (*from..=599).contains(to))
            .map(|(from, to)| Self(from..=to))
            .ok_or_else(|| serde::de::Error::custom("status: write statuses such as 429 or 500-599"))
    }
}
