//! Table `sync_open_records`: what may still change at a provider that does not report changes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use tributary_domain::ProviderName;

/// A record that was open when it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRow {
    pub key: String,
    /// The JSON that the provider sent.
    pub record: Vec<u8>,
    /// What it was mapped to: the JSON of an array of canonical records.
    pub canonical: Vec<u8>,
    /// The time by which the provider filters.
    pub at: Option<DateTime<Utc>>,
    pub first_seen: DateTime<Utc>,
    pub checked_at: DateTime<Utc>,
    /// Since when it is not listed any more.
    pub missed_at: Option<DateTime<Utc>>,
}

/// The open records of a partition, the one that waits longest first.
pub async fn load(
    connection: &mut PgConnection,
    provider: &ProviderName,
    stream: &str,
    partition: &str,
) -> Result<Vec<OpenRow>, StoreError> {
    let rows = sqlx::query_as!(
        OpenRow,
        "select key, record, canonical, at, first_seen, checked_at, missed_at from sync_open_records
         where provider = $1 and stream = $2 and partition = $3 order by checked_at, key",
        provider.as_str(),
        stream,
        partition
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Keeps `open` as seen now, and forgets the keys `closed`, in the transaction that writes the
/// rows of their page. `first_seen` stays as it was where the record is known.
pub async fn save(
    connection: &mut PgConnection,
    provider: &ProviderName,
    stream: &str,
    partition: &str,
    open: &[OpenRow],
    closed: &[String],
) -> Result<(), StoreError> {
    if open.is_empty() && closed.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "delete from sync_open_records
         where provider = $1 and stream = $2 and partition = $3 and key = any ($4)",
        provider.as_str(),
        stream,
        partition,
        closed
    )
    .execute(&mut *connection)
    .await?;
    let column = |of: fn(&OpenRow) -> &[u8]| -> Vec<&[u8]> { open.iter().map(of).collect() };
    let keys: Vec<&str> = open.iter().map(|row| row.key.as_str()).collect();
    let at: Vec<Option<DateTime<Utc>>> = open.iter().map(|row| row.at).collect();
    let first_seen: Vec<DateTime<Utc>> = open.iter().map(|row| row.first_seen).collect();
    let checked_at: Vec<DateTime<Utc>> = open.iter().map(|row| row.checked_at).collect();
    let missed_at: Vec<Option<DateTime<Utc>>> = open.iter().map(|row| row.missed_at).collect();
    sqlx::query!(
        "insert into sync_open_records as o
           (provider, stream, partition, key, record, canonical, at, first_seen, checked_at, missed_at)
         select distinct on (i.key) $1, $2, $3, i.key, i.record, i.canonical, i.at, i.first_seen, i.checked_at,
                i.missed_at
         from unnest($4::text[], $5::bytea[], $6::bytea[], $7::timestamptz[], $8::timestamptz[],
                     $9::timestamptz[], $10::timestamptz[])
           with ordinality as i (key, record, canonical, at, first_seen, checked_at, missed_at, place)
         order by i.key, i.place desc
         on conflict on constraint sync_open_records_pkey do update
         set record = excluded.record, canonical = excluded.canonical, at = excluded.at,
             checked_at = greatest(o.checked_at, excluded.checked_at), missed_at = excluded.missed_at",
        provider.as_str(),
        stream,
        partition,
        &keys as _,
        &column(|row| &row.record) as _,
        &column(|row| &row.canonical) as _,
        &at as _,
        &first_seen as _,
        &checked_at as _,
        &missed_at as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
