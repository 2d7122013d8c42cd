//! What a file says of the API as a whole.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::right::{OneOrMore, Ordered, Right};
use super::webhook::Webhook;
use crate::manifest::{Action, Answers, Auth, LimitScope, Statuses, Tls, Wait, WaitUnit, Zone};
use crate::period::Period;
use crate::secret::Secret;

/// How one provider's API is asked, whatever is asked of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The address below which everything is asked for: scheme, host and, if any, path prefix; no
    /// user, password or query. `${NAME}` is a variable of the environment.
    pub api: String,
    /// Further hosts, each with its port if that is not the usual one, that links of answers may
    /// lead to. Requests carry the token there too.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How requests prove who sends them: one kind with its fields, or the word `none`.
    pub auth: Auth,
    /// Certificates: who this side is, and whom it trusts beside the system's roots.
    #[serde(default)]
    pub tls: Tls,
    /// Further headers of every request, value by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How much may be asked; 5 requests a second if not given.
    #[serde(default)]
    pub limits: Limits,
    /// How often a request that failed for a passing reason is sent at most, the first time included, 1
    /// to 20; 6 if not given.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// How much one answer may hold; 16 MiB if not given.
    #[serde(default)]
    pub answers: Answers,
    /// What answers mean, before the usual meaning and after the rules of their stream.
    #[serde(default)]
    pub errors: Vec<Rule>,
    /// The pause between two runs of a stream that has no schedule of its own.
    pub every: Period,
    /// How many groups of streams are read at the same time, 1 to 32; 1 if not given. All share `limits`.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// Whether requests tell the provider which trace they are of, by the header `traceparent`; `false` if not
    /// given: a provider is told nothing.
    #[serde(default)]
    pub traceparent: bool,
    /// How long records are kept as they came, so that they can be mapped again; not at all
    /// without it.
    #[serde(default)]
    pub keep_raw: Option<Period>,
    /// Decimals by currency, as in `{ CLP: 2 }`, where the provider does not go by ISO 4217, or of
    /// others than those.
    #[serde(default)]
    pub currencies: BTreeMap<String, u8>,
    /// By whose clock the API's times are that do not say it, such as `Europe/Berlin`; not known if not given, and
    /// taken as UTC. Dates alone stay what they are.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// How this API writes money: what the `money` of streams and payments leads to.
    #[serde(default)]
    pub money: Option<MoneyForm>,
    /// What goes before the names of the metadata that `keep` makes, such as `com.acme.spec/`.
    #[serde(default)]
    pub namespace: String,
    /// jq definitions that all jq of the file can call.
    #[serde(default)]
    pub functions: String,
    /// How the calls are checked that the provider makes when something happened, and what they have
    /// read; without it, calls are refused.
    #[serde(default)]
    pub webhook: Option<Webhook>,
}

/// How much may be asked.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests of each instance, evenly spaced, 1/s to 1000/s; 5/s if not given.
    pub pace: Option<Rate>,
    /// How many requests may go at once after a pause, 1 to 1000; 1 if not given.
    pub burst: Option<u32>,
    /// How many requests may be under way at the same time, 1 to 1000; no limit if not given.
    pub at_once: Option<u32>,
    /// How many requests fit into any stretch of time so long, such as `1000/d`, counted over all
    /// instances and restarts. All budgets hold together.
    pub budgets: Vec<Rate>,
    /// Which requests have to wait where an answer says that there were enough of them; `partition` if
    /// not given.
    pub scope: LimitScope,
    /// What numbers count in by which headers of answers say how long to wait (`Retry-After` and the like):
    /// `seconds` (if not given) or `milliseconds`.
    pub waits: WaitUnit,
    /// Headers of answers that are not looked at, though they say how many requests are left or how long to
    /// wait: what they say is wrong, or of something else.
    pub ignore: Vec<String>,
}

/// So many in a length of time: `5/s`, `60/m`, `1000/d`, `4/6h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    pub count: u32,
    pub per: Period,
}

impl Rate {
    /// How many in one second, if that is what it says.
    pub fn per_second(self) -> Option<u32> {
        (self.per == Period::from_seconds(1)).then_some(self.count)
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let rate = text.split_once('/').and_then(|(count, per)| {
            let per = if per.starts_with(|c: char| c.is_ascii_digit()) {
                per.to_owned()
            } else {
                format!("1{per}")
            };
            Some(Self { count: count.trim().parse().ok()?, per: Period::try_from(per).ok()? })
        });
        rate.ok_or_else(|| format!("{text:?} is no rate; write 5/s, 60/m, 1000/d or 4/6h"))
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+/[0-9]*(s|m|h|d)$", "examples": ["60/m"] })
    }
}

/// How an API writes an amount: one of `decimal` and `minor`, and its currency.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoneyForm {
    /// The amount as a decimal number or text, such as 10.50.
    #[serde(default)]
    pub decimal: Option<Right>,
    /// The amount as a whole number of the currency's smallest unit.
    #[serde(default)]
    pub minor: Option<Right>,
    /// The code of its currency.
    pub currency: Right,
}

/// What some answers mean.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which statuses: one, or a list of them and of ranges, as in `[429, 500-599]`; any if not given.
    #[serde(default)]
    pub on: OneOrMore<Statuses>,
    /// Headers that have exactly this value, by name.
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// jq on the body, which has to yield something else than false and null. `$status` is a number, `$headers`
    /// has the texts of the headers by their names in lower case.
    #[serde(default, rename = "where")]
    pub holds: Option<String>,
    /// What such an answer leads to.
    #[serde(rename = "do")]
    pub action: Action,
    /// How long to wait before the next request, with `retry` and `rate_limited`; pauses that grow
    /// if not given.
    #[serde(default)]
    pub wait: Option<Wait>,
    /// What errors say about it; the beginning of the body if not given.
    #[serde(default)]
    pub says: Option<String>,
}

/// The provider's statuses, under Formance's: `SUCCEEDED: [paid, settled]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct StatusWords(pub Ordered<OneOrMore<String>>);

/// The provider's types, under Formance's: `PAYOUT: [withdrawal, transfer]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct TypeWords(pub Ordered<OneOrMore<String>>);

/// Formance's statuses.
pub const STATUSES: [&str; 15] = [
    "PENDING",
    "SUCCEEDED",
    "FAILED",
    "CANCELLED",
    "EXPIRED",
    "REFUNDED",
    "REFUNDED_FAILURE",
    "REFUND_REVERSED",
    "DISPUTE",
    "DISPUTE_WON",
    "DISPUTE_LOST",
    "AUTHORISATION",
    "CAPTURE",
    "CAPTURE_FAILED",
    "OTHER",
];

/// Formance's types of transactions.
pub const TYPES: [&str; 4] = ["PAYIN", "PAYOUT", "TRANSFER", "OTHER"];

/// A mapping of some of these names to words of the provider.
fn words_under(names: &[&str], generator: &mut SchemaGenerator) -> Schema {
    let words = generator.subschema_for::<OneOrMore<String>>();
    let member = |name: &str| {
        let mut member = words.clone();
        member.insert("description".to_owned(), format!("The provider's word for {name}, or a list.").into());
        (name.to_owned(), member.to_value())
    };
    let members: serde_json::Map<String, serde_json::Value> = names.iter().map(|name| member(name)).collect();
    json_schema!({ "type": "object", "properties": members, "additionalProperties": false })
}

impl JsonSchema for StatusWords {
    fn schema_name() -> Cow<'static, str> {
        "StatusWords".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        words_under(&STATUSES, generator)
    }
}

impl JsonSchema for TypeWords {
    fn schema_name() -> Cow<'static, str> {
        "TypeWords".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        words_under(&TYPES, generator)
    }
}
