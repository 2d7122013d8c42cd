//! Table `transactions`.

use std::collections::HashSet;

use sqlx::PgConnection;

use super::{StoreError, Tally};
use tributary_domain::{ProviderName, RecordId, Transaction};

/// Upserts transactions of distinct ids. Rows as they are stored already are left out before
/// the upsert, so that a repeated sync locks and writes nothing. They are looked up one by one, by the key: a
/// plan that joins may read the whole table for each page. A row older than the stored
/// one (by the provider's time) is dropped, so that a slow sync cannot undo a webhook. Sorted
/// by id, so that two of them cannot deadlock. Identity, type and `created_at` stay as first seen.
pub async fn upsert(
    connection: &mut PgConnection,
    provider: &ProviderName,
    rows: &[&Transaction],
) -> Result<Tally, StoreError> {
    let text =
        |column: fn(&Transaction) -> &str| -> Vec<&str> { rows.iter().map(|row| column(row)).collect() };
    let id = |column: fn(&Transaction) -> &Option<RecordId>| -> Vec<Option<&str>> {
        rows.iter().map(|row| column(row).as_ref().map(RecordId::as_str)).collect()
    };
    let amounts: Vec<String> = rows.iter().map(|row| row.amount.to_string()).collect();
    let metadata: Vec<String> = rows.iter().map(|row| row.metadata.to_json()).collect();
    let created_at: Vec<_> = rows.iter().map(|row| row.created_at.as_utc()).collect();
    let updated_at: Vec<_> = rows.iter().map(|row| row.provider_updated_at.map(|at| at.as_utc())).collect();
    let written = sqlx::query_scalar!(
        "with incoming as (
           select id, related_id, type, status, asset, amount::numeric as amount, source_id, destination_id,
                  created_at, metadata::jsonb as metadata, provider_updated_at
           from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::text[], $10::timestamptz[], $11::text[], $12::timestamptz[])
             as i (id, related_id, type, status, asset, amount, source_id, destination_id, created_at,
                   metadata, provider_updated_at)
         )
         insert into transactions as t (provider, id, related_transaction_id, type, status, asset, amount,
           source_account_id, destination_account_id, created_at, metadata, provider_updated_at)
         select $1, i.id, i.related_id, i.type, i.status, i.asset, i.amount, i.source_id, i.destination_id,
                i.created_at, i.metadata, i.provider_updated_at
         from incoming i left join lateral (
           select t.id, t.status, t.asset, t.amount, t.source_account_id, t.destination_account_id, t.metadata,
                  t.provider_updated_at
           from transactions t where t.provider = $1 and t.id = i.id limit 1) t on true
         where t.id is null or (
           t.provider_updated_at > i.provider_updated_at is not true and (
             (t.status, t.asset, t.amount, t.source_account_id, t.destination_account_id, t.metadata)
               is distinct from (i.status, i.asset, i.amount, i.source_id, i.destination_id, i.metadata)
             or i.provider_updated_at > coalesce(t.provider_updated_at, '-infinity')))
         order by i.id
         on conflict on constraint transactions_pkey do update
         set status = excluded.status, asset = excluded.asset, amount = excluded.amount,
             source_account_id = excluded.source_account_id,
             destination_account_id = excluded.destination_account_id, metadata = excluded.metadata,
             provider_updated_at = coalesce(excluded.provider_updated_at, t.provider_updated_at)
         where t.provider_updated_at > excluded.provider_updated_at is not true
         returning case when t.xmax = 0 then true when t.updated_at >= statement_timestamp() then false end",
        provider.as_str(),
        &text(|row| row.id.as_str()) as _,
        &id(|row| &row.related_id) as _,
        &text(|row| row.kind.as_str()) as _,
        &text(|row| row.status.as_str()) as _,
        &text(|row| row.asset.as_str()) as _,
        &amounts as _,
        &id(|row| &row.source_account_id) as _,
        &id(|row| &row.destination_account_id) as _,
        &created_at as _,
        &metadata as _,
        &updated_at as _
    )
    .fetch_all(connection)
    .await?;
    Ok(Tally::count(rows.len(), written))
}

/// Those of `ids` that are there.
pub async fn existing(
    connection: &mut PgConnection,
    provider: &ProviderName,
    ids: &[&str],
) -> Result<HashSet<String>, StoreError> {
    let there = sqlx::query_scalar!(
        "select id from transactions where provider = $1 and id = any($2)",
        provider.as_str(),
        ids as _
    )
    .fetch_all(connection)
    .await?;
    Ok(there.into_iter().collect())
}
