//! Serving connections, and ending that so that no client is refused or cut off. Formance takes a
//! reset connection for a final "no", and a payout that met one stays FAILED.
//!
//! A stop goes like this, each step for a reason:
//! 1. [`Draining`] begins: `/readyz` says 503, so that a proxy sends its traffic elsewhere, and every
//!    answer says `Connection: close`, so that clients let go of their connections themselves.
//!    Unless a successor has the socket already, new connections are served as before.
//! 2. No new ones: what waits in the accept queue is taken, then the listener is let go.
//! 3. Connections on which nothing is asked are dismissed. A client may be sending a request at this
//!    very moment, and a plain close would answer it with a reset. So each is answered 408 first, which
//!    clients on an idle connection take for a close, and as the answer to a request for "again",
//!    and is read until the client has hung up.
//! 4. Requests in flight are waited for, up to a limit.
//!
//! Connections have limits ([`ConnectionLimits`]), so that strangers who open them and ask nothing
//! cannot keep those away who do. Whoever meets one is answered 408 in the same way as in step 3.

mod activity;
mod connection;
mod crowd;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use activity::Activity;
use crowd::{Crowd, Seat};
pub use socket::{Listening, SocketError};

/// How far a stop has come. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Draining {
    begun: CancellationToken,
    dismissing: CancellationToken,
}

impl Draining {
    /// Whether this process is about to end: it still serves, but wants no more traffic.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }
}

/// Why a server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// An orchestrator wants it: there may be a proxy that has to notice first.
    Gentle,
    /// A person waits for it.
    Prompt,
    /// Another process accepts on the same socket already.
    Replaced,
}

/// How long the steps of a stop may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For how long traffic is still served after it was asked to go elsewhere.
    pub lame_duck: Duration,
    /// How long requests in flight may take from then on.
    pub drain: Duration,
}

/// What connections may take of a server. No request that has arrived is cut off by it.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// How many may be open. Beyond, a new one takes the place of one on which nothing is asked, and
    /// waits where all are being answered.
    pub most: usize,
    /// For how long a client may take to send the head of a request, from its first byte on; and may
    /// take nothing of an answer.
    pub head: Duration,
    /// For how long a connection is kept on which nothing is asked.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    /// For 1,024 open files. Go's client, which is Formance's, keeps idle connections for 90 s.
    fn default() -> Self {
        Self { most: 512, head: Duration::from_secs(30), idle: Duration::from_secs(120) }
    }
}

impl ConnectionLimits {
    /// How many files connections may take: those that have a place, and those that gave theirs up
    /// and are still being answered so.
    pub fn files(&self) -> usize {
        self.most + self.lingering()
    }

    fn lingering(&self) -> usize {
        self.most.div_ceil(4)
    }
}

/// What it takes from a handshake until the request is there, nearly always.
const FIRST_BYTES: Duration = Duration::from_millis(200);

/// A server at work.
pub struct Serving {
    listening: Arc<Listening>,
    shared: Shared,
    /// Ends the acceptor.
    close: CancellationToken,
    acceptor: JoinHandle<()>,
}

/// What all connections of a server share.
#[derive(Clone)]
struct Shared {
    app: Router,
    draining: Draining,
    limits: ConnectionLimits,
    crowd: Crowd,
    /// How many may linger that gave their place up.
    lingering: Arc<Semaphore>,
    connections: TaskTracker,
    /// The limit has passed: whoever is left is cut off.
    abandon: CancellationToken,
}

impl Shared {
    /// Serves `stream` as soon as there is a place, and at the latest once `hurry` is cancelled.
    async fn serve(&self, stream: TcpStream, hurry: &CancellationToken) {
        let activity = Activity::default();
        let place = self.crowd.enter(&activity, hurry).await;
        self.spawn(stream, activity, place);
    }

    /// Serves `stream` in any case.
    fn serve_late(&self, stream: TcpStream) {
        let activity = Activity::default();
        let place = self.crowd.admit_late(&activity);
        self.spawn(stream, activity, place);
    }

    fn spawn(&self, stream: TcpStream, activity: Activity, place: Seat) {
        self.connections.spawn(connection::serve(stream, activity, place, self.clone()));
    }
}

impl Serving {
    /// Serves `app` on `listening` from now on. `draining` follows how a stop goes on.
    pub fn start(listening: Listening, app: Router, draining: Draining, limits: ConnectionLimits) -> Self {
        let listening = Arc::new(listening);
        let shared = Shared {
            app,
            draining,
            limits,
            crowd: Crowd::new(limits.most),
            lingering: Arc::new(Semaphore::new(limits.lingering())),
            connections: TaskTracker::new(),
            abandon: CancellationToken::new(),
        };
        let close = CancellationToken::new();
        let acceptor = tokio::spawn(accept(Arc::clone(&listening), shared.clone(), close.clone()));
        Self { listening, shared, close, acceptor }
    }

    /// The socket, to be handed on.
    pub fn listening(&self) -> &Listening {
        &self.listening
    }

    /// Stops as this module promises. `hurry` ends the lame duck's time early.
    pub async fn stop(self, why: Stop, patience: Patience, hurry: impl Future<Output = ()>) {
        let begun = Instant::now();
        self.shared.draining.begun.cancel();
        match why {
            Stop::Replaced => self.close.cancel(),
            Stop::Gentle => {
                let time = tokio::time::sleep(patience.lame_duck);
                tokio::select! { () = time => {}, () = hurry => {} }
                self.close.cancel();
            }
            Stop::Prompt => self.close.cancel(),
        }
        let Self { listening, shared, acceptor, .. } = self;
        if acceptor.await.is_err() {
            tracing::error!("accepting connections ended with a panic");
        }
        if why != Stop::Replaced {
            listening.take_queued(|stream| shared.serve_late(stream));
        }
        drop(listening);
        shared.end(why, begun, patience).await;
    }
}

impl Shared {
    /// The end of connections when no new ones come any more.
    async fn end(self, why: Stop, begun: Instant, patience: Patience) {
        self.connections.close();
        // a proxy need not notice anything: what is left are only idle connections of clients
        let unhurried = why == Stop::Replaced;
        let until = if unhurried { begun + patience.lame_duck } else { Instant::now() + FIRST_BYTES };
        tokio::time::timeout_at(until, self.connections.wait()).await.ok();
        self.draining.dismissing.cancel();
        if tokio::time::timeout(patience.drain, self.connections.wait()).await.is_err() {
            let left = self.connections.len();
            tracing::warn!(left, "cut off requests that did not end within {} s", patience.drain.as_secs());
            self.abandon.cancel();
            self.connections.wait().await;
        }
    }
}

/// Takes connections until `close`. One that was taken is served whatever happens.
async fn accept(listening: Arc<Listening>, shared: Shared, close: CancellationToken) {
    while let Some(stream) = close.run_until_cancelled(listening.accept()).await {
        shared.serve(stream, &close).await;
    }
}
