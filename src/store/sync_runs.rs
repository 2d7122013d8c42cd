//! Table `sync_runs`: what ran.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{StoreError, Tally};
use crate::domain::ProviderName;

/// Begins a run. Runs of the provider that never ended are closed as interrupted: the caller
/// holds the provider's [`try_lock`], so their process is gone.
pub async fn begin(connection: &mut PgConnection, provider: &ProviderName) -> Result<Uuid, StoreError> {
    sqlx::query!(
        "update sync_runs set status = 'interrupted', finished_at = clock_timestamp()
         where provider = $1 and status = 'running'",
        provider.as_str()
    )
    .execute(&mut *connection)
    .await?;
    let id = Uuid::now_v7();
    sqlx::query!("insert into sync_runs (id, provider) values ($1, $2)", id, provider.as_str())
        .execute(connection)
        .await?;
    Ok(id)
}

/// Adds what one page brought, in the transaction that writes its rows.
pub async fn add(
    connection: &mut PgConnection,
    id: Uuid,
    tally: Tally,
    quarantined: usize,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update sync_runs set created = created + $2, updated = updated + $3, unchanged = unchanged + $4,
                quarantined = quarantined + $5
         where id = $1",
        id,
        tally.created as i64,
        tally.updated as i64,
        tally.unchanged as i64,
        quarantined as i64
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends a run, as succeeded or with what went wrong.
pub async fn finish(pool: &PgPool, id: Uuid, requests: u64, error: Option<&str>) -> Result<(), StoreError> {
    sqlx::query!(
        "update sync_runs set finished_at = clock_timestamp(), requests = $2, error = $3,
                status = case when $3::text is null then 'succeeded' else 'failed' end
         where id = $1 and status = 'running'",
        id,
        requests as i64,
        error
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// When the last run of the provider that succeeded ended.
pub async fn last_success(
    pool: &PgPool,
    provider: &ProviderName,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let at = sqlx::query_scalar!(
        "select max(finished_at) from sync_runs where provider = $1 and status = 'succeeded'",
        provider.as_str()
    )
    .fetch_one(pool)
    .await?;
    Ok(at)
}

/// Takes the provider's sync lock for this session; `false` where another session holds it.
/// The lock ends with the session, so a killed process leaves none behind.
pub async fn try_lock(connection: &mut PgConnection, provider: &ProviderName) -> Result<bool, StoreError> {
    let taken = sqlx::query_scalar!(
        r#"select pg_try_advisory_lock(hashtextextended('sync/' || $1, 7402)) as "taken!""#,
        provider.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(taken)
}

/// Gives the lock of [`try_lock`] back.
pub async fn unlock(connection: &mut PgConnection, provider: &ProviderName) -> Result<(), StoreError> {
    sqlx::query!("select pg_advisory_unlock(hashtextextended('sync/' || $1, 7402))", provider.as_str())
        .fetch_one(connection)
        .await?;
    Ok(())
}
