//! A TCP proxy on loopback that breaks what passes through it: between Formance and Tributary,
//! between Tributary and PostgreSQL, between Tributary and a bank. Which request is met by which
//! fault is for the test to say, request by request; what really happened is counted.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// What happens to one request, or to the reply to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The reply begins this much later.
    Delay(Duration),
    /// The connection is reset behind this many bytes of the reply.
    Reset { after: usize },
    /// The connection is closed in good order behind this many bytes of the reply.
    Close { after: usize },
    /// Behind this many bytes of the reply no more of it comes, and its direction is closed;
    /// the other stays open.
    HalfClose { after: usize },
    /// The upstream hears that the client's direction is closed, right behind the request.
    HalfCloseRequest,
    /// Behind this many bytes of the reply nothing comes any more, and nothing is closed.
    Hang { after: usize },
    /// The request is swallowed: the upstream never hears of it, and nothing is answered.
    BlackHole,
    /// The connection is reset instead of passing the request on.
    Refuse,
}

impl Fault {
    /// The name under which it is counted.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::Reset { .. } => "reset",
            Self::Close { .. } => "close",
            Self::HalfClose { .. } => "half_close",
            Self::HalfCloseRequest => "half_close_request",
            Self::Hang { .. } => "hang",
            Self::BlackHole => "black_hole",
            Self::Refuse => "refuse",
        }
    }

    /// Behind how many bytes the reply stops; `None` where the fault does not stop it.
    fn stops_after(self) -> Option<usize> {
        match self {
            Self::Reset { after }
            | Self::Close { after }
            | Self::HalfClose { after }
            | Self::Hang { after } => Some(after),
            Self::Delay(_) | Self::HalfCloseRequest | Self::BlackHole | Self::Refuse => None,
        }
    }
}

/// Chooses the fault for the bytes that a client sends, if they are to meet one.
type Choose = Box<dyn FnMut(&[u8]) -> Option<Fault> + Send>;

struct Shared {
    upstream: Upstream,
    choose: Mutex<Choose>,
    fired: Mutex<BTreeMap<&'static str, u64>>,
    /// What came from upstream since the last request.
    reply: Mutex<Vec<u8>>,
}

/// The proxy; it serves until it is dropped.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

/// Where the proxy connects to.
#[derive(Clone)]
enum Upstream {
    Tcp(String),
    Unix(std::path::PathBuf),
}

impl Proxy {
    /// In front of `address` (`host:port`); no fault yet.
    pub async fn to(address: &str) -> Self {
        Self::start(Upstream::Tcp(address.to_owned())).await
    }

    /// In front of the PostgreSQL of `url`, be it on TCP or on a local socket; also gives the
    /// URL that leads through the proxy.
    pub async fn to_postgres(url: &str) -> (Self, String) {
        let mut url: url::Url = url.parse().unwrap();
        let port = url.port().unwrap_or(5432);
        let socket =
            url.query_pairs().find(|(name, _)| name == "host").map(|(_, folder)| folder.into_owned());
        let upstream = match socket {
            Some(folder) => Upstream::Unix(format!("{folder}/.s.PGSQL.{port}").into()),
            None => Upstream::Tcp(format!("{}:{port}", url.host_str().unwrap())),
        };
        let proxy = Self::start(upstream).await;
        let port = proxy.address.rsplit(':').next().unwrap().parse().unwrap();
        url.set_query(Some("sslmode=disable"));
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(port)).unwrap();
        (proxy, url.into())
    }

    async fn start(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            upstream,
            choose: Mutex::new(Box::new(|_| None)),
            fired: Mutex::default(),
            reply: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    /// `host:port` of the proxy.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on, `choose` is asked about everything that a client sends.
    pub fn choose(&self, choose: impl FnMut(&[u8]) -> Option<Fault> + Send + 'static) {
        *self.shared.choose.lock().unwrap() = Box::new(choose);
    }

    /// From now on nothing is heard of what a client sends, on any connection, nor of the connections.
    pub fn fall_silent(&self) {
        self.shared.count_many(Fault::BlackHole.kind(), 0);
        self.choose(|_| Some(Fault::BlackHole));
    }

    /// Waits until `count` faults of this kind have happened.
    pub async fn until_fired(&self, kind: &str, count: u64) {
        let fired = async {
            while self.fired(kind) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), fired).await.expect("the fault happens");
    }

    /// No faults from now on; those under way go on.
    pub fn heal(&self) {
        self.choose(|_| None);
    }

    /// The next request that holds `pattern` meets `fault`; none after it does.
    pub fn next(&self, pattern: &'static str, fault: Fault) {
        self.shared.count_many(fault.kind(), 0);
        let mut left = Some(fault);
        self.choose(move |request| if contains(request, pattern) { left.take() } else { None });
    }

    /// Of the requests that hold `pattern`, about one in `one_in` meets one of `faults`, all of
    /// which have their turn. Which ones when follows from `seed`, which is printed for whoever
    /// has to look into a failure.
    pub fn now_and_then(&self, seed: u64, pattern: &'static str, one_in: u32, faults: &[Fault]) {
        println!("the proxy's faults are those of seed {seed}");
        let mut rng = SmallRng::seed_from_u64(seed);
        faults.iter().for_each(|fault| self.shared.count_many(fault.kind(), 0));
        let (faults, mut deck) = (faults.to_vec(), Vec::new());
        self.choose(move |request| {
            if !contains(request, pattern) || !rng.random_ratio(1, one_in) {
                return None;
            }
            if deck.is_empty() {
                deck.clone_from(&faults);
                deck.shuffle(&mut rng);
            }
            deck.pop()
        });
    }

    /// How often a fault of this kind really happened.
    pub fn fired(&self, kind: &str) -> u64 {
        self.shared.fired.lock().unwrap().get(kind).copied().unwrap_or(0)
    }

    /// How often each fault that was asked for really happened.
    pub fn all_fired(&self) -> Vec<(&'static str, u64)> {
        self.shared.fired.lock().unwrap().iter().map(|(kind, count)| (*kind, *count)).collect()
    }

    /// The reply to the last request, byte by byte as it came from upstream.
    pub fn last_reply(&self) -> Vec<u8> {
        self.shared.reply.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Whether `pattern` is somewhere in `bytes`.
pub fn contains(bytes: &[u8], pattern: &str) -> bool {
    pattern.is_empty() || bytes.windows(pattern.len()).any(|window| window == pattern.as_bytes())
}

impl Shared {
    fn count(&self, fault: Fault) {
        self.count_many(fault.kind(), 1);
    }

    fn count_many(&self, kind: &'static str, many: u64) {
        *self.fired.lock().unwrap().entry(kind).or_default() += many;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            client.set_nodelay(true).ok();
            let carried = match shared.upstream.clone() {
                Upstream::Tcp(address) => match TcpStream::connect(address).await {
                    Ok(upstream) => Carrier::new(client, upstream, shared).carry().await,
                    Err(error) => Err(error),
                },
                Upstream::Unix(path) => match UnixStream::connect(path).await {
                    Ok(upstream) => Carrier::new(client, upstream, shared).carry().await,
                    Err(error) => Err(error),
                },
            };
            // either side may be gone at any time: that is the point
            carried.ok();
        });
    }
}

/// One connection.
struct Carrier<S> {
    client: TcpStream,
    upstream: S,
    shared: Arc<Shared>,
    /// Whether the client may still send.
    client_open: bool,
    upstream_open: bool,
    /// What the request that is under way meets.
    fault: Option<Fault>,
    /// Bytes of the reply to it that the client has.
    replied: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier<S> {
    fn new(client: TcpStream, upstream: S, shared: Arc<Shared>) -> Self {
        Self { client, upstream, shared, client_open: true, upstream_open: true, fault: None, replied: 0 }
    }

    /// Carries bytes both ways until upstream is through, or a fault ends it.
    async fn carry(mut self) -> io::Result<()> {
        let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            let ending = tokio::select! {
                read = self.client.read(&mut asked), if self.client_open => {
                    let count = read?;
                    self.pass_request(&asked[..count]).await?
                }
                read = self.upstream.read(&mut answered) => {
                    let count = read?;
                    self.pass_reply(&answered[..count]).await?
                }
            };
            if let Some(fault) = ending {
                self.shared.count(fault);
                return self.end(fault).await;
            }
            if !self.upstream_open {
                return Ok(());
            }
        }
    }

    /// Passes on what the client sent, unless a fault ends the connection here.
    async fn pass_request(&mut self, request: &[u8]) -> io::Result<Option<Fault>> {
        if request.is_empty() {
            self.client_open = false;
            self.upstream.shutdown().await?;
            return Ok(None);
        }
        self.shared.reply.lock().unwrap().clear();
        let chosen = (self.shared.choose.lock().unwrap())(request);
        // once a reply began, what comes is another request, which has a fault of its own
        if chosen.is_some() || self.replied > 0 {
            (self.fault, self.replied) = (chosen, 0);
        }
        if matches!(self.fault, Some(Fault::BlackHole | Fault::Refuse)) {
            return Ok(self.fault);
        }
        self.upstream.write_all(request).await?;
        if self.fault == Some(Fault::HalfCloseRequest) {
            self.shared.count(Fault::HalfCloseRequest);
            self.client_open = false;
            self.upstream.shutdown().await?;
        }
        Ok(None)
    }

    /// Passes on what upstream answered, up to where a fault ends it.
    async fn pass_reply(&mut self, reply: &[u8]) -> io::Result<Option<Fault>> {
        if reply.is_empty() {
            self.upstream_open = false;
            self.client.shutdown().await?;
            return Ok(None);
        }
        if let (Some(fault @ Fault::Delay(time)), 0) = (self.fault, self.replied) {
            self.shared.count(fault);
            tokio::time::sleep(time).await;
        }
        self.shared.reply.lock().unwrap().extend_from_slice(reply);
        let left = self.fault.and_then(Fault::stops_after).map(|after| after - self.replied);
        let passed = left.map_or(reply.len(), |left| left.min(reply.len()));
        self.client.write_all(&reply[..passed]).await?;
        self.replied += passed;
        Ok(self.fault.filter(|_| passed < reply.len()))
    }

    /// Ends the connection as `fault` says.
    async fn end(mut self, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::Refuse | Fault::Reset { .. } => self.client.set_zero_linger(),
            Fault::Close { .. } => self.client.shutdown().await,
            Fault::HalfClose { .. } => {
                self.client.shutdown().await?;
                self.hold().await
            }
            _ => self.hold().await,
        }
    }

    /// Takes what the client sends, and answers nothing until the client goes.
    async fn hold(mut self) -> io::Result<()> {
        let mut bytes = vec![0; 4096];
        while self.client.read(&mut bytes).await? > 0 {}
        Ok(())
    }
}

/// Prints how often each fault really happened, a line each; a fault that never did makes the
/// test one that proves nothing.
pub fn report(fired: impl IntoIterator<Item = (&'static str, u64)>) {
    let mut sums = BTreeMap::new();
    for (kind, count) in fired {
        *sums.entry(kind).or_insert(0) += count;
    }
    for (kind, count) in &sums {
        println!("faults fired: {kind} {count}");
    }
    assert!(!sums.is_empty() && sums.values().all(|count| *count > 0), "a fault never fired: {sums:?}");
}
