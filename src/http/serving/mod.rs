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

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Trusted;
use crate::supervision;
use activity::Activity;
use crowd::{Crowd, Seat};
pub use socket::{Handed, Listening, OPERATOR, SocketError};

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
    /// How many of them may come from one address (of IPv6: from one /64), unless a trusted proxy has it.
    /// Beyond, a new one takes the place of another one of the address on which nothing is asked, and
    /// is refused where all are being answered.
    pub each: usize,
    /// For how long a client may take to send the head of a request, from its first byte on; and may
    /// take nothing of an answer.
    pub head: Duration,
    /// For how long a connection is kept on which nothing is asked.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    /// For 1,024 open files. Go's client, which is Formance's, keeps idle connections for 90 s.
    fn default() -> Self {
        Self { most: 512, each: 256, head: Duration::from_secs(30), idle: Duration::from_secs(120) }
    }
}

impl ConnectionLimits {
    /// Those of the listener for operators, to which few come.
    pub fn for_operators() -> Self {
        Self { most: 64, each: 64, ..Self::default() }
    }

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
    /// Cancelled when it has ended, for whatever reason.
    ended: CancellationToken,
    acceptor: JoinHandle<()>,
}

/// What all connections of a server share.
#[derive(Clone)]
struct Shared {
    app: Router,
    draining: Draining,
    limits: ConnectionLimits,
    /// Proxies, behind whose addresses there are many clients.
    trusted: Trusted,
    crowd: Crowd,
    /// How many may linger that gave their place up.
    lingering: Arc<Semaphore>,
    connections: TaskTracker,
    /// The limit has passed: whoever is left is cut off.
    abandon: CancellationToken,
}

impl Shared {
    /// Serves `stream`, which comes from `peer`, as soon as there is a place, and at the latest once
    /// `hurry` is cancelled. Refuses it where its address has more than its share.
    async fn serve(&self, stream: TcpStream, peer: IpAddr, hurry: &CancellationToken) {
        let activity = Activity::default();
        match self.crowd.enter(&activity, self.origin(peer), hurry).await {
            Some(place) => self.spawn(stream, peer, activity, place),
            None => self.refuse(stream),
        }
    }

    /// Serves `stream` in any case.
    fn serve_late(&self, stream: TcpStream, peer: IpAddr) {
        let activity = Activity::default();
        let place = self.crowd.admit_late(&activity, self.origin(peer));
        self.spawn(stream, peer, activity, place);
    }

    fn spawn(&self, stream: TcpStream, peer: IpAddr, activity: Activity, place: Seat) {
        self.connections.spawn(connection::serve(stream, peer, activity, place, self.clone()));
    }

    /// Whose share a connection counts for; nobody's behind a proxy.
    fn origin(&self, peer: IpAddr) -> Option<IpAddr> {
        (!self.trusted.holds(peer)).then(|| crowd::origin(peer))
    }

    /// Tells a client to come later, unless too many are being told something.
    fn refuse(&self, stream: TcpStream) {
        if let Ok(extra) = Arc::clone(&self.lingering).try_acquire_owned() {
            self.connections.spawn(stream::refuse(stream, extra));
        }
    }
}

impl Serving {
    /// Serves `app` on `listening` from now on. `draining` is told how a stop goes on; `trusted` are the
    /// proxies in front.
    pub fn start(
        listening: Listening,
        app: Router,
        draining: Draining,
        limits: ConnectionLimits,
        trusted: Trusted,
    ) -> Self {
        let listening = Arc::new(listening);
        let shared = Shared {
            app,
            draining,
            limits,
            trusted,
            crowd: Crowd::new(limits.most, limits.each),
            lingering: Arc::new(Semaphore::new(limits.lingering())),
            connections: TaskTracker::new(),
            abandon: CancellationToken::new(),
        };
        let (close, ended) = (CancellationToken::new(), CancellationToken::new());
        let accepting = accept(Arc::clone(&listening), shared.clone(), close.clone());
        let says_so = ended.clone().drop_guard();
        let acceptor = tokio::spawn(async move {
            let _says_so = says_so;
            accepting.await;
        });
        Self { listening, shared, close, ended, acceptor }
    }

    /// Waits until no connection is accepted any more: before [`Serving::stop`], because of a fault.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
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
            listening.take_queued(|stream, peer| shared.serve_late(stream, peer));
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
    while let Some((stream, peer)) = close.run_until_cancelled(listening.accept()).await {
        supervision::spring("accept");
        shared.serve(stream, peer, &close).await;
    }
}
