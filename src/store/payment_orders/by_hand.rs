//! What a person decides, and the audit.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Act, change_order};
use crate::store::StoreError;

/// Lets a held order go out: `false` where it is not held.
pub async fn approve(pool: &PgPool, id: Uuid, who: &str) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'recorded', approved_by = $2, reason = null, next_at = clock_timestamp(),
           waits_since = clock_timestamp()
         where id = $1 and state = 'held'",
        id,
        who
    );
    Ok(change_order(pool, Act { actor: who, what: "approved" }, change).await? == 1)
}

/// Fails an order that is held, or that was certainly never sent and is nobody's to send just now:
/// `false` of any other.
pub async fn reject(pool: &PgPool, id: Uuid, reason: &str, who: &str) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'failed', status = 'FAILED', reason = $2, next_at = null,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and (state = 'held' or state = 'recorded' and
           (claim_token is null or claimed_until <= clock_timestamp()))",
        id,
        reason
    );
    Ok(change_order(pool, Act { actor: who, what: "rejected" }, change).await? == 1)
}

/// What a person found out of an order that was left to them.
#[derive(Debug, Clone, Copy)]
pub enum Resolution<'a> {
    /// The money moved; the id of the provider's record of it, if there is one.
    Succeeded { payment_id: Option<&'a str> },
    /// No money moved, and none will.
    Failed { reason: &'a str },
    /// It is to be looked up at the provider again.
    Look,
}

/// Ends the wait of an order for a person: `false` where it does not wait for one.
pub async fn resolve(
    pool: &PgPool,
    id: Uuid,
    resolution: Resolution<'_>,
    who: &str,
) -> Result<bool, StoreError> {
    let (state, status, reason, payment_id, what) = match resolution {
        Resolution::Succeeded { payment_id } => {
            ("succeeded", "SUCCEEDED", None, payment_id, "resolved as succeeded")
        }
        Resolution::Failed { reason } => ("failed", "FAILED", Some(reason), None, "resolved as failed"),
        Resolution::Look => ("unknown", "PENDING", None, None, "to be looked up again"),
    };
    let change = sqlx::query!(
        "update payment_orders set state = $2, status = $3, reason = $4,
           provider_payment_id = coalesce($5, provider_payment_id), lookups = 0,
           next_at = case when $2 = 'unknown' then clock_timestamp() end
         where id = $1 and state = 'parked'",
        id,
        state,
        status,
        reason,
        payment_id
    );
    Ok(change_order(pool, Act { actor: who, what }, change).await? == 1)
}

/// A change of an order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audited {
    pub actor: String,
    pub what: String,
    pub before: Option<serde_json::Value>,
    pub after: Option<serde_json::Value>,
    pub at: DateTime<Utc>,
}

/// Every change of an order, oldest first.
pub async fn audit(pool: &PgPool, id: Uuid) -> Result<Vec<Audited>, StoreError> {
    let audit = sqlx::query_as!(
        Audited,
        "select actor, what, before, after, at from payment_audit where order_id = $1 order by id",
        id
    )
    .fetch_all(pool)
    .await?;
    Ok(audit)
}
