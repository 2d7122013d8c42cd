//! What raw records became, from both sides.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::Row;
use crate::encryption::Keyring;
use crate::store::{StoreError, sealing};
use tributary_domain::{Origin, ProviderName};

/// `texts` as PostgreSQL writes an array of them: arrays of several lengths are no parameter of one statement.
pub(super) fn array(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

/// Keeps what the state that came as `origin` became, where it is kept, in the transaction that writes it.
pub async fn link_state(
    connection: &mut PgConnection,
    provider: &ProviderName,
    origin: &Origin,
    became: &[String],
) -> Result<(), StoreError> {
    let digest = sealing::digest(&origin.record, origin.identity.as_deref());
    sqlx::query!(
        "update raw_records set became = $5
         where provider = $1 and stream = $2 and partition = $3 and digest = $4",
        provider.as_str(),
        origin.stream,
        origin.partition,
        digest.as_slice(),
        became
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What a raw record becomes now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    pub stream: String,
    pub position: i64,
    /// The ids of the records that it becomes.
    pub became: Vec<String>,
}

/// Keeps what raw records became when they were mapped again, in the transaction that writes it.
pub async fn link(
    connection: &mut PgConnection,
    provider: &ProviderName,
    linked: &[Linked],
) -> Result<(), StoreError> {
    if linked.is_empty() {
        return Ok(());
    }
    let streams: Vec<&str> = linked.iter().map(|linked| linked.stream.as_str()).collect();
    let positions: Vec<i64> = linked.iter().map(|linked| linked.position).collect();
    let became: Vec<String> = linked.iter().map(|linked| array(&linked.became)).collect();
    sqlx::query!(
        "update raw_records r set became = n.became::text[]
         from unnest($2::text[], $3::bigint[], $4::text[]) n (stream, position, became)
         where r.provider = $1 and r.stream = n.stream and r.position = n.position",
        provider.as_str(),
        &streams as _,
        &positions,
        &became
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A record as it came, of which others were made.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptOf {
    /// Grows in the order in which records came.
    pub position: i64,
    pub stream: String,
    pub partition: String,
    /// When the request was sent that got it.
    pub asked_at: String,
    /// When it last came like this.
    pub kept_at: DateTime<Utc>,
    /// Whether it was pending and is not listed any more.
    pub vanished: bool,
    /// JSON, or why it cannot be read: its key may be missing.
    pub record: Result<Vec<u8>, String>,
}

/// Up to `most` of the latest records that became one of `ids`, oldest first.
pub async fn of_record(
    pool: &PgPool,
    keys: &Keyring,
    provider: &str,
    ids: &[String],
    most: u32,
) -> Result<Vec<KeptOf>, StoreError> {
    let mut rows = sqlx::query!(
        "select position, stream, partition, digest, key_id, record, asked_at, kept_at, vanished from raw_records
         where became && $2 and provider = $1 order by position desc limit $3",
        provider,
        ids,
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    rows.reverse();
    let kept = rows.into_iter().map(|row| {
        let at = Row { provider, stream: &row.stream, partition: &row.partition, digest: &row.digest };
        let record = at.cell("record", |cell| cell.open(keys, row.key_id.as_deref(), row.record));
        KeptOf {
            position: row.position,
            record: record.map_err(|error| error.to_string()),
            stream: row.stream,
            partition: row.partition,
            asked_at: row.asked_at,
            kept_at: row.kept_at,
            vanished: row.vanished,
        }
    });
    Ok(kept.collect())
}
