//! Records by what people call them, across the tables: an id, a reference, an idempotency key. Every part of each
//! statement goes by an index, whatever there is in the tables.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use tributary_domain::{ProviderName, Resource};

/// What a record is called here: one of a provider has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordName {
    pub provider: String,
    /// Its table.
    pub resource: String,
    /// The provider's own id, or that of the order; of balances, that of their account.
    pub id: String,
}

/// The records that have one of `names`: as their id, or, of an order, as its idempotency key or whatever its provider
/// calls the payment.
pub async fn find(
    pool: &PgPool,
    names: &[&str],
    provider: Option<&ProviderName>,
) -> Result<Vec<RecordName>, StoreError> {
    let found = sqlx::query_as!(
        RecordName,
        r#"with p as materialized (
             select provider from (select provider from feeds union select provider from api_keys
               union select provider from sync_leases union select $2::text where $2 is not null) all_of_them
             where $2::text is null or provider = $2
           ), o as (
             select o.provider, o.id from p, payment_orders o
             where o.provider = p.provider and o.kind in ('PAYOUT', 'TRANSFER') and o.idempotency_key = any ($1)
             union select o.provider, o.id from p, payment_orders o
             where o.provider = p.provider and o.provider_payment_id = any ($1)
             union select o.provider, o.id from p, payment_orders o
             where o.provider = p.provider and o.provider_reference = any ($1)
             union select o.provider, o.id from p, payment_orders o
             where o.provider = p.provider and o.record_id = any ($1)
           )
           select n.provider as "provider!", n.resource as "resource!", n.id as "id!" from (
             select a.provider, 'accounts' as resource, a.id from p, accounts a
             where a.provider = p.provider and a.id = any ($1)
             union select b.provider, 'beneficiaries', b.id from p, beneficiaries b
             where b.provider = p.provider and b.id = any ($1)
             union select t.provider, 'transactions', t.id from p, transactions t
             where t.provider = p.provider and t.id = any ($1)
             union select b.provider, 'balances', b.account_id from p, balances b
             where b.provider = p.provider and b.account_id = any ($1)
               and not exists (select from accounts a where a.provider = b.provider and a.id = b.account_id)
             union select o.provider, 'transactions', o.id::text from o
           ) n order by n.provider, n.resource, n.id"#,
        names as _,
        provider.map(ProviderName::as_str)
    )
    .fetch_all(pool)
    .await?;
    Ok(found)
}

/// A transaction as people look for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub provider: String,
    pub id: String,
    pub kind: String,
    pub status: String,
    /// Minor units.
    pub amount: String,
    pub asset: String,
    pub created_at: DateTime<Utc>,
}

/// Up to `most` transactions that were created from one time on and before another, the latest first: of this amount of
/// minor units, or of any.
pub async fn transactions(
    pool: &PgPool,
    provider: Option<&ProviderName>,
    amount: Option<&str>,
    (from, before): (DateTime<Utc>, DateTime<Utc>),
    most: i64,
) -> Result<Vec<Found>, StoreError> {
    let found = sqlx::query_as!(
        Found,
        r#"select provider, id, type as kind, status, amount::text as "amount!", asset, created_at from transactions
           where created_at >= $1 and created_at < $2 and ($3::text is null or provider = $3)
             and ($4::text is null or amount = $4::text::numeric)
           order by created_at desc, id limit $5"#,
        from,
        before,
        provider.map(ProviderName::as_str),
        amount,
        most
    )
    .fetch_all(pool)
    .await?;
    Ok(found)
}

/// The record as its table has it now, amounts as text; `None` where there is none.
pub async fn row(pool: &PgPool, name: &RecordName) -> Result<Option<Value>, StoreError> {
    let row = sqlx::query_scalar!(
        r#"select to_jsonb(a) as "row!" from accounts a where $2 = 'accounts' and a.provider = $1 and a.id = $3
           union all select to_jsonb(b) from beneficiaries b where $2 = 'beneficiaries' and b.provider = $1 and b.id = $3
           union all select to_jsonb(t) || jsonb_build_object('amount', t.amount::text)
           from transactions t where $2 = 'transactions' and t.provider = $1 and t.id = $3"#,
        name.provider,
        name.resource,
        name.id
    )
    .fetch_optional(pool)
    .await?;
    Ok(row)
}

/// What an account holds of one asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub asset: String,
    /// In minor units.
    pub amount: String,
    /// As served: when the provider last confirmed it.
    pub at: DateTime<Utc>,
    /// When it was last written here.
    pub updated_at: DateTime<Utc>,
}

/// What the account of this id holds.
pub async fn balances(pool: &PgPool, provider: &str, id: &str) -> Result<Vec<Held>, StoreError> {
    let held = sqlx::query_as!(
        Held,
        r#"select asset, amount::text as "amount!", at, updated_at from balances
           where provider = $1 and account_id = $2 order by asset"#,
        provider,
        id
    )
    .fetch_all(pool)
    .await?;
    Ok(held)
}

/// The ids of up to `most` transactions that name this one as what they are related to.
pub async fn children(pool: &PgPool, provider: &str, id: &str, most: i64) -> Result<Vec<String>, StoreError> {
    let children = sqlx::query_scalar!(
        "select id from transactions where provider = $1 and related_transaction_id = $2 order by id limit $3",
        provider,
        id,
        most
    )
    .fetch_all(pool)
    .await?;
    Ok(children)
}

/// What is committed of a record and not published yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unpublished {
    pub staged_at: DateTime<Utc>,
    /// The payment that it waits for, since when.
    pub parent_id: Option<String>,
    pub waits_since: Option<DateTime<Utc>>,
    pub body: Value,
}

/// What of the record waits to be published, in its order.
pub async fn unpublished(pool: &PgPool, name: &RecordName) -> Result<Vec<Unpublished>, StoreError> {
    let waiting = sqlx::query_as!(
        Unpublished,
        "select staged_at, parent_id, waits_since, body from changes
         where id = $3 and provider = $1 and resource = $2 order by seq",
        name.provider,
        name.resource,
        name.id
    )
    .fetch_all(pool)
    .await?;
    Ok(waiting)
}

/// One version of a record as it is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    pub position: i64,
    /// Its time in the feed: what consumers ask from.
    pub published_at: DateTime<Utc>,
    pub status: Option<String>,
    pub body: Value,
    /// Since when names and metadata are empty.
    pub erased_at: Option<DateTime<Utc>>,
}

/// Up to `most` of the latest versions of the record, oldest first.
pub async fn versions(pool: &PgPool, name: &RecordName, most: i64) -> Result<Vec<Version>, StoreError> {
    let mut versions = sqlx::query_as!(
        Version,
        "select position, published_at, status, body, erased_at from feed
         where provider = $1 and resource = $2 and id = $3 order by position desc limit $4",
        name.provider,
        name.resource,
        name.id,
        most
    )
    .fetch_all(pool)
    .await?;
    versions.reverse();
    Ok(versions)
}

/// What is published of each of `ids`, or about to be, by id; of balances, what their account holds by asset. As the
/// caller's transaction sees it, with what it has written.
pub async fn latest(
    connection: &mut PgConnection,
    provider: &ProviderName,
    resource: Resource,
    ids: &[&str],
) -> Result<HashMap<String, Value>, StoreError> {
    let rows = sqlx::query!(
        r#"select i.id as "id!", coalesce(
             (select c.body || jsonb_build_object('createdAt', rfc3339(c.created_at)) from changes c
              where c.provider = $1 and c.resource = $2 and c.id = i.id order by c.seq desc limit 1),
             (select f.body::jsonb from feed f
              where f.provider = $1 and f.resource = $2 and f.id = i.id order by f.position desc limit 1),
             (select jsonb_object_agg(b.asset, b.amount::text) from balances b
              where $2 = 'balances' and b.provider = $1 and b.account_id = i.id)) as body
           from (select distinct id from unnest($3::text[]) u (id)) i"#,
        provider.as_str(),
        resource.as_str(),
        ids as _
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.id, row.body?))).collect())
}

/// An attempt of an order that was refused, and followed by another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub attempt: i32,
    pub provider_key: String,
    pub provider_payment_id: Option<String>,
    pub provider_reference: Option<String>,
    pub record_id: Option<String>,
    pub status: String,
    pub reason: Option<String>,
    pub first_sent_at: Option<DateTime<Utc>>,
    pub ended_at: DateTime<Utc>,
}

/// The attempts before the one that an order is at, oldest first.
pub async fn attempts(pool: &PgPool, order: Uuid) -> Result<Vec<Attempt>, StoreError> {
    let attempts = sqlx::query_as!(
        Attempt,
        "select attempt, provider_key, provider_payment_id, provider_reference, record_id, status, reason, first_sent_at,
           ended_at from payment_attempts where order_id = $1 order by attempt",
        order
    )
    .fetch_all(pool)
    .await?;
    Ok(attempts)
}

/// The id of the record that was recognised as the movement of an order.
pub async fn record_of(pool: &PgPool, order: Uuid) -> Result<Option<String>, StoreError> {
    let record = sqlx::query_scalar!("select record_id from payment_orders where id = $1", order);
    Ok(record.fetch_optional(pool).await?.flatten())
}
