//! What is under way on a connection, and since when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What every HTTP/2 connection begins with.
const HTTP2: &[u8] = b"PRI";

/// What a connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Doing {
    /// Nothing is asked.
    Idle,
    /// The head of a request has begun to come.
    Head,
    /// A request is being answered; its body may still be coming.
    Request,
    /// An answer has been given, to whoever writes it out.
    Answered,
    /// HTTP/2 is spoken, where all of that goes on at once.
    Http2,
}

impl Doing {
    const ALL: [Self; 5] = [Self::Idle, Self::Head, Self::Request, Self::Answered, Self::Http2];
}

/// What is under way on a connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    doing: AtomicU8,
    opened: Instant,
    /// When that began, in milliseconds since `opened`.
    since: AtomicU64,
    /// Requests that are being answered.
    requests: AtomicUsize,
    asked_to_leave: CancellationToken,
}

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(UnderWay {
            doing: AtomicU8::new(Doing::Idle as u8),
            opened: Instant::now(),
            since: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            asked_to_leave: CancellationToken::new(),
        }))
    }
}

impl Activity {
    pub fn doing(&self) -> Doing {
        Doing::ALL[usize::from(self.0.doing.load(Ordering::Acquire))]
    }

    /// Since when. On HTTP/2, where requests overlap, since one last began or ended.
    pub fn since(&self) -> Instant {
        self.0.opened + Duration::from_millis(self.0.since.load(Ordering::Acquire))
    }

    /// Whether HTTP/2 is spoken, which has an end of its own.
    pub fn is_http2(&self) -> bool {
        self.doing() == Doing::Http2
    }

    /// Since when it has been waiting for its client, if nothing that was asked is under way; and
    /// before that, whether a request has begun to come.
    pub fn waiting(&self) -> Option<(bool, Instant)> {
        match self.doing() {
            Doing::Idle => Some((false, self.since())),
            Doing::Head => Some((true, self.since())),
            Doing::Http2 if self.requests() == 0 => Some((false, self.since())),
            Doing::Request | Doing::Answered | Doing::Http2 => None,
        }
    }

    /// Requests that are being answered.
    pub fn requests(&self) -> usize {
        self.0.requests.load(Ordering::Acquire)
    }

    /// Says that the place is needed for another connection.
    pub fn ask_to_leave(&self) {
        self.0.asked_to_leave.cancel();
    }

    /// Is cancelled once the place is needed.
    pub fn asked_to_leave(&self) -> &CancellationToken {
        &self.0.asked_to_leave
    }

    /// Bytes have come.
    pub fn read(&self, bytes: &[u8]) {
        match self.doing() {
            Doing::Idle if bytes.starts_with(HTTP2) => self.set(Doing::Http2),
            // behind an answer that is still being written out, they begin the next request
            Doing::Idle | Doing::Answered => self.set(Doing::Head),
            Doing::Head | Doing::Request | Doing::Http2 => {}
        }
    }

    /// The head of a request is there.
    pub fn asked(&self) {
        self.0.requests.fetch_add(1, Ordering::AcqRel);
        if self.is_http2() { self.touch() } else { self.set(Doing::Request) }
    }

    /// An answer has been given to the end, to whoever writes it out.
    pub fn answered(&self) {
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
        if self.is_http2() { self.touch() } else { self.change(Doing::Request, Doing::Answered) }
    }

    /// All that was given has been written out.
    pub fn flushed(&self) {
        self.change(Doing::Answered, Doing::Idle);
    }

    fn set(&self, doing: Doing) {
        self.touch();
        self.0.doing.store(doing as u8, Ordering::Release);
    }

    fn change(&self, from: Doing, to: Doing) {
        let changed =
            self.0.doing.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire);
        if changed.is_ok() {
            self.touch();
        }
    }

    fn touch(&self) {
        let milliseconds = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.since.store(milliseconds, Ordering::Release);
    }
}
