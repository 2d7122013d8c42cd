//! Payments to recipients, and transfers between accounts. A key that was used before is answered
//! with 409 and the transaction that it made; a payment like one of the last 24 hours (the same
//! account, recipient and amount) is refused, whatever its key.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::render;
use crate::kit::payments::{Order, Paid, To, bad, minor, read};
use crate::kit::times::DAY_US;
use crate::kit::{Json, OnDuplicate, Refusal, Standin, money, object};

/// How payments may go, of what the API knows.
const METHODS: [&str; 2] = ["ach", "check"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SendMoney {
    recipient_id: String,
    amount: Box<RawValue>,
    payment_method: String,
    idempotency_key: String,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Transfer {
    source_account_id: String,
    destination_account_id: String,
    amount: Box<RawValue>,
    idempotency_key: String,
    note: Option<String>,
}

pub async fn send_money(
    State(bank): State<Arc<Standin>>,
    Path(account): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let order = move |bank: &Standin| {
        let asked: SendMoney = read(&body)?;
        if !METHODS.contains(&asked.payment_method.as_str()) {
            return Err(bad("paymentMethod", "is none that is offered"));
        }
        let view = bank.view();
        let recipient = view.beneficiaries.iter().position(|one| one.id == asked.recipient_id);
        let order = Order {
            kind: "externalTransfer",
            account: view.find_account(&account).ok_or(Refusal::NotFound("account"))?,
            to: To::Beneficiary(recipient.ok_or_else(|| bad("recipientId", "is no recipient"))?),
            amount_minor: minor(&money::USD, &asked.amount)?,
            key: asked.idempotency_key,
            text: asked.note,
        };
        drop(view);
        refuse_alike(bank, &order)?;
        Ok(order)
    };
    let answer = |bank: &Standin, paid: &Paid| {
        let view = bank.view();
        Ok(render::transaction(&view, &view.ordered(paid.record)))
    };
    bank.pay(order, OnDuplicate::Replay, answer).await
}

/// Refuses a payment like one of the last 24 hours, unless the client was freed of that.
fn refuse_alike(bank: &Standin, order: &Order) -> Result<(), Refusal> {
    if bank.desk().allows_alike() || !bank.desk().records(&order.key).is_empty() {
        return Ok(());
    }
    let view = bank.view();
    let alike = view.items.iter().rev().any(|item| {
        let recipient = To::Beneficiary((item.traits % view.beneficiaries.len() as u64) as usize);
        item.kind.name == order.kind
            && (item.account, item.amount_minor) == (order.account, order.amount_minor)
            && recipient == order.to
            && item.created_at_us() > view.now_us() - DAY_US
    });
    if alike {
        Err(bad("amount", "looks like a duplicate of a payment of the last 24 hours"))
    } else {
        Ok(())
    }
}

pub async fn transfer(State(bank): State<Arc<Standin>>, body: Bytes) -> Result<Response, Refusal> {
    let order = move |bank: &Standin| {
        let asked: Transfer = read(&body)?;
        let view = bank.view();
        let account = |id: &str| view.find_account(id).ok_or(Refusal::NotFound("account"));
        Ok(Order {
            kind: "internalTransfer",
            account: account(&asked.source_account_id)?,
            to: To::Account(account(&asked.destination_account_id)?),
            amount_minor: minor(&money::USD, &asked.amount)?,
            key: asked.idempotency_key,
            text: asked.note,
        })
    };
    bank.pay(order, OnDuplicate::Replay, both_sides).await
}

fn both_sides(bank: &Standin, paid: &Paid) -> Result<Json, Refusal> {
    let view = bank.view();
    let debit = view.ordered(paid.record);
    let credit = debit.item.twin.map(|twin| render::transaction(&view, &view.ordered(twin)));
    Ok(object! { "creditTransaction": credit, "debitTransaction": render::transaction(&view, &debit) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Mercury;
    use crate::kit::testing::*;
    use crate::kit::{OnDuplicate, PaymentFault};
    use tributary_domain::Status;

    #[tokio::test]
    async fn a_known_key_is_a_conflict_with_the_transaction_and_a_like_payment_is_refused() {
        let bank = open(&Mercury);
        let truth = bank.truth();
        let (account, recipient) =
            (truth.accounts.keys().next().unwrap(), truth.beneficiaries.keys().next().unwrap());
        let path = format!("/api/v1/account/{account}/transactions");
        let body = |key: &str, amount: &str| -> Value {
            let amount: Value = serde_json::from_str(amount).unwrap();
            json!({"recipientId": recipient, "amount": amount, "paymentMethod": "ach", "idempotencyKey": key, "note": "n"})
        };
        let first = post(&bank, &path, &body("k", "12.3")).await.ok();
        assert_eq!((&first["status"], &first["note"]), (&json!("pending"), &json!("n")));
        assert_eq!((&first["counterpartyId"], &first["amount"]), (&json!(recipient), &json!(-12.3)));
        let again = post(&bank, &path, &body("k", "12.3")).await;
        assert_eq!((again.status.as_u16(), &again.json()["id"]), (409, &first["id"]));
        for (key, amount) in [("l", "12.30"), ("m", "0"), ("n", "1.001"), ("o", "-1")] {
            assert_eq!(post(&bank, &path, &body(key, amount)).await.status, 400, "{amount}");
        }
        post(&bank, &path, &body("l", "12.31")).await.ok();
        bank.set_on_duplicate(OnDuplicate::Forget);
        post(&bank, &path, &body("k", "12.3")).await.ok();
        assert_eq!(
            bank.movements().iter().map(|moved| moved.amount_minor).collect::<Vec<_>>(),
            [1230, 1231, 1230]
        );
        bank.move_payment("l", Status::Refunded);
        assert_eq!(bank.movements()[1].status, Status::Refunded);
    }

    #[tokio::test]
    async fn another_payment_than_was_ordered_is_made_or_told_of_where_a_test_asks_for_it() {
        let bank = open(&Mercury);
        let truth = bank.truth();
        let (account, recipient) =
            (truth.accounts.keys().next().unwrap(), truth.beneficiaries.keys().next().unwrap());
        let path = format!("/api/v1/account/{account}/transactions");
        let body = |key: &str| json!({"recipientId": recipient, "amount": 20, "paymentMethod": "ach", "idempotencyKey": key, "note": key});
        use PaymentFault::{Foreign, OtherAmount, Partial};
        bank.set_payment_faults([OtherAmount(1), Partial, Foreign]);
        let other = post(&bank, &path, &body("other")).await.ok();
        let part = post(&bank, &path, &body("part")).await.ok();
        assert_eq!((&other["amount"], &part["amount"]), (&json!(-0.01), &json!(-10.0)));
        let foreign = post(&bank, &path, &body("foreign")).await;
        let told = foreign.json();
        assert_eq!(
            (foreign.status.as_u16(), &told["amount"], &told["note"]),
            (409, &json!(-20.01), &Value::Null)
        );
        assert_ne!(told["counterpartyId"], json!(recipient));
        let moved: Vec<_> =
            bank.movements().into_iter().map(|moved| (moved.key, moved.amount_minor)).collect();
        assert_eq!(
            moved,
            [("other".to_owned(), 1), ("part".to_owned(), 1000)],
            "nothing moved for the third"
        );
        bank.move_payment("part", Status::Succeeded);
        bank.return_payment("part");
        assert_eq!(bank.movements()[1].status, Status::Refunded);
    }

    #[tokio::test]
    async fn a_transfer_has_two_sides_that_are_done_at_once() {
        let bank = open(&Mercury);
        let truth = bank.truth();
        let [from, to] = [0, 1].map(|place| truth.accounts.keys().nth(place).unwrap());
        let body = json!({"sourceAccountId": from, "destinationAccountId": to, "amount": 5, "idempotencyKey": "k",
                          "note": "n"});
        let told = post(&bank, "/api/v1/transfer", &body).await.ok();
        let (debit, credit) = (&told["debitTransaction"], &told["creditTransaction"]);
        assert_eq!((&debit["accountId"], &debit["counterpartyId"]), (&json!(from), &json!(to)));
        assert_eq!((&credit["accountId"], &credit["counterpartyId"]), (&json!(to), &json!(from)));
        for side in [debit, credit] {
            assert_eq!(
                (&side["status"], &side["note"], &side["kind"]),
                (&json!("sent"), &json!("n"), &json!("internalTransfer"))
            );
        }
        let after = bank.truth();
        let held = |truth: &crate::kit::Truth, id: &String| truth.accounts[id].balance_minor;
        assert_eq!(
            (held(&after, from), held(&after, to)),
            (held(&truth, from) - 500, held(&truth, to) + 500)
        );
    }
}
