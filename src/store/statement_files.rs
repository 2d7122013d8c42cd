//! Tables `statement_files` and `statement_sightings`: files of statements as they came, and as they were seen.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::sealing::{Cell, Resealed};
use super::{StoreError, interval, without_nul};
use crate::encryption::{Keyring, Place};
use tributary_domain::ProviderName;

/// A file that came.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    pub sha256: &'a [u8],
    /// As it was called.
    pub name: &'a str,
    /// Where it came from.
    pub source: &'a str,
    pub bytes: &'a [u8],
}

fn cell<T>(provider: &str, sha256: &[u8], with: impl FnOnce(Cell<'_>) -> T) -> T {
    let row: &[&[u8]] = &[sha256];
    let place = Place { table: "statement_files", column: "bytes", provider, row };
    with(Cell { place, what: "a statement file" })
}

/// Keeps a file, encrypted if `keys` say so for records. `false` where the same bytes are there already; whoever
/// brings them at the same moment waits for the other.
pub async fn keep(
    connection: &mut PgConnection,
    keys: &Keyring,
    provider: &ProviderName,
    file: NewFile<'_>,
) -> Result<bool, StoreError> {
    let kept = cell(provider.as_str(), file.sha256, |cell| cell.seal_record(keys, file.bytes))?;
    let new = sqlx::query!(
        "insert into statement_files (provider, sha256, name, source, size, key_id, bytes)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict on constraint statement_files_pkey do nothing",
        provider.as_str(),
        file.sha256,
        without_nul(file.name),
        without_nul(file.source),
        i64::try_from(file.bytes.len()).unwrap_or(i64::MAX),
        kept.key_id,
        &*kept.bytes
    )
    .execute(connection)
    .await?;
    Ok(new.rows_affected() == 1)
}

/// Notes that the bytes of a file that was taken came again.
pub async fn repeated(
    connection: &mut PgConnection,
    provider: &ProviderName,
    sha256: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        "update statement_files set repeats = repeats + 1, repeated_at = clock_timestamp()
         where provider = $1 and sha256 = $2",
        provider.as_str(),
        sha256
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The bytes of a file; `None` where it is not there, or was erased.
pub async fn bytes(
    connection: &mut PgConnection,
    keys: &Keyring,
    provider: &ProviderName,
    sha256: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query!(
        "select key_id, bytes from statement_files where provider = $1 and sha256 = $2",
        provider.as_str(),
        sha256
    )
    .fetch_optional(connection)
    .await?;
    let Some((key_id, Some(bytes))) = row.map(|row| (row.key_id, row.bytes)) else { return Ok(None) };
    cell(provider.as_str(), sha256, |cell| cell.open(keys, key_id.as_deref(), bytes)).map(Some)
}

/// A file that was taken, with its bytes.
#[derive(Debug, Clone)]
pub struct KeptFile {
    pub seq: i64,
    pub sha256: Vec<u8>,
    /// As it was called, and where it came from.
    pub name: String,
    pub source: String,
    pub bytes: Vec<u8>,
}

/// The first file behind `after`, in the order in which they came, with its bytes; without those that were erased.
pub async fn next_taken(
    pool: &PgPool,
    keys: &Keyring,
    provider: &ProviderName,
    after: i64,
) -> Result<Option<KeptFile>, StoreError> {
    let row = sqlx::query!(
        r#"select seq, sha256, name, source, key_id, bytes as "bytes!" from statement_files
           where provider = $1 and seq > $2 and bytes is not null order by seq limit 1"#,
        provider.as_str(),
        after
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let bytes =
        cell(provider.as_str(), &row.sha256, |cell| cell.open(keys, row.key_id.as_deref(), row.bytes))?;
    Ok(Some(KeptFile { seq: row.seq, sha256: row.sha256, name: row.name, source: row.source, bytes }))
}

/// How many files are there with their bytes.
pub async fn count(pool: &PgPool, provider: &ProviderName) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from statement_files where provider = $1 and bytes is not null"#,
        provider.as_str()
    )
    .fetch_one(pool)
    .await?;
    Ok(count.unsigned_abs())
}

/// The first file behind `after`, by digest, with its bytes; without those that were erased.
pub async fn next(
    pool: &PgPool,
    keys: &Keyring,
    provider: &ProviderName,
    after: &[u8],
) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
    let row = sqlx::query!(
        r#"select sha256, key_id, bytes as "bytes!" from statement_files
           where provider = $1 and sha256 > $2 and bytes is not null order by sha256 limit 1"#,
        provider.as_str(),
        after
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let opened =
        cell(provider.as_str(), &row.sha256, |cell| cell.open(keys, row.key_id.as_deref(), row.bytes))?;
    Ok(Some((row.sha256, opened)))
}

/// Encrypts up to `most` files behind `after` with the first of `keys` that are not yet: those that are encrypted, and
/// the others where records are to be. `None` where there are no more.
pub async fn reseal(
    pool: &PgPool,
    keys: &Keyring,
    after: &mut (String, Vec<u8>),
    most: u32,
) -> Result<Option<Resealed>, StoreError> {
    let mut transaction = super::begin(pool).await?;
    let rows = sqlx::query!(
        r#"select provider, sha256, key_id, bytes as "bytes!" from statement_files
         where (provider, sha256) > ($1, $2) and key_id is distinct from $3 and (key_id is not null or $4)
           and bytes is not null
         order by provider, sha256 limit $5 for update skip locked"#,
        after.0,
        after.1,
        keys.ids().next(),
        keys.encrypts_records(),
        i64::from(most)
    )
    .fetch_all(&mut *transaction)
    .await?;
    let Some(last) = rows.last() else { return Ok(None) };
    *after = (last.provider.clone(), last.sha256.clone());
    let mut done = Resealed::default();
    for row in rows {
        let sealed = cell(&row.provider, &row.sha256, |cell| {
            cell.seal(keys, &cell.open(keys, row.key_id.as_deref(), row.bytes)?)
        });
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(error) => {
                done.skip(error)?;
                continue;
            }
        };
        sqlx::query!(
            "update statement_files set key_id = $3, bytes = $4 where provider = $1 and sha256 = $2",
            row.provider,
            row.sha256,
            sealed.key_id,
            &*sealed.bytes
        )
        .execute(&mut *transaction)
        .await?;
        done.changed += 1;
    }
    transaction.commit().await?;
    Ok(Some(done))
}

/// What is known of a file where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// It has not been the same for long enough.
    Settling,
    /// It is to be read.
    Due,
    /// It was read as it is now, and taken.
    Taken,
}

/// Notes that files were seen, by path and version; each is due once it has been the same for `settle`. Gives what is known
/// of them, by path.
pub async fn see(
    connection: &mut PgConnection,
    provider: &ProviderName,
    seen: &[(String, &str)],
    settle: Duration,
) -> Result<HashMap<String, Sighting>, StoreError> {
    let paths: Vec<&str> = seen.iter().map(|(path, _)| path.as_str()).collect();
    let versions: Vec<&str> = seen.iter().map(|(_, version)| *version).collect();
    // those that stay as they are are not written each time
    sqlx::query!(
        "insert into statement_sightings as s (provider, path, version)
         select distinct on (n.path) $1, n.path, n.version from unnest($2::text[], $3::text[]) as n (path, version)
         on conflict on constraint statement_sightings_pkey do update
         set version = excluded.version, last_seen = clock_timestamp(),
             first_seen = case when s.version = excluded.version then s.first_seen else clock_timestamp() end,
             sha256 = case when s.version = excluded.version then s.sha256 end
         where s.version <> excluded.version or s.last_seen < clock_timestamp() - interval '1 day'",
        provider.as_str(),
        &paths as _,
        &versions as _
    )
    .execute(&mut *connection)
    .await?;
    let rows = sqlx::query!(
        r#"select path, sha256 is not null as "taken!", first_seen + $3 <= clock_timestamp() as "settled!"
           from statement_sightings where provider = $1 and path = any($2)"#,
        provider.as_str(),
        &paths as _,
        interval(settle)
    )
    .fetch_all(connection)
    .await?;
    let known = rows.into_iter().map(|row| {
        let sighting = match (row.taken, row.settled) {
            (true, _) => Sighting::Taken,
            (false, true) => Sighting::Due,
            (false, false) => Sighting::Settling,
        };
        (row.path, sighting)
    });
    Ok(known.collect())
}

/// Notes that the bytes of the file that was seen at `path` as `version` were taken.
pub async fn note(
    connection: &mut PgConnection,
    provider: &ProviderName,
    (path, version): (&str, &str),
    sha256: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        "update statement_sightings set sha256 = $4 where provider = $1 and path = $2 and version = $3",
        provider.as_str(),
        path,
        version,
        sha256
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets what was not seen for a month: it is not there any more.
pub async fn forget_unseen(connection: &mut PgConnection, provider: &ProviderName) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from statement_sightings where provider = $1 and last_seen < clock_timestamp() - interval '30 days'",
        provider.as_str()
    )
    .execute(connection)
    .await?;
    Ok(())
}
