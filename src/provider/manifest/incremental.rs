//! `incremental:`: how a stream asks only for what is new.

use serde::Deserialize;

use crate::provider::period::Period;

/// How a stream asks only for what is new.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Incremental {
    /// The API answers with what changed at or after a given time.
    UpdatedWindow {
        /// jq on a record: the time of its last change, RFC 3339.
        cursor: String,
        /// The query parameter that takes the time to ask from.
        param: String,
        /// How far before the newest change seen the next request asks again: more than the
        /// API needs to show a change after its own timestamp.
        lookback: Period,
        /// How far back the first request asks, and the furthest that any asks: what the API
        /// refuses to go beyond.
        start: Period,
    },
}
