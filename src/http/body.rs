//! Bodies of requests, read within limits: how large, how slow, and how much of all of them together
//! is in memory. One that is refused is not read any further.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ApiError;

/// How long the next part of a body may take.
const STALL: Duration = Duration::from_secs(30);
/// Room is counted in these.
const KIB: usize = 1024;
/// By how much a body takes room as it comes, so that nobody is refused for what is not there yet.
const STEP_KIB: usize = 256;

/// The memory that bodies may take together.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

impl Room {
    /// Room for `bytes`, rounded down to whole KiB.
    pub fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / KIB)))
    }

    fn take(&self, kib: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let full = || ApiError::Unavailable("too much is being sent at this moment; try again".into());
        let kib = u32::try_from(kib).map_err(|_| full())?;
        Arc::clone(&self.0).try_acquire_many_owned(kib).map_err(|_| full())
    }
}

/// A body that is in memory; it takes room until it is dropped.
#[derive(Debug)]
pub struct Buffered {
    pub bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Reads a body of `max` bytes at most into `room`. Larger ones are 413, and where there is no room
/// left, or the rest does not come, the answer is 503.
pub async fn read(body: Body, max: usize, room: &Room) -> Result<Buffered, ApiError> {
    read_within(STALL, body, max, room).await
}

async fn read_within(stall: Duration, body: Body, max: usize, room: &Room) -> Result<Buffered, ApiError> {
    let too_large = || ApiError::TooLarge(format!("the body is too large; send {max} bytes at most a call"));
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max {
        return Err(too_large());
    }
    let mut permits = room.take(0)?;
    // what is announced is virtual memory until it comes
    let mut bytes = Vec::with_capacity(announced);
    let mut parts = body.into_data_stream();
    let broken = || ApiError::Unavailable("the body did not arrive in full".into());
    while let Some(part) = tokio::time::timeout(stall, parts.next()).await.map_err(|_| broken())? {
        let part = part.map_err(|_| broken())?;
        let length = bytes.len() + part.len();
        if length > max {
            return Err(too_large());
        }
        if length > permits.num_permits() * KIB {
            let missing = length.div_ceil(KIB) - permits.num_permits();
            permits.merge(room.take(missing.max(STEP_KIB.min(announced.div_ceil(KIB))))?);
        }
        bytes.extend_from_slice(&part);
    }
    Ok(Buffered { bytes: bytes.into(), _room: permits })
}

/// Reads up to `max` bytes of a body, and keeps none of them.
pub async fn discard(body: Body, max: usize) {
    let (mut parts, mut length) = (body.into_data_stream(), 0);
    while let Ok(Some(Ok(part))) = tokio::time::timeout(STALL, parts.next()).await {
        length += part.len();
        if length > max {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::*;

    async fn status(body: Body, max: usize, room: &Room) -> Result<Buffered, StatusCode> {
        read(body, max, room).await.map_err(|error| error.into_response().status())
    }

    fn chunked(parts: &[&'static str]) -> Body {
        let parts: Vec<Result<&'static str, std::io::Error>> = parts.iter().map(|part| Ok(*part)).collect();
        Body::from_stream(futures::stream::iter(parts))
    }

    #[tokio::test]
    async fn a_body_is_held_whole_or_refused_whether_it_announces_its_length_or_not() {
        let room = Room::of(4 * KIB);
        for body in [|| Body::from("12345"), || chunked(&["12", "", "345"])] {
            assert_eq!(status(body(), 5, &room).await.unwrap().bytes, "12345");
            assert_eq!(status(body(), 4, &room).await.unwrap_err(), StatusCode::PAYLOAD_TOO_LARGE);
        }
        assert!(status(Body::empty(), 5, &room).await.unwrap().bytes.is_empty());
    }

    #[tokio::test]
    async fn bodies_together_take_no_more_than_their_room_and_give_it_back() {
        let room = Room::of(300 * KIB);
        let body = |kib: usize| Body::from(vec![b'x'; kib * KIB]);
        let first = status(body(200), usize::MAX, &room).await.unwrap();
        let second = status(body(100), usize::MAX, &room).await.unwrap();
        assert_eq!(status(body(1), usize::MAX, &room).await.unwrap_err(), StatusCode::SERVICE_UNAVAILABLE);
        drop(second);
        assert_eq!(status(body(101), usize::MAX, &room).await.unwrap_err(), StatusCode::SERVICE_UNAVAILABLE);
        let second = status(body(100), usize::MAX, &room).await.unwrap();
        drop((first, second));
        assert!(status(body(300), usize::MAX, &room).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_whose_rest_does_not_come_is_given_up() {
        let first = futures::stream::iter([Ok::<_, std::io::Error>("begun")]);
        let body = Body::from_stream(first.chain(futures::stream::pending()));
        let room = Room::of(KIB);
        let error = read_within(Duration::from_millis(1), body, 100, &room).await.unwrap_err();
        assert!(matches!(error, ApiError::Unavailable(_)), "{error:?}");
        assert_eq!(room.0.available_permits(), 1, "and its room is free again");
    }
}
