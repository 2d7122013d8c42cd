//! An entry of `streams:`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::auth::Lookup;
use super::{
    AfterWebhook, AnswerForm, CronTimes, ErrorRule, Incremental, Paging, Pending, Refresh, ReportManifest,
};
use crate::interpolate::{InterpolateError, interpolate};
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
    /// The name of a stream further up: this one is read once for each of its records. Once for all
    /// if not given.
    #[serde(default)]
    pub for_each: Option<String>,
    /// With `for_each`: jq on such a record, giving the text under which its cursor is kept, which
    /// must never change.
    #[serde(default)]
    pub partition: Option<String>,
    /// The name of a stream further up whose answers are this one's, too: both are read by one request,
    /// which is that of the other.
    #[serde(default)]
    pub shares: Option<String>,
    /// The request for its records; `{field}` is that field of the `for_each` record.
    pub request: RequestManifest,
    /// Its records, instead of a request.
    #[serde(default)]
    pub values: Option<Values>,
    /// What answers to this stream mean; these rules come before those of the source.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// How the answer is divided into pages; without it, one answer is everything.
    #[serde(default)]
    pub paging: Option<Paging>,
    /// jq on an answer: how many records there are on all pages together, or null; not checked if not given.
    #[serde(default)]
    pub total: Option<String>,
    /// jq on the answer: the records in it.
    pub records: String,
    /// jq on the answer: whether it is an answer that lists records, perhaps none. Without it, an answer
    /// without records has to hold the list in which `records` looks for them.
    #[serde(default)]
    pub list_when: Option<String>,
    /// How the report is made that `request` fetches; it is asked for as it is without one.
    #[serde(default)]
    pub report: Option<ReportManifest>,
    /// What answers are written in, where that is not JSON.
    #[serde(default)]
    pub answer: Option<AnswerForm>,
    /// Statuses with which an answer without a body is an empty list; with none if not given.
    #[serde(default)]
    pub empty: Vec<u16>,
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
    /// How records that may still change are asked for again, one by one; not at all without it.
    #[serde(default)]
    pub refresh: Option<Refresh>,
    /// Whether what was listed once never changes, so that nothing has to be asked for again.
    #[serde(default)]
    pub unchanging: bool,
    /// Which records are pending, and so listed under an id that may not last; none without it.
    #[serde(default)]
    pub pending: Option<Pending>,
    /// The provider's statuses, and what they are in Formance's terms. Applied to what `map`
    /// gives; a status that is not listed becomes OTHER and is counted.
    #[serde(default)]
    pub status_map: Option<BTreeMap<String, Status>>,
    /// In which lines of its file what it says stands, by field (`page`, `page.next`).
    #[serde(skip)]
    pub lines: BTreeMap<String, usize>,
    /// What a person should look at, though it may be meant so: whole sentences.
    #[serde(skip)]
    pub notes: Vec<String>,
    /// Whether `map` was made of the fields of a file, which reasons then name.
    #[serde(skip)]
    pub by_fields: bool,
    /// Its own pause between two runs; that of the source if not given.
    #[serde(default)]
    pub every: Option<Period>,
    /// Its own times instead of a pause, in UTC: minute, hour, day of month, month, day of week.
    #[serde(default)]
    pub cron: Option<CronTimes>,
    /// `only`: read once in the beginning, and then only after a webhook or when a person asks.
    #[serde(default)]
    pub after_webhook: Option<AfterWebhook>,
}

/// A question to the API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestManifest {
    /// `GET` (the default), `POST`, or for payouts and transfers `PUT`.
    #[serde(default)]
    pub method: Method,
    /// The path below `base_url`; `{field}` is that field of the record that is asked for (the
    /// `for_each` record), percent-encoded.
    pub path: String,
    /// Query parameters, value by name; `{field}` as in the path.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Further headers of this request, value by name; `{field}` as in the path.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// jq on that record: the body of a POST or PUT; none if not given.
    #[serde(default)]
    pub body: Option<String>,
    /// How the body is written.
    #[serde(default)]
    pub body_form: BodyForm,
    /// jq on that record: an object that has the fields in braces; the record itself if not given.
    #[serde(default)]
    pub fields: Option<String>,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyForm {
    #[default]
    Json,
    /// Fields of a form (`application/x-www-form-urlencoded`): `a[b]` for a member that is within another,
    /// `a[0]` for one of a list.
    Fields,
}

/// Records that are texts: each text may be several, with commas between them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Values(pub Vec<String>);

impl Values {
    /// Fills in the `${...}` references.
    pub(super) fn fill(&mut self, lookup: Lookup) -> Result<(), InterpolateError> {
        self.0.iter_mut().try_for_each(|text| {
            *text = interpolate(text, lookup)?;
            Ok(())
        })
    }

    /// The texts, each once.
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for text in self.0.iter().flat_map(|text| text.split(',')).map(str::trim) {
            if !text.is_empty() && !texts.iter().any(|other| other == text) {
                texts.push(text.to_owned());
            }
        }
        texts
    }
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
    /// The request that reads the record; `{field}` is that field of the one that names it.
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
    /// jq on a record: the fields, as an array, that distinguish it from others and never change; the
    /// date must be one of them. Equal ones are distinguished by counting them.
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
