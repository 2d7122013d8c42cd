//! Rows that the API makes a report of.

use schemars::JsonSchema;
use serde::Deserialize;

use super::right::{Nested, Ordered, Right};
use crate::period::Period;

/// A report that the API makes: it is asked for, waited for, and fetched. `rows`, `answer` and `page` are of what is
/// fetched; `$report` is its id.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportForm {
    /// The request that has the API make it. It is sent once: an answer that never comes may have had one made.
    pub create: Create,
    /// How it is seen whether it can be fetched.
    pub ready: Ready,
    /// How it is fetched.
    pub fetch: Fetch,
}

/// The request that has a report made.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Create {
    /// The path, with its query.
    pub post: Option<String>,
    /// Further parameters of the query, value by name.
    pub query: Ordered<Right>,
    /// Further headers of the request, value by name.
    pub headers: Ordered<Right>,
    /// What is posted, as JSON.
    pub body: Option<Nested>,
    /// Instead of `body`: what is posted as a form.
    pub form: Option<Nested>,
    /// jq on the answer: the id of the report.
    pub id: Option<String>,
}

/// How it is seen whether a report can be fetched.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ready {
    /// The path that shows it, such as `/reports/{$report}`.
    pub get: Option<String>,
    /// jq on the answer: whether the report can be fetched.
    #[serde(rename = "where")]
    pub holds: Option<String>,
    /// jq on the answer: whether there will be none; another one is asked for by the next run then.
    pub failed: Option<String>,
    /// The pause between two looks; 10s if not given.
    pub every: Option<Period>,
    /// How long after it was asked for a report is waited for; 1h if not given. A run waits for 5 minutes, and
    /// the next one goes on.
    pub within: Option<Period>,
}

/// How a report is fetched: by `get` or `url`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fetch {
    /// The path, with its query, such as `/reports/{$report}/rows`.
    pub get: Option<String>,
    /// jq on the answer of `ready`: the URL, on the host of `api` or one of `hosts`.
    pub url: Option<String>,
}
