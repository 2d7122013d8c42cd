//! What goes to a provider and what comes back, for whoever has to see it: the author of a
//! manifest, and what records it. No secret that is known here passes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchanged {
    pub method: String,
    /// With its query.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    pub sent_at: DateTime<Utc>,
    pub answer: Answered,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    pub status: u16,
    /// Those that may decide how to go on; cookies are not among them.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Sees every exchange for records. Of exchanges for tokens, it sees only the outcome.
pub trait Tap: Send + Sync {
    /// A request was answered, after so long.
    fn exchanged(&self, exchanged: &Exchanged, took: Duration);

    /// A token was asked for, and answered with this status.
    fn asked_for_token(&self, url: &str, status: u16);
}
