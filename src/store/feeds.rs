//! Table `feeds`: the clock, and the publication that moves it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{StoreError, interval};
use tributary_domain::{FeedName, ProviderName};

/// How a provider's feeds are paced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeedPace {
    /// The most entries that share a second while there is room.
    pub per_second: i32,
    /// How long a child waits for its parent's first entry.
    pub parent_wait: Duration,
}

/// What one publication did.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Entries added.
    pub published: u64,
    /// There is more, and there is room: call again at once.
    pub more: bool,
    /// About how many changes still wait.
    pub backlog: u64,
    /// With a backlog and no room: when there will be.
    pub retry_after: Option<Duration>,
    /// How far the database clock stands below what was issued (or a consumer has seen).
    pub clock_behind: Option<Duration>,
    /// The spans, each as a `traceparent`, whose changes were among what was added.
    pub traces: Vec<String>,
}

/// Publishes up to `batch` changes of one feed.
pub async fn publish(
    executor: impl sqlx::PgExecutor<'_>,
    provider: &ProviderName,
    feed: FeedName,
    pace: FeedPace,
    batch: i32,
) -> Result<Publication, StoreError> {
    let row = sqlx::query!(
        r#"select published as "published!", more as "more!", backlog as "backlog!",
                  (extract(epoch from retry_after) * 1000000)::bigint as retry_after_us,
                  (extract(epoch from clock_behind) * 1000000)::bigint as clock_behind_us, traces
           from publish($1, $2, $3, $4, $5)"#,
        provider.as_str(),
        feed.as_str(),
        pace.per_second,
        batch,
        interval(pace.parent_wait)
    )
    .fetch_one(executor)
    .await?;
    let micros = |us: i64| Duration::from_micros(us.max(0).unsigned_abs());
    Ok(Publication {
        published: row.published.max(0).unsigned_abs().into(),
        more: row.more,
        backlog: row.backlog.max(0).unsigned_abs(),
        retry_after: row.retry_after_us.map(micros),
        clock_behind: row.clock_behind_us.map(micros),
        traces: row.traces.unwrap_or_default(),
    })
}

/// Where a feed ends.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedHead {
    pub provider: String,
    pub feed: String,
    /// The position of its last entry; 0 before any.
    pub position: i64,
    /// The time of that entry.
    pub at: DateTime<Utc>,
    /// Whether nothing is published before the end of the first sync.
    pub awaits_first_sync: bool,
}

/// Where the feeds of `providers` end; nothing of one that nothing was ever written to.
pub async fn heads(pool: &PgPool, providers: &[ProviderName]) -> Result<Vec<FeedHead>, StoreError> {
    let names: Vec<&str> = providers.iter().map(ProviderName::as_str).collect();
    let heads = sqlx::query_as!(
        FeedHead,
        "select provider, resource as feed, last_position as position, last_at as at, awaits_first_sync from feeds
         where provider = any($1) order by provider, resource",
        &names as _
    )
    .fetch_all(pool)
    .await?;
    Ok(heads)
}

/// How far the feeds of a provider had come at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub provider: String,
    /// How many entries all its feeds had.
    pub entries: i64,
}

/// How far the feeds of `providers` had come at each of `times`, by provider and then in the order of the times: of each
/// feed and time one look at its index.
pub async fn progress(
    pool: &PgPool,
    providers: &[ProviderName],
    times: &[DateTime<Utc>],
) -> Result<Vec<Progress>, StoreError> {
    let names: Vec<&str> = providers.iter().map(ProviderName::as_str).collect();
    let progress = sqlx::query_as!(
        Progress,
        r#"select f.provider, sum(coalesce(
             (select e.position - 1 from feed e
              where e.provider = f.provider and e.resource = f.resource and e.published_at >= t.at
              order by e.published_at limit 1), f.last_position))::bigint as "entries!"
           from feeds f, unnest($2::timestamptz[]) with ordinality t (at, n)
           where f.provider = any($1)
           group by f.provider, t.n order by f.provider, t.n"#,
        &names as _,
        times
    )
    .fetch_all(pool)
    .await?;
    Ok(progress)
}

/// A feed whose clock stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Behind {
    pub provider: String,
    pub resource: String,
    /// How far the database clock stands below what was issued, or a consumer has seen.
    pub seconds: f64,
}

/// The feeds of `providers` at which the database clock stands below what was issued.
pub async fn clocks_behind(pool: &PgPool, providers: &[ProviderName]) -> Result<Vec<Behind>, StoreError> {
    let names: Vec<&str> = providers.iter().map(ProviderName::as_str).collect();
    let behind = sqlx::query_as!(
        Behind,
        r#"select provider, resource,
                  extract(epoch from greatest(last_at, floor) - (clock_timestamp() + ahead))::double precision as "seconds!"
           from feeds
           where provider = any($1) and greatest(last_at, floor) > clock_timestamp() + ahead"#,
        &names as _
    )
    .fetch_all(pool)
    .await?;
    Ok(behind)
}

/// How far ahead of the database clock a watermark may be and still have been issued by a
/// clock of ours. A `from` beyond that is a mistake, and not heeded.
const WATERMARK_AHEAD_MAX: Duration = Duration::from_secs(3600);

/// Lifts the floor above `from`, the highest watermark (in whole seconds) that a consumer of
/// the feed is known to have, so that nothing is issued where it no longer looks.
pub async fn lift_floor(
    pool: &PgPool,
    provider: &ProviderName,
    feed: FeedName,
    from: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "select lift_floor($1, $2, $3, $4)",
        provider.as_str(),
        feed.as_str(),
        from,
        interval(WATERMARK_AHEAD_MAX)
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}

/// Has a feed that has published nothing yet wait for [`end_first_sync`]. Gives whether it waits.
pub async fn await_first_sync(
    connection: &mut PgConnection,
    provider: &ProviderName,
    feed: FeedName,
) -> Result<bool, StoreError> {
    let awaits = sqlx::query_scalar!(
        r#"select await_first_sync($1, $2) as "awaits!""#,
        provider.as_str(),
        feed.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(awaits)
}

/// Lets a feed publish that waited for the end of its first sync.
pub async fn end_first_sync(
    connection: &mut PgConnection,
    provider: &ProviderName,
    feed: FeedName,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with released as (
           update feeds set awaits_first_sync = false where provider = $1 and resource = $2 and awaits_first_sync returning provider, resource)
         select pg_notify('tributary_changes', provider || '/' || resource) from released",
        provider.as_str(),
        feed.as_str()
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}
