//! A request is sent, and what becomes of it.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

use super::{Act, Claim, change_order};
use crate::store::{StoreError, interval};

/// Notes, for ever, that the request is about to be sent, and renews the claim: `false` where the
/// order is no longer the caller's to send.
pub async fn sending(pool: &PgPool, id: Uuid, claim: Claim<'_>) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'sending', tries = tries + 1, last_sent_at = clock_timestamp(),
           first_sent_at = coalesce(first_sent_at, clock_timestamp()),
           claimed_until = clock_timestamp() + $3::interval, next_at = null
         where id = $1 and claim_token = $2 and claimed_until > clock_timestamp()
           and state in ('recorded', 'unknown')",
        id,
        claim.token,
        interval(claim.time)
    );
    Ok(change_order(pool, Act { actor: claim.owner, what: "about to send" }, change).await? == 1)
}

/// Notes that the provider refused the request, if it is still the caller's. A repeated request
/// that is refused proves nothing of the one before it: its order stays unknown and is looked at
/// after `next`.
pub async fn refused(
    pool: &PgPool,
    id: Uuid,
    claim: Claim<'_>,
    reason: &str,
    next: Duration,
) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set
           state = case when tries = 1 then 'failed' else 'unknown' end,
           status = case when tries = 1 then 'FAILED' else status end,
           reason = case when tries = 1 then $3 else reason end,
           refusal = $3, claim_owner = null, claim_token = null, claimed_until = null,
           next_at = case when tries = 1 then null else clock_timestamp() + $4::interval end
         where id = $1 and claim_token = $2 and state = 'sending'",
        id,
        claim.token,
        reason,
        interval(next)
    );
    Ok(change_order(pool, Act { actor: claim.owner, what: "refused by the provider" }, change).await? == 1)
}

/// Notes that the request was not sent after all, if it is still the caller's: it is due again
/// after `next`.
pub async fn unsent(
    pool: &PgPool,
    id: Uuid,
    claim: Claim<'_>,
    why: &str,
    next: Duration,
) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set
           state = case when state = 'sending' and tries = 1 then 'recorded'
                        when state = 'sending' then 'unknown' else state end,
           first_sent_at = case when state = 'sending' and tries = 1 then null else first_sent_at end,
           tries = tries - case when state = 'sending' then 1 else 0 end,
           lookups = lookups + 1, reason = $3, claim_owner = null, claim_token = null, claimed_until = null,
           next_at = clock_timestamp() + $4::interval
         where id = $1 and claim_token = $2 and state in ('recorded', 'sending', 'unknown')",
        id,
        claim.token,
        why,
        interval(next)
    );
    Ok(change_order(pool, Act { actor: claim.owner, what: "not sent" }, change).await? == 1)
}

/// Notes that the outcome of the request is not known, if it is still the caller's.
pub async fn unknown(
    pool: &PgPool,
    id: Uuid,
    claim: Claim<'_>,
    why: &str,
    next: Duration,
) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'unknown', reason = $3, refusal = null, lookups = 0,
           claim_owner = null, claim_token = null, claimed_until = null,
           next_at = clock_timestamp() + $4::interval
         where id = $1 and claim_token = $2 and state = 'sending'",
        id,
        claim.token,
        why,
        interval(next)
    );
    Ok(change_order(pool, Act { actor: claim.owner, what: "outcome unknown" }, change).await? == 1)
}

/// Notes that no money moved and none will, if the order is still the caller's.
pub async fn failed(
    pool: &PgPool,
    id: Uuid,
    token: Uuid,
    reason: &str,
    act: Act<'_>,
) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'failed', status = 'FAILED', reason = $3, next_at = null,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and claim_token = $2 and state in ('recorded', 'unknown')",
        id,
        token,
        reason
    );
    Ok(change_order(pool, act, change).await? == 1)
}
