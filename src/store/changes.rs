//! Table `changes`: what waits to be published.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::StoreError;
use tributary_domain::ProviderName;

/// The channel on which each commit that adds changes is announced, as `provider/resource`.
pub const CHANNEL: &str = "tributary_changes";

/// The changes of one feed that wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    pub provider: String,
    pub resource: String,
    /// About how many are ready to be published.
    pub queued: i64,
    /// Since when the oldest of them waits.
    pub oldest: Option<DateTime<Utc>>,
    /// Children that wait for their parent.
    pub without_parent: i64,
}

/// The feeds of `providers` for which changes wait.
pub async fn backlogs(pool: &PgPool, providers: &[ProviderName]) -> Result<Vec<Backlog>, StoreError> {
    let names: Vec<&str> = providers.iter().map(ProviderName::as_str).collect();
    let rows = sqlx::query_as!(
        Backlog,
        r#"select p.name as "provider!", r.name as "resource!",
                  queue_length(p.name, r.name, 10000) as "queued!",
                  (select staged_at from changes c
                   where c.provider = p.name and c.resource = r.name and c.waits_since is null
                   order by c.seq limit 1) as oldest,
                  (select count(*) from changes c
                   where c.provider = p.name and c.resource = r.name and c.waits_since is not null) as "without_parent!"
           from unnest($1::text[]) p (name)
           cross join (values ('accounts'), ('beneficiaries'), ('transactions')) r (name)
           where exists (select from changes c
                         where c.provider = p.name and c.resource = r.name and c.waits_since is null)
              or exists (select from changes c
                         where c.provider = p.name and c.resource = r.name and c.waits_since is not null)"#,
        &names as _
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Gives the files of the queue back to the system where it is empty, takes `from_bytes` or more, and nobody is
/// at work on it; gives whether it did.
pub async fn release(pool: &PgPool, from_bytes: i64) -> Result<bool, StoreError> {
    let released = sqlx::query_scalar!(r#"select release_changes($1) as "released!""#, from_bytes);
    Ok(released.fetch_one(pool).await?)
}
