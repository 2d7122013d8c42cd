//! Table `provider_pauses`: providers that an operator wants nothing read of for now.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};

use super::StoreError;
use tributary_domain::ProviderName;

/// A provider that is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub provider: String,
    pub paused_by: String,
    pub why: String,
    pub paused_at: DateTime<Utc>,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, paused_by, why, paused_at } = self;
        let at = paused_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "{paused_by} paused {provider} at {at}, and nothing of it is read: {why}")
    }
}

/// Pauses a provider; `false` where it is paused already. Whoever reads it loses the lease, so that nothing more of it is
/// written once the caller has committed; their runs end as interrupted, and go on from there later.
pub async fn pause(
    connection: &mut PgConnection,
    provider: &ProviderName,
    who: &str,
    why: &str,
) -> Result<bool, StoreError> {
    let new = sqlx::query!(
        "insert into provider_pauses (provider, paused_by, why) values ($1, $2, $3)
         on conflict on constraint provider_pauses_pkey do nothing",
        provider.as_str(),
        who,
        why
    )
    .execute(&mut *connection)
    .await?;
    // whoever takes a lease has it by now, or sees the pause: take_due_lease
    sqlx::query!(
        r#"select pg_advisory_xact_lock(hashtextextended('leases/' || $1, 7404)) as "locked: ()""#,
        provider.as_str()
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        "with stopped as (
           update sync_leases set holder = null, expires_at = null, fence = fence + 1
           where provider = $1 and holder is not null returning stream_group)
         update sync_runs set status = 'interrupted', finished_at = clock_timestamp()
         where provider = $1 and status = 'running' and stream_group in (select stream_group from stopped)",
        provider.as_str()
    )
    .execute(connection)
    .await?;
    Ok(new.rows_affected() == 1)
}

/// Has a provider read again; `false` where it is not paused.
pub async fn resume(executor: impl PgExecutor<'_>, provider: &ProviderName) -> Result<bool, StoreError> {
    let gone = sqlx::query!("delete from provider_pauses where provider = $1", provider.as_str());
    Ok(gone.execute(executor).await?.rows_affected() == 1)
}

/// Those of `providers` that are paused.
pub async fn of(executor: impl PgExecutor<'_>, providers: &[ProviderName]) -> Result<Vec<Pause>, StoreError> {
    let names: Vec<&str> = providers.iter().map(ProviderName::as_str).collect();
    let pauses = sqlx::query_as!(
        Pause,
        "select provider, paused_by, why, paused_at from provider_pauses where provider = any($1)",
        &names as _
    )
    .fetch_all(executor)
    .await?;
    Ok(pauses)
}
