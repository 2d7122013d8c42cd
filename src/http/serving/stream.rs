//! A connection's bytes, with an eye on whether a request is under way, and a polite end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

/// What a client is told on a connection that is dismissed. Formance asks again after a 408;
/// Go's client, and others, take one that nobody asked for as a close.
const DISMISSAL: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: application/json\r\nconnection: close\r\ncontent-length: 79\r\n\r\n\
    {\"Title\":\"Request Timeout\",\"Detail\":\"the server is being restarted; try again\"}";
/// How long a client has to hang up after it was told so.
const LINGER: Duration = Duration::from_secs(2);
/// What every HTTP/2 connection begins with.
const HTTP2: &[u8] = b"PRI";

const IDLE: u8 = 0;
const BUSY: u8 = 1;
const ANSWERED: u8 = 2;
const DISMISSED: u8 = 3;
const IS_HTTP2: u8 = 4;

/// What is under way on a connection. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<AtomicU8>);

impl Activity {
    /// Whether HTTP/2 is spoken, which has an end of its own.
    pub fn is_http2(&self) -> bool {
        self.get() == IS_HTTP2
    }

    /// An answer has been given to the end, to whoever writes it out.
    pub fn answered(&self) {
        self.0.compare_exchange(BUSY, ANSWERED, Ordering::AcqRel, Ordering::Acquire).ok();
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, state: u8) {
        self.0.store(state, Ordering::Release);
    }

    fn read(&self, bytes: &[u8]) {
        match self.get() {
            IS_HTTP2 => {}
            IDLE if bytes.starts_with(HTTP2) => self.set(IS_HTTP2),
            _ => self.set(BUSY),
        }
    }

    fn flushed(&self) {
        self.0.compare_exchange(ANSWERED, IDLE, Ordering::AcqRel, Ordering::Acquire).ok();
    }
}

/// The stream of a connection that ends politely: when it is time to, an idle one is dismissed; and
/// each is read until the client hangs up, since closing a socket with unread bytes in it resets
/// the connection, and takes the answer away from a client that has not read it yet.
pub(super) struct PoliteStream {
    stream: TcpStream,
    activity: Activity,
    dismissing: CancellationToken,
    /// How much of the dismissal is written.
    told: usize,
    linger: Option<Pin<Box<Sleep>>>,
}

impl PoliteStream {
    pub fn new(stream: TcpStream, activity: Activity, dismissing: CancellationToken) -> Self {
        Self { stream, activity, dismissing, told: 0, linger: None }
    }

    fn poll_tell(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.told < DISMISSAL.len() {
            self.told += ready!(Pin::new(&mut self.stream).poll_write(context, &DISMISSAL[self.told..]))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_hung_up(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut ignored = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut ignored);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        linger.as_mut().poll(context)
    }
}

impl AsyncRead for PoliteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.activity.get() == DISMISSED {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.read(&buffer.filled()[before..]);
        }
        if read.is_pending() && self.activity.get() == IDLE && self.dismissing.is_cancelled() {
            self.activity.set(DISMISSED);
            // as if the client had closed it: the server ends the connection in order
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for PoliteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
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
        if self.linger.is_none() {
            if self.activity.get() == DISMISSED {
                ready!(self.poll_tell(context))?;
            }
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        self.poll_hung_up(context).map(Ok)
    }
}
