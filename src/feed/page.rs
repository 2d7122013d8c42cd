//! Pages of a feed. A page is a range of positions, so it costs the same wherever it lies,
//! never shifts, and once full is the same for ever.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::store::feed::{Clock, Slice, Start};
use crate::store::{StoreError, feed, feeds};
use tributary_domain::{FeedName, ProviderName};

/// Entries of a page where the client does not say.
pub const PAGE_SIZE_DEFAULT: i64 = 100;
/// The most entries of a page. A larger `pageSize` is refused, never cut: a page shorter than
/// asked for means the end of the data.
pub const PAGE_SIZE_MAX: i64 = 1000;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageRequest {
    /// Entries published at or after it; of all, if `None`.
    pub from: Option<DateTime<Utc>>,
    /// From 1 on.
    pub page: i64,
    /// 1 to [`PAGE_SIZE_MAX`].
    pub page_size: i64,
    /// The position at which a link of ours has the client go on; replaces `from` and `page`.
    pub cursor: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FeedPage {
    /// The bodies as served, oldest first.
    pub bodies: Vec<String>,
    /// Where the next page begins; `None` behind a short page, which is the last.
    pub next: Option<i64>,
    /// The client's watermark lies above all that was issued: a restored or a wrong database.
    pub watermark_ahead: bool,
}

/// Reads a page. Where `from` shows that the client has seen more than the feed remembers,
/// the feed's floor is lifted above it.
pub async fn page(
    pool: &PgPool,
    provider: &ProviderName,
    name: FeedName,
    request: PageRequest,
) -> Result<FeedPage, StoreError> {
    let slice = feed::slice(pool, provider, name, start(request), request.page_size).await?;
    let watermark_ahead = match request.from {
        Some(from) => heed_watermark(pool, provider, name, from, &slice).await?,
        None => false,
    };
    let full = slice.bodies.len() as i64 == request.page_size;
    Ok(FeedPage { next: slice.next_position.filter(|_| full), bodies: slice.bodies, watermark_ahead })
}

fn start(request: PageRequest) -> Start {
    match request.cursor {
        Some(position) => Start::Position(position),
        None => Start::From {
            from: request.from,
            // far below i64::MAX, so that adding a position cannot overflow
            skip: (request.page - 1).saturating_mul(request.page_size).min(i64::MAX / 2),
        },
    }
}

/// Gives whether the watermark lies ahead of the feed. A client that is up to date asks from
/// the second of the last entry on. It may hold any time of that second; so the floor is lifted
/// above that, unless it was this life of the database that issued the entry. Then the client
/// holds nothing later, and polls as fast as anybody likes do not slow the feed.
async fn heed_watermark(
    pool: &PgPool,
    provider: &ProviderName,
    name: FeedName,
    from: DateTime<Utc>,
    slice: &Slice,
) -> Result<bool, StoreError> {
    let known = slice.clock.is_some_and(|Clock { last_at, floor }| {
        from + TimeDelta::seconds(1) <= last_at.max(floor) || (from <= last_at && floor < last_at)
    });
    if !known {
        match feeds::lift_floor(pool, provider, name, from).await {
            Ok(()) => {}
            // a read replica answers pages, too; its primary learns of the watermark elsewhere
            Err(StoreError::Unavailable(error)) => {
                tracing::warn!(%provider, feed = %name, %error, "cannot raise the feed's floor");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(slice.clock.is_none_or(|clock| from > clock.last_at))
}
