//! Tables `provider_pace` and `request_log`: how much a provider was asked.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;

use super::StoreError;
use tributary_domain::ProviderName;

/// Why a request may not be sent, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    pub wait: Duration,
    /// Whether a budget is used up; else the provider asked for a pause.
    pub by_budget: bool,
}

/// Counts a request, unless one of `budgets` (so many requests in any stretch of time so long)
/// has no room for it or the provider asked for a pause.
pub async fn take(
    pool: &PgPool,
    provider: &ProviderName,
    budgets: &[(u32, Duration)],
) -> Result<Option<Delay>, StoreError> {
    let requests: Vec<i64> = budgets.iter().map(|(requests, _)| i64::from(*requests)).collect();
    let periods: Vec<PgInterval> = budgets.iter().map(|(_, period)| interval(*period)).collect();
    let taken = sqlx::query!(
        r#"select (extract(epoch from wait) * 1e6)::bigint as wait_us, by_budget as "by_budget!"
           from take_request($1, $2, $3)"#,
        provider.as_str(),
        &requests,
        &periods
    )
    .fetch_one(pool)
    .await?;
    Ok(taken.wait_us.map(|wait_us| Delay {
        // rounded down, it would be asked for a moment too early
        wait: Duration::from_micros(wait_us.max(0) as u64 + 1),
        by_budget: taken.by_budget,
    }))
}

/// Lets nobody send a request for `wait`. Never shortens a pause.
pub async fn close_for(pool: &PgPool, provider: &ProviderName, wait: Duration) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into provider_pace as p (provider, closed_until) values ($1, clock_timestamp() + $2::interval)
         on conflict on constraint provider_pace_pkey do update
         set closed_until = excluded.closed_until where p.closed_until < excluded.closed_until",
        provider.as_str(),
        interval(wait)
    )
    .execute(pool)
    .await?;
    Ok(())
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
