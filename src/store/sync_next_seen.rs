//! Table `sync_next_seen`: streams of which an answer once told a next page.

use sqlx::PgPool;

use super::StoreError;
use tributary_domain::ProviderName;

/// Whether an answer of `stream` ever told a next page by `next`, as the file has it now.
pub async fn load(
    pool: &PgPool,
    provider: &ProviderName,
    stream: &str,
    next: &str,
) -> Result<bool, StoreError> {
    let seen = sqlx::query_scalar!(
        r#"select exists (select from sync_next_seen where provider = $1 and stream = $2 and next = $3) as "seen!""#,
        provider.as_str(),
        stream,
        next
    )
    .fetch_one(pool)
    .await?;
    Ok(seen)
}

/// Notes that an answer of `stream` told a next page by `next`, in place of what told it before.
pub async fn save(
    pool: &PgPool,
    provider: &ProviderName,
    stream: &str,
    next: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sync_next_seen (provider, stream, next) values ($1, $2, $3)
         on conflict on constraint sync_next_seen_pkey do update
         set next = excluded.next, seen_at = clock_timestamp()",
        provider.as_str(),
        stream,
        next
    )
    .execute(pool)
    .await?;
    Ok(())
}
