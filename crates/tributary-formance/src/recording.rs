//! Recorded calls of the real client, one JSON object per line.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::ErrorClass;
use super::message::{Kind, Method};

/// One call: what it was given, what it asked, what it was answered, and how it
/// ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Call {
    /// Its number in the recording.
    pub case: u64,
    /// What kind of call it was.
    pub kind: CallKind,
    /// The mood of the server that answered; of no consequence.
    #[serde(rename = "call")]
    pub mood: String,
    /// Rows per page, for lists.
    pub page_size: Option<usize>,
    /// The saved state it started from, for lists; absent for the first ever.
    pub state_in: Option<Box<RawValue>>,
    /// The account or the order, for everything but lists.
    pub input: Option<Input>,
    /// Requests and answers in order.
    pub exchanges: Vec<Exchange>,
    /// What it returned, in order.
    pub rows: Vec<RecordedRow>,
    /// The state to save, for lists that did not fail.
    pub state_out: Option<Value>,
    /// Whether the next call would have followed at once.
    pub has_more: bool,
    /// The message with which it failed.
    pub error: Option<String>,
    /// The class of its failure.
    pub error_class: Option<ErrorClass>,
    /// Why Formance's next step refused what it returned.
    pub rejected_by_storage: Option<String>,
}

/// The six kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// Fetches a page of accounts.
    Accounts,
    /// Fetches a page of beneficiaries.
    Beneficiaries,
    /// Fetches a page of transactions.
    Transactions,
    /// Fetches one account's balances.
    Balances,
    /// Creates a payout.
    Payouts,
    /// Creates a transfer.
    Transfers,
}

impl From<Kind> for CallKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Accounts => Self::Accounts,
            Kind::Beneficiaries => Self::Beneficiaries,
            Kind::Transactions => Self::Transactions,
        }
    }
}

/// What a call that is not a list was given.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Input {
    /// For balances.
    Account {
        /// The account asked for.
        #[serde(rename = "accountID")]
        account_id: String,
    },
    /// For payouts and transfers.
    Order(RecordedOrder),
}

/// A payout or transfer as it was ordered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedOrder {
    /// In minor units.
    pub amount: String,
    pub asset: String,
    pub description: String,
    /// Who is paid.
    pub destination: String,
    /// Anything else about it.
    pub metadata: BTreeMap<String, String>,
    /// Formance's name for it.
    pub reference: String,
    /// Who pays.
    pub source: String,
}

/// A request and the answer to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The method asked.
    pub method: Method,
    /// The path asked, as sent.
    pub path: String,
    /// The query asked, as sent.
    pub query: Option<String>,
    /// The JSON body sent.
    pub body: Option<Value>,
    /// The status answered.
    pub status: u16,
    /// The body answered.
    pub answer: String,
}

/// A row as recordings hold it: what is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedRow {
    /// The row's own id, or the account of a balance.
    pub reference: String,
    /// The related transaction or the idempotency key.
    pub parent: Option<String>,
    /// The payment's type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The payment's status.
    pub status: Option<String>,
    /// In minor units.
    pub amount: Option<String>,
    pub asset: Option<String>,
    /// The account that pays; may be given and empty.
    pub source: Option<String>,
    /// The account that is paid; may be given and empty.
    pub destination: Option<String>,
    /// When the row was created, or the time of a balance.
    pub created_at: Option<String>,
    /// Anything else about it.
    pub metadata: Option<BTreeMap<String, String>>,
    /// The payment's identity, together with its type.
    pub payment_reference: Option<String>,
}
