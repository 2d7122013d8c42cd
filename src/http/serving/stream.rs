//! A connection's bytes, with an eye on whether a request is under way, and a polite end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::Shared;
use super::activity::{Activity, Doing};
use super::crowd::Seat;

/// How long a client has to hang up after its connection was dismissed.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// The answer to a client whose connection is dismissed. Formance asks again after a 408;
/// Go's client, and others, take one that nobody asked for as a close.
fn dismissal(why: &str) -> Vec<u8> {
    let body = format!(r#"{{"Title":"Request Timeout","Detail":"{why}; try again"}}"#);
    let head = "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The stream of a connection that ends politely: one that is idle, or whose request does not come to
/// an end, is dismissed when it is time to; and each is read until the client hangs up, since closing
/// a socket with unread bytes in it resets the connection, and takes the answer away from a client
/// that has not read it yet.
pub(super) struct PoliteStream {
    stream: TcpStream,
    activity: Activity,
    shared: Shared,
    place: Arc<Seat>,
    /// Ends what waits for the client to send.
    patience: Option<Pin<Box<Sleep>>>,
    /// Ends what waits for the client to take what is written.
    stall: Option<Pin<Box<Sleep>>>,
    leaving: Option<Leaving>,
}

/// How far the end of a connection has come.
struct Leaving {
    text: Vec<u8>,
    written: usize,
    shut: bool,
    /// Held by those that have no place any more.
    extra: Option<OwnedSemaphorePermit>,
    until: Pin<Box<Sleep>>,
}

impl Leaving {
    fn with_answer(text: Vec<u8>) -> Self {
        Self { text, written: 0, shut: false, extra: None, until: Box::pin(tokio::time::sleep(LINGER)) }
    }

    fn poll_answer(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.text.len() {
            self.written += ready!(Pin::new(&mut *stream).poll_write(context, &self.text[self.written..]))?;
        }
        if !self.shut {
            ready!(Pin::new(stream).poll_shutdown(context))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl PoliteStream {
    pub fn new(stream: TcpStream, activity: Activity, place: Arc<Seat>, shared: Shared) -> Self {
        Self { stream, activity, shared, place, patience: None, stall: None, leaving: None }
    }

    /// Why the client is to be dismissed now, if it is.
    fn has_to_leave(&mut self, context: &mut Context<'_>) -> Option<&'static str> {
        let (limit, why) = match self.activity.doing() {
            Doing::Idle if self.shared.draining.dismissing.is_cancelled() => {
                return Some("the server is being restarted");
            }
            Doing::Idle => (self.shared.limits.idle, "the connection was idle for too long"),
            Doing::Head => (self.shared.limits.head, "the request did not arrive in time"),
            Doing::Request | Doing::Answered | Doing::Http2 => return None,
        };
        if self.activity.asked_to_leave().is_cancelled() {
            return Some("there are too many connections; this one was idle");
        }
        let deadline = self.activity.since() + limit;
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if patience.deadline() != deadline {
            patience.as_mut().reset(deadline);
        }
        patience.as_mut().poll(context).is_ready().then_some(why)
    }

    /// The end of a connection: writes what is left of the answer, and waits until the client has hung up.
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.may_linger() {
            return Poll::Ready(());
        }
        let Some(leaving) = &mut self.leaving else { return Poll::Ready(()) };
        let answered = leaving.poll_answer(&mut self.stream, context);
        if matches!(answered, Poll::Ready(Err(_))) || leaving.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        ready!(answered).ok();
        let mut ignored = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut ignored);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Gives the place up where another connection needs it. The rest goes on beside those that have
    /// one, as long as there are not too many of them.
    fn may_linger(&mut self) -> bool {
        let Some(leaving) = &mut self.leaving else { return false };
        if leaving.extra.is_some() || !self.activity.asked_to_leave().is_cancelled() {
            return true;
        }
        self.place.give_up();
        leaving.extra = Arc::clone(&self.shared.lingering).try_acquire_owned().ok();
        if leaving.extra.is_none() {
            let mut once = Context::from_waker(std::task::Waker::noop());
            let _ = leaving.poll_answer(&mut self.stream, &mut once);
        }
        leaving.extra.is_some()
    }

    /// Gives up on a client that takes nothing of what is written for it.
    fn unless_stalled<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let limit = self.shared.limits.head;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for PoliteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.leaving.is_none() {
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.stream).poll_read(context, buffer);
            if buffer.filled().len() > before {
                self.activity.read(&buffer.filled()[before..]);
            }
            if read.is_ready() {
                return read;
            }
            let Some(why) = self.has_to_leave(context) else { return Poll::Pending };
            self.leaving = Some(Leaving::with_answer(dismissal(why)));
        }
        ready!(self.poll_leave(context));
        // as if the client had closed it: the server ends the connection in order
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PoliteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_stalled(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.unless_stalled(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once everything that was to be written is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.activity.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.leaving.get_or_insert_with(|| Leaving::with_answer(Vec::new()));
        self.poll_leave(context).map(Ok)
    }
}
