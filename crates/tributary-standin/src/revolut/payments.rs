//! Payments to counterparties, and transfers between accounts of one currency. A `request_id` that was
//! used before is answered with the transaction that it made.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::render;
use crate::kit::payments::{Order, Paid, To, bad, minor, read};
use crate::kit::times::micros;
use crate::kit::{Json, OnDuplicate, Refusal, Standin, View, object};

/// The longest `request_id`, in characters.
const LONGEST_KEY: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    request_id: String,
    account_id: String,
    receiver: Receiver,
    amount: Box<RawValue>,
    currency: String,
    reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receiver {
    counterparty_id: String,
    account_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    request_id: String,
    source_account_id: String,
    target_account_id: String,
    amount: Box<RawValue>,
    currency: String,
    reference: Option<String>,
}

pub async fn pay(State(shared): State<Arc<Standin>>, body: Bytes) -> Result<Response, Refusal> {
    let order = move |shared: &Standin| {
        let asked: Payment = read(&body)?;
        let view = shared.view();
        let receiver = view.beneficiaries.iter().position(|one| one.id == asked.receiver.counterparty_id);
        let receiver = receiver.ok_or_else(|| bad("receiver.counterparty_id", "is no counterparty"))?;
        let theirs = render::their_account(&view.beneficiaries[receiver]);
        if asked.receiver.account_id.is_some_and(|account| account != theirs) {
            return Err(bad("receiver.account_id", "is no account of the counterparty"));
        }
        let account = account(&view, &asked.account_id, &asked.currency)?;
        Ok(Order {
            kind: "payment",
            account,
            to: To::Beneficiary(receiver),
            amount_minor: minor(view.accounts[account].currency, &asked.amount)?,
            key: key(asked.request_id)?,
            text: Some(asked.reference),
        })
    };
    shared.pay(order, OnDuplicate::Replay, state).await
}

pub async fn transfer(State(shared): State<Arc<Standin>>, body: Bytes) -> Result<Response, Refusal> {
    let order = move |shared: &Standin| {
        let asked: Transfer = read(&body)?;
        let view = shared.view();
        let source = account(&view, &asked.source_account_id, &asked.currency)?;
        Ok(Order {
            kind: "transfer",
            account: source,
            to: To::Account(account(&view, &asked.target_account_id, &asked.currency)?),
            amount_minor: minor(view.accounts[source].currency, &asked.amount)?,
            key: key(asked.request_id)?,
            text: asked.reference,
        })
    };
    shared.pay(order, OnDuplicate::Replay, state).await
}

/// The position of an account that is kept in `currency`.
fn account(view: &View<'_>, id: &str, currency: &str) -> Result<usize, Refusal> {
    let number = view.find_account(id).ok_or(Refusal::NotFound("account"))?;
    if view.accounts[number].currency.code == currency {
        Ok(number)
    } else {
        Err(bad("currency", "is not that of the account"))
    }
}

fn key(request_id: String) -> Result<String, Refusal> {
    if (1..=LONGEST_KEY).contains(&request_id.chars().count()) {
        Ok(request_id)
    } else {
        Err(bad("request_id", format!("has to be of 1 to {LONGEST_KEY} characters")))
    }
}

fn state(shared: &Standin, paid: &Paid) -> Result<Json, Refusal> {
    let view = shared.view();
    let visible = view.ordered(paid.record);
    let answer = object! {
        "id": render::transaction_id(view.seed(), paid.record),
        "state": visible.status(),
        "created_at": micros(visible.created_at_us()),
        "completed_at": visible.reached_at_us(&["completed"]).map(micros),
    };
    Ok(answer.without_nulls())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Revolut;
    use crate::kit::testing::*;

    #[tokio::test]
    async fn a_request_id_is_one_transaction() {
        let bank = open(&Revolut);
        let truth = bank.truth();
        let (account, held) = truth.accounts.iter().next().unwrap();
        let counterparty = truth.beneficiaries.keys().next().unwrap();
        let code = held.asset.split('/').next().unwrap();
        let body = |member: &str, value: Value| {
            let mut body = json!({"request_id": "k", "account_id": account, "amount": 10, "currency": code,
                                  "receiver": {"counterparty_id": counterparty}, "reference": "Rent"});
            body[member] = value;
            body
        };
        let first = post(&bank, "/api/1.0/pay", &body("amount", json!(10))).await.ok();
        let again = post(&bank, "/api/1.0/pay", &body("amount", json!(10))).await.ok();
        assert_eq!((&first, bank.movements().len()), (&again, 1));
        let shown = get(&bank, &format!("/api/1.0/transaction/{}", first["id"].as_str().unwrap())).await.ok();
        assert_eq!((&shown["request_id"], &shown["reference"]), (&json!("k"), &json!("Rent")));
        assert_eq!(shown["legs"][0]["counterparty"]["id"], *counterparty);
        for (member, value) in [
            ("request_id", json!("k".repeat(41))),
            ("currency", json!("USD")),
            ("amount", json!(0)),
            ("receiver", json!({"counterparty_id": "nobody"})),
            ("unknown", json!(1)),
        ] {
            assert_eq!(post(&bank, "/api/1.0/pay", &body(member, value)).await.status, 400, "{member}");
        }
    }
}
