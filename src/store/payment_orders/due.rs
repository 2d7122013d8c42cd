//! What is due at orders, and who does it.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Act, Claim, Order, Row, begin, change_order, expired, read, says};
use crate::store::{StoreError, interval, without_nul};
use tributary_domain::{OrderState, PaymentKind, ProviderName};

/// Notes what a lookup of an order found at its provider, or that it found nothing, as evidence for whoever
/// decides about it.
pub async fn note_lookup(pool: &PgPool, order: &Order, found: bool) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into payment_lookups (order_id, attempt, found) values ($1, $2, $3)",
        order.id,
        order.attempt,
        found
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Claims up to `most` orders of `providers` at which something is due: what is only followed after
/// all of which the outcome is unknown or that were not sent, and of each the one that waits longest
/// first.
pub async fn claim_due(
    pool: &PgPool,
    providers: &[&str],
    most: u32,
    claim: Claim<'_>,
) -> Result<Vec<Order>, StoreError> {
    let due = sqlx::query_scalar!(
        r#"select exists (select from payment_orders where next_at <= clock_timestamp()
             and provider = any ($1) and (claimed_until <= clock_timestamp()) is not false) as "due!""#,
        providers as _
    )
    .fetch_one(pool)
    .await?;
    if !due {
        return Ok(Vec::new());
    }
    let mut transaction = begin(pool, Act { actor: claim.owner, what: "claimed" }).await?;
    let claimed = sqlx::query_scalar!(
        "update payment_orders o set claim_owner = $2, claim_token = $3,
             claimed_until = clock_timestamp() + $4::interval
           where o.id in (
             select id from payment_orders
             where next_at <= clock_timestamp() and provider = any ($1)
               and state in ('recorded', 'unknown', 'pending')
               and (claimed_until <= clock_timestamp()) is not false
             order by state = 'pending', next_at for update skip locked limit $5)
         returning id",
        providers as _,
        claim.owner,
        claim.token,
        interval(claim.time),
        i64::from(most)
    )
    .fetch_all(&mut *transaction)
    .await?;
    let orders =
        order_query!("select", "from payment_orders o where o.id = any ($1) order by o.next_at", &claimed)
            .fetch_all(&mut *transaction)
            .await?;
    transaction.commit().await?;
    orders.into_iter().map(Order::try_from).collect()
}

/// Ends the claims of those who did not live to store what became of their requests: it is unknown.
/// Gives how many there were.
pub async fn expire(pool: &PgPool, actor: &str) -> Result<u64, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'unknown', refusal = null, lookups = 0, next_at = clock_timestamp(),
           reason = 'the outcome of the request was lost',
           claim_owner = null, claim_token = null, claimed_until = null
         where id in (select id from payment_orders where state = 'sending' and claimed_until <= clock_timestamp()
                      order by id for update skip locked)"
    );
    change_order(pool, Act { actor, what: "claim expired: its instance did not renew it" }, change).await
}

/// Which of `providers` have orders that were not sent within the time that stands beside them: one probe of
/// an index each, in one statement, as this is asked all the time and there hardly ever is one.
pub async fn overdue(
    pool: &PgPool,
    providers: &[(&ProviderName, Duration)],
) -> Result<Vec<String>, StoreError> {
    let names: Vec<&str> = providers.iter().map(|(name, _)| name.as_str()).collect();
    let times: Vec<PgInterval> = providers.iter().map(|(_, time)| interval(*time)).collect();
    let overdue = sqlx::query_scalar!(
        r#"select p.provider as "provider!" from unnest($1::text[], $2::interval[]) p (provider, after)
           where exists (select from payment_orders o
             where o.provider = p.provider and o.state in ('recorded', 'held')
               and o.waits_since <= clock_timestamp() - p.after)"#,
        &names as _,
        &times as _
    )
    .fetch_all(pool)
    .await?;
    Ok(overdue)
}

/// Sends the orders of the provider that were not sent within `after` back to a person, be they held
/// or only not sent yet: no approval from before counts any more. Gives how many there were.
pub async fn hold_again(
    pool: &PgPool,
    provider: &ProviderName,
    after: Duration,
    actor: &str,
) -> Result<u64, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'held', reason = $3, waits_since = clock_timestamp(),
           next_at = null, claim_owner = null, claim_token = null, claimed_until = null
         where id in (select id from payment_orders
                      where provider = $1 and state in ('recorded', 'held')
                        and waits_since + $2::interval <= clock_timestamp()
                        and (claimed_until <= clock_timestamp()) is not false
                      order by id for update skip locked)",
        provider.as_str(),
        interval(after),
        expired(after)
    );
    change_order(pool, Act { actor, what: "held again: not sent in time" }, change).await
}

/// Gives a claim back; the order is due again after `next`, or not of itself.
pub async fn later(
    pool: &PgPool,
    id: Uuid,
    token: Uuid,
    next: Option<Duration>,
    act: Act<'_>,
) -> Result<(), StoreError> {
    let change = sqlx::query!(
        "update payment_orders set lookups = lookups + 1, next_at = clock_timestamp() + $3::interval,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and claim_token = $2",
        id,
        token,
        next.map(interval)
    );
    change_order(pool, act, change).await?;
    Ok(())
}

/// Has a payment that is open looked at again after `next`; nothing where it has ended.
pub async fn look_up_again(pool: &PgPool, id: Uuid, next: Duration, act: Act<'_>) -> Result<(), StoreError> {
    let change = sqlx::query!(
        "update payment_orders set next_at = clock_timestamp() + $2::interval, lookups = lookups + 1,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and state = 'pending'",
        id,
        interval(next)
    );
    change_order(pool, act, change).await?;
    Ok(())
}

/// Leaves the order to a person, if it is still the caller's.
pub async fn park(
    pool: &PgPool,
    id: Uuid,
    token: Uuid,
    reason: &str,
    act: Act<'_>,
) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'parked', reason = $3, next_at = null,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and claim_token = $2 and state in ('recorded', 'sending', 'unknown', 'pending')",
        id,
        token,
        without_nul(reason)
    );
    Ok(change_order(pool, act, change).await? == 1)
}

/// Leaves an order to a person in the caller's transaction, whoever works on it: `false` where it is
/// not open.
pub async fn park_at_once(
    connection: &mut PgConnection,
    id: Uuid,
    reason: &str,
    act: Act<'_>,
) -> Result<bool, StoreError> {
    says(connection, act).await?;
    let parked = sqlx::query!(
        "update payment_orders set state = 'parked', reason = $2, next_at = null,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and state in ('unknown', 'pending')",
        id,
        without_nul(reason)
    )
    .execute(connection)
    .await?;
    Ok(parked.rows_affected() == 1)
}

/// How many orders of a provider are in a state that is not final.
#[derive(Debug, Clone)]
pub struct OpenCount {
    pub provider: ProviderName,
    pub kind: PaymentKind,
    pub state: OrderState,
    pub count: i64,
}

/// How many orders of each provider are in each state that is not final.
pub async fn open_counts(pool: &PgPool) -> Result<Vec<OpenCount>, StoreError> {
    let counts = sqlx::query!(
        r#"select provider, kind, state, count(*) as "count!" from payment_orders
           where state not in ('succeeded', 'failed') group by provider, kind, state"#
    )
    .fetch_all(pool)
    .await?;
    let counts = counts.into_iter().map(|row| {
        let (provider, kind, state) = (read(&row.provider)?, read(&row.kind)?, read(&row.state)?);
        Ok(OpenCount { provider, kind, state, count: row.count })
    });
    counts.collect()
}
