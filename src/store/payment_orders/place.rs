//! An order is placed, answered, and tried anew after a refusal.

use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{Act, Claim, Order, begin, fetch, lock_day};
use crate::store::{StoreError, interval};
use tributary_domain::{PaymentKind, ProviderName};

#[derive(Debug, Clone)]
pub struct NewOrder<'a> {
    pub id: Uuid,
    pub provider: &'a ProviderName,
    pub kind: PaymentKind,
    pub idempotency_key: &'a str,
    pub fingerprint: &'a [u8],
    pub asset: &'a str,
    pub amount: &'a str,
    pub source_account_id: &'a str,
    pub destination_account_id: &'a str,
    pub description: Option<&'a str>,
    pub metadata: &'a serde_json::Value,
    pub provider_key: &'a str,
    /// What is sent, as `PaymentApi::prepare` gave it. Frozen with the attempt.
    pub request: &'a serde_json::Value,
    /// The API key that places it.
    pub placed_by: &'a str,
    /// How many persons have to approve it first: 0 to 10.
    pub approvals: u8,
    /// How long the request waits for the outcome.
    pub wait: Duration,
    /// At most so much may be ordered of the asset in a day (UTC), failed orders left out.
    pub per_day: Option<&'a str>,
    /// The `traceparent` that later work goes on with.
    pub trace: Option<&'a str>,
}

/// What became of an order that was to be made.
#[derive(Debug)]
pub enum Made {
    Order(Box<Order>),
    /// There is one of this idempotency key.
    Exists,
    /// It would exceed the limit of a day; with what was ordered already.
    TooMuch(String),
}

/// Keeps what is ordered, claimed by its request unless it is held.
pub async fn make(pool: &PgPool, order: &NewOrder<'_>, claim: Claim<'_>) -> Result<Made, StoreError> {
    let held = order.approvals > 0;
    let what = if held { "held for approval" } else { "recorded" };
    let mut transaction = begin(pool, Act { actor: claim.owner, what }).await?;
    if let Some(per_day) = order.per_day
        && let Some(sum) = over_the_day(
            &mut transaction,
            Size {
                provider: order.provider.as_str(),
                kind: order.kind.as_str(),
                idempotency_key: order.idempotency_key,
                asset: order.asset,
                amount: order.amount,
            },
            per_day,
        )
        .await?
    {
        return Ok(Made::TooMuch(sum));
    }
    let made = sqlx::query_scalar!(
        "insert into payment_orders as o (id, provider, kind, idempotency_key, fingerprint, asset, amount,
             source_account_id, destination_account_id, description, metadata, provider_key, state,
             claim_owner, claim_token, claimed_until, next_at, answer_by, placed_by, approvals_needed, request, trace)
           values ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8, $9, $10, $11, $12,
             case when $13 then 'held' else 'recorded' end,
             case when $13 then null else $14 end, case when $13 then null else $15::uuid end,
             case when $13 then null else clock_timestamp() + $16::interval end,
             case when $13 then null else clock_timestamp() end,
             case when $13 then null else clock_timestamp() + $17::interval end, $18, $19, $20, $21)
           on conflict on constraint payment_orders_idempotency_key do nothing
         returning id",
        order.id,
        order.provider.as_str(),
        order.kind.as_str(),
        order.idempotency_key,
        order.fingerprint,
        order.asset,
        order.amount,
        order.source_account_id,
        order.destination_account_id,
        order.description,
        order.metadata,
        order.provider_key,
        held,
        claim.owner,
        claim.token,
        interval(claim.time),
        interval(order.wait),
        order.placed_by,
        i32::from(order.approvals),
        order.request,
        order.trace
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let made = fetch(&mut transaction, made).await?;
    transaction.commit().await?;
    Ok(made.map_or(Made::Exists, |order| Made::Order(Box::new(order))))
}

/// How much an order is, of what, and which.
#[derive(Debug, Clone, Copy)]
struct Size<'a> {
    provider: &'a str,
    kind: &'a str,
    idempotency_key: &'a str,
    asset: &'a str,
    amount: &'a str,
}

/// What was ordered today, if the order would be too much with it.
async fn over_the_day(
    transaction: &mut Transaction<'_, Postgres>,
    order: Size<'_>,
    per_day: &str,
) -> Result<Option<String>, StoreError> {
    lock_day(transaction, order.provider, order.asset).await?;
    let sum = sqlx::query!(
        r#"select coalesce(sum(amount), 0)::text as "sum!",
                  coalesce(sum(amount), 0) + $3::text::numeric > $4::text::numeric as "over!"
           from payment_orders
           where provider = $1 and asset = $2 and state <> 'failed'
             and coalesce(first_sent_at, created_at) >= date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC'
             and not (kind = $5 and idempotency_key = $6)"#,
        order.provider,
        order.asset,
        order.amount,
        per_day,
        order.kind,
        order.idempotency_key
    )
    .fetch_one(&mut **transaction)
    .await?;
    Ok(sum.over.then_some(sum.sum))
}

/// The order as a request is answered with it. Unless it is the `first`, there is no answer while the
/// first may still be waiting for the outcome: `None`. What changes later is dated after this.
pub async fn reply(pool: &PgPool, id: Uuid, first: bool, actor: &str) -> Result<Option<Order>, StoreError> {
    let mut transaction = begin(pool, Act { actor, what: "answered a request" }).await?;
    let answered = sqlx::query_scalar!(
        "update payment_orders o set replied_at = clock_timestamp()
           where o.id = $1 and ($2 or o.state not in ('recorded', 'sending') or o.answer_by is null
             or o.answer_by <= clock_timestamp())
         returning id",
        id,
        first
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let order = fetch(&mut transaction, answered).await?;
    transaction.commit().await?;
    Ok(order)
}

/// Another attempt of an order that was refused.
#[derive(Debug, Clone, Copy)]
pub struct NextAttempt<'a> {
    pub provider_key: &'a str,
    /// As of [`NewOrder`], of this attempt.
    pub request: &'a serde_json::Value,
    /// The API key that asks for it.
    pub retried_by: &'a str,
    /// How many persons have to approve it first: 0 to 10. Not fewer do than had to before.
    pub approvals: u8,
    /// How long ago the last answer has to be at least.
    pub guard: Duration,
    /// How long the request waits for the outcome.
    pub wait: Duration,
    /// At most so much may be ordered of the asset in a day (UTC), failed orders left out.
    pub per_day: Option<&'a str>,
    /// The `traceparent` of the request that asks for it; without one, that of the attempt before stays.
    pub trace: Option<&'a str>,
}

/// Begins another attempt of an order that was refused: [`Made::Exists`] where it is too early,
/// somebody else began one, or what was ordered is erased and cannot be sent any more.
pub async fn retry(
    pool: &PgPool,
    order: &Order,
    again: NextAttempt<'_>,
    claim: Claim<'_>,
) -> Result<Made, StoreError> {
    let NextAttempt { provider_key, request, retried_by, approvals, guard, wait, per_day, trace } = again;
    let approvals = order.approvals_needed.max(approvals.into());
    let held = approvals > 0;
    let mut transaction = begin(pool, Act { actor: claim.owner, what: "retried after a refusal" }).await?;
    let size = Size {
        provider: order.provider.as_str(),
        kind: order.kind.as_str(),
        idempotency_key: &order.idempotency_key,
        asset: &order.asset,
        amount: &order.amount.to_string(),
    };
    if let Some(per_day) = per_day
        && let Some(sum) = over_the_day(&mut transaction, size, per_day).await?
    {
        return Ok(Made::TooMuch(sum));
    }
    let kept = sqlx::query!(
        "insert into payment_attempts (order_id, attempt, provider, provider_key, provider_payment_id,
           provider_reference, record_id, status, reason, first_sent_at)
         select id, attempt, provider, provider_key, provider_payment_id, provider_reference, record_id, status,
           reason, first_sent_at
         from payment_orders
         where id = $1 and state = 'failed' and attempt = $2 and erased_at is null
           and coalesce(replied_at, status_at) + $3::interval <= clock_timestamp()
         for update",
        order.id,
        order.attempt,
        interval(guard)
    )
    .execute(&mut *transaction)
    .await?;
    if kept.rows_affected() == 0 {
        return Ok(Made::Exists);
    }
    let again = sqlx::query_scalar!(
        "update payment_orders o set
             attempt = o.attempt + 1, provider_key = $2, request = $10, waits_since = clock_timestamp(),
             state = case when $3 then 'held' else 'recorded' end,
             status = 'PENDING', reason = null, tries = 0, first_sent_at = null, last_sent_at = null,
             refusal = null, provider_payment_id = null, provider_reference = null, record_id = null,
             provider_metadata = '{}',
             provider_updated_at = null, lookups = 0, retried_by = $8, approvals_needed = $9,
             claim_owner = case when $3 then null else $4 end,
             claim_token = case when $3 then null else $5::uuid end,
             claimed_until = case when $3 then null else clock_timestamp() + $6::interval end,
             next_at = case when $3 then null else clock_timestamp() end,
             answer_by = case when $3 then null else clock_timestamp() + $7::interval end,
             trace = coalesce($11, o.trace)
         where o.id = $1 returning id",
        order.id,
        provider_key,
        held,
        claim.owner,
        claim.token,
        interval(claim.time),
        interval(wait),
        retried_by,
        approvals,
        request,
        trace
    )
    .fetch_one(&mut *transaction)
    .await?;
    let order = fetch(&mut transaction, Some(again)).await?;
    transaction.commit().await?;
    Ok(order.map_or(Made::Exists, |order| Made::Order(Box::new(order))))
}
