//! Table `raw_records`: what a provider sent, to be mapped again without asking again.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::StoreError;
use tributary_domain::{Origin, ProviderName};

/// A record that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecord {
    /// Grows in the order in which records came.
    pub position: i64,
    pub origin: Origin,
}

/// Keeps `records` of one partition in their order, in the transaction that writes what they became. A state that
/// is there already moves to the end: of several states of a record, the last is the one that
/// holds.
pub async fn keep(
    connection: &mut PgConnection,
    provider: &ProviderName,
    stream: &str,
    partition: &str,
    records: &[Origin],
) -> Result<(), StoreError> {
    let raw: Vec<&[u8]> = records.iter().map(|origin| origin.record.as_slice()).collect();
    let parents: Vec<&[u8]> = records.iter().map(|origin| origin.parent.as_slice()).collect();
    let asked_at: Vec<&str> = records.iter().map(|origin| origin.asked_at.as_str()).collect();
    let identities: Vec<Option<&[u8]>> = records.iter().map(|origin| origin.identity.as_deref()).collect();
    let vanished: Vec<bool> = records.iter().map(|origin| origin.vanished).collect();
    sqlx::query!(
        r"insert into raw_records as r
           (provider, stream, partition, digest, record, parent, asked_at, identity, vanished)
         select $1, $2, $3, n.digest, n.record, n.parent, n.asked_at, n.identity, n.vanished
         from (select distinct on (digest) *
               from (select sha256(record || coalesce('\x00'::bytea || identity, '')) as digest, *
                     from unnest($4::bytea[], $5::bytea[], $6::text[], $7::bytea[], $8::boolean[])
                       with ordinality u (record, parent, asked_at, identity, vanished, place)) d
               order by digest, place desc) n
         order by n.place
         on conflict on constraint raw_records_state_key do update
         set position = default, parent = excluded.parent, asked_at = excluded.asked_at,
             vanished = excluded.vanished, kept_at = clock_timestamp()",
        provider.as_str(),
        stream,
        partition,
        &raw as _,
        &parents as _,
        &asked_at as _,
        &identities as _,
        &vanished
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Up to `most` records of a stream behind `after`, in the order in which they came.
pub async fn list(
    pool: &PgPool,
    provider: &ProviderName,
    stream: &str,
    after: i64,
    most: u32,
) -> Result<Vec<KeptRecord>, StoreError> {
    let rows = sqlx::query!(
        "select position, partition, record, parent, asked_at, identity, vanished from raw_records
         where provider = $1 and stream = $2 and position > $3 order by position limit $4",
        provider.as_str(),
        stream,
        after,
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    let kept = rows.into_iter().map(|row| KeptRecord {
        position: row.position,
        origin: Origin {
            stream: stream.to_owned(),
            partition: row.partition,
            record: row.record,
            parent: row.parent,
            asked_at: row.asked_at,
            identity: row.identity,
            vanished: row.vanished,
        },
    });
    Ok(kept.collect())
}

/// How many records of a stream are kept.
pub async fn count(pool: &PgPool, provider: &ProviderName, stream: &str) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from raw_records where provider = $1 and stream = $2"#,
        provider.as_str(),
        stream
    )
    .fetch_one(pool)
    .await?;
    Ok(count.max(0).unsigned_abs())
}

/// Forgets up to `most` records that last came before `before`; gives how many.
pub async fn forget(
    pool: &PgPool,
    provider: &ProviderName,
    before: DateTime<Utc>,
    most: u32,
) -> Result<u64, StoreError> {
    let forgotten = sqlx::query!(
        "delete from raw_records r using (
           select stream, position from raw_records
           where provider = $1 and kept_at < $2 order by kept_at limit $3) old
         where r.provider = $1 and r.stream = old.stream and r.position = old.position",
        provider.as_str(),
        before,
        i64::from(most)
    )
    .execute(pool)
    .await?;
    Ok(forgotten.rows_affected())
}
