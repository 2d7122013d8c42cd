//! Tables `accounts` and `beneficiaries`, which have one shape.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{StoreError, Tally};
use tributary_domain::{Account, ProviderName};

/// The same statement for either table: rows as they are stored already, or newer, are left
/// out before the upsert, so that a repeated sync locks and writes nothing. Sorted by id, so
/// that two of them cannot deadlock. `created_at` stays as first seen.
macro_rules! upsert_into {
    ($table:tt, $key:tt, $connection:expr, $provider:expr, $columns:expr) => {
        sqlx::query_scalar!(
            "with incoming as (
               select id, name, created_at, metadata::jsonb as metadata, provider_updated_at
               from unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[])
                 as i (id, name, created_at, metadata, provider_updated_at)
             )
             insert into " + $table + " as t (provider, id, name, created_at, metadata, provider_updated_at)
             select $1, i.id, i.name, i.created_at, i.metadata, i.provider_updated_at
             from incoming i left join lateral (
               select t.id, t.name, t.metadata, t.provider_updated_at
               from " + $table + " t where t.provider = $1 and t.id = i.id limit 1) t on true
             where t.id is null or (
               t.provider_updated_at > i.provider_updated_at is not true and (
                 (t.name, t.metadata) is distinct from (i.name, i.metadata)
                 or i.provider_updated_at > coalesce(t.provider_updated_at, '-infinity')))
             order by i.id
             on conflict on constraint " + $key + " do update
             set name = excluded.name, metadata = excluded.metadata,
                 provider_updated_at = coalesce(excluded.provider_updated_at, t.provider_updated_at)
             where t.provider_updated_at > excluded.provider_updated_at is not true
             returning case when t.xmax = 0 then true when t.updated_at >= statement_timestamp() then false end",
            $provider,
            &$columns.ids as _,
            &$columns.names as _,
            &$columns.created_at as _,
            &$columns.metadata as _,
            &$columns.provider_updated_at as _
        )
        .fetch_all($connection)
        .await?
    };
}

struct Columns<'a> {
    ids: Vec<&'a str>,
    names: Vec<&'a str>,
    created_at: Vec<DateTime<Utc>>,
    metadata: Vec<String>,
    provider_updated_at: Vec<Option<DateTime<Utc>>>,
}

impl<'a> Columns<'a> {
    fn of(rows: &[&'a Account]) -> Self {
        Self {
            ids: rows.iter().map(|row| row.id.as_str()).collect(),
            names: rows.iter().map(|row| row.name.as_str()).collect(),
            created_at: rows.iter().map(|row| row.created_at.as_utc()).collect(),
            metadata: rows.iter().map(|row| row.metadata.to_json()).collect(),
            provider_updated_at: rows
                .iter()
                .map(|row| row.provider_updated_at.map(|at| at.as_utc()))
                .collect(),
        }
    }
}

/// Whom money comes from or goes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Party {
    pub id: String,
    pub name: String,
    pub metadata: serde_json::Value,
}

/// The account of this id.
pub async fn find_account(
    pool: &PgPool,
    provider: &ProviderName,
    id: &str,
) -> Result<Option<Party>, StoreError> {
    let party = sqlx::query_as!(
        Party,
        "select id, name, metadata from accounts where provider = $1 and id = $2",
        provider.as_str(),
        id
    )
    .fetch_optional(pool)
    .await?;
    Ok(party)
}

/// The beneficiary of this id.
pub async fn find_beneficiary(
    pool: &PgPool,
    provider: &ProviderName,
    id: &str,
) -> Result<Option<Party>, StoreError> {
    let party = sqlx::query_as!(
        Party,
        "select id, name, metadata from beneficiaries where provider = $1 and id = $2",
        provider.as_str(),
        id
    )
    .fetch_optional(pool)
    .await?;
    Ok(party)
}

/// Upserts accounts of distinct ids.
pub async fn upsert_accounts(
    connection: &mut PgConnection,
    provider: &ProviderName,
    rows: &[&Account],
) -> Result<Tally, StoreError> {
    let columns = Columns::of(rows);
    let written = upsert_into!("accounts", "accounts_pkey", connection, provider.as_str(), columns);
    Ok(Tally::count(rows.len(), written))
}

/// Upserts beneficiaries of distinct ids.
pub async fn upsert_beneficiaries(
    connection: &mut PgConnection,
    provider: &ProviderName,
    rows: &[&Account],
) -> Result<Tally, StoreError> {
    let columns = Columns::of(rows);
    let written = upsert_into!("beneficiaries", "beneficiaries_pkey", connection, provider.as_str(), columns);
    Ok(Tally::count(rows.len(), written))
}

/// Whether the account `id` is there.
pub async fn exists(
    connection: &mut PgConnection,
    provider: &ProviderName,
    id: &str,
) -> Result<bool, StoreError> {
    let there = sqlx::query_scalar!(
        r#"select exists (select from accounts where provider = $1 and id = $2) as "there!""#,
        provider.as_str(),
        id
    )
    .fetch_one(connection)
    .await?;
    Ok(there)
}
