//! Clients that send request after request while servers come and go. Each is sent until it is
//! acknowledged, as Formance does; what Formance would have taken for a final failure is counted.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many clients hold on to their connections, and how many open one for each request.
const OF_EACH: usize = 4;
/// As long as Formance waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of the calls.
#[derive(Debug, Default)]
pub struct Tally {
    /// Acknowledged with a 2xx.
    pub acknowledged: AtomicU64,
    /// "Again", or no answer in time: Formance sends the same once more.
    pub again: AtomicU64,
    /// Nobody listened. For Formance this is final.
    pub refused: AtomicU64,
    /// The connection broke. For Formance this is final.
    pub reset: AtomicU64,
    /// An answer that Formance takes for a final one.
    pub rejected: AtomicU64,
    /// Requests on their way at this moment.
    pub in_flight: AtomicUsize,
}

impl Tally {
    /// What Formance would have given up: refused, reset, rejected.
    pub fn failures(&self) -> [u64; 3] {
        [&self.refused, &self.reset, &self.rejected].map(|count| count.load(Ordering::SeqCst))
    }
}

/// Clients at work.
pub struct Load {
    pub tally: Arc<Tally>,
    sent: Arc<AtomicUsize>,
    enough: CancellationToken,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts clients. `request` makes the request of a number, the same one each time it is asked.
    pub fn start(request: impl Fn(&Client, usize) -> RequestBuilder + Clone + Send + 'static) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (tally, sent, enough) = <(Arc<Tally>, Arc<AtomicUsize>, CancellationToken)>::default();
        let mut clients = JoinSet::new();
        let builder = || Client::builder().no_proxy().timeout(PATIENCE);
        // those that keep connections share them, so that some are idle for a while
        let kept = builder().build().unwrap();
        for _ in 0..OF_EACH {
            let fresh = builder().pool_max_idle_per_host(0).build().unwrap();
            for client in [kept.clone(), fresh] {
                let (tally, sent, enough) = (tally.clone(), sent.clone(), enough.clone());
                let request = request.clone();
                clients.spawn(async move {
                    while !enough.is_cancelled() {
                        let number = sent.fetch_add(1, Ordering::SeqCst);
                        while !call(request(&client, number), &tally).await {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        // two processors have to do for clients, servers and the database
                        tokio::time::sleep(Duration::from_millis(2 + number as u64 % 7)).await;
                    }
                });
            }
        }
        Self { tally, sent, enough, clients }
    }

    /// Waits until `count` more requests are acknowledged.
    pub async fn more(&self, count: u64) {
        let acknowledged = || self.tally.acknowledged.load(Ordering::SeqCst);
        let goal = acknowledged() + count;
        let waiting = async {
            while acknowledged() < goal {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("requests are acknowledged");
    }

    /// Waits until requests are on their way, and says how many.
    pub async fn in_flight(&self) -> usize {
        loop {
            match self.tally.in_flight.load(Ordering::SeqCst) {
                0 => tokio::task::yield_now().await,
                some => return some,
            }
        }
    }

    /// Lets every client finish what it is at; gives how many requests there were, all of them
    /// acknowledged.
    pub async fn end(mut self) -> (Arc<Tally>, usize) {
        self.enough.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        (self.tally, self.sent.load(Ordering::SeqCst))
    }
}

/// One call; whether it was acknowledged.
async fn call(request: RequestBuilder, tally: &Tally) -> bool {
    tally.in_flight.fetch_add(1, Ordering::SeqCst);
    let answer = async { request.send().await?.error_for_status()?.bytes().await }.await;
    tally.in_flight.fetch_sub(1, Ordering::SeqCst);
    let count = match &answer {
        Ok(_) => &tally.acknowledged,
        Err(error) => match error.status() {
            Some(status) if matches!(status.as_u16(), 408 | 421 | 423 | 425 | 429 | 500..) => &tally.again,
            Some(_) => &tally.rejected,
            None if error.is_timeout() => &tally.again,
            None if is_refused(error) => &tally.refused,
            None if is_goaway(error) => &tally.again,
            None => &tally.reset,
        },
    };
    count.fetch_add(1, Ordering::SeqCst);
    if let Err(error) = &answer
        && error.status().is_none()
    {
        println!("{error:?}");
    }
    answer.is_ok()
}

fn is_refused(error: &reqwest::Error) -> bool {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    causes(error).any(|error| error.downcast_ref::<io::Error>().is_some_and(refused))
}

/// The 408 that goes before the end of an idle connection came before the request was on its way.
/// hyper gives up then; Go's client, which Formance is, drops the connection and takes another, or
/// takes the 408 for the answer.
fn is_goaway(error: &reqwest::Error) -> bool {
    causes(error).any(|error| error.to_string() == "received unexpected message from connection")
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}
