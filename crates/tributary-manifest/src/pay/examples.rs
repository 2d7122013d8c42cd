//! Orders and answers as examples of a section: what is sent, and what an answer proves.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use tributary_domain::PaymentKind;

use super::outcome::Sent;
use super::plan::PaymentPlan;
use super::steps::with_places;
use crate::jq::{self, Limits, Scope};
use crate::wire::{Incoming, Target};

/// An order of `kind`, as the filters of a section see it.
pub fn sample(kind: PaymentKind) -> Value {
    let to = match kind {
        PaymentKind::Payout => "beneficiary",
        PaymentKind::Transfer => "account",
    };
    json!({
        "key": "00000000-0000-4000-8000-000000000000", "idempotencyKey": "example", "attempt": 1, "amount": "1500",
        "currency": "EUR/2", "description": "example", "metadata": {},
        "source": { "id": "source", "type": "account", "name": "Source", "metadata": {} },
        "destination": { "id": "destination", "type": to, "name": "Destination", "metadata": {} },
    })
}

/// The order with what its steps give, where the example says so, else the places of it.
fn seen(plan: &PaymentPlan, order: &Value) -> Value {
    if order["steps"].is_null() { with_places(order, &plan.steps) } else { order.clone() }
}

/// What is sent for `order`: `path`, `query`, `headers` and `body`. The error says why it is refused.
pub fn sent(plan: &PaymentPlan, order: &Value, deadline: Instant) -> Result<Value, String> {
    let order = jq::parse(seen(plan, order).to_string().as_bytes()).map_err(|error| error.to_string())?;
    let record = plan.record(order, deadline).map_err(|error| error.to_string())?;
    let scope = Scope::at(Utc::now(), jaq_json::Val::Null);
    let request =
        plan.request.build(&record, &scope, Limits::one(deadline)).map_err(|error| error.to_string())?;
    let Target::Relative { path, query } = &request.target else { return Err("it goes nowhere".to_owned()) };
    let query: BTreeMap<&str, &str> =
        query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let headers: BTreeMap<&str, &str> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .collect();
    let is_form =
        request.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let body = request.body.as_deref().map(|body| match is_form {
        true => Ok(url::form_urlencoded::parse(body)
            .into_owned()
            .map(|(name, value)| (name, json!(value)))
            .collect()),
        false => serde_json::from_slice::<Value>(body),
    });
    let body = body.transpose();
    Ok(
        json!({ "path": path, "query": query, "headers": headers, "body": body.map_err(|error| error.to_string())? }),
    )
}

/// What the answer `body` with the status `answered` proves of `order`: `outcome` (`accepted`, `refused`,
/// `unsent`, `unknown`), why, and what it says of the payment.
pub fn outcome(
    plan: &PaymentPlan,
    order: &Value,
    answered: u16,
    body: &str,
    deadline: Instant,
) -> Result<Value, String> {
    let order = jq::parse(seen(plan, order).to_string().as_bytes()).map_err(|error| error.to_string())?;
    let record = plan.record(order, deadline).map_err(|error| error.to_string())?;
    let incoming = Incoming {
        status: StatusCode::from_u16(answered).map_err(|error| error.to_string())?,
        headers: HeaderMap::new(),
        body: Some(body.as_bytes().to_vec()),
        sent_at: Utc::now(),
    };
    Ok(match plan.judge(incoming, record, deadline, body.to_owned()) {
        Sent::Accepted(state) => json!({
            "outcome": "accepted", "id": state.id, "reference": state.reference, "status": state.status.as_str(),
            "reason": state.reason, "at": state.at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            "amount": state.amount.map(|amount| amount.to_string()), "currency": state.asset,
            "destination": state.destination,
        }),
        Sent::Refused(why) => json!({ "outcome": "refused", "reason": why }),
        Sent::Unsent(why) => json!({ "outcome": "unsent", "reason": why }),
        Sent::Unknown(why) => json!({ "outcome": "unknown", "reason": why }),
    })
}
