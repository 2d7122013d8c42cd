//! Table `sync_known_next`: streams of which an answer once named a next page.

use sqlx::PgPool;

use super::StoreError;
use tributary_domain::ProviderName;

/// Whether an answer of `stream` ever named a next page by `next`, as the file has it now.
pub async fn load(
    pool: &PgPool,
    provider: &ProviderName,
    stream: &str,
    next: &str,
) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar!(
        r#"select exists (select from sync_known_next where provider = $1 and stream = $2 and next = $3) as "known!""#,
        provider.as_str(),
        stream,
        next
    )
    .fetch_one(pool)
    .await?;
    Ok(known)
}

/// Notes that an answer of `stream` named a next page by `next`, in place of what named it before.
pub async fn save(
    pool: &PgPool,
    provider: &ProviderName,
    stream: &str,
    next: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sync_known_next (provider, stream, next) values ($1, $2, $3)
         on conflict on constraint sync_known_next_pkey do update
         set next = excluded.next, known_since = clock_timestamp()",
        provider.as_str(),
        stream,
        next
    )
    .execute(pool)
    .await?;
    Ok(())
}
