//! Payouts v2. An `Idempotency-key` that was used before is answered with the payout that it made, and
//! refused where the order is another one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::render;
use crate::kit::payments::{Order, Paid, To, bad, minor, read};
use crate::kit::{Asked, Json, OnDuplicate, Refusal, Standin, Visible};

/// The longest key, in characters.
const LONGEST_KEY: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payout {
    reference_id: String,
    channel_code: String,
    channel_properties: Channel,
    amount: Box<RawValue>,
    currency: String,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    account_number: String,
    account_holder_name: String,
}

pub async fn create(
    State(shared): State<Arc<Standin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let order = move |shared: &Standin| {
        let asked: Payout = read(&body)?;
        if !(1..=LONGEST_KEY).contains(&key.len()) || asked.reference_id != key {
            // of what finds a payout again, the ledger keeps one text
            return Err(bad("Idempotency-key", "has to be there, and the reference_id"));
        }
        if asked.channel_code.is_empty() || asked.channel_properties.account_holder_name.is_empty() {
            return Err(bad("channel_code", "and account_holder_name have to be there"));
        }
        let view = shared.view();
        let account = view.find_account(&asked.currency).ok_or_else(|| bad("currency", "has no balance"))?;
        let number = &asked.channel_properties.account_number;
        let payee = view.beneficiaries.iter().position(|one| one.id == *number);
        let order = Order {
            kind: "DISBURSEMENT",
            account,
            to: To::Beneficiary(payee.ok_or_else(|| bad("account_number", "is none"))?),
            amount_minor: minor(view.accounts[account].currency, &asked.amount)?,
            key: key.clone(),
            text: asked.description,
        };
        drop(view);
        refuse_another(shared, &order)?;
        Ok(order)
    };
    let answer = |shared: &Standin, paid: &Paid| {
        let view = shared.view();
        Ok(render::payout(&view, &view.ordered(paid.record)))
    };
    shared.pay(order, OnDuplicate::Replay, answer).await
}

/// Refuses an order under a key that another one had.
fn refuse_another(shared: &Standin, order: &Order) -> Result<(), Refusal> {
    let records = shared.desk().records(&order.key);
    let view = shared.view();
    let Some(before) = records.first().map(|record| &view.items[*record]) else { return Ok(()) };
    let place = (before.traits % view.beneficiaries.len() as u64) as usize;
    if before.account == order.account && To::Beneficiary(place) == order.to {
        return Ok(());
    }
    Err(bad("reference", "the key was used for another payout"))
}

/// Those of a reference, as a list.
pub async fn by_reference(State(shared): State<Arc<Standin>>, asked: Asked) -> Result<Json, Refusal> {
    let view = shared.view();
    let wanted = asked.text("reference_id").ok_or_else(|| bad("reference_id", "is required"))?;
    let rows = view.records(&["DISBURSEMENT"]);
    let has_it = |visible: &&Visible<'_>| render::reference(&view, visible) == wanted;
    Ok(rows.iter().filter(has_it).map(|visible| render::payout(&view, visible)).collect())
}

pub async fn by_id(State(shared): State<Arc<Standin>>, Path(id): Path<String>) -> Result<Json, Refusal> {
    let view = shared.view();
    let rows = view.records(&["DISBURSEMENT"]);
    let mut payouts = rows.iter().filter(|visible| render::product_id(&view, visible) == id);
    let visible = payouts.next().ok_or(Refusal::NotFound("payout"))?;
    Ok(render::payout(&view, visible))
}
