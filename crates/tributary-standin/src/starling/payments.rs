//! Payments to the accounts of payees. An `externalIdentifier` that was used before is answered
//! with the payment that it made.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::routes::find_category;
use crate::kit::payments::{Order, Paid, To, bad, read};
use crate::kit::{OnDuplicate, Refusal, Standin, ids, object};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PaymentOrder {
    external_identifier: String,
    destination_payee_account_uid: String,
    reference: String,
    amount: Amount,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Amount {
    currency: String,
    minor_units: i64,
}

pub async fn pay(
    State(bank): State<Arc<Standin>>,
    Path((account, category)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let order = move |bank: &Standin| {
        let asked: PaymentOrder = read(&body)?;
        let view = bank.view();
        let account = find_category(&view, &account, &category)?;
        if asked.external_identifier.is_empty() {
            return Err(bad("externalIdentifier", "is empty"));
        }
        if !(1..=18).contains(&asked.reference.chars().count()) {
            return Err(bad("reference", "has to be of 1 to 18 characters"));
        }
        let Amount { currency, minor_units } = asked.amount;
        if minor_units <= 0 || currency != view.accounts[account].currency.code {
            return Err(bad("amount", "is not one that the account can pay"));
        }
        let mut payees = view.beneficiaries.iter();
        let payee = payees.position(|one| one.id == asked.destination_payee_account_uid);
        Ok(Order {
            kind: "FASTER_PAYMENTS_OUT",
            account,
            to: To::Beneficiary(payee.ok_or(Refusal::NotFound("Payee account"))?),
            amount_minor: minor_units,
            key: asked.external_identifier,
            text: Some(asked.reference),
        })
    };
    let answer = |bank: &Standin, paid: &Paid| {
        let order = ids::uuid(bank.view().seed(), "payment order", paid.record as u64);
        Ok(object! { "paymentOrderUid": order.to_string() })
    };
    bank.pay(order, OnDuplicate::Replay, answer).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Starling, render};
    use crate::kit::testing::*;

    #[tokio::test]
    async fn an_external_identifier_is_one_payment_which_the_feed_shows_with_its_reference() {
        let bank = open(&Starling);
        let (account, category, payee) = {
            let view = bank.view();
            let category = render::category_uid(&view, 0);
            // the second account of the first payee
            (view.accounts[0].id.clone(), category, view.beneficiaries[1].id.clone())
        };
        let path = format!("/api/v2/payments/local/account/{account}/category/{category}");
        let body = |member: &str, value: Value| {
            let mut body = json!({"externalIdentifier": "k", "destinationPayeeAccountUid": payee,
                                  "reference": "Rent", "amount": {"currency": "GBP", "minorUnits": 1_500}});
            body[member] = value;
            body
        };
        let order = body("reference", json!("Rent"));
        let first = put(&bank, &path, &order).await.ok();
        assert_eq!((&put(&bank, &path, &order).await.ok(), bank.movements().len()), (&first, 1));
        let feed = format!("/api/v2/feed/account/{account}/category/{category}");
        let shown = get(&bank, &format!("{feed}/{}", bank.movements()[0].id)).await.ok();
        assert_eq!((&shown["reference"], &shown["status"]), (&json!("Rent"), &json!("PENDING")));
        assert_eq!(
            (&shown["counterPartySubEntityUid"], &shown["amount"]["minorUnits"]),
            (&json!(payee), &json!(1_500))
        );
        for (member, value, status) in [
            ("externalIdentifier", json!(""), 400),
            ("reference", json!("r".repeat(19)), 400),
            ("amount", json!({"currency": "EUR", "minorUnits": 1}), 400),
            ("amount", json!({"currency": "GBP", "minorUnits": 0}), 400),
            ("destinationPayeeAccountUid", json!("nobody"), 404),
            ("unknown", json!(1), 400),
        ] {
            assert_eq!(put(&bank, &path, &body(member, value)).await.status, status, "{member}");
        }
        assert_eq!(bank.movements().len(), 1);
    }
}
