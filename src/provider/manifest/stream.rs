//! An entry of `streams:`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::{AfterWebhook, CronTimes, Incremental};
use crate::domain::{Resource, Status};
use crate::provider::period::Period;

/// One kind of record of the API, read from one endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamManifest {
    /// Names the stream in cursors, errors and the `for_each` of others.
    pub name: String,
    /// What its records become; without it, the stream only feeds others.
    #[serde(default, deserialize_with = "resource")]
    pub resource: Option<Resource>,
    /// An earlier stream: this one is read once for each of its records.
    #[serde(default)]
    pub for_each: Option<String>,
    /// jq on such a record: the text by which its cursor is kept. Must never change.
    #[serde(default)]
    pub partition: Option<String>,
    pub request: RequestManifest,
    /// jq on the answer: the records in it.
    pub records: String,
    /// jq on a record: none, one or several canonical records.
    #[serde(default)]
    pub map: Option<String>,
    /// How to ask only for what is new; without it, everything is asked for each time.
    #[serde(default)]
    pub incremental: Option<Incremental>,
    /// The provider's statuses, and what they are in Formance's terms. Applied to what `map`
    /// gives; a status that is not listed becomes OTHER and is counted.
    #[serde(default)]
    pub status_map: Option<BTreeMap<String, Status>>,
    /// Its own pause between two runs.
    #[serde(default)]
    pub every: Option<Period>,
    /// Its own times, in five fields.
    #[serde(default)]
    pub cron: Option<CronTimes>,
    /// Read after webhooks only.
    #[serde(default)]
    pub after_webhook: Option<AfterWebhook>,
}

/// Where a stream is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestManifest {
    /// The path below `base_url`; `{field}` is that field of the `for_each` record,
    /// percent-encoded.
    pub path: String,
}

fn resource<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Resource>, D::Error> {
    /// The names of [`Resource`] in YAML.
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        Accounts,
        Balances,
        Beneficiaries,
        Transactions,
    }
    Ok(Some(match Name::deserialize(deserializer)? {
        Name::Accounts => Resource::Accounts,
        Name::Balances => Resource::Balances,
        Name::Beneficiaries => Resource::Beneficiaries,
        Name::Transactions => Resource::Transactions,
    }))
}
