//! One connection, from its first byte to its polite end.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Version, header};
use futures::FutureExt as _;
use futures::future::Fuse;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::activity::Activity;
use super::crowd::Seat;
use super::stream::{LINGER, PoliteStream};
use super::{Draining, Shared};

/// As much of a request's head is read, at most.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// How often the other side of HTTP/2 is asked whether it is still there, and how long it may take.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_LIMIT: Duration = Duration::from_secs(20);
/// The most requests of one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 100;

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, activity: Activity, place: Seat, shared: Shared) {
    let Shared { app, draining, abandon, limits, lingering, .. } = shared.clone();
    let place = Arc::new(place);
    let stream = PoliteStream::new(stream, activity.clone(), Arc::clone(&place), shared);
    let app = TowerToHyperService::new(app);
    let service = service_fn(|request: Request<Incoming>| {
        // HTTP/2 has other ways to say so
        let may_say_close = request.version() <= Version::HTTP_11;
        activity.asked();
        let answered = Answered(activity.clone());
        let (answering, draining) = (app.call(request.map(Body::new)), draining.clone());
        async move {
            let mut response = answering.await?;
            if may_say_close && draining.has_begun() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response.map(|body| Watched { body, _answered: answered }))
        }
    });
    let builder = builder();
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut http2_ends = pin!(http2_has_to_end(&activity, &draining, limits.idle));
    let mut cut = pin!(Fuse::terminated());
    let (mut dismissed, mut asked, mut http2_ended) = (false, false, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection ended with an error");
                }
                return;
            }
            // the stream dismisses the client when it is polled again
            () = draining.dismissing.cancelled(), if !dismissed => dismissed = true,
            () = activity.asked_to_leave().cancelled(), if !asked => asked = true,
            () = http2_ends.as_mut(), if !http2_ended => {
                http2_ended = true;
                // says GOAWAY, and finishes what it is at
                connection.as_mut().graceful_shutdown();
                if !draining.dismissing.is_cancelled() {
                    cut.set(http2_is_over(&activity, &place, &lingering, limits.idle).fuse());
                }
            }
            () = cut.as_mut(), if http2_ended => return,
            () = abandon.cancelled() => return,
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // its own limit of time would count idle connections in, and close them without a word
    builder.http1().header_read_timeout(None).max_buf_size(HEAD_MAX_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_LIMIT)
        .max_concurrent_streams(STREAMS_MAX);
    builder
}

/// Waits until an HTTP/2 connection has to end: with the server, for the sake of another one, or
/// because no request of it has begun or ended for so long. Requests have limits of time, so that
/// one which is still there by then is an answer that nobody takes.
async fn http2_has_to_end(activity: &Activity, draining: &Draining, idle: Duration) {
    let quiet = async {
        while !activity.is_http2() || activity.since().elapsed() < idle {
            tokio::time::sleep(idle / 4).await;
        }
    };
    let wanted = async {
        tokio::select! {
            () = draining.dismissing.cancelled() => {}
            () = activity.asked_to_leave().cancelled() => {}
        }
        if !activity.is_http2() {
            std::future::pending().await
        }
    };
    tokio::select! { () = quiet => {}, () = wanted => {} }
}

/// Waits until an HTTP/2 connection that was asked to end may be cut off, as [`PoliteStream`] does it
/// with others.
async fn http2_is_over(activity: &Activity, place: &Seat, lingering: &Semaphore, idle: Duration) {
    let _extra = if activity.asked_to_leave().is_cancelled() {
        place.give_up();
        let Ok(extra) = lingering.try_acquire() else { return };
        Some(extra)
    } else {
        None
    };
    loop {
        tokio::time::sleep(LINGER).await;
        if activity.requests() == 0 || activity.since().elapsed() >= idle {
            return;
        }
    }
}

/// Says, when dropped, that an answer was given to the end.
struct Answered(Activity);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// The body of an answer, which is dropped when it was given to the end.
struct Watched {
    body: Body,
    _answered: Answered,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
