//! An entry of `streams:`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{AfterWebhook, CronTimes, ErrorRule, Incremental, Paging, Pending, Refresh};
use crate::period::Period;
use tributary_domain::{Resource, Status};

/// One kind of record of the API, read from one endpoint.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamManifest {
    /// Names the stream in cursors, errors and the `for_each` of others.
    pub name: String,
    /// What its records become; without it, the stream only feeds others.
    #[serde(default, deserialize_with = "resource")]
    #[schemars(with = "Option<ResourceName>")]
    pub resource: Option<Resource>,
    /// An earlier stream: this one is read once for each of its records.
    #[serde(default)]
    pub for_each: Option<String>,
    /// jq on such a record: the text by which its cursor is kept. Must never change.
    #[serde(default)]
    pub partition: Option<String>,
    pub request: RequestManifest,
    /// What answers mean, before the rules of the source.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// How the answer is divided into pages; without it, one answer is everything.
    #[serde(default)]
    pub paging: Option<Paging>,
    /// jq on the answer: the records in it.
    pub records: String,
    /// Each record only names another, which is read and takes its place.
    #[serde(default)]
    pub detail: Option<Detail>,
    /// What makes a record one and the same for ever, where the API gives it no id.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// jq on a record: none, one or several canonical records.
    #[serde(default)]
    pub map: Option<String>,
    /// How to ask only for what is new; without it, everything is asked for each time.
    #[serde(default)]
    pub incremental: Option<Incremental>,
    #[serde(default)]
    pub refresh: Option<Refresh>,
    #[serde(default)]
    pub pending: Option<Pending>,
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

/// A question to the API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestManifest {
    #[serde(default)]
    pub method: Method,
    /// The path below `base_url`; `{field}` is that field of the record that is asked for (the
    /// `for_each` record), percent-encoded.
    pub path: String,
    /// Query parameters; `{field}` as in the path.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// jq on that record: the body of a POST.
    #[serde(default)]
    pub body: Option<String>,
}

/// How a request is sent. That of a stream only reads, either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Post,
    /// For payouts and transfers.
    Put,
}

/// Where the record is that a listed one names.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    pub request: RequestManifest,
    /// jq on the answer: the record.
    pub record: String,
}

/// A record's identity, seen by `map` as `$identity`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// jq on a record: its own id, or null where it has none.
    pub id: String,
    /// jq on a record: the fields, as an array, that tell it from others and never change; the
    /// date must be one of them. Equal ones are told apart by how many there are.
    pub fields: String,
}

/// The names of [`Resource`] in YAML.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ResourceName {
    Accounts,
    Balances,
    Beneficiaries,
    Transactions,
}

fn resource<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Resource>, D::Error> {
    Ok(Some(match ResourceName::deserialize(deserializer)? {
        ResourceName::Accounts => Resource::Accounts,
        ResourceName::Balances => Resource::Balances,
        ResourceName::Beneficiaries => Resource::Beneficiaries,
        ResourceName::Transactions => Resource::Transactions,
    }))
}
