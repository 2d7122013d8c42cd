//! Answers that break off.

use std::io;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};

/// The same answer, which breaks off in the middle of its body; `on_cut` is called when it does.
pub(super) async fn cut(response: Response, on_cut: impl FnOnce() + Send + 'static) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // The length is left to the framing, which then ends without its terminator: the client can
    // tell that something is missing.
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from_stream(half_then_cut(whole.slice(..whole.len() / 2), on_cut)))
}

fn half_then_cut(
    half: Bytes,
    on_cut: impl FnOnce() + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> {
    let cut = async move {
        // Gives the server the chance to send the first half before it learns of the end.
        tokio::task::yield_now().await;
        on_cut();
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    stream::once(async { Ok(half) }).chain(stream::once(cut))
}
