//! Table `sync_cursors`: from where a partition of a stream goes on.

use sqlx::PgConnection;

use super::StoreError;
use tributary_domain::ProviderName;

/// The cursor of a partition; `None` before its first run.
pub async fn load(
    connection: &mut PgConnection,
    provider: &ProviderName,
    stream: &str,
    partition: &str,
) -> Result<Option<serde_json::Value>, StoreError> {
    let cursor = sqlx::query_scalar!(
        "select cursor from sync_cursors where provider = $1 and stream = $2 and partition = $3",
        provider.as_str(),
        stream,
        partition
    )
    .fetch_optional(connection)
    .await?;
    Ok(cursor)
}

/// Moves the cursor of a partition, in the transaction that writes the rows it stands for.
pub async fn save(
    connection: &mut PgConnection,
    provider: &ProviderName,
    stream: &str,
    partition: &str,
    cursor: &serde_json::Value,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sync_cursors (provider, stream, partition, cursor) values ($1, $2, $3, $4)
         on conflict on constraint sync_cursors_pkey do update
         set cursor = excluded.cursor, updated_at = clock_timestamp()",
        provider.as_str(),
        stream,
        partition,
        cursor
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the cursors of `streams`: their next run reads everything that the API goes back to.
pub async fn forget(
    connection: &mut PgConnection,
    provider: &ProviderName,
    streams: &[&str],
) -> Result<u64, StoreError> {
    let forgotten = sqlx::query!(
        "delete from sync_cursors where provider = $1 and stream = any($2)",
        provider.as_str(),
        streams as _
    )
    .execute(connection)
    .await?;
    Ok(forgotten.rows_affected())
}
