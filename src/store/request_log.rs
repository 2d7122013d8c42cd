//! Tables `provider_pace`, `request_log` and `closed_lanes`: how much a provider was asked, and may be.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::types::PgInterval;
use sqlx::{PgExecutor, PgPool};

use super::StoreError;
use tributary_domain::ProviderName;

/// Why a request may not be sent, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    pub wait: Duration,
    /// Whether a budget is used up; else the provider asked for a pause.
    pub by_budget: bool,
}

/// Counts a request of `lane`, unless one of `budgets` (so many requests in any stretch of time so long)
/// has no room for it or the provider asked for a pause of the lane.
pub async fn take(
    pool: &PgPool,
    provider: &ProviderName,
    budgets: &[(u32, Duration)],
    lane: &str,
) -> Result<Option<Delay>, StoreError> {
    let requests: Vec<i64> = budgets.iter().map(|(requests, _)| i64::from(*requests)).collect();
    let periods: Vec<PgInterval> = budgets.iter().map(|(_, period)| interval(*period)).collect();
    let taken = sqlx::query!(
        r#"select (extract(epoch from wait) * 1e6)::bigint as wait_us, by_budget as "by_budget!"
           from take_request($1, $2, $3, $4)"#,
        provider.as_str(),
        &requests,
        &periods,
        lane
    )
    .fetch_one(pool)
    .await?;
    Ok(taken.wait_us.map(|wait_us| Delay {
        // rounded down, it would be asked for a moment too early
        wait: Duration::from_micros(wait_us.max(0) as u64 + 1),
        by_budget: taken.by_budget,
    }))
}

/// Lets nobody send a request of `lane` for `wait`. Never shortens a pause; those that are over go.
pub async fn close_for(
    pool: &PgPool,
    provider: &ProviderName,
    lane: &str,
    wait: Duration,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with over as (
           delete from closed_lanes where provider = $1 and lane <> $2 and closed_until <= clock_timestamp())
         insert into closed_lanes as c (provider, lane, closed_until)
         values ($1, $2, clock_timestamp() + $3::interval)
         on conflict on constraint closed_lanes_pkey do update
         set closed_until = excluded.closed_until where c.closed_until < excluded.closed_until",
        provider.as_str(),
        lane,
        interval(wait)
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Requests that the provider wants none of for now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ClosedLane {
    pub provider: String,
    /// `records`, `records/STREAM`, `records/STREAM/PARTITION`, `payments` or `tokens`.
    pub lane: String,
    pub closed_until: DateTime<Utc>,
}

/// What is closed now, of one provider or of all.
pub async fn closed(pool: &PgPool, provider: Option<&ProviderName>) -> Result<Vec<ClosedLane>, StoreError> {
    let closed = sqlx::query_as!(
        ClosedLane,
        "select provider, lane, closed_until from closed_lanes
         where closed_until > clock_timestamp() and ($1::text is null or provider = $1) order by provider, lane",
        provider.map(ProviderName::as_str)
    )
    .fetch_all(pool)
    .await?;
    Ok(closed)
}

/// Opens what is closed of the provider, or one lane of it, and has its groups read again that wait for
/// that; gives what was opened.
pub async fn open(
    executor: impl PgExecutor<'_>,
    provider: &ProviderName,
    lane: Option<&str>,
) -> Result<Vec<String>, StoreError> {
    let opened = sqlx::query_scalar!(
        "with opened as (
           delete from closed_lanes
           where provider = $1 and ($2::text is null or lane = $2) and closed_until > clock_timestamp()
           returning lane),
         resumed as (
           update sync_leases set paused_until = null
           where provider = $1 and paused_until is not null and exists (select from opened))
         select lane from opened order by lane",
        provider.as_str(),
        lane
    )
    .fetch_all(executor)
    .await?;
    Ok(opened)
}

/// Forgets up to `most` requests of the provider that were counted before `before`; gives how many.
/// Requests that are counted do so themselves, but of a provider that is asked no more nobody would.
pub async fn forget(
    pool: &PgPool,
    provider: &ProviderName,
    before: DateTime<Utc>,
    most: u32,
) -> Result<u64, StoreError> {
    let forgotten = sqlx::query!(
        "delete from request_log l using (
           select number from request_log where provider = $1 order by number limit $3) oldest
         where l.provider = $1 and l.number = oldest.number and l.at < $2",
        provider.as_str(),
        before,
        i64::from(most)
    )
    .execute(pool)
    .await?;
    Ok(forgotten.rows_affected())
}

fn interval(period: Duration) -> PgInterval {
    let microseconds = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
