//! Table `unmatched_records`: records that may be the movement of an order, until it is known whether
//! they are, in the order in which they came.

use std::collections::HashSet;

use sqlx::{PgConnection, PgPool};

use super::StoreError;
use tributary_domain::{ProviderName, Transaction};

/// A record that waits.
#[derive(Debug, Clone)]
pub struct Unmatched {
    pub seq: i64,
    pub record: Transaction,
    pub backfill: bool,
    /// Whether it may decide about the order.
    pub decides: bool,
}

/// Keeps a record until it is decided about.
pub async fn add(
    connection: &mut PgConnection,
    provider: &ProviderName,
    record: &Transaction,
    backfill: bool,
    decides: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into unmatched_records (provider, id, record, backfill, decides) values ($1, $2, $3, $4, $5)",
        provider.as_str(),
        record.id.as_str(),
        record.to_json(),
        backfill,
        decides
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Those of `ids` that wait.
pub async fn among(
    connection: &mut PgConnection,
    provider: &ProviderName,
    ids: &[&str],
) -> Result<HashSet<String>, StoreError> {
    let waiting = sqlx::query_scalar!(
        "select distinct id from unmatched_records where provider = $1 and id = any ($2)",
        provider.as_str(),
        ids as _
    )
    .fetch_all(connection)
    .await?;
    Ok(waiting.into_iter().collect())
}

/// Those of `providers` of which any record waits.
pub async fn providers_with_some(pool: &PgPool, providers: &[&str]) -> Result<HashSet<String>, StoreError> {
    let waiting = sqlx::query_scalar!(
        r#"select asked.provider as "provider!" from unnest($1::text[]) asked (provider)
           where exists (select from unmatched_records u where u.provider = asked.provider)"#,
        providers as _
    )
    .fetch_all(pool)
    .await?;
    Ok(waiting.into_iter().collect())
}

/// Whether the caller is, until its transaction ends, the only one to release the provider's.
pub async fn take_turn(connection: &mut PgConnection, provider: &ProviderName) -> Result<bool, StoreError> {
    let turn = sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtextextended('unmatched/' || $1, 7407)) as "turn!""#,
        provider.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(turn)
}

/// Up to `most` of the provider's that came after the one of number `seq`, the longest waiting first.
pub async fn after(
    connection: &mut PgConnection,
    provider: &ProviderName,
    seq: i64,
    most: i64,
) -> Result<Vec<Unmatched>, StoreError> {
    let rows = sqlx::query!(
        "select seq, record, backfill, decides from unmatched_records where provider = $1 and seq > $2
         order by seq limit $3",
        provider.as_str(),
        seq,
        most
    )
    .fetch_all(connection)
    .await?;
    let waiting = rows.into_iter().map(|row| {
        let record = Transaction::from_json(row.record.to_string().as_bytes()).map_err(|error| {
            StoreError::Schema(format!(
                "the record in row {} of unmatched_records, of {provider}, cannot be read: {error}",
                row.seq
            ))
        })?;
        Ok(Unmatched { seq: row.seq, record, backfill: row.backfill, decides: row.decides })
    });
    waiting.collect()
}

/// Removes those that are decided about.
pub async fn remove(connection: &mut PgConnection, seqs: &[i64]) -> Result<(), StoreError> {
    sqlx::query!("delete from unmatched_records where seq = any ($1)", seqs).execute(connection).await?;
    Ok(())
}

/// How many wait, of the provider or of all.
pub async fn count(pool: &PgPool, provider: Option<&ProviderName>) -> Result<i64, StoreError> {
    let waiting = sqlx::query_scalar!(
        r#"select count(*) as "waiting!" from unmatched_records where $1::text is null or provider = $1"#,
        provider.map(ProviderName::as_str)
    )
    .fetch_one(pool)
    .await?;
    Ok(waiting)
}
