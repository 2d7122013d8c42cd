//! An order as the filters of a manifest see it.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::OrderRequest;
use super::elapsed::after;
use crate::store::StoreError;
use crate::store::accounts::{self, Party};
use crate::store::payment_orders::Order;
use tributary_domain::{PaymentKind, ProviderName};
use tributary_manifest::{Given, PaymentApi};

/// How far from ours a provider's clock may be.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// Who pays and who is paid, as they were when the order was recorded.
pub(super) struct Parties {
    pub source: Party,
    pub destination: Party,
    /// Whether the destination is an `account` or a `beneficiary`.
    pub destination_is: &'static str,
}

/// The order that is to be recorded, under the provider's key of its attempt.
pub(super) fn of_request(request: &OrderRequest, parties: &Parties, key: &str, attempt: i32) -> Value {
    json!({
        "key": key, "idempotencyKey": request.idempotency_key, "attempt": attempt,
        "amount": request.amount.to_string(), "currency": request.asset.as_str(),
        "description": request.description, "metadata": request.metadata.as_map(),
        "source": party(&parties.source, "account"),
        "destination": party(&parties.destination, parties.destination_is),
    })
}

/// A recorded order for a lookup: as it was when its request was made, and what came of it since.
pub(super) fn of_order(order: &Order, api: &PaymentApi, given: &Given) -> Value {
    let first_sent_at = order.first_sent_at.unwrap_or(order.created_at);
    let shown_after = api.timeout() + api.settle().unwrap_or_default();
    let shown_by = after(order.last_sent_at.unwrap_or(first_sent_at), shown_after);
    let mut view = order.request["order"].clone();
    // between these two the payment is dated, also by a provider whose clock differs from ours
    view["lookFrom"] = time(first_sent_at - CLOCK_SKEW).into();
    view["lookTo"] = time(after(shown_by, CLOCK_SKEW)).into();
    view["id"] = json!(order.provider_payment_id);
    view["reference"] = json!(order.provider_reference);
    view["steps"] = json!(given);
    view
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An account or a beneficiary, and which of them it is.
fn party(party: &Party, of: &str) -> Value {
    json!({"id": party.id, "type": of, "name": party.name, "metadata": party.metadata})
}

/// Who is to be paid.
pub(super) async fn find_destination(
    pool: &PgPool,
    provider: &ProviderName,
    kind: PaymentKind,
    id: &str,
) -> Result<Option<(Party, &'static str)>, StoreError> {
    // whom which kind can go to is for the provider to say; if an id is both, the likelier one is meant
    Ok(match kind {
        PaymentKind::Payout => match accounts::find_beneficiary(pool, provider, id).await? {
            Some(party) => Some((party, "beneficiary")),
            None => accounts::find_account(pool, provider, id).await?.map(|party| (party, "account")),
        },
        PaymentKind::Transfer => match accounts::find_account(pool, provider, id).await? {
            Some(party) => Some((party, "account")),
            None => accounts::find_beneficiary(pool, provider, id).await?.map(|party| (party, "beneficiary")),
        },
    })
}
