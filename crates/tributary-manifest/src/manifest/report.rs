//! `report:`: rows that the API makes a report of, which is asked for, waited for and fetched.

use schemars::JsonSchema;
use serde::Deserialize;

use super::RequestManifest;
use crate::period::Period;

/// How a report is made. What is fetched is answered to the request of the stream.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportManifest {
    /// The request that has the API make it.
    pub create: RequestManifest,
    /// jq on its answer: the id of the report, seen as `$report` by the other requests.
    pub id: String,
    /// The request that shows where it stands.
    pub poll: RequestManifest,
    /// jq on its answer: whether the report can be fetched.
    pub ready: String,
    /// jq on its answer: whether there will be none; not asked if not given.
    #[serde(default)]
    pub failed: Option<String>,
    /// jq on its answer: the URL at which the report is fetched, instead of the path of the stream.
    #[serde(default)]
    pub url: Option<String>,
    /// The pause between two looks.
    pub every: Period,
    /// How long after it was created a report is waited for.
    pub within: Period,
}
