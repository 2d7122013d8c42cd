//! What the words of a provider are matched with, and what they change of an order.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Act, read, says, unreadable};
use crate::store::{StoreError, without_nul};
use tributary_domain::{
    Amount, OrderChange, Ordered, PastAttempt, ProviderName, ProviderNames, Unidentified,
};

/// Whether anything was ever ordered at the provider.
pub async fn any(connection: &mut PgConnection, provider: &ProviderName) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"select exists (select from payment_orders where provider = $1) as "any!""#,
        provider.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(any)
}

struct OrderedRow {
    id: Uuid,
    kind: String,
    idempotency_key: String,
    asset: String,
    amount: String,
    source_account_id: String,
    destination_account_id: String,
    state: String,
    status: String,
    attempt: i32,
    provider_key: String,
    provider_payment_id: Option<String>,
    provider_reference: Option<String>,
    record_id: Option<String>,
    provider_updated_at: Option<chrono::DateTime<chrono::Utc>>,
    provider_metadata: serde_json::Value,
}

impl TryFrom<OrderedRow> for Ordered {
    type Error = StoreError;

    fn try_from(row: OrderedRow) -> Result<Self, StoreError> {
        Ok(Self {
            kind: read(&row.kind)?,
            amount: Amount::parse("amount", &row.amount).map_err(unreadable)?,
            state: read(&row.state)?,
            status: serde_json::from_value(row.status.into()).map_err(unreadable)?,
            id: row.id,
            idempotency_key: row.idempotency_key,
            asset: row.asset,
            source_account_id: row.source_account_id,
            destination_account_id: row.destination_account_id,
            attempt: row.attempt,
            names: ProviderNames {
                provider_key: row.provider_key,
                payment_id: row.provider_payment_id,
                reference: row.provider_reference,
                record_id: row.record_id,
            },
            updated_at: row.provider_updated_at,
            metadata: row.provider_metadata,
        })
    }
}

/// The orders of the provider that one of `names` (ids, parents and references of records) is a
/// name of, locked in one order for all, so that two batches cannot deadlock.
pub async fn named(
    connection: &mut PgConnection,
    provider: &ProviderName,
    names: &[&str],
) -> Result<Vec<Ordered>, StoreError> {
    let ids: Vec<Uuid> = names.iter().filter_map(|name| Uuid::try_parse(name).ok()).collect();
    let rows = sqlx::query_as!(
        OrderedRow,
        r#"select id, kind, idempotency_key, asset, amount::text as "amount!", source_account_id,
             destination_account_id, state, status, attempt, provider_key, provider_payment_id, provider_reference, record_id, provider_updated_at,
             provider_metadata
           from payment_orders
           where provider = $1 and id in (
             select id from payment_orders where provider = $1 and provider_payment_id = any ($2)
             union select id from payment_orders where provider = $1 and provider_reference = any ($2)
             union select id from payment_orders where provider = $1 and record_id = any ($2)
             union select id from payment_orders where provider = $1 and provider_key = any ($2)
             union select id from payment_orders
               where provider = $1 and kind in ('PAYOUT', 'TRANSFER') and idempotency_key = any ($2)
             union select id from payment_orders where id = any ($3))
           order by id for update"#,
        provider.as_str(),
        names as _,
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Ordered::try_from).collect()
}

/// The order of this id, locked, and whether another order is known to be the payment `payment_id`.
pub async fn lock(
    connection: &mut PgConnection,
    id: Uuid,
    payment_id: Option<&str>,
) -> Result<Option<(Ordered, bool)>, StoreError> {
    let row = sqlx::query_as!(
        OrderedRow,
        r#"select id, kind, idempotency_key, asset, amount::text as "amount!", source_account_id,
             destination_account_id, state, status, attempt, provider_key, provider_payment_id, provider_reference, record_id, provider_updated_at,
             provider_metadata
           from payment_orders where id = $1 for update"#,
        id
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let of_another = sqlx::query_scalar!(
        r#"select exists (
             select from payment_orders q join payment_orders o on o.id = $1
             where q.provider = o.provider and q.id <> o.id
               and (q.provider_payment_id = $2 or q.record_id = $2)) as "of_another!""#,
        id,
        payment_id
    )
    .fetch_one(connection)
    .await?;
    Ok(Some((row.try_into()?, of_another)))
}

/// The refused attempts of the provider that one of `names` is a name of.
pub async fn past_attempts_named(
    connection: &mut PgConnection,
    provider: &ProviderName,
    names: &[&str],
) -> Result<Vec<PastAttempt>, StoreError> {
    let rows = sqlx::query!(
        r#"select o.kind, o.idempotency_key, o.asset, o.amount::text as "amount!", a.provider_key,
             a.provider_payment_id, a.provider_reference, a.record_id
           from payment_attempts a join payment_orders o on o.id = a.order_id
           where (a.order_id, a.attempt) in (
             select order_id, attempt from payment_attempts where provider = $1 and provider_payment_id = any ($2)
             union select order_id, attempt from payment_attempts
               where provider = $1 and provider_reference = any ($2)
             union select order_id, attempt from payment_attempts where provider = $1 and record_id = any ($2)
             union select order_id, attempt from payment_attempts where provider = $1 and provider_key = any ($2))
           order by a.order_id, a.attempt"#,
        provider.as_str(),
        names as _
    )
    .fetch_all(connection)
    .await?;
    let attempts = rows.into_iter().map(|row| {
        Ok(PastAttempt {
            kind: read(&row.kind)?,
            idempotency_key: row.idempotency_key,
            asset: row.asset,
            amount: Amount::parse("amount", &row.amount).map_err(unreadable)?,
            names: ProviderNames {
                provider_key: row.provider_key,
                payment_id: row.provider_payment_id,
                reference: row.provider_reference,
                record_id: row.record_id,
            },
        })
    });
    attempts.collect()
}

/// Whether any order of the provider may have a movement that is not identified.
pub async fn any_unidentified(
    connection: &mut PgConnection,
    provider: &ProviderName,
) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"select exists (select from payment_orders where provider = $1 and provider_payment_id is null
             and state in ('sending', 'pending', 'unknown', 'parked', 'succeeded')) as "any!""#,
        provider.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(any)
}

/// The orders of these assets and amounts whose movement is not identified.
pub async fn unidentified(
    connection: &mut PgConnection,
    provider: &ProviderName,
    sizes: &[(&str, Amount)],
) -> Result<Vec<Unidentified>, StoreError> {
    let assets: Vec<&str> = sizes.iter().map(|(asset, _)| *asset).collect();
    let amounts: Vec<String> = sizes.iter().map(|(_, amount)| amount.to_string()).collect();
    let rows = sqlx::query!(
        r#"select o.asset, o.amount::text as "amount!", o.source_account_id, o.created_at,
             o.state <> 'succeeded' as "awaits_reference!"
           from payment_orders o
           where o.provider = $1 and o.provider_payment_id is null
             and o.state in ('sending', 'pending', 'unknown', 'parked', 'succeeded')
             and (o.asset, o.amount) in (
               select s.asset, s.amount::numeric from unnest($2::text[], $3::text[]) s (asset, amount))"#,
        provider.as_str(),
        &assets as _,
        &amounts as _
    )
    .fetch_all(connection)
    .await?;
    let orders = rows.into_iter().map(|row| {
        Ok(Unidentified {
            amount: Amount::parse("amount", &row.amount).map_err(unreadable)?,
            asset: row.asset,
            source_account_id: row.source_account_id,
            created_at: row.created_at,
            awaits_reference: row.awaits_reference,
        })
    });
    orders.collect()
}

/// Makes a change of an order that the caller's transaction has locked. Of one that is under way,
/// whoever looked last says when to look again.
pub async fn change(
    connection: &mut PgConnection,
    change: &OrderChange,
    act: Act<'_>,
) -> Result<(), StoreError> {
    says(connection, act).await?;
    let OrderChange { order, moved, ended, recount_lookups } = change;
    let (at, reason) = moved.clone().unwrap_or_default();
    sqlx::query!(
        "update payment_orders set
           state = $2, status = $3,
           status_at = case when $4 then coalesce($5, status_at) else status_at end,
           reason = case when $4 then $6 else reason end,
           provider_payment_id = $7, provider_reference = $8, record_id = $9, provider_updated_at = $10,
           provider_metadata = $11, refusal = null, claim_owner = null, claim_token = null, claimed_until = null,
           next_at = case when $12 then null else coalesce(next_at, clock_timestamp()) end,
           lookups = case when $13 then 0 else lookups end
         where id = $1",
        order.id,
        order.state.as_str(),
        order.status.as_str(),
        moved.is_some(),
        at,
        reason.as_deref().map(without_nul),
        order.names.payment_id,
        order.names.reference,
        order.names.record_id,
        order.updated_at,
        order.metadata,
        ended,
        recount_lookups
    )
    .execute(connection)
    .await?;
    Ok(())
}
