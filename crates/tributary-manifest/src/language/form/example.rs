//! What a row, an answer or an order becomes.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A row with the records that it becomes, or an order with what is sent for it and what an answer to it says.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "an example is tried as it is written: its numbers in the digits of the file")]
pub struct Example {
    /// The stream that the row is of; or payouts, or transfers.
    pub of: String,
    /// The row, as the provider sends it; or the body of an answer to an order.
    #[serde(default)]
    pub given: Value,
    /// The record of `each` that the row was read for; null if not given.
    #[serde(default)]
    pub parent: Value,
    /// The time of the request, `$now`; 2026-01-02T03:04:05Z if not given.
    #[serde(default)]
    pub now: Option<String>,
    /// The status of the answer to an order; 201 if not given.
    #[serde(default)]
    #[schemars(range(min = 100, max = 599))]
    pub answered: Option<u16>,
    /// What the order has, beside what every order has: `amount` in minor units, `currency` as GBP/2,
    /// `destination`, `metadata`, …
    #[serde(default)]
    pub order: Map<String, Value>,
    /// What is sent for the order: `path`, `query`, `headers` and `body`, or parts of them.
    #[serde(default)]
    pub sends: Map<String, Value>,
    /// The record that the row becomes, or a list of them: `[]` for none, `{ quarantined: part of the reason }` for one
    /// that goes to quarantine. Of an order, what the answer says of the payment, with its `outcome`; the words
    /// `refused`, `unsent` or `unknown` for that alone; or `{ refused: part of the reason }` where the order
    /// itself is refused before anything is sent. What is not given is not looked at.
    #[serde(default)]
    pub gives: Value,
}
