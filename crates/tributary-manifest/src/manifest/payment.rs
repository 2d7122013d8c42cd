//! `payouts:` and `transfers:`: how money is moved on order.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::RequestManifest;
use super::errors::When;
use crate::period::Period;
use tributary_domain::Status;

/// How one kind of payment is ordered at the provider.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentManifest {
    /// jq on the order: the record that the requests below take their fields from. Without it,
    /// the order itself.
    #[serde(default)]
    pub prepare: Option<String>,
    /// What is asked for before the payment itself, in this order. No step moves money.
    #[serde(default)]
    pub steps: Vec<StepManifest>,
    /// The request that orders the payment: a `POST` or `PUT` that carries the order's key. `{field}`
    /// is that field of what `prepare` gives.
    pub request: RequestManifest,
    /// The key that the provider knows the payment by.
    pub key: ProviderKeyManifest,
    /// How long the answer may take, at most 60s; 20s if not given. After that the outcome is unknown.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// jq on the answer of a success (`$parent` is the record): `id`, `reference`, `status`,
    /// `reason` and `at`, each where the answer has it.
    pub answer: String,
    /// The provider's statuses, and what they are in Formance's terms; one that is not listed
    /// counts as PENDING.
    #[serde(default)]
    pub status_map: Option<BTreeMap<String, Status>>,
    /// Statuses besides 2xx with which the provider reports the payment, such as 409 where it knows
    /// the key: `answer` reads these, too.
    #[serde(default)]
    pub accepted: Vec<u16>,
    /// Answers which prove that no money moves for this request.
    #[serde(default)]
    pub refused: Vec<When>,
    /// Answers which prove that the request was not looked at: it is sent again later.
    #[serde(default)]
    pub unsent: Vec<When>,
    /// jq on the body of a refusal: why, for the person who pays.
    #[serde(default)]
    pub reason: Option<String>,
    /// How the payment is found again when its outcome is unknown, and followed while it is open.
    #[serde(default)]
    pub lookup: Option<LookupManifest>,
}

/// A request that goes before the one that moves the money, and gives something that later requests name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepManifest {
    /// What it gives is `.steps[name]` of the record of the requests behind it.
    pub name: String,
    /// A `POST` or `PUT`. The record has `stepKey` here: a key that is this step's alone.
    pub request: RequestManifest,
    /// jq on the answer of a success (`$parent` is the record): a text or a number.
    pub gives: String,
    /// Whether it may be asked again without a key: what it makes at the provider counts for nothing.
    #[serde(default)]
    pub again: bool,
    /// Answers after which the payment is not made: it fails. After all others the step is asked again later.
    #[serde(default)]
    pub refused: Vec<When>,
}

/// The key by which the provider recognises a request that it has seen before.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKeyManifest {
    /// How the key is written; `text` if not given.
    #[serde(default)]
    pub format: ProviderKeyFormat,
    /// How many characters a `text` may have, 16 to 200.
    #[serde(default = "key_length")]
    pub max_length: usize,
    /// For how long after the first request the same key moves no money again. Without it, a
    /// request whose outcome is unknown is never repeated.
    #[serde(default)]
    pub lifetime: Option<Period>,
}

/// What a key looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKeyFormat {
    /// Capital letters and the digits 2 to 7.
    #[default]
    Text,
    Uuid,
}

/// How a payment is found again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupManifest {
    /// The request that asks for the payment, its fields as in that which orders it. The order has
    /// `lookFrom` and `lookTo` here: between these times the payment is dated.
    pub request: RequestManifest,
    /// jq on the answer (`$parent` is the record): what `answer` gives, once for each payment that
    /// is found under the order's key.
    pub payment: String,
    /// Statuses which mean that there is no such payment, as in `[404]`.
    #[serde(default)]
    pub missing: Vec<u16>,
    /// How long after a request a payment that it made is found at the latest.
    pub settle: Period,
    /// The pause between two lookups of a payment that is open, which grows with its age; 1m if not
    /// given.
    #[serde(default = "every")]
    pub every: Period,
}

fn timeout() -> Period {
    Period::from_seconds(20)
}

fn key_length() -> usize {
    40
}

fn every() -> Period {
    Period::from_seconds(60)
}
