//! Canonical records for tests.

use serde_json::{Value, json};

/// A transaction of `id` in `status`.
pub fn transaction(id: &str, status: &str) -> Value {
    json!({"id": id, "createdAt": "2026-03-01T12:00:00Z", "type": "PAYIN", "status": status,
           "currency": "EUR/2", "amount": "1050", "destinationAccountID": "acc_1", "metadata": {"k": "v"}})
}

/// `count` transactions, `prefix0`, `prefix1` …
pub fn transactions(prefix: &str, count: usize) -> Vec<Value> {
    (0..count).map(|i| transaction(&format!("{prefix}{i}"), "SUCCEEDED")).collect()
}

/// An account created at `created_at`.
pub fn account(id: &str, created_at: &str) -> Value {
    json!({"id": id, "accountName": format!("Account {id}"), "createdAt": created_at, "metadata": {}})
}

/// The balances of an account: asset and amount.
pub fn balances(account: &str, at: &str, amounts: &[(&str, &str)]) -> Value {
    let balances: Vec<Value> =
        amounts.iter().map(|(currency, amount)| json!({"currency": currency, "amount": amount})).collect();
    json!({"accountID": account, "at": at, "balances": balances})
}
