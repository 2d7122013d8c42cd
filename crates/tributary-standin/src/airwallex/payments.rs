//! Orders for transfers. A `request_id` that was used before is refused.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::render;
use crate::kit::payments::{Order, Paid, To, bad, minor, read};
use crate::kit::{OnDuplicate, Refusal, Standin};

/// How the money may go.
const METHODS: [&str; 2] = ["LOCAL", "SWIFT"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    request_id: String,
    beneficiary_id: String,
    source_currency: String,
    transfer_currency: String,
    transfer_amount: Box<RawValue>,
    transfer_method: String,
    fee_paid_by: Option<String>,
    reason: String,
    reference: String,
}

pub async fn create(State(shared): State<Arc<Standin>>, body: Bytes) -> Result<Response, Refusal> {
    let order = move |shared: &Standin| {
        let asked: Transfer = read(&body)?;
        if !METHODS.contains(&asked.transfer_method.as_str()) {
            return Err(bad("transfer_method", "is neither LOCAL nor SWIFT"));
        }
        if asked.fee_paid_by.is_some_and(|payer| payer != "PAYER" && payer != "BENEFICIARY") {
            return Err(bad("fee_paid_by", "is neither PAYER nor BENEFICIARY"));
        }
        if asked.reason.is_empty() || !(1..=140).contains(&asked.reference.chars().count()) {
            return Err(bad("reason", "and a reference of 1 to 140 characters are needed"));
        }
        if !(1..=50).contains(&asked.request_id.len()) {
            return Err(bad("request_id", "has to be of 1 to 50 characters"));
        }
        if asked.source_currency != asked.transfer_currency {
            return Err(bad("transfer_currency", "needs a quote here"));
        }
        let view = shared.view();
        let beneficiary = view.beneficiaries.iter().position(|one| one.id == asked.beneficiary_id);
        let account = view.find_account(&asked.source_currency);
        let account = account.ok_or_else(|| bad("source_currency", "has no balance"))?;
        Ok(Order {
            kind: "transfer",
            account,
            to: To::Beneficiary(beneficiary.ok_or_else(|| bad("beneficiary_id", "is none"))?),
            amount_minor: minor(view.accounts[account].currency, &asked.transfer_amount)?,
            key: asked.request_id,
            text: Some(asked.reference),
        })
    };
    let answer = |shared: &Standin, paid: &Paid| {
        let view = shared.view();
        Ok(render::transfer(&view, &view.ordered(paid.record)))
    };
    shared.pay(order, OnDuplicate::Refuse, answer).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Airwallex;
    use crate::kit::testing::*;
    use tributary_domain::Status;

    #[tokio::test]
    async fn a_request_id_that_was_used_is_refused_and_finds_its_transfer() {
        let bank = open(&Airwallex);
        let beneficiary = bank.truth().beneficiaries.into_keys().next().unwrap();
        let body = |member: &str, value: Value| {
            let mut body = json!({"request_id": "k", "beneficiary_id": beneficiary, "source_currency": "EUR",
                                  "transfer_currency": "EUR", "transfer_amount": 12.5, "transfer_method": "LOCAL",
                                  "fee_paid_by": "PAYER", "reason": "business_expenses", "reference": "Rent"});
            body[member] = value;
            body
        };
        let path = "/api/v1/transfers/create";
        for (member, value) in [
            ("request_id", json!("")),
            ("beneficiary_id", json!("nobody")),
            ("source_currency", json!("GBP")),
            ("transfer_amount", json!(0)),
            ("transfer_amount", json!(1.001)),
            ("transfer_method", json!("CASH")),
            ("reference", json!("")),
        ] {
            let refused = post(&bank, path, &body(member, value)).await;
            assert_eq!(
                (refused.status.as_u16(), &refused.json()["code"]),
                (400, &json!("validation_failed"))
            );
        }
        let first = post(&bank, path, &body("reference", json!("Rent"))).await.ok();
        assert_eq!((&first["status"], &first["transfer_amount"]), (&json!("PROCESSING"), &json!(12.5)));
        assert_eq!((&first["beneficiary_id"], &first["request_id"]), (&json!(beneficiary), &json!("k")));
        let again = post(&bank, path, &body("reference", json!("Rent"))).await;
        assert_eq!((again.status.as_u16(), &again.json()["code"]), (400, &json!("duplicate_request")));
        let found = get(&bank, "/api/v1/transfers?request_id=k").await.ok();
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        assert_eq!(found["items"][0], first);
        bank.move_payment("k", Status::Succeeded);
        bank.return_payment("k");
        let movement = &bank.movements()[0];
        assert_eq!((movement.amount_minor, movement.status), (1250, Status::Refunded));
    }
}
