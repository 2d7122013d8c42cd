//! A provider that moves no money: answers payments as a scenario wants it, and counts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The largest request that is read, in bytes.
const REQUEST_BYTES: usize = 1 << 20;

/// What becomes of a request to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Money moves, and the answer says so.
    Answered,
    /// Money moves, and the connection breaks off before the answer.
    AnswerLost,
    /// Money moves, and the answer comes twice.
    AnsweredTwice,
    /// Money moves, and the answer is 500.
    MovedAnd500,
    /// Nothing moves, and the answer is 500.
    Only500,
    /// Money moves, and the answer says nothing that could be read.
    Nonsense,
    /// Nothing moves, and the connection breaks off.
    Dropped,
}

/// What the provider says.
#[derive(Debug, Clone)]
pub struct Says {
    /// The status and the body of the answer to an order.
    pub made: (u16, String),
    /// Those of the answer to a lookup once money moved, and before.
    pub found: (u16, String),
    pub missing: (u16, String),
}

/// What happened.
#[derive(Debug, Default)]
struct Ledger {
    fates: VecDeque<Fate>,
    /// Requests to pay that came.
    orders: usize,
    /// How often money moved.
    moved: usize,
}

/// A stand-in at an address of its own; gone when dropped.
pub struct StandIn {
    pub origin: String,
    ledger: Arc<Mutex<Ledger>>,
    server: tokio::task::JoinHandle<()>,
}

impl StandIn {
    /// Starts one that treats requests to pay one after the other as `fates` say, and then answers. It moves
    /// money again for a request under a key that it knows, unless it `knows_keys`.
    pub async fn start(fates: &[Fate], says: Says, knows_keys: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let ledger =
            Arc::new(Mutex::new(Ledger { fates: fates.iter().copied().collect(), ..Ledger::default() }));
        let (kept, says) = (Arc::clone(&ledger), Arc::new(says));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ledger, says) = (Arc::clone(&kept), Arc::clone(&says));
                tokio::spawn(async move {
                    // whoever asks sees that it broke off
                    let _ = serve(stream, &ledger, &says, knows_keys).await;
                });
            }
        });
        Ok(Self { origin, ledger, server })
    }

    /// How many requests to pay came, and how often money moved.
    pub fn counted(&self) -> (usize, usize) {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        (ledger.orders, ledger.moved)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Ledger {
    /// Takes a request to pay; gives what becomes of it.
    fn take(&mut self, knows_keys: bool) -> Fate {
        self.orders += 1;
        let fate = self.fates.pop_front().unwrap_or(Fate::Answered);
        let moves = !matches!(fate, Fate::Only500 | Fate::Dropped);
        // all requests of one trial are under one key
        if moves && !(knows_keys && self.moved > 0) {
            self.moved += 1;
        }
        fate
    }
}

async fn serve(
    mut stream: TcpStream,
    ledger: &Mutex<Ledger>,
    says: &Says,
    knows_keys: bool,
) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    let asks = request.starts_with(b"GET ");
    let fate = {
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match asks {
            true if ledger.moved > 0 => written(&says.found),
            true => written(&says.missing),
            false => match ledger.take(knows_keys) {
                Fate::Answered => written(&says.made),
                Fate::AnsweredTwice => written(&says.made).repeat(2),
                Fate::MovedAnd500 | Fate::Only500 => written(&(500, r#"{"error":"internal"}"#.to_owned())),
                Fate::Nonsense => written(&(200, "<html>OK".to_owned())),
                Fate::AnswerLost | Fate::Dropped => Vec::new(),
            },
        }
    };
    stream.write_all(&fate).await?;
    stream.shutdown().await
}

/// An answer, after which the connection ends.
fn written((status, body): &(u16, String)) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).await?;
        request.extend_from_slice(&piece[..read]);
        let whole = whole_length(&request);
        if read == 0 || request.len() >= whole.unwrap_or(usize::MAX) || request.len() > REQUEST_BYTES {
            return Ok(request);
        }
    }
}

/// How long a request is, once its head is there.
fn whole_length(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Some(head + 4 + length.unwrap_or(0))
}
