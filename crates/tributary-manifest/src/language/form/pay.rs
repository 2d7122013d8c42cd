//! How money is moved on order.

use schemars::JsonSchema;
use serde::Deserialize;

use super::file::StatusWords;
use super::right::{Nested, OneOrMore, Ordered, Right};
use super::stream::Money;
use crate::manifest::{ProviderKeyFormat, Statuses};
use crate::period::Period;

/// How one kind of payment is ordered at the provider. The order is `.` for all jq, and has `key`, `amount`,
/// `currency`, `source`, `destination` and the others of payouts.md.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Payment {
    /// Who can be paid: a `beneficiary` (of payouts, if not given), an `account` (of transfers), or `any` of
    /// them. Any other order is refused.
    pub to: Option<Party>,
    /// Orders that the provider would not take: each is refused with what is said.
    pub refuse: Vec<Refusal>,
    /// Values by name, for all jq that comes after: `let: { category: .source.metadata.category }` gives
    /// `$category`.
    #[serde(rename = "let")]
    pub lets: Ordered<Right>,
    /// What is asked for before the payment, in this order: `steps: { quote: { post: …, gives: .id } }`, by the
    /// name under which later requests take what it gives (`$quote`). No step moves money; each is carried out once.
    pub steps: Ordered<Step>,
    /// The path below `api` to which the order is posted, with its query; `{key}` is that field of the order.
    pub post: Option<String>,
    /// As `post`, with PUT.
    pub put: Option<String>,
    /// Further parameters of the query, value by name.
    pub query: Ordered<Right>,
    /// Further headers of the request, value by name.
    pub headers: Ordered<Right>,
    /// What is sent, as JSON: a value with members, of which those that are null are left out, or jq on the order.
    pub body: Option<Nested>,
    /// Instead of `body`: what is sent as a form (`application/x-www-form-urlencoded`). A member that is within
    /// another is named `a[b]`, one of a list `a[0]`; what is null is left out.
    pub form: Option<Nested>,
    /// The key that the provider knows the payment by.
    pub key: Option<Key>,
    /// How long the answer may take, at most 60s; 20s if not given. After that the outcome is unknown.
    pub timeout: Option<Period>,
    /// What an answer says of the payment.
    pub made: Option<Made>,
    /// The provider's statuses, under Formance's; one that is not listed counts as PENDING.
    pub statuses: Option<StatusWords>,
    /// Statuses besides 2xx with which the provider reports the payment, such as 409 where it knows the key:
    /// `made` reads these, too.
    pub also: Vec<u16>,
    /// Answers which prove that no money moves for this request: statuses, a rule, or a list of rules.
    pub no_money: Option<Answers>,
    /// Answers which prove that the request was not looked at: it is sent again later.
    pub not_looked_at: Option<Answers>,
    /// jq on the body of an answer that proves that no money moves: why, for the person who pays.
    pub says: Option<String>,
    /// How the payment is found again when its outcome is unknown, and followed while it is open.
    pub find: Option<Find>,
}

/// A request that goes before the one that moves the money. All requests of an order are made when it is placed, so
/// what earlier steps give can only stand in them as it is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// The path below `api` to which it is posted, with its query.
    pub post: Option<String>,
    /// As `post`, with PUT.
    pub put: Option<String>,
    /// Further parameters of the query, value by name.
    pub query: Ordered<Right>,
    /// Further headers of the request, value by name.
    pub headers: Ordered<Right>,
    /// What is sent, as JSON. `$key` is the payment's key, `$step_key` one that is this step's alone.
    pub body: Option<Nested>,
    /// As `body`, as a form.
    pub form: Option<Nested>,
    /// What the answer of a success gives: an id, as a text or an integer.
    pub gives: Option<Right>,
    /// Whether it may be asked for again without a key, as what it makes counts for nothing (a quote).
    pub again: bool,
    /// Answers after which the payment is not made, and fails. After all others the step is asked for again.
    pub no_money: Option<Answers>,
}

/// Who can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    Beneficiary,
    Account,
    Any,
}

/// An order that the provider would not take.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// jq on the order: whether it is one.
    #[serde(rename = "where")]
    pub holds: String,
    /// Why it is refused: begins with the field of the order that it is about.
    pub says: Right,
}

/// The key by which the provider recognises a request that it has seen before.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Key {
    /// The header that takes it; none if `$key` is somewhere in the request.
    pub header: Option<String>,
    /// How it is written: `text` (capital letters and the digits 2 to 7), or `uuid`; `text` if not given.
    pub form: Option<ProviderKeyFormat>,
    /// How many characters a `text` may have, 16 to 200; 40 if not given.
    pub length: Option<usize>,
    /// For how long after the first request the same key moves no money again, where the provider documents
    /// it; `always` where it documents that keys never expire. Without it, a request whose outcome is unknown is
    /// never repeated.
    pub kept: Option<KeyKept>,
}

/// What an answer says of a payment: its fields, or jq that yields an object of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Made {
    Filter(String),
    Form(Box<MadeForm>),
}

/// What an answer says of a payment, each where it has it. One that has neither `id` nor `reference` shows no
/// payment.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MadeForm {
    /// Values by name, for the fields below.
    #[serde(rename = "let")]
    pub lets: Ordered<Right>,
    /// The id that the movement has among the provider's records.
    pub id: Option<Right>,
    /// Whatever else the provider calls it by.
    pub reference: Option<Right>,
    /// Where it stands.
    pub status: Option<Right>,
    /// Why it failed.
    pub reason: Option<Right>,
    /// When it came to stand so.
    pub at: Option<Right>,
    /// What was paid: jq to what the file's `money` reads, or a form of its own. A payment that differs from its
    /// order in it is not taken for the order's.
    pub money: Option<Money>,
    /// The id of who was paid, as Formance knows it.
    pub to: Option<Right>,
}

/// Which answers: their statuses, or rules.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Answers {
    Rule(AnswerRule),
    Statuses(Vec<Statuses>),
    Rules(Vec<AnswerRule>),
}

/// Which answers: everything that is given has to hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRule {
    /// Their statuses: one, or a list.
    pub on: OneOrMore<Statuses>,
    /// jq on the body, which has to yield something else than false and null.
    #[serde(default, rename = "where")]
    pub holds: Option<String>,
}

/// How a payment is found again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Find {
    /// The path that is asked, with its query; `{key}` is that field of the order, which has `lookFrom` and
    /// `lookTo` here: between these times the payment is dated.
    pub get: Option<String>,
    /// jq on the answer: the list of what may be the payment.
    pub rows: Option<String>,
    /// jq on the answer, instead of `rows`: the payment.
    pub row: Option<String>,
    /// With `rows`, required: how many rows a list has that may go on elsewhere, and so proves nothing, such as
    /// the size of its page; `never` where an answer always has all of them.
    pub full_at: Option<FullAt>,
    /// jq on a row: whether it is the payment of this order.
    #[serde(rename = "where")]
    pub holds: Option<String>,
    /// What a row says of the payment; what is given beside it if not given here.
    pub made: Option<Made>,
    /// Statuses which mean that there is no such payment, as in `[404]`.
    pub missing: Vec<u16>,
    /// How long after a request a payment that it made is found at the latest.
    pub within: Option<Period>,
    /// The pause between two looks at a payment that is open, which grows with its age; 1m if not given.
    pub every: Option<Period>,
}

/// How long a list is that may go on elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum FullAt {
    At(#[schemars(range(min = 1))] u32),
    Never(Never),
}

/// The word of [`FullAt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Never {
    Never,
}

/// For how long a provider knows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum KeyKept {
    Always(Always),
    For(Period),
}

/// The word of [`KeyKept`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Always {
    Always,
}
