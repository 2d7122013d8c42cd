//! Table `consumers`: who polls which feed, and how far it came.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgPool};

use super::StoreError;
use tributary_domain::{FeedName, ProviderName};

/// What one consumer did since that was last written.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    pub provider: ProviderName,
    pub feed: FeedName,
    /// As the log names it: `key:NAME`, or `file:acme/connector`.
    pub key: String,
    /// What the last poll asked from.
    pub asked_from: Option<DateTime<Utc>>,
    /// The last position that was served; 0 where no page had an entry.
    pub position: i64,
    /// Where the feed ended at the last poll.
    pub head_position: i64,
    pub head_at: Option<DateTime<Utc>>,
    /// How long ago the last poll was.
    pub ago: Duration,
    /// How long ago the first one was that asked for a first page.
    pub first_page_ago: Option<Duration>,
    pub pages: i64,
}

/// Two beginnings that are closer together tell nothing of a schedule: they are typed by hand, or a test's.
const SHORTEST_GAP: Duration = Duration::from_secs(10);
/// After so long without a page, a first page begins anew though the walk before it was broken off.
const BROKEN_OFF: Duration = Duration::from_secs(60);

/// Writes what consumers did. It may have been done by several instances at once, and arrive here in any order: the
/// later position wins, as a page that is served again takes nothing back, and of the rest the later poll. So a
/// consumer is where it was served last of all, whichever instance did so.
pub async fn write(pool: &PgPool, polled: &[Polled]) -> Result<(), StoreError> {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let providers: Vec<&str> = polled.iter().map(|p| p.provider.as_str()).collect();
    let feeds: Vec<&str> = polled.iter().map(|p| p.feed.as_str()).collect();
    let keys: Vec<&str> = polled.iter().map(|p| p.key.as_str()).collect();
    let froms: Vec<Option<DateTime<Utc>>> = polled.iter().map(|p| p.asked_from).collect();
    let positions: Vec<i64> = polled.iter().map(|p| p.position).collect();
    let heads: Vec<i64> = polled.iter().map(|p| p.head_position).collect();
    let head_times: Vec<Option<DateTime<Utc>>> = polled.iter().map(|p| p.head_at).collect();
    let agos: Vec<i64> = polled.iter().map(|p| micros(p.ago)).collect();
    let first_pages: Vec<Option<i64>> = polled.iter().map(|p| p.first_page_ago.map(micros)).collect();
    let pages: Vec<i64> = polled.iter().map(|p| p.pages).collect();
    // by the clock of the database, so that instances agree (and no time stays in the future that it once told);
    // sorted, so that two of them cannot deadlock
    sqlx::query!(
        r#"insert into consumers as c (provider, resource, key, asked_from, position, position_at, head_position, head_at,
             first_polled_at, polled_at, caught_up_at, begun_at, polls, pages)
           select p.provider, p.resource, p.key, p.asked_from, p.position,
             (select f.published_at from feed f
              where f.provider = p.provider and f.resource = p.resource and f.position = p.position),
             p.head_position, p.head_at, at, at, case when p.position >= p.head_position then at end,
             begun, case when begun is null then 0 else 1 end, p.pages
           from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[],
                  $7::timestamptz[], $8::bigint[], $9::bigint[], $10::bigint[])
                  p (provider, resource, key, asked_from, position, head_position, head_at, ago, first_page_ago, pages)
           cross join lateral (select now() - p.ago * interval '1 microsecond' as at,
                                      now() - p.first_page_ago * interval '1 microsecond' as begun) t
           order by p.provider, p.resource, p.key
           on conflict (provider, resource, key) do update set
             asked_from = case when excluded.polled_at >= c.polled_at then excluded.asked_from else c.asked_from end,
             position = greatest(c.position, excluded.position),
             position_at = case when excluded.position > c.position then excluded.position_at else c.position_at end,
             head_position = greatest(c.head_position, excluded.head_position),
             head_at = greatest(c.head_at, excluded.head_at),
             (first_polled_at, polled_at, caught_up_at) = (
               select least(c.first_polled_at, at), at, case
                 when greatest(c.position, excluded.position) >= excluded.head_position
                 then least(at, greatest(c.caught_up_at, excluded.polled_at))
                 when c.caught_up_at > at then at else c.caught_up_at end
               from (select least(now(), greatest(c.polled_at, excluded.polled_at)) as at) t),
             (begun_at, polls, gaps) = (
               select case when anew then excluded.begun_at else c.begun_at end,
                      c.polls + case when anew then 1 else 0 end,
                      case when anew and gap >= $11 then (c.gaps || gap)[greatest(cardinality(c.gaps) - 7, 1):] else c.gaps end
               from (select extract(epoch from excluded.begun_at - c.begun_at)::double precision as gap,
                            excluded.begun_at is not null and (c.begun_at is null or excluded.begun_at > c.polled_at
                              and (c.caught_up_at >= c.polled_at
                                or excluded.begun_at - c.polled_at >= $12 * interval '1 second')) as anew) b),
             pages = c.pages + excluded.pages"#,
        &providers as _,
        &feeds as _,
        &keys as _,
        &froms as _,
        &positions,
        &heads,
        &head_times as _,
        &agos,
        &first_pages as _,
        &pages,
        SHORTEST_GAP.as_secs_f64(),
        BROKEN_OFF.as_secs_f64()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A consumer, and how far behind it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consumer {
    pub provider: String,
    pub feed: String,
    pub key: String,
    pub asked_from: Option<DateTime<Utc>>,
    /// The last entry that it was served; 0 before any.
    pub position: i64,
    pub position_at: Option<DateTime<Utc>>,
    /// Where the feed ended at its last poll.
    pub head_position: i64,
    pub head_at: Option<DateTime<Utc>>,
    pub first_polled_at: DateTime<Utc>,
    pub polled_at: DateTime<Utc>,
    /// When it last had everything.
    pub caught_up_at: Option<DateTime<Utc>>,
    pub begun_at: Option<DateTime<Utc>>,
    pub polls: i64,
    pub pages: i64,
    /// Its period in seconds, once that is learnt.
    pub period_seconds: Option<f64>,
    /// The entries that it has not been served by now.
    pub lag_entries: i64,
    /// For how long the first of them has waited for it at most, in seconds; 0 where there is none.
    pub lag_seconds: f64,
    /// It polled, and has not for two of its periods.
    pub silent: bool,
}

impl Consumer {
    /// How it does, in words.
    pub fn state(&self) -> &'static str {
        match self {
            Self { silent: true, .. } => "silent: has Formance paused its schedule?",
            Self { lag_entries: 0, .. } => "has everything",
            Self { caught_up_at: Some(at), polled_at, .. } if at == polled_at => "had everything",
            _ => "pages",
        }
    }
}

/// How far a consumer came on one feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub key: String,
    /// The last entry that it was served; 0 before any.
    pub position: i64,
    pub polled_at: DateTime<Utc>,
}

/// How far the consumers of one feed came; of balances, which have none, nobody.
pub async fn progress(pool: &PgPool, provider: &str, feed: &str) -> Result<Vec<Progress>, StoreError> {
    let progress = sqlx::query_as!(
        Progress,
        "select key, position, polled_at from consumers where provider = $1 and resource = $2 order by key",
        provider,
        feed
    )
    .fetch_all(pool)
    .await?;
    Ok(progress)
}

/// The consumers of one provider, or of all.
pub async fn list(pool: &PgPool, provider: Option<&ProviderName>) -> Result<Vec<Consumer>, StoreError> {
    // an entry of the past (a backfill) is stamped before it was published, but not before the consumer had everything
    let consumers = sqlx::query_as!(
        Consumer,
        r#"select c.provider, c.resource as feed, c.key, c.asked_from, c.position, c.position_at, c.head_position, c.head_at,
             c.first_polled_at, c.polled_at, c.caught_up_at, c.begun_at, c.polls, c.pages,
             consumer_period(c.gaps) as period_seconds,
             greatest(coalesce(f.last_position, 0) - c.position, 0) as "lag_entries!",
             case when f.last_position > c.position then greatest(0, extract(epoch from now() - greatest(
               coalesce(c.caught_up_at, c.first_polled_at),
               (select n.published_at from feed n
                where n.provider = c.provider and n.resource = c.resource and n.position = c.position + 1))))
               else 0 end::double precision as "lag_seconds!",
             (now() - c.polled_at > 2 * consumer_period(c.gaps) * interval '1 second') is true as "silent!"
           from consumers c left join feeds f on f.provider = c.provider and f.resource = c.resource
           where $1::text is null or c.provider = $1 order by c.provider, c.key, c.resource"#,
        provider.map(ProviderName::as_str)
    )
    .fetch_all(pool)
    .await?;
    Ok(consumers)
}

/// Forgets up to `limit` consumers that were silent since `before`, or whose key was revoked, with no other of its name;
/// gives how many.
pub async fn forget(pool: &PgPool, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
    let gone = sqlx::query!(
        "delete from consumers where (provider, resource, key) in (
           select c.provider, c.resource, c.key from consumers c
           where c.polled_at < $1
              or (starts_with(c.key, 'key:') and not exists (
                    select from api_keys k
                    where k.provider = c.provider and 'key:' || k.name = c.key and k.revoked_at is null))
           limit $2 for update skip locked)",
        before,
        i64::from(limit)
    )
    .execute(pool)
    .await?;
    Ok(gone.rows_affected())
}

/// Forgets a consumer that is not to come back, on all feeds of `provider`; gives of how many.
pub async fn forget_key(
    executor: impl PgExecutor<'_>,
    provider: &ProviderName,
    key: &str,
) -> Result<u64, StoreError> {
    let gone = sqlx::query!("delete from consumers where provider = $1 and key = $2", provider.as_str(), key)
        .execute(executor)
        .await?;
    Ok(gone.rows_affected())
}
