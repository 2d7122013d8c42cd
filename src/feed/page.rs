//! Pages of a feed. A page is a range of positions, so it costs the same wherever it lies,
//! never shifts, and once full is the same for ever.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::store::database::{soon, worker_gone};
use crate::store::feed::{Clock, Opener, Slice, Start};
use crate::store::{Readers, StoreError, feed, feeds};
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
    /// The bodies as served, oldest first: a JSON array.
    pub array: Vec<u8>,
    /// How many they are.
    pub entries: i64,
    /// Where the next page begins; `None` behind a short page, which is the last.
    pub next: Option<i64>,
    /// The position of the last of them, if there is any.
    pub last_position: Option<i64>,
    /// How far the feed had come by then; `None` before its first publication.
    pub clock: Option<Clock>,
    /// The client's watermark lies above all that was issued: a restored or a wrong database.
    pub watermark_ahead: bool,
}

/// What pages are read by, and what is noted by: a replica may serve the one, and its primary the other.
pub struct Reading<'a> {
    pub readers: &'a Readers,
    pub pool: &'a PgPool,
}

/// Reads a page. Where `from` shows that the client has seen more than the feed remembers,
/// the feed's floor is lifted above it. `None` where the `opener` opens nothing any more.
pub async fn page(
    Reading { readers, pool }: Reading<'_>,
    provider: &ProviderName,
    name: FeedName,
    request: PageRequest,
    opener: Option<&Opener>,
) -> Result<Option<FeedPage>, StoreError> {
    let Some(slice) = slice(readers, provider, name, request, opener).await? else { return Ok(None) };
    let watermark_ahead = match request.from {
        Some(from) => heed_watermark(pool, provider, name, from, &slice).await?,
        None => false,
    };
    let full = slice.entries == request.page_size;
    Ok(Some(FeedPage {
        next: slice.last_position.filter(|_| full).map(|last| last + 1),
        array: slice.array,
        entries: slice.entries,
        last_position: slice.last_position,
        clock: slice.clock,
        watermark_ahead,
    }))
}

/// Reads in a task of its own: it goes on to its end where nobody waits for it any more, so that the connection is
/// good for the next one, and what comes in pieces from the database wakes no more than it.
async fn slice(
    readers: &Readers,
    provider: &ProviderName,
    name: FeedName,
    request: PageRequest,
    opener: Option<&Opener>,
) -> Result<Option<Slice>, StoreError> {
    let (readers, provider, opener) = (readers.clone(), provider.clone(), opener.cloned());
    let reading = async move { soon(read(&readers, &provider, name, request, opener.as_ref())).await };
    tokio::spawn(reading).await.map_err(|_| worker_gone())?
}

/// Reads on a connection that is held; once more where it turns out to have been broken before.
async fn read(
    readers: &Readers,
    provider: &ProviderName,
    name: FeedName,
    request: PageRequest,
    opener: Option<&Opener>,
) -> Result<Option<Slice>, StoreError> {
    loop {
        let mut reader = readers.take().await?;
        let (start, size) = (start(request), request.page_size);
        match feed::slice(reader.connection(), provider, name, start, size, opener).await {
            Ok(slice) => {
                reader.done();
                return Ok(slice);
            }
            // the others that wait are closed, and a new one is not taken for broken
            Err(error) if reader.was_broken(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Far below `i64::MAX`, so that what is added to it cannot overflow.
fn start(request: PageRequest) -> Start {
    match request.cursor {
        Some(position) => Start::Position(position.min(i64::MAX / 2)),
        None => Start::From {
            from: request.from,
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
    let known = slice.clock.is_some_and(|Clock { last_at, floor, .. }| {
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
