//! What the server holds before the first request: three days of a small business.

use serde_json::{Value, json};

use super::world::{Entry, print_time};

/// Microseconds of one second.
pub const SECOND: i64 = 1_000_000;

const ACCOUNTS: i64 = 12;
const BENEFICIARIES: i64 = 130;
const TRANSACTIONS: i64 = 420;
/// Between two transactions: each has a second of its own.
const STEP: i64 = 97 * SECOND;

/// When the history of a server that starts at `now` begins.
pub fn beginning(now: i64) -> i64 {
    (now / SECOND - 3 * 86_400) * SECOND
}

/// The id of the account with this number, from 1.
pub fn account_id(number: i64) -> String {
    format!("acc_{number:02}")
}

/// The number of the account that has no balances.
pub const EMPTY_ACCOUNT: i64 = ACCOUNTS;

pub fn accounts(begin: i64) -> Vec<Entry> {
    let account = |i: i64| {
        let row = json!({"id": account_id(i), "accountName": format!("Account {i}"), "metadata": {}});
        Entry::new(begin + i * 3_600 * SECOND, row)
    };
    (1..=ACCOUNTS).map(account).collect()
}

pub fn beneficiaries(begin: i64) -> Vec<Entry> {
    let beneficiary = |i: i64| {
        let row = json!({"id": format!("ben_{i:03}"), "ownerName": format!("Payee {i}"), "metadata": {}});
        Entry::new(begin + i * 600 * SECOND, row)
    };
    (1..=BENEFICIARIES).map(beneficiary).collect()
}

/// Of every ten entries, the fourth is a later version of the second, and the eighth a refund
/// of the seventh.
pub fn transactions(begin: i64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for i in 0..TRANSACTIONS {
        // a fraction of its own for each, so that seconds and times differ
        let at = begin + i * STEP + (i * 7_919 + 1) % SECOND;
        let row = match i % 10 {
            3 => with_status(&entries[(i - 2) as usize].row, "SUCCEEDED"),
            7 => refund(i, &entries[(i - 1) as usize].row, at),
            _ => payment(i, at),
        };
        entries.push(Entry::new(at, row));
    }
    entries
}

fn payment(i: i64, at: i64) -> Value {
    let status = if i % 10 == 1 { "PENDING" } else { "SUCCEEDED" };
    let kind = if i % 10 == 5 { "PAYOUT" } else { "PAYIN" };
    json!({"id": format!("tx_{i:04}"), "createdAt": print_time(at - 30 * SECOND), "type": kind,
           "status": status, "currency": "EUR/2", "amount": format!("{}", 1_000 + i),
           "destinationAccountID": account_id(1 + i % ACCOUNTS), "metadata": {"n": format!("{i}")}})
}

fn refund(i: i64, parent: &Value, at: i64) -> Value {
    let mut row = with_status(parent, "REFUNDED");
    row["relatedTransactionID"] = row["id"].take();
    row["id"] = format!("re_{i:04}").into();
    row["createdAt"] = print_time(at - 10 * SECOND).into();
    row["amount"] = "100".into();
    row
}

/// The same record in another status.
pub fn with_status(row: &Value, status: &str) -> Value {
    let mut row = row.clone();
    row["status"] = status.into();
    row
}

/// A payment that is written while the server runs.
pub fn live_payment(number: u64, at: i64) -> Value {
    json!({"id": format!("live_{number:05}"), "createdAt": print_time(at), "type": "PAYIN", "status": "SUCCEEDED",
           "currency": "EUR/2", "amount": "250", "metadata": {}})
}
