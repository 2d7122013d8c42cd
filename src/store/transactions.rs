//! Table `transactions`.

use std::collections::HashSet;

use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;

use super::{StoreError, Tally};
use tributary_domain::{Progress, ProviderName, RecordId, Transaction};

/// What became of the rows of an upsert.
#[derive(Debug, Default)]
pub struct Upserted {
    /// Of those that are what their ids say.
    pub tally: Tally,
    /// The places of those whose ids are other payments'.
    pub others: Vec<usize>,
}

/// Upserts transactions of distinct ids. Rows as they are stored already are left out before
/// the upsert, so that a repeated sync locks and writes nothing. They are looked up one by one, by the key: a
/// plan that joins may read the whole table for each page. A row older than the stored
/// one (by the provider's time) is dropped, so that a slow sync cannot undo a webhook, and counted where
/// it differs. Where the provider's clock cannot tell which is older, a status that is further on is
/// the later one. A status that no mapping knows says nothing against the one that is stored. Sorted by id,
/// so that two of them cannot deadlock. Identity, type and `created_at` stay as first seen, and an amount
/// that changes is counted: Formance keeps the first.
///
/// A row whose id is that of a payment of another date and amount, or of another type besides, is not
/// written: its id is not its own. `may_amend` lets it be, for what a person had mapped anew. One that was
/// on its way may be dated and counted anew as it gets where it goes.
pub async fn upsert(
    connection: &mut PgConnection,
    provider: &ProviderName,
    rows: &[&Transaction],
    may_amend: bool,
) -> Result<Upserted, StoreError> {
    let text =
        |column: fn(&Transaction) -> &str| -> Vec<&str> { rows.iter().map(|row| column(row)).collect() };
    let id = |column: fn(&Transaction) -> &Option<RecordId>| -> Vec<Option<&str>> {
        rows.iter().map(|row| column(row).as_ref().map(RecordId::as_str)).collect()
    };
    let amounts: Vec<String> = rows.iter().map(|row| row.amount.to_string()).collect();
    let metadata: Vec<String> = rows.iter().map(|row| row.metadata.to_json()).collect();
    let created_at: Vec<_> = rows.iter().map(|row| row.created_at.as_utc()).collect();
    let updated_at: Vec<_> = rows.iter().map(|row| row.provider_updated_at.map(|at| at.as_utc())).collect();
    let tolerance: Vec<PgInterval> =
        rows.iter().map(|row| super::interval(row.clock_tolerance().to_std().unwrap_or_default())).collect();
    let progress: Vec<i32> = rows.iter().map(|row| Progress::of(row.status) as i32).collect();
    let unknown: Vec<bool> = rows.iter().map(|row| row.status_unknown).collect();
    let outcomes = sqlx::query!(
        r#"-- insert into transactions: so that the server's list of statements, which cuts them, tells
         with incoming as (
           select id, related_id, type, status, asset, amount::numeric as amount, source_id, destination_id,
                  created_at, metadata::jsonb as metadata, provider_updated_at, tolerance, progress, unknown
           from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::text[], $10::timestamptz[], $11::text[], $12::timestamptz[], $13::interval[],
                       $14::integer[], $15::boolean[])
             as i (id, related_id, type, status, asset, amount, source_id, destination_id, created_at,
                   metadata, provider_updated_at, tolerance, progress, unknown)
         ), compared as (
           select i.id, i.related_id, i.type,
                  case when i.unknown then coalesce(t.status, i.status) else i.status end as status,
                  i.asset, i.amount, i.source_id, i.destination_id,
                  i.created_at, i.metadata, i.provider_updated_at, t.id is null as is_new,
                  t.provider_updated_at as known_at,
                  (t.provider_updated_at > i.provider_updated_at and not (
                     t.provider_updated_at - i.tolerance <= i.provider_updated_at
                     and i.progress > case
                       when t.status in ('PENDING', 'AUTHORISATION', 'OTHER') then 0
                       when t.status in ('FAILED', 'CANCELLED', 'EXPIRED', 'CAPTURE_FAILED') then 1
                       when t.status in ('SUCCEEDED', 'CAPTURE') then 2
                       else 3 end)) is true as is_older,
                  (case when i.unknown then null else t.status end, t.asset, t.amount, t.source_account_id,
                   t.destination_account_id, t.metadata)
                    is distinct from
                    (case when i.unknown then null else i.status end, i.asset, i.amount, i.source_id,
                     i.destination_id, i.metadata) as differs,
                  -- what is captured is another amount than what was authorised
                  ((t.asset, t.amount) <> (i.asset, i.amount)
                    and (t.status, i.status) <> ('AUTHORISATION', 'CAPTURE')) is true as is_amended,
                  (not $16 and (
                     t.type <> i.type and (t.asset, t.amount) <> (i.asset, i.amount)
                     or (t.type <> i.type or (t.asset, t.amount) <> (i.asset, i.amount))
                       and abs(extract(epoch from t.created_at - i.created_at)) >= 1
                       and (t.status = i.status or t.status not in ('PENDING', 'AUTHORISATION', 'OTHER'))
                     )) is true as is_another
           from incoming i left join lateral (
             select t.id, t.status, t.asset, t.amount, t.source_account_id, t.destination_account_id, t.metadata,
                    t.provider_updated_at, t.type, t.created_at
             from transactions t where t.provider = $1 and t.id = i.id limit 1) t on true
         ), written as (
         insert into transactions as t (provider, id, related_transaction_id, type, status, asset, amount,
           source_account_id, destination_account_id, created_at, metadata, provider_updated_at)
         select $1, i.id, i.related_id, i.type, i.status, i.asset, i.amount, i.source_id, i.destination_id,
                i.created_at, i.metadata,
                -- where the clock cannot tell: behind what it said before, which is not to come back
                case when i.provider_updated_at < i.known_at then i.known_at + interval '1 microsecond'
                     else i.provider_updated_at end
         from compared i
         where i.is_new or (not i.is_older and not i.is_another
           and (i.differs or i.provider_updated_at > coalesce(i.known_at, '-infinity')))
         order by i.id
         on conflict on constraint transactions_pkey do update
         set status = excluded.status, asset = excluded.asset, amount = excluded.amount,
             source_account_id = excluded.source_account_id,
             destination_account_id = excluded.destination_account_id, metadata = excluded.metadata,
             provider_updated_at = coalesce(excluded.provider_updated_at, t.provider_updated_at)
         where t.provider_updated_at > excluded.provider_updated_at is not true
         returning case when t.xmax = 0 then true when t.updated_at >= statement_timestamp() then false end as created
         )
         select created as "created?", null as "odd?", null as "id?" from written
         union all
         select null, 'another', id from compared where is_another
         union all
         select null, 'older', id from compared where is_older and differs and not is_another
         union all
         select null, 'amended', id from compared where is_amended and not is_older and not is_another"#,
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
        &updated_at as _,
        &tolerance as _,
        &progress as _,
        &unknown as _,
        may_amend
    )
    .fetch_all(connection)
    .await?;
    let count = |odd: &str| outcomes.iter().filter(|outcome| outcome.odd.as_deref() == Some(odd)).count();
    let written = outcomes.iter().filter(|outcome| outcome.odd.is_none()).map(|outcome| outcome.created);
    let another = outcomes.iter().filter(|outcome| outcome.odd.as_deref() == Some("another"));
    let another: HashSet<&str> = another.filter_map(|outcome| outcome.id.as_deref()).collect();
    let others = (0..rows.len()).filter(|place| another.contains(rows[*place].id.as_str())).collect();
    let mut tally = Tally::count(rows.len() - another.len(), written);
    (tally.older, tally.amended) = (count("older") as u64, count("amended") as u64);
    Ok(Upserted { tally, others })
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
