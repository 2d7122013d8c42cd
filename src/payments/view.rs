//! An order as the filters of a manifest see it.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use sqlx::PgPool;

use super::elapsed::after;
use super::executor::Route;
use crate::store::StoreError;
use crate::store::accounts::{self, Party};
use crate::store::database::soon;
use crate::store::payment_orders::Order;
use tributary_domain::{PaymentKind, ProviderName};

/// How far from ours a provider's clock may be.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// The order as filters see it.
pub(super) async fn of_order(
    pool: &PgPool,
    route: Route<'_>,
    order: &Order,
) -> Result<serde_json::Value, String> {
    let Route { provider, kind, api, .. } = route;
    let fault = |error: StoreError| error.to_string();
    let source = soon(accounts::find_account(pool, provider, &order.source_account_id));
    let source = source.await.map_err(fault)?;
    let destination = soon(find_destination(pool, provider, kind, &order.destination_account_id)).await;
    let destination = destination.map_err(fault)?;
    let first_sent_at = order.first_sent_at.unwrap_or(order.created_at);
    let shown_after = api.timeout() + api.settle().unwrap_or_default();
    let shown_by = after(order.last_sent_at.unwrap_or(first_sent_at), shown_after);
    Ok(json!({
        "key": order.provider_key, "idempotencyKey": order.idempotency_key, "attempt": order.attempt,
        "amount": order.amount.to_string(), "currency": order.asset,
        "description": order.description, "metadata": order.metadata,
        "source": source.as_ref().map(|source| party(source, "account")),
        "destination": destination.as_ref().map(|(to, of)| party(to, of)),
        // between these two the payment is dated, also by a provider whose clock differs from ours
        "lookFrom": time(first_sent_at - CLOCK_SKEW), "lookTo": time(after(shown_by, CLOCK_SKEW)),
        "id": order.provider_payment_id, "reference": order.provider_reference,
    }))
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An account or a beneficiary, and which of them it is.
pub(super) fn party(party: &Party, of: &str) -> serde_json::Value {
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
