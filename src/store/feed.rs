//! Table `feed`: pages by position.

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use serde::Deserialize;
use sqlx::{Execute, Executor as _, PgConnection, Postgres, Row as _};
use uuid::Uuid;

use super::StoreError;
use tributary_domain::{ApiKeyDigest, FeedName, ProviderName, Scope};

/// About how long a body is: room that is made for a page beforehand.
const BODY_BYTES: usize = 512;

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

/// An API key of the database that has to open the page, as it was when it was last looked up: whoever
/// revokes it, or lets it expire, does so for the next page.
#[derive(Debug, Clone)]
pub struct Opener {
    pub id: Uuid,
    pub digest: ApiKeyDigest,
    pub scope: Scope,
}

/// A range of the feed, as one snapshot saw it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slice {
    /// The bodies as served, in the order of their positions: a JSON array.
    pub array: Vec<u8>,
    /// How many they are.
    pub entries: i64,
    /// The position of the last of them, if there is any.
    pub last_position: Option<i64>,
    /// The clock of the feed; `None` before its first publication.
    pub clock: Option<Clock>,
}

/// How far a feed has come.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Clock {
    pub last_position: i64,
    pub last_at: DateTime<Utc>,
    pub floor: DateTime<Utc>,
}

/// What is not an entry: whether the key opens the feed, and the feed's clock.
#[derive(Deserialize)]
struct Head {
    opens: bool,
    clock: Option<Clock>,
}

/// A page: its head, and behind it the rows of a query.
macro_rules! page {
    ($entries:tt, $($argument:expr),+ $(,)?) => {
        sqlx::query!(
            r#"select null::bigint as position, json_build_object(
                 'opens', $5::uuid is null or exists (
                   select from api_keys k
                   where k.id = $5 and k.provider = $1 and k.digest = $6 and k.scope = $7
                     and k.revoked_at is null and (k.expires_at > clock_timestamp()) is not false),
                 'clock', (select json_build_object('last_position', f.last_position, 'last_at', f.last_at, 'floor', f.floor) from feeds f
                   where f.provider = $1 and f.resource = $2)) as body
               union all ("# + $entries + ")",
            $($argument),+
        )
    };
}

/// Up to `size` entries from `start` on: one probe of the index and one range of it, whichever
/// page, and the API key that is to open it, in one statement. Fewer than `size` only at the end of the
/// feed. `None` where the key opens nothing any more.
pub async fn slice(
    connection: &mut PgConnection,
    provider: &ProviderName,
    feed: FeedName,
    start: Start,
    size: i64,
    opener: Option<&Opener>,
) -> Result<Option<Slice>, StoreError> {
    let (id, digest, scope) = match opener {
        Some(opener) => (Some(opener.id), Some(opener.digest.as_bytes()), Some(opener.scope.as_str())),
        None => (None, None, None),
    };
    let (provider, feed) = (provider.as_str(), feed.as_str());
    let (from, skip, position) = match start {
        Start::From { from, skip: 0 } => {
            // most of all pages: they need no position to begin from
            let rows = page!(
                "select position, body from feed
                 where provider = $1 and resource = $2
                   and published_at >= coalesce($3::timestamptz, '-infinity')
                 order by published_at limit $4",
                provider,
                feed,
                from,
                size,
                id,
                digest,
                scope
            );
            return gather(connection, rows, size).await;
        }
        Start::From { from, skip } => (from, skip, None),
        Start::Position(position) => (None, 0, Some(position)),
    };
    // positions are dense, so that a range of them is as good as a limit
    let rows = page!(
        "with start as materialized (
           select coalesce($8, $9 + (
             select position from feed
             where provider = $1 and resource = $2 and published_at >= coalesce($3::timestamptz, '-infinity')
             order by published_at limit 1)) as position)
         select position, body from feed
         where provider = $1 and resource = $2
           and position >= (select position from start) and position < (select position from start) + $4
         order by position",
        provider,
        feed,
        from,
        size,
        id,
        digest,
        scope,
        position,
        skip
    );
    gather(connection, rows, size).await
}

/// Puts the entries of a page behind each other as they come, unread. They have to come in the order of
/// their positions, without a gap.
async fn gather<'q>(
    connection: &mut PgConnection,
    mut page: impl Execute<'q, Postgres>,
    size: i64,
) -> Result<Option<Slice>, StoreError> {
    // as a plain query: what sqlx 0.9 maps to a type is not prepared where an executor is given it directly
    let arguments = page.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
    let mut rows = connection.fetch(sqlx::query_with(page.sql(), arguments));
    let room = BODY_BYTES * size.unsigned_abs() as usize;
    let mut slice = Slice { array: Vec::with_capacity(room), ..Slice::default() };
    let mut head = None;
    slice.array.push(b'[');
    while let Some(row) = rows.try_next().await? {
        let body = row.try_get_raw(1)?;
        let body = body.as_bytes().map_err(sqlx::Error::Decode)?;
        let Some(position) = row.try_get::<Option<i64>, _>(0)? else {
            head = Some(
                serde_json::from_slice::<Head>(body).map_err(|error| sqlx::Error::Decode(error.into()))?,
            );
            continue;
        };
        match slice.last_position {
            Some(last) if last + 1 != position => return Err(out_of_order().into()),
            Some(_) => slice.array.push(b','),
            None => {}
        }
        slice.array.extend_from_slice(body);
        slice.last_position = Some(position);
        slice.entries += 1;
    }
    slice.array.push(b']');
    let Head { opens, clock } = head.ok_or(sqlx::Error::RowNotFound)?;
    slice.clock = clock;
    Ok(opens.then_some(slice))
}

fn out_of_order() -> sqlx::Error {
    sqlx::Error::Decode("the entries of a page did not come in the order of their positions".into())
}
