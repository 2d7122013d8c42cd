//! Tables `sync_runs` and `sync_run_streams`: what ran, and what each stream of it brought.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::leases::Lease;
use super::{StoreError, Tally, without_nul};
use tributary_domain::ProviderName;

/// A run as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: Uuid,
    pub provider: String,
    /// What was read together.
    pub stream_group: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub status: String,
    pub requests: i64,
    pub created: i64,
    pub updated: i64,
    pub unchanged: i64,
    pub quarantined: i64,
    pub warnings: i64,
    pub error: Option<String>,
}

/// What one stream brought in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStream {
    pub stream: String,
    pub requests: i64,
    pub created: i64,
    pub updated: i64,
    pub unchanged: i64,
    pub quarantined: i64,
    pub warnings: i64,
    pub error: Option<String>,
}

/// What one page brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub tally: Tally,
    pub quarantined: u64,
    pub requests: u64,
    pub warnings: u64,
}

/// Begins a run under `lease`. Runs of the group that never ended are closed as interrupted:
/// whoever was at them lost the lease.
pub async fn begin(connection: &mut PgConnection, lease: &Lease) -> Result<Uuid, StoreError> {
    sqlx::query!(
        "update sync_runs set status = 'interrupted', finished_at = clock_timestamp()
         where provider = $1 and stream_group in ($2, '') and status = 'running'",
        lease.provider.as_str(),
        lease.group
    )
    .execute(&mut *connection)
    .await?;
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into sync_runs (id, provider, stream_group) values ($1, $2, $3)",
        id,
        lease.provider.as_str(),
        lease.group
    )
    .execute(connection)
    .await?;
    Ok(id)
}

/// Adds what one page of `stream` brought, in the transaction that writes its rows.
pub async fn add(
    connection: &mut PgConnection,
    id: Uuid,
    stream: &str,
    counts: Counts,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with total as (
           update sync_runs set created = created + $3, updated = updated + $4, unchanged = unchanged + $5,
                  quarantined = quarantined + $6, requests = requests + $7, warnings = warnings + $8
           where id = $1)
         insert into sync_run_streams as s
           (run, stream, created, updated, unchanged, quarantined, requests, warnings)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict on constraint sync_run_streams_pkey do update
         set created = s.created + $3, updated = s.updated + $4, unchanged = s.unchanged + $5,
             quarantined = s.quarantined + $6, requests = s.requests + $7, warnings = s.warnings + $8",
        id,
        stream,
        counts.tally.created as i64,
        counts.tally.updated as i64,
        counts.tally.unchanged as i64,
        counts.quarantined as i64,
        counts.requests as i64,
        counts.warnings as i64
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A kind of warning of one stream in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunWarning {
    pub stream: String,
    pub kind: String,
    pub times: i64,
    /// The first of them, in words.
    pub text: String,
}

/// Adds warnings of `stream` to a run: each kind once, how often, and the first of them in words.
pub async fn add_warnings(
    connection: &mut PgConnection,
    id: Uuid,
    stream: &str,
    warnings: &[(&str, u64, &str)],
) -> Result<(), StoreError> {
    let kinds: Vec<&str> = warnings.iter().map(|(kind, ..)| *kind).collect();
    let times: Vec<i64> = warnings.iter().map(|(_, times, _)| *times as i64).collect();
    let texts: Vec<String> = warnings.iter().map(|(.., text)| without_nul(text)).collect();
    sqlx::query!(
        "insert into sync_run_warnings as w (run, stream, kind, times, text)
         select $1, $2, k.kind, k.times, k.text
         from unnest($3::text[], $4::bigint[], $5::text[]) k (kind, times, text)
         on conflict on constraint sync_run_warnings_pkey do update set times = w.times + excluded.times",
        id,
        stream,
        &kinds as _,
        &times,
        &texts
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends a run, given what it sent in all, as succeeded or with what went wrong, of which
/// `failures` are the streams and their errors.
pub async fn finish(
    connection: &mut PgConnection,
    id: Uuid,
    requests: Option<u64>,
    error: Option<&str>,
    failures: &[(&str, String)],
) -> Result<(), StoreError> {
    sqlx::query!(
        "update sync_runs set finished_at = clock_timestamp(), requests = coalesce($2, requests), error = $3,
                status = case when $3::text is null then 'succeeded' else 'failed' end
         where id = $1 and status = 'running'",
        id,
        requests.map(|requests| requests as i64),
        error.map(without_nul)
    )
    .execute(&mut *connection)
    .await?;
    let streams: Vec<&str> = failures.iter().map(|(stream, _)| *stream).collect();
    let errors: Vec<String> = failures.iter().map(|(_, error)| without_nul(error)).collect();
    sqlx::query!(
        "insert into sync_run_streams (run, stream, error)
         select $1, f.stream, string_agg(f.error, '; ') from unnest($2::text[], $3::text[]) f (stream, error)
         group by f.stream
         on conflict on constraint sync_run_streams_pkey do update set error = excluded.error",
        id,
        &streams as _,
        &errors
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// When the last run of the group that succeeded ended.
pub async fn last_success(
    pool: &PgPool,
    provider: &ProviderName,
    group: &str,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let at = sqlx::query_scalar!(
        "select finished_at from sync_runs
         where provider = $1 and stream_group = $2 and status = 'succeeded' order by started_at desc limit 1",
        provider.as_str(),
        group
    )
    .fetch_optional(pool)
    .await?;
    Ok(at.flatten())
}

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub group: String,
    pub started_at: DateTime<Utc>,
    /// How many records it has read so far.
    pub records: i64,
}

/// The runs of a provider that go on.
pub async fn running(pool: &PgPool, provider: &ProviderName) -> Result<Vec<Running>, StoreError> {
    let runs = sqlx::query_as!(
        Running,
        r#"select stream_group as "group", started_at, created + updated + unchanged + quarantined as "records!"
           from sync_runs where provider = $1 and status = 'running'"#,
        provider.as_str()
    )
    .fetch_all(pool)
    .await?;
    Ok(runs)
}

/// The latest runs, newest first, of one provider or of all.
pub async fn list(pool: &PgPool, provider: Option<&ProviderName>, most: u32) -> Result<Vec<Run>, StoreError> {
    let runs = sqlx::query_as!(
        Run,
        "select id, provider, stream_group, started_at, finished_at, status, requests, created, updated,
                unchanged, quarantined, warnings, error
         from sync_runs where $1::text is null or provider = $1 order by started_at desc, id desc limit $2",
        provider.map(ProviderName::as_str),
        i64::from(most)
    )
    .fetch_all(pool)
    .await?;
    Ok(runs)
}

/// What the streams of a run brought.
pub async fn streams(pool: &PgPool, run: Uuid) -> Result<Vec<RunStream>, StoreError> {
    let streams = sqlx::query_as!(
        RunStream,
        "select stream, requests, created, updated, unchanged, quarantined, warnings, error
         from sync_run_streams where run = $1 order by stream",
        run
    )
    .fetch_all(pool)
    .await?;
    Ok(streams)
}

/// The warnings of a run, by stream and kind.
pub async fn warnings(pool: &PgPool, run: Uuid) -> Result<Vec<RunWarning>, StoreError> {
    let warnings = sqlx::query_as!(
        RunWarning,
        "select stream, kind, times, text from sync_run_warnings where run = $1 order by stream, kind",
        run
    )
    .fetch_all(pool)
    .await?;
    Ok(warnings)
}

/// Forgets up to `most` runs of the provider that ended before `before`, with their streams and
/// warnings; gives how many.
pub async fn forget(
    pool: &PgPool,
    provider: &ProviderName,
    before: DateTime<Utc>,
    most: u32,
) -> Result<u64, StoreError> {
    let forgotten = sqlx::query!(
        "delete from sync_runs where id in (
           select id from sync_runs
           where provider = $1 and started_at < $2 and finished_at < $2 order by started_at limit $3)",
        provider.as_str(),
        before,
        i64::from(most)
    )
    .execute(pool)
    .await?;
    Ok(forgotten.rows_affected())
}
