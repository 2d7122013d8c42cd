//! One connection, from its first byte to its polite end.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Version, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;

use super::Shared;
use super::stream::{Activity, PoliteStream};

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, shared: Shared) {
    let Shared { app, draining, abandon, .. } = shared;
    let activity = Activity::default();
    let stream = PoliteStream::new(stream, activity.clone(), draining.dismissing.clone());
    let app = TowerToHyperService::new(app);
    let service = service_fn(|request: Request<Incoming>| {
        // HTTP/2 has other ways to say so
        let may_say_close = request.version() <= Version::HTTP_11;
        let answering = app.call(request.map(Body::new));
        let (draining, answered) = (draining.clone(), Answered(activity.clone()));
        async move {
            let mut response = answering.await?;
            if may_say_close && draining.has_begun() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response.map(|body| Watched { body, _answered: answered }))
        }
    });
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut dismissed = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection ended in disorder");
                }
                return;
            }
            // the stream dismisses the client when it is polled again; HTTP/2 says GOAWAY
            () = draining.dismissing.cancelled(), if !dismissed => {
                dismissed = true;
                if activity.is_http2() {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = abandon.cancelled() => return,
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
