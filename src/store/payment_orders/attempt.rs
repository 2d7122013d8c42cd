//! A request is sent, and what becomes of it.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Act, Claim, Order, begin, change_order, expired, lock_day, says};
use crate::store::{StoreError, interval, without_nul};
use tributary_domain::OrderState;

/// What an order has to keep to at the moment at which it is sent.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Why it may not be paid any more, whatever else was paid today.
    pub refused: Option<String>,
    /// At most so much may be sent of the asset in a day (UTC), in minor units.
    pub per_day: Option<String>,
    /// For how long it may have waited to be sent for the first time.
    pub expire_after: Duration,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// It is about to be sent, and that is noted for ever.
    Open,
    /// The order is no longer the caller's to send.
    NotOurs,
    /// It does not keep to its bounds: the order is in this state now (held, or parked where an
    /// earlier request may have moved money), for this reason.
    Shut(OrderState, String),
}

/// Notes, for ever, that the request is about to be sent, and renews the claim; unless the order is
/// out of its bounds by now: then it waits for a person. What others send meanwhile waits for this to
/// be decided.
pub async fn sending(
    pool: &PgPool,
    order: &Order,
    claim: Claim<'_>,
    bounds: &Bounds,
) -> Result<Passed, StoreError> {
    let mut transaction = begin(pool, Act { actor: claim.owner, what: "about to send" }).await?;
    if bounds.per_day.is_some() {
        lock_day(&mut transaction, order.provider.as_str(), &order.asset).await?;
    }
    let ours = sqlx::query!(
        r#"select state = 'recorded' as "unsent!", waits_since + $3::interval <= clock_timestamp() as "expired!"
           from payment_orders
           where id = $1 and claim_token = $2 and claimed_until > clock_timestamp()
             and state in ('recorded', 'unknown') for update"#,
        order.id,
        claim.token,
        interval(bounds.expire_after)
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(ours) = ours else { return Ok(Passed::NotOurs) };
    let mut why = bounds.refused.clone();
    if why.is_none() && ours.unsent && ours.expired {
        why = Some(expired(bounds.expire_after));
    }
    if why.is_none()
        && let Some(per_day) = &bounds.per_day
        && let Some(sum) = over_the_day(&mut transaction, order, per_day).await?
    {
        why = Some(format!("pay.limits: with {sum} sent today, it is more than a day may have"));
    }
    let passed = match why {
        None => {
            send(&mut transaction, order.id, claim).await?;
            Passed::Open
        }
        Some(why) => {
            let state = if ours.unsent { OrderState::Held } else { OrderState::Parked };
            shut(&mut transaction, order.id, state, &why, claim).await?;
            Passed::Shut(state, why)
        }
    };
    transaction.commit().await?;
    Ok(passed)
}

async fn send(connection: &mut PgConnection, id: Uuid, claim: Claim<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "update payment_orders set state = 'sending', tries = tries + 1, last_sent_at = clock_timestamp(),
           first_sent_at = coalesce(first_sent_at, clock_timestamp()), reason = null,
           claimed_until = clock_timestamp() + $2::interval, next_at = null
         where id = $1",
        id,
        interval(claim.time)
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn shut(
    connection: &mut PgConnection,
    id: Uuid,
    state: OrderState,
    why: &str,
    claim: Claim<'_>,
) -> Result<(), StoreError> {
    says(connection, Act { actor: claim.owner, what: "not sent: out of bounds" }).await?;
    sqlx::query!(
        "update payment_orders set state = $2, reason = $3, waits_since = clock_timestamp(),
           next_at = null, claim_owner = null, claim_token = null, claimed_until = null
         where id = $1",
        id,
        state.as_str(),
        without_nul(why)
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What was sent today, if the order would be too much with it: whatever a request of today may have
/// moved, and what may move yet, from whenever it is. The caller has the day's lock.
async fn over_the_day(
    connection: &mut PgConnection,
    order: &Order,
    per_day: &str,
) -> Result<Option<String>, StoreError> {
    let sum = sqlx::query!(
        r#"select coalesce(sum(amount), 0)::text as "sum!",
                  coalesce(sum(amount), 0) + $3::text::numeric > $4::text::numeric as "over!"
           from payment_orders
           where provider = $1 and asset = $2 and id <> $5
             and (state in ('sending', 'unknown')
               or state not in ('recorded', 'held', 'failed') and last_sent_at >=
                 date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC')"#,
        order.provider.as_str(),
        order.asset,
        order.amount.to_string(),
        per_day,
        order.id
    )
    .fetch_one(connection)
    .await?;
    Ok(sum.over.then_some(sum.sum))
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
        without_nul(reason),
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
        without_nul(why),
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
        without_nul(why),
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
        without_nul(reason)
    );
    Ok(change_order(pool, act, change).await? == 1)
}
