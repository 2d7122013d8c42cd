//! Table `payment_orders`: payouts and transfers, and how far each has come. Every change is a
//! short transaction of its own that holds only if the order is still as its caller knows it; the
//! row among the transactions, and the audit, follow by trigger.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{StoreError, interval};
use crate::domain::{PaymentKind, PaymentState, ProviderName};

/// An order as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub id: Uuid,
    pub provider: String,
    pub kind: String,
    pub idempotency_key: String,
    pub fingerprint: Vec<u8>,
    pub asset: String,
    /// Integer minor units.
    pub amount: String,
    /// The provider's own ids; the served ones are URL-safe.
    pub source_account_id: String,
    pub destination_account_id: String,
    pub served_source_id: String,
    pub served_destination_id: String,
    pub description: Option<String>,
    /// As the person wrote it.
    pub metadata: serde_json::Value,
    /// As it is served, with the reason of a refusal.
    pub served_metadata: serde_json::Value,
    pub created_at: DateTime<Utc>,
    pub state: String,
    pub status: String,
    /// The `createdAt` that goes with the status.
    pub status_at: DateTime<Utc>,
    pub reason: Option<String>,
    pub replied_at: Option<DateTime<Utc>>,
    pub answer_by: Option<DateTime<Utc>>,
    pub attempt: i32,
    pub tries: i32,
    pub first_sent_at: Option<DateTime<Utc>>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub refusal: Option<String>,
    pub provider_key: String,
    pub provider_payment_id: Option<String>,
    pub provider_reference: Option<String>,
    pub claim_token: Option<Uuid>,
    pub looks: i32,
    pub approved_by: Option<String>,
    /// The database's clock when this was read.
    pub now: DateTime<Utc>,
}

/// `$head` up to the columns of an order `o`, `$tail` behind them.
macro_rules! order_query {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Order,
            $head + r#" o.id as "id!", o.provider as "provider!", o.kind as "kind!",
              o.idempotency_key as "idempotency_key!", o.fingerprint as "fingerprint!", o.asset as "asset!",
              o.amount::text as "amount!", o.source_account_id as "source_account_id!",
              o.destination_account_id as "destination_account_id!",
              url_safe_id(o.source_account_id) as "served_source_id!",
              url_safe_id(o.destination_account_id) as "served_destination_id!", o.description,
              o.metadata as "metadata!", payment_metadata(o) as "served_metadata!", o.created_at as "created_at!",
              o.state as "state!", o.status as "status!", o.status_at as "status_at!", o.reason, o.replied_at,
              o.answer_by, o.attempt as "attempt!", o.tries as "tries!", o.first_sent_at, o.last_sent_at,
              o.refusal, o.provider_key as "provider_key!", o.provider_payment_id, o.provider_reference,
              o.claim_token, o.looks as "looks!", o.approved_by, clock_timestamp() as "now!" "# + $tail
            $(, $argument)*
        )
    };
}

/// Who changes an order, and what it is that happens: for the audit.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    pub actor: &'a str,
    pub what: &'a str,
}

/// A claim on an order: nobody else works on it for `time`.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub owner: &'a str,
    pub token: Uuid,
    pub time: Duration,
}

/// What is ordered.
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
    /// Whether a person has to approve it first.
    pub held: bool,
    /// How long the request waits for the outcome.
    pub wait: Duration,
    /// At most so much may be ordered of the asset in a day (UTC), failed orders left out.
    pub per_day: Option<&'a str>,
}

/// What became of an order that was to be made.
#[derive(Debug)]
pub enum Made {
    Order(Box<Order>),
    /// There is one of this key.
    Exists,
    /// It would be more than a day's worth; tells what was ordered already.
    TooMuch(String),
}

/// A transaction that is durable when it has committed, whatever the server's default.
async fn begin(pool: &PgPool, act: Act<'_>) -> Result<Transaction<'static, Postgres>, StoreError> {
    let mut transaction = super::begin(pool).await?;
    sqlx::query!(
        "select set_config('synchronous_commit', 'on', true) as synchronous,
                set_config('tributary.actor', $1, true) as actor, set_config('tributary.what', $2, true) as what",
        act.actor,
        act.what
    )
    .fetch_one(&mut *transaction)
    .await?;
    Ok(transaction)
}

/// Makes one change of orders, durably and with its entry in the audit; gives how many it changed.
async fn change_order(
    pool: &PgPool,
    act: Act<'_>,
    change: Query<'_, Postgres, PgArguments>,
) -> Result<u64, StoreError> {
    let mut transaction = begin(pool, act).await?;
    let changed = change.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(changed.rows_affected())
}

/// Keeps what is ordered, claimed by its request unless it is held.
pub async fn make(pool: &PgPool, order: &NewOrder<'_>, claim: Claim<'_>) -> Result<Made, StoreError> {
    let what = if order.held { "held for approval" } else { "recorded" };
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
             claim_owner, claim_token, claimed_until, next_at, answer_by)
           values ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8, $9, $10, $11, $12,
             case when $13 then 'held' else 'recorded' end,
             case when $13 then null else $14 end, case when $13 then null else $15::uuid end,
             case when $13 then null else clock_timestamp() + $16::interval end,
             case when $13 then null else clock_timestamp() end,
             case when $13 then null else clock_timestamp() + $17::interval end)
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
        order.held,
        claim.owner,
        claim.token,
        interval(claim.time),
        interval(order.wait)
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let made = read(&mut transaction, made).await?;
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

/// The order as the transaction has made it.
async fn read(
    transaction: &mut Transaction<'_, Postgres>,
    id: Option<Uuid>,
) -> Result<Option<Order>, StoreError> {
    let order = order_query!("select", "from payment_orders o where o.id = $1", id)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(order)
}

/// What was ordered today, if the order would be too much with it. Two orders cannot both take
/// the last room.
async fn over_the_day(
    transaction: &mut Transaction<'_, Postgres>,
    order: Size<'_>,
    per_day: &str,
) -> Result<Option<String>, StoreError> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('payments/' || $1 || '/' || $2, 7406))::text",
        order.provider,
        order.asset
    )
    .fetch_one(&mut **transaction)
    .await?;
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

/// The order of a key.
pub async fn find(
    pool: &PgPool,
    provider: &ProviderName,
    kind: PaymentKind,
    key: &str,
) -> Result<Option<Order>, StoreError> {
    let order = order_query!(
        "select",
        "from payment_orders o where o.provider = $1 and o.kind = $2 and o.idempotency_key = $3",
        provider.as_str(),
        kind.as_str(),
        key
    )
    .fetch_optional(pool)
    .await?;
    Ok(order)
}

/// The order of this id.
pub async fn get(pool: &PgPool, id: Uuid) -> Result<Option<Order>, StoreError> {
    let order =
        order_query!("select", "from payment_orders o where o.id = $1", id).fetch_optional(pool).await?;
    Ok(order)
}

/// The order as a request is answered with it. Unless it is the `first`, nothing is told while the
/// first may still be waiting for the outcome: `None`. What changes later is dated after this.
pub async fn reply(pool: &PgPool, id: Uuid, first: bool, actor: &str) -> Result<Option<Order>, StoreError> {
    let mut transaction = begin(pool, Act { actor, what: "answered a request" }).await?;
    let told = sqlx::query_scalar!(
        "update payment_orders o set replied_at = clock_timestamp()
           where o.id = $1 and ($2 or o.state not in ('recorded', 'sending') or o.answer_by is null
             or o.answer_by <= clock_timestamp())
         returning id",
        id,
        first
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let order = read(&mut transaction, told).await?;
    transaction.commit().await?;
    Ok(order)
}

/// Another attempt of an order that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Again<'a> {
    pub provider_key: &'a str,
    /// Whether a person has to approve it first.
    pub held: bool,
    /// How long ago the last answer has to be at least.
    pub guard: Duration,
    /// How long the request waits for the outcome.
    pub wait: Duration,
    /// At most so much may be ordered of the asset in a day (UTC), failed orders left out.
    pub per_day: Option<&'a str>,
}

/// Begins another attempt of an order that was refused: [`Made::Exists`] where it is too early, or
/// somebody else began one.
pub async fn retry(
    pool: &PgPool,
    order: &Order,
    again: Again<'_>,
    claim: Claim<'_>,
) -> Result<Made, StoreError> {
    let Again { provider_key, held, guard, wait, per_day } = again;
    let mut transaction = begin(pool, Act { actor: claim.owner, what: "tried anew after a refusal" }).await?;
    let size = Size {
        provider: &order.provider,
        kind: &order.kind,
        idempotency_key: &order.idempotency_key,
        asset: &order.asset,
        amount: &order.amount,
    };
    if let Some(per_day) = per_day
        && let Some(sum) = over_the_day(&mut transaction, size, per_day).await?
    {
        return Ok(Made::TooMuch(sum));
    }
    let kept = sqlx::query!(
        "insert into payment_attempts (order_id, attempt, provider, provider_key, provider_payment_id, status,
           reason, first_sent_at)
         select id, attempt, provider, provider_key, provider_payment_id, status, reason, first_sent_at
         from payment_orders
         where id = $1 and state = 'failed' and attempt = $2
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
             attempt = o.attempt + 1, provider_key = $2, state = case when $3 then 'held' else 'recorded' end,
             status = 'PENDING', reason = null, tries = 0, first_sent_at = null, last_sent_at = null,
             refusal = null, provider_payment_id = null, provider_reference = null, provider_metadata = '{}',
             provider_updated_at = null, approved_by = null, looks = 0,
             claim_owner = case when $3 then null else $4 end,
             claim_token = case when $3 then null else $5::uuid end,
             claimed_until = case when $3 then null else clock_timestamp() + $6::interval end,
             next_at = case when $3 then null else clock_timestamp() end,
             answer_by = case when $3 then null else clock_timestamp() + $7::interval end
         where o.id = $1 returning id",
        order.id,
        provider_key,
        held,
        claim.owner,
        claim.token,
        interval(claim.time),
        interval(wait)
    )
    .fetch_one(&mut *transaction)
    .await?;
    let order = read(&mut transaction, Some(again)).await?;
    transaction.commit().await?;
    Ok(order.map_or(Made::Exists, |order| Made::Order(Box::new(order))))
}

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
           looks = looks + 1, reason = $3, claim_owner = null, claim_token = null, claimed_until = null,
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
        "update payment_orders set state = 'unknown', reason = $3, refusal = null, looks = 0,
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

/// What became of something that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Changed,
    Unchanged,
    /// It is the opposite of what was said before, or of another payment.
    Contradiction,
}

/// Notes what the provider says of the payment of an attempt. It is true whoever asked, so no
/// claim is needed; an order never goes back from what was told.
pub async fn seen(
    pool: &PgPool,
    id: Uuid,
    attempt: i32,
    state: &PaymentState,
    act: Act<'_>,
) -> Result<Seen, StoreError> {
    let mut transaction = begin(pool, act).await?;
    let seen = sqlx::query_scalar!(
        r#"select payment_seen($1, $2, $3, $4, $5, $6, $7, null, null) as "seen!""#,
        id,
        attempt,
        state.status.as_str(),
        state.at,
        state.id,
        state.reference,
        state.reason
    )
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(match seen.as_str() {
        "changed" => Seen::Changed,
        "unchanged" => Seen::Unchanged,
        _ => Seen::Contradiction,
    })
}

/// Leaves the order to a person, if it is still the caller's (or nobody's, and open).
pub async fn park(
    pool: &PgPool,
    id: Uuid,
    token: Option<Uuid>,
    reason: &str,
    act: Act<'_>,
) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'parked', reason = $3, next_at = null,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and claim_token is not distinct from $2 and state in ('sending', 'unknown', 'pending')",
        id,
        token,
        reason
    );
    Ok(change_order(pool, act, change).await? == 1)
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

/// Gives a claim back; the order is due again after `next`, or not of itself.
pub async fn later(
    pool: &PgPool,
    id: Uuid,
    token: Uuid,
    next: Option<Duration>,
    act: Act<'_>,
) -> Result<(), StoreError> {
    let change = sqlx::query!(
        "update payment_orders set looks = looks + 1, next_at = clock_timestamp() + $3::interval,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and claim_token = $2",
        id,
        token,
        next.map(interval)
    );
    change_order(pool, act, change).await?;
    Ok(())
}

/// Ends the claims of those who did not live to tell what became of their requests: nobody knows.
/// Gives how many there were.
pub async fn expire(pool: &PgPool, actor: &str) -> Result<u64, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'unknown', refusal = null, looks = 0, next_at = clock_timestamp(),
           reason = 'the outcome of the request was lost',
           claim_owner = null, claim_token = null, claimed_until = null
         where id in (select id from payment_orders where state = 'sending' and claimed_until <= clock_timestamp()
                      order by id for update skip locked)"
    );
    change_order(pool, Act { actor, what: "its sender was not heard of again" }, change).await
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
    Ok(orders)
}

/// How many orders of each provider are in each state that is not final.
pub async fn open_counts(pool: &PgPool) -> Result<Vec<(String, String, i64)>, StoreError> {
    let counts = sqlx::query!(
        r#"select provider, state, count(*) as "count!" from payment_orders
           where state not in ('succeeded', 'failed') group by provider, state"#
    )
    .fetch_all(pool)
    .await?;
    Ok(counts.into_iter().map(|row| (row.provider, row.state, row.count)).collect())
}

/// Has a payment that is open looked at again after `next`; nothing where it has ended.
pub async fn look_again(pool: &PgPool, id: Uuid, next: Duration, act: Act<'_>) -> Result<(), StoreError> {
    let change = sqlx::query!(
        "update payment_orders set next_at = clock_timestamp() + $2::interval, looks = looks + 1,
           claim_owner = null, claim_token = null, claimed_until = null
         where id = $1 and state = 'pending'",
        id,
        interval(next)
    );
    change_order(pool, act, change).await?;
    Ok(())
}

/// Lets a held order go out: `false` where it is not held.
pub async fn approve(pool: &PgPool, id: Uuid, who: &str) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'recorded', approved_by = $2, next_at = clock_timestamp()
         where id = $1 and state = 'held'",
        id,
        who
    );
    Ok(change_order(pool, Act { actor: who, what: "approved" }, change).await? == 1)
}

/// Fails a held order: `false` where it is not held.
pub async fn reject(pool: &PgPool, id: Uuid, reason: &str, who: &str) -> Result<bool, StoreError> {
    let change = sqlx::query!(
        "update payment_orders set state = 'failed', status = 'FAILED', reason = $2 where id = $1 and state = 'held'",
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
    /// It is to be looked for at the provider again.
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
        Resolution::Look => ("unknown", "PENDING", None, None, "to be looked for again"),
    };
    let change = sqlx::query!(
        "update payment_orders set state = $2, status = $3, reason = $4,
           provider_payment_id = coalesce($5, provider_payment_id), looks = 0,
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

/// The orders of `states` (of any, if there are none), newest first.
pub async fn list(
    pool: &PgPool,
    provider: Option<&ProviderName>,
    states: &[String],
    limit: u32,
) -> Result<Vec<Order>, StoreError> {
    let orders = order_query!(
        "select",
        "from payment_orders o
         where ($1::text is null or o.provider = $1) and (cardinality($2::text[]) = 0 or o.state = any ($2))
         order by o.created_at desc limit $3",
        provider.map(ProviderName::as_str),
        states,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await?;
    Ok(orders)
}

/// The orders of this key of Formance's: of several providers, or a payout and a transfer.
pub async fn of_key(pool: &PgPool, key: &str) -> Result<Vec<Order>, StoreError> {
    let orders = order_query!(
        "select",
        "from payment_orders o where o.idempotency_key = $1 order by o.created_at",
        key
    )
    .fetch_all(pool)
    .await?;
    Ok(orders)
}

/// A change of an order.
#[derive(Debug, Clone, PartialEq)]
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
