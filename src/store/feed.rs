//! Table `feed`: pages by position.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::StoreError;
use tributary_domain::{FeedName, ProviderName};

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// `skip` entries behind the first one published at or after `from` (of all, if `None`).
    From {
        from: Option<DateTime<Utc>>,
        skip: i64,
    },
    Position(i64),
}

/// A range of the feed, as one snapshot saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// The bodies as served, in the order of their positions.
    pub bodies: Vec<String>,
    /// The position behind the last of `bodies`, where there is one.
    pub next_position: Option<i64>,
    /// The clock of the feed; `None` before its first publication.
    pub clock: Option<Clock>,
}

/// How far a feed has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    pub last_at: DateTime<Utc>,
    pub floor: DateTime<Utc>,
}

/// Up to `size` entries from `start` on: one probe of the index and one range of it, whichever
/// page. Fewer than `size` only at the end of the feed.
pub async fn slice(
    pool: &PgPool,
    provider: &ProviderName,
    feed: FeedName,
    start: Start,
    size: i64,
) -> Result<Slice, StoreError> {
    let (from, skip, position) = match start {
        Start::From { from, skip } => (from, skip, None),
        Start::Position(position) => (None, 0, Some(position)),
    };
    let row = sqlx::query!(
        r#"select coalesce(array_agg(body::text order by position), '{}') as "bodies!",
                  max(position) as last_position,
                  (select last_at from feeds where provider = $1 and resource = $2) as last_at,
                  (select floor from feeds where provider = $1 and resource = $2) as floor
           from (
             select position, body from feed
             where provider = $1 and resource = $2 and position >= coalesce($5, $4 + (
               select position from feed
               where provider = $1 and resource = $2 and published_at >= coalesce($3, '-infinity'::timestamptz)
               order by published_at limit 1))
             order by position limit $6
           ) page"#,
        provider.as_str(),
        feed.as_str(),
        from,
        skip,
        position,
        size
    )
    .fetch_one(pool)
    .await?;
    Ok(Slice {
        bodies: row.bodies,
        next_position: row.last_position.map(|last| last + 1),
        clock: row.last_at.zip(row.floor).map(|(last_at, floor)| Clock { last_at, floor }),
    })
}
