//! Table `raw_records`: what a provider sent, to be mapped again without asking again.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::StoreError;
use super::sealing::{self, Cell, Resealed};
use crate::encryption::{Keyring, Place};
use tributary_domain::{Origin, ProviderName, RawRecord};

mod links;
mod read;

pub use links::{KeptOf, Linked, link, link_state, of_record};
pub use read::{find, list, list_back};

/// A record that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecord {
    /// Grows in the order in which records came.
    pub position: i64,
    pub origin: Origin,
    /// The ids of the records that it became.
    pub became: Vec<String>,
}

/// Where a row is, by what tells it from others.
struct Row<'a> {
    provider: &'a str,
    stream: &'a str,
    partition: &'a str,
    digest: &'a [u8],
}

impl Row<'_> {
    /// Runs `with` on the column `record` or `parent`.
    fn cell<T>(&self, column: &'static str, with: impl FnOnce(Cell<'_>) -> T) -> T {
        let row: &[&[u8]] = &[self.stream.as_bytes(), self.partition.as_bytes(), self.digest];
        let place = Place { table: "raw_records", column, provider: self.provider, row };
        with(Cell { place, what: "a record that was kept" })
    }
}

/// Keeps `records` of one partition in their order, in the transaction that writes what they became;
/// encrypted, if `keys` say so. A state that is there already moves to the end: of several states of a
/// record, the last is the one that holds.
pub async fn keep(
    connection: &mut PgConnection,
    keys: &Keyring,
    provider: &ProviderName,
    stream: &str,
    partition: &str,
    records: &[RawRecord],
) -> Result<(), StoreError> {
    let origins: Vec<&Origin> = records.iter().map(|record| &record.origin).collect();
    let digests: Vec<[u8; 32]> =
        origins.iter().map(|origin| sealing::digest(&origin.record, origin.identity.as_deref())).collect();
    let (mut raw, mut parents) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
    let mut key_id = None;
    for (origin, digest) in origins.iter().zip(&digests) {
        let row = Row { provider: provider.as_str(), stream, partition, digest };
        let record = row.cell("record", |cell| cell.seal_record(keys, &origin.record))?;
        key_id = record.key_id;
        raw.push(record.bytes);
        parents.push(row.cell("parent", |cell| cell.seal_record(keys, &origin.parent))?.bytes);
    }
    let raw: Vec<&[u8]> = raw.iter().map(AsRef::as_ref).collect();
    let parents: Vec<&[u8]> = parents.iter().map(AsRef::as_ref).collect();
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
    let asked_at: Vec<&str> = origins.iter().map(|origin| origin.asked_at.as_str()).collect();
    let identities: Vec<Option<&[u8]>> = origins.iter().map(|origin| origin.identity.as_deref()).collect();
    let vanished: Vec<bool> = origins.iter().map(|origin| origin.vanished).collect();
    let became: Vec<String> = records.iter().map(|record| links::array(&record.became)).collect();
    sqlx::query!(
        r"insert into raw_records as r
           (provider, stream, partition, digest, key_id, record, parent, asked_at, identity, vanished, became)
         select $1, $2, $3, n.digest, $10, n.record, n.parent, n.asked_at, n.identity, n.vanished, n.became::text[]
         from (select distinct on (u.digest) u.digest, u.record, u.parent, u.asked_at, u.identity, u.vanished, u.became, u.place
               from unnest($4::bytea[], $5::bytea[], $6::text[], $7::bytea[], $8::boolean[], $9::bytea[], $11::text[])
                 with ordinality u (record, parent, asked_at, identity, vanished, digest, became, place)
               order by u.digest, u.place desc) n
         order by n.place
         on conflict on constraint raw_records_state_key do update
         set position = default, key_id = excluded.key_id, record = excluded.record, parent = excluded.parent,
             asked_at = excluded.asked_at, vanished = excluded.vanished, became = excluded.became, kept_at = clock_timestamp()",
        provider.as_str(),
        stream,
        partition,
        &raw as _,
        &parents as _,
        &asked_at as _,
        &identities as _,
        &vanished,
        &digests as _,
        key_id,
        &became
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The streams of which records are kept.
pub async fn streams(pool: &PgPool, provider: &ProviderName) -> Result<Vec<String>, StoreError> {
    let streams = sqlx::query_scalar!(
        "select distinct stream from raw_records where provider = $1 order by stream",
        provider.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(streams)
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

/// How far encrypting again has come: behind this row of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct After {
    provider: String,
    stream: String,
    position: i64,
}

/// Encrypts up to `most` rows behind `after` with the first of `keys` that are not yet: those that are
/// encrypted, and the others where records are to be. Moves `after` on; gives `None` where there are no
/// more. Rows that somebody writes just now are left to whoever does.
pub async fn reseal(
    pool: &PgPool,
    keys: &Keyring,
    after: &mut After,
    most: u32,
) -> Result<Option<Resealed>, StoreError> {
    let mut transaction = super::begin(pool).await?;
    let rows = sqlx::query!(
        "select provider, stream, position, partition, digest, key_id, record, parent from raw_records
         where (provider, stream, position) > ($1, $2, $3) and key_id is distinct from $4
           and (key_id is not null or $5)
         order by provider, stream, position limit $6 for update skip locked",
        after.provider,
        after.stream,
        after.position,
        keys.ids().next(),
        keys.encrypts_records(),
        i64::from(most)
    )
    .fetch_all(&mut *transaction)
    .await?;
    let Some(last) = rows.last() else { return Ok(None) };
    *after = After { provider: last.provider.clone(), stream: last.stream.clone(), position: last.position };
    let mut done = Resealed::default();
    for row in rows {
        let at = Row {
            provider: &row.provider,
            stream: &row.stream,
            partition: &row.partition,
            digest: &row.digest,
        };
        let resealed = |column, bytes| {
            at.cell(column, |cell| cell.seal(keys, &cell.open(keys, row.key_id.as_deref(), bytes)?))
        };
        let (record, parent) = match (resealed("record", row.record), resealed("parent", row.parent)) {
            (Ok(record), Ok(parent)) => (record, parent),
            (Err(error), _) | (_, Err(error)) => {
                done.skip(error)?;
                continue;
            }
        };
        sqlx::query!(
            "update raw_records set key_id = $4, record = $5, parent = $6
             where provider = $1 and stream = $2 and position = $3",
            row.provider,
            row.stream,
            row.position,
            record.key_id,
            &*record.bytes,
            &*parent.bytes
        )
        .execute(&mut *transaction)
        .await?;
        done.changed += 1;
    }
    transaction.commit().await?;
    Ok(Some(done))
}
