//! Payments from a balance, in three requests: a quote, a transfer that is drafted on it (one for each
//! `customerTransactionId`), and its funding, which moves the money. What was funded is not funded again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::render;
use crate::kit::payments::{Order, To, bad, minor, read};
use crate::kit::{Json, OnDuplicate, Refusal, Standin, ids, object};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Quote {
    source_currency: String,
    target_currency: String,
    target_amount: Box<RawValue>,
    target_account: u64,
    #[serde(rename = "preferredPayIn")]
    _preferred_pay_in: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Transfer {
    target_account: u64,
    quote_uuid: String,
    customer_transaction_id: uuid::Uuid,
    details: Details,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Details {
    reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Funding {
    r#type: String,
}

/// The position of a recipient.
fn recipient(shared: &Standin, id: u64) -> Result<usize, Refusal> {
    let place = shared.view().beneficiaries.iter().position(|one| one.id == id.to_string());
    place.ok_or_else(|| bad("targetAccount", "is no recipient"))
}

/// Between one currency only, which recipients are paid in.
pub async fn quote(
    State(shared): State<Arc<Standin>>,
    Path(profile): Path<String>,
    body: Bytes,
) -> Result<Json, Refusal> {
    let asked: Quote = read(&body)?;
    recipient(&shared, asked.target_account)?;
    let view = shared.view();
    let account = view.accounts.iter().enumerate().position(|(place, account)| {
        render::profile_of(place).to_string() == profile && account.currency.code == asked.source_currency
    });
    let account = account.ok_or_else(|| bad("sourceCurrency", "has no balance"))?;
    if asked.target_currency != asked.source_currency {
        return Err(bad("targetCurrency", "is not that of the balance"));
    }
    let amount_minor = minor(view.accounts[account].currency, &asked.target_amount)?;
    let number = shared.desk().quote(account, amount_minor);
    Ok(object! {
        "id": quote_id(view.seed(), number),
        "sourceCurrency": asked.source_currency,
        "targetCurrency": asked.target_currency,
        "targetAmount": Json::number(view.accounts[account].currency.shortest(amount_minor)),
        "status": "PENDING",
    })
}

fn quote_id(seed: u64, number: usize) -> String {
    ids::uuid(seed, "quote", number as u64).to_string()
}

pub async fn transfer(State(shared): State<Arc<Standin>>, body: Bytes) -> Result<Json, Refusal> {
    let asked: Transfer = read(&body)?;
    let seed = shared.view().seed();
    let mut quotes = shared.desk().quotes().into_iter().enumerate();
    let quote = quotes.find(|(number, _)| quote_id(seed, *number) == asked.quote_uuid);
    let (_, (account, amount_minor)) = quote.ok_or_else(|| bad("quoteUuid", "is no quote"))?;
    let draft = Order {
        kind: "drafted",
        account,
        to: To::Beneficiary(recipient(&shared, asked.target_account)?),
        amount_minor,
        key: asked.customer_transaction_id.to_string(),
        text: Some(asked.details.reference),
    };
    let record = shared.draft(&draft);
    let view = shared.view();
    Ok(render::transfer(&view, &view.ordered(record)))
}

pub async fn fund(
    State(shared): State<Arc<Standin>>,
    Path((profile, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let order = move |shared: &Standin| {
        let asked: Funding = read(&body)?;
        if asked.r#type != "BALANCE" {
            return Err(bad("type", "is not BALANCE"));
        }
        let view = shared.view();
        let draft = view.find(&id).filter(|item| render::profile_of(item.account).to_string() == profile);
        let draft = draft.ok_or(Refusal::NotFound("transfer"))?;
        let note = view.note(draft).ok_or(Refusal::NotFound("transfer"))?;
        let place = draft.traits % view.beneficiaries.len() as u64;
        Ok(Order {
            kind: "drafted",
            account: draft.account,
            to: To::Beneficiary(place as usize),
            amount_minor: draft.amount_minor,
            key: note.key,
            text: note.text,
        })
    };
    let answer = |_: &Standin, _: &_| {
        Ok(object! { "type": "BALANCE", "status": "COMPLETED", "errorCode": Json::Null })
    };
    shared.pay(order, OnDuplicate::Refuse, answer).await
}
