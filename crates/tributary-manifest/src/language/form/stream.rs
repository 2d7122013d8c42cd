//! A stream: what is asked for, and what records it becomes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::file::{MoneyForm, Rule, StatusWords, TypeWords};
use super::page::{Delta, Events, NewestFirst, Page, Window};
use super::report::ReportForm;
use super::right::{Nested, OneOrMore, Ordered, Right};
use crate::manifest::{AfterWebhook, AnswerForm, CronTimes};
use crate::period::Period;

/// One kind of record of the API, read from one endpoint.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// The path below `api` that is read, with its query: `/payments?sort=asc&account={id}`. `{id}` is that
    /// field of the record of `each`.
    pub get: Option<String>,
    /// As `get`, for an API that is asked with POST; nothing may change by it.
    pub post: Option<String>,
    /// Instead of a request: rows that the API makes a report of, which is asked for, waited for and fetched.
    pub report: Option<ReportForm>,
    /// Further parameters of the query, value by name.
    pub query: Ordered<Right>,
    /// Further headers of the request, value by name.
    pub headers: Ordered<Right>,
    /// What is posted, as JSON: a value with members, or jq on the record of `each`.
    pub body: Option<Nested>,
    /// Instead of `body`: what is posted as a form (`application/x-www-form-urlencoded`). A member that is within
    /// another is named `a[b]`, one of a list `a[0]`; what is null is left out.
    pub form: Option<Nested>,
    /// Records without a request: a list, or a text with commas in which `${NAME}` is a variable of the
    /// environment.
    pub values: Option<OneOrMore<String>>,
    /// A stream whose answers are this one's, too: they are asked for once, by its request, pages and schedule.
    /// `rows` or `row` may look elsewhere in them.
    pub shares: Option<String>,
    /// A stream above: this one is read once for each of its records. Once for all if not given.
    pub each: Option<String>,
    /// jq on the record of `each`: the text under which its cursor is kept, which must never change; the
    /// `id` that the stream above gives it if not given.
    pub partition: Option<String>,
    /// jq on the answer: the list of its rows. What is no list is an error; write `.items // []` where the
    /// API leaves an empty one out, with `list_when`.
    pub rows: Option<String>,
    /// jq on the answer: whether it is one that lists rows, perhaps none, or holds the `row`. Any other is an
    /// error. Without it, an answer has to hold the list in which `rows` looks.
    pub list_when: Option<String>,
    /// What answers are written in, where that is not JSON in UTF-8.
    pub answer: Option<AnswerForm>,
    /// Statuses with which an answer without a body is an empty list, such as `[200, 204]`: of 2xx, and 304. With
    /// none if not given: such an answer is an error.
    pub empty: Vec<u16>,
    /// jq on the answer, instead of `rows`: its only row.
    pub row: Option<String>,
    /// How the answer is divided into pages; without it, one answer is everything.
    pub page: Option<Page>,
    /// For an API that answers with what changed since a time.
    pub changes: Option<Window>,
    /// For an API that answers with what was created since a time; what may still change is asked for again,
    /// by `refresh`.
    pub creations: Option<Window>,
    /// For an API that knows days only, and whose records may lack a lasting id (`identity`), or be pending
    /// under another one (`pending`).
    pub days: Option<Window>,
    /// For an API without a filter that lists the newest first: read until a whole page is older than what
    /// was read before.
    pub newest_first: Option<NewestFirst>,
    /// For an API that lists events, oldest first, and goes on behind one. Each names a record, which is then
    /// read by `detail`.
    pub events: Option<Events>,
    /// For an API that answers with what changed since an earlier answer, known by a token.
    pub delta: Option<Delta>,
    /// Each row only names a record, which is read and takes its place.
    pub detail: Option<Detail>,
    /// What makes a record one and the same for ever, where the API gives it no id: `$identity`.
    pub identity: Option<Identity>,
    /// How records that may still change are asked for again, one by one; not at all without it.
    pub refresh: Option<Refresh>,
    /// jq on a row: whether it is pending, and so listed under an id that may not last.
    pub pending: Option<String>,
    /// What answers to this stream mean; these rules come before those of the file.
    pub errors: Vec<Rule>,
    /// The pause between two runs of this stream; that of the file if not given.
    pub every: Option<Period>,
    /// Times instead of a pause, in UTC: minute, hour, day of month, month, day of week.
    pub cron: Option<CronTimes>,
    /// `only`: read once in the beginning, and then only after a webhook or when a person asks.
    pub after_webhook: Option<AfterWebhook>,
    /// jq on a row: whether it becomes records. One that does not is followed all the same while it is open.
    #[serde(rename = "where")]
    pub holds: Option<String>,
    /// Values by name, for all jq that comes after: `let: { tx: .transaction }` gives `$tx`.
    #[serde(rename = "let")]
    pub lets: Ordered<Right>,
    /// jq on a row: the list of its parts, each of which becomes a record. `.` is the part then, `$row` the row.
    pub split: Option<String>,
    /// jq on a row, instead of the fields below: none, one or several canonical records.
    pub map: Option<String>,
    /// The id of the record, which never changes.
    pub id: Option<Right>,
    /// The name of an account, or of the owner of a beneficiary.
    pub name: Option<Right>,
    /// When it was created. Of an account or beneficiary without it: when it was first seen.
    pub created: Option<Right>,
    /// When it last changed, by the provider's own time.
    pub updated: Option<Right>,
    /// Of a balance: when it was so; when it was asked for if not given.
    pub at: Option<Right>,
    /// The account: of a balance, or of a transaction with `out`.
    pub account: Option<Right>,
    /// Where the money is: jq to what the file's `money` reads, or a form of its own. The record itself if not
    /// given. That of a balance may yield several.
    pub money: Option<Money>,
    /// jq: whether the money of a transaction leaves `account`; of a balance, whether it is owed.
    pub out: Option<String>,
    /// The other end of a transaction with `account`, where Formance knows it: an account or a beneficiary.
    pub other: Option<Right>,
    /// The account that a transaction comes from, instead of `account`.
    pub from: Option<Right>,
    /// The account or beneficiary that a transaction goes to, instead of `account`.
    pub to: Option<Right>,
    /// Of a refund, capture or dispute: the id of the transaction that it belongs to.
    pub related: Option<Right>,
    /// What a transaction is: PAYIN, PAYOUT, TRANSFER or OTHER, or the provider's word with `types`. With `out`
    /// and without this, what leaves is a PAYOUT and the rest a PAYIN.
    #[serde(rename = "type")]
    pub kind: Option<Right>,
    /// The provider's types, under ours. A record of one that is not listed goes to quarantine, since a type
    /// stays for ever; `OTHER: rest` takes the rest.
    pub types: Option<TypeWords>,
    /// Where a transaction stands: one of Formance's statuses, or the provider's word with `statuses`.
    pub status: Option<Right>,
    /// The provider's statuses, under Formance's. One that is not listed becomes OTHER, with a warning.
    pub statuses: Option<StatusWords>,
    /// By what the provider refers to a payment that was ordered through Tributary: its key, or an id or
    /// reference that the provider gave for it.
    pub order: Option<Order>,
    /// Metadata: fields of the record by their names, and mappings of a name to a value. What is null is left
    /// out.
    pub keep: OneOrMore<Kept>,
}

/// Where money is, or how it is written there.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Money {
    Where(String),
    Form(MoneyForm),
}

/// What is kept as metadata.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Kept {
    Field(String),
    Named(Ordered<Right>),
}

/// How a record names a payment that was ordered through Tributary.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Order {
    Form(OrderForm),
    Key(Right),
}

/// How a record names a payment that was ordered through Tributary, where not every record can.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrderForm {
    /// The key, id or reference of the order.
    pub key: Option<Right>,
    /// jq on the record: whether it can be of an order; any can if not given.
    #[serde(rename = "where")]
    pub holds: Option<String>,
    /// Whether each record of an order has its key: then one without is of none.
    pub always: bool,
}

/// Where the record is that a row names.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Detail {
    /// The path of the record, with its query; `{id}` is that field of the row.
    pub get: Option<String>,
    /// jq on the answer: the record.
    pub row: Option<String>,
}

/// What makes a record one and the same for ever.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// jq on a row: its own id, or null where it has none.
    pub id: Option<String>,
    /// jq on a row: the fields, as an array, that distinguish it from others and never change; the date must
    /// be one of them. Equal ones are distinguished by counting them.
    pub fields: Option<String>,
}

/// How records that may still change are asked for again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refresh {
    /// Whether a row may still change: jq on it, or the list of the provider's statuses that may; `never`
    /// where no row ever does, and then nothing else.
    pub open: Option<OneOrMore<String>>,
    /// jq on a row: what identifies it; the record's `id` if not given.
    pub key: Option<String>,
    /// The path of one record, with its query; `{id}` is that field of the row.
    pub get: Option<String>,
    /// jq on the answer: the row, as the list would show it.
    pub row: Option<String>,
    /// The shortest pause between two questions for a record; it grows to a twentieth of its age.
    pub every: Option<Period>,
    /// At which age a record that is still open is not asked for any more.
    pub give_up: Option<Period>,
}

impl Refresh {
    /// Whether no row ever changes.
    pub fn is_never(&self) -> bool {
        matches!(&self.open, Some(OneOrMore::One(open)) if open == "never")
    }
}
