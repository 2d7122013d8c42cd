//! Evidence made up for tests.

use serde_json::{Value, json};

use crate::evidence::List;
use crate::polls::Polled;
use crate::reading;
use crate::rewalk::Rewalk;
use crate::walk::Walk;
use tributary_formance::{GoTime, Kind};

/// The time `seconds` after 1970, as text.
pub fn time(seconds: i64) -> String {
    GoTime::from_unix(seconds, 0).to_string()
}

/// A transaction created at second 0 and served under second `at`.
pub fn transaction(id: &str, at: i64, status: &str) -> Value {
    json!({"id": id, "createdAt": time(0), "updatedAt": time(at), "type": "PAYIN", "status": status,
           "currency": "EUR/2", "amount": "100", "metadata": {}})
}

/// The same with other values of some fields.
pub fn with(mut row: Value, fields: Value) -> Value {
    let fields = fields.as_object().expect("fields are an object").clone();
    row.as_object_mut().expect("a row is an object").extend(fields);
    row
}

/// A list of transactions, walked to its end, and nothing else known.
pub fn transactions(rows: &[Value]) -> List {
    list(Kind::Transactions, rows)
}

pub fn accounts(rows: &[Value]) -> List {
    list(Kind::Accounts, rows)
}

fn list(kind: Kind, rows: &[Value]) -> List {
    let body = serde_json::to_vec(rows).expect("values are JSON");
    let rows = reading::rows(kind, &body).expect("an array");
    let walk = Walk { rows, ..Walk::default() };
    let polled = vec![Polled { form: "the loop", polls: 1, ..Polled::default() }];
    List { kind, walk, rewalk: Rewalk::default(), polled }
}
