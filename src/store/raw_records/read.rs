//! Kept records, decrypted.

use sqlx::PgPool;

use super::{KeptRecord, Row};
use crate::encryption::Keyring;
use crate::store::StoreError;
use tributary_domain::{Origin, ProviderName};

struct KeptRow {
    position: i64,
    stream: String,
    partition: String,
    digest: Vec<u8>,
    key_id: Option<String>,
    record: Vec<u8>,
    parent: Vec<u8>,
    asked_at: String,
    identity: Option<Vec<u8>>,
    vanished: bool,
    became: Vec<String>,
}

impl KeptRow {
    fn open(self, keys: &Keyring, provider: &ProviderName) -> Result<KeptRecord, StoreError> {
        let key_id = self.key_id.as_deref();
        let (stream, partition) = (self.stream.as_str(), self.partition.as_str());
        let at = Row { provider: provider.as_str(), stream, partition, digest: &self.digest };
        let record = at.cell("record", |cell| cell.open(keys, key_id, self.record))?;
        let parent = at.cell("parent", |cell| cell.open(keys, key_id, self.parent))?;
        let Self { position, stream, partition, asked_at, identity, vanished, became, .. } = self;
        let origin = Origin { stream, partition, record, parent, asked_at, identity, vanished };
        Ok(KeptRecord { position, origin, became })
    }
}

/// Up to `most` records of a stream behind `after`, in the order in which they came.
pub async fn list(
    pool: &PgPool,
    keys: &Keyring,
    provider: &ProviderName,
    stream: &str,
    after: i64,
    most: u32,
) -> Result<Vec<KeptRecord>, StoreError> {
    let rows = sqlx::query_as!(
        KeptRow,
        "select position, stream, partition, digest, key_id, record, parent, asked_at, identity, vanished, became
         from raw_records
         where provider = $1 and stream = $2 and position > $3 order by position limit $4",
        provider.as_str(),
        stream,
        after,
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|row| row.open(keys, provider)).collect()
}

/// Up to `most` of the latest records of a stream that came before `before`, in the order in which they came.
pub async fn list_back(
    pool: &PgPool,
    keys: &Keyring,
    provider: &ProviderName,
    stream: &str,
    before: i64,
    most: u32,
) -> Result<Vec<KeptRecord>, StoreError> {
    let rows = sqlx::query_as!(
        KeptRow,
        "select position, stream, partition, digest, key_id, record, parent, asked_at, identity, vanished, became
         from raw_records
         where provider = $1 and stream = $2 and position < $3 order by position desc limit $4",
        provider.as_str(),
        stream,
        before,
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().rev().map(|row| row.open(keys, provider)).collect()
}

/// The record of a stream at this position.
pub async fn find(
    pool: &PgPool,
    keys: &Keyring,
    provider: &ProviderName,
    stream: &str,
    position: i64,
) -> Result<Option<KeptRecord>, StoreError> {
    let row = sqlx::query_as!(
        KeptRow,
        "select position, stream, partition, digest, key_id, record, parent, asked_at, identity, vanished, became
         from raw_records where provider = $1 and stream = $2 and position = $3",
        provider.as_str(),
        stream,
        position
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| row.open(keys, provider)).transpose()
}
