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
    /// Ask for half of the window: what `halve` of a window leads to.
    #[serde(skip)]
    Halve,
}

/// How long to wait: one of `header`, `body` and `period`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wait {
    /// The name of the header that says it.
    pub header: Option<String>,
    /// jq on the body that gives it.
    pub body: Option<String>,
    /// A length of time, always the same.
    pub period: Option<Period>,
    /// What `header` and `body` count in, where they give a number: `seconds` (if not given) or
    /// `milliseconds`. Dates, and seconds or milliseconds since 1970, are understood either way.
    pub unit: Option<WaitUnit>,
}

/// What a wait is counted in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitUnit {
    #[default]
    Seconds,
    Milliseconds,
}

/// Numbers from here on are no wait, but a time since 1970.
const FIRST_TIME: f64 = 1e9;

impl WaitUnit {
    /// The wait `told`, with a number that is one in seconds.
    pub fn in_seconds(self, told: &str) -> Cow<'_, str> {
        match (self, told.trim().parse::<f64>()) {
            (Self::Milliseconds, Ok(number)) if number < FIRST_TIME => (number / 1_000.0).to_string().into(),
            _ => told.into(),
        }
    }
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
