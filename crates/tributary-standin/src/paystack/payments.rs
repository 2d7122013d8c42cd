//! Orders for transfers, and the look at one by its reference. A reference that was used before is
//! refused.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::render;
use super::routes::fetched;
use crate::kit::payments::{Order, Paid, To, bad, read};
use crate::kit::{Json, OnDuplicate, Refusal, Standin};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    source: String,
    amount: i64,
    currency: String,
    recipient: String,
    reference: String,
    reason: Option<String>,
}

pub async fn transfer(State(shared): State<Arc<Standin>>, body: Bytes) -> Result<Response, Refusal> {
    let order = move |shared: &Standin| {
        let asked: Transfer = read(&body)?;
        let is_allowed = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_');
        if asked.source != "balance" {
            return Err(bad("source", "has to be balance"));
        }
        if !(16..=50).contains(&asked.reference.len()) || !asked.reference.chars().all(is_allowed) {
            return Err(bad("reference", "has to be of 16 to 50 small letters, digits, - and _"));
        }
        if asked.amount <= 0 {
            return Err(bad("amount", "has to be above 0"));
        }
        let view = shared.view();
        let recipient = view.beneficiaries.iter().position(|one| one.id == asked.recipient);
        Ok(Order {
            kind: "transfer",
            account: view.find_account(&asked.currency).ok_or_else(|| bad("currency", "has no balance"))?,
            to: To::Beneficiary(recipient.ok_or_else(|| bad("recipient", "is none"))?),
            amount_minor: asked.amount,
            key: asked.reference,
            text: asked.reason,
        })
    };
    let answer = |shared: &Standin, paid: &Paid| {
        let view = shared.view();
        Ok(fetched("Transfer has been queued", render::transfer_ordered(&view, &view.ordered(paid.record))))
    };
    shared.pay(order, OnDuplicate::Refuse, answer).await
}

pub async fn verify(
    State(shared): State<Arc<Standin>>,
    Path(reference): Path<String>,
) -> Result<Json, Refusal> {
    let view = shared.view();
    let rows = view.records(&["transfer"]);
    let visible = rows.iter().find(|visible| render::transfer_reference(&view, visible) == reference);
    let visible = visible.ok_or(Refusal::NotFound("transfer"))?;
    Ok(fetched("Transfer retrieved", render::transfer_verified(&view, visible)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Paystack;
    use crate::kit::spec;
    use crate::kit::testing::*;

    #[tokio::test]
    async fn a_reference_that_was_used_is_refused_and_finds_its_transfer() {
        let bank = open(&Paystack);
        let recipient = bank.truth().beneficiaries.into_keys().next().unwrap();
        let body = |member: &str, value: Value| {
            let mut body = json!({"source": "balance", "amount": 5000, "currency": "NGN", "recipient": recipient,
                                  "reference": "a-reference-of-16", "reason": "Rent"});
            body[member] = value;
            body
        };
        assert_eq!(get(&bank, "/transfer/verify/a-reference-of-16").await.status, 404);
        let first = post(&bank, "/transfer", &body("amount", json!(5000))).await.ok();
        let again = post(&bank, "/transfer", &body("amount", json!(5000))).await;
        assert_eq!((again.status.as_u16(), bank.movements().len()), (400, 1));
        assert!(again.json()["message"].as_str().unwrap().contains("eference"), "{}", again.text);
        let found = get(&bank, "/transfer/verify/a-reference-of-16").await.ok();
        assert_eq!((&found["data"]["id"], &found["data"]["reason"]), (&first["data"]["id"], &json!("Rent")));
        for (member, value) in [
            ("reference", json!("short")),
            ("reference", json!("A-REFERENCE-OF-16")),
            ("amount", json!(0)),
            ("amount", json!(1.5)),
            ("currency", json!("EUR")),
            ("recipient", json!("nobody")),
        ] {
            assert_eq!(post(&bank, "/transfer", &body(member, value)).await.status, 400, "{member}");
        }
        if let Some(file) = spec::load("paystack.openapi.yaml") {
            assert_eq!(spec::broken_of(&file, "post", "/transfer", "200", &first), Vec::<String>::new());
            assert_eq!(
                spec::broken(&file, "/transfer/verify/{reference}", "200", &found),
                Vec::<String>::new()
            );
        }
    }
}
