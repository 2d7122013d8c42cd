//! What every request goes through, be it for records, for a token or a payment: the pace, the
//! budgets, and the network or a cassette.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use reqwest::header::HeaderMap;
use tokio::sync::OwnedSemaphorePermit;

use super::budget::{Closed, SharedError};
use super::cassette::{Cassette, Player};
use super::clock::{Clock, SkippingClock, SystemClock};
use super::error::{ClientError, PaymentError, SendError};
use super::in_memory::InMemory;
use super::lane::Lane;
use super::message::{Incoming, Outgoing};
use super::network::{Network, explain};
use super::pace::Pace;
use super::redact::Redactor;
use super::shared::Shared;
use super::tap::{Answered, Exchanged, Tap};
use super::told::Told;
use super::{meter, retry};

/// How much of a refusal is repeated in an error, in characters.
const EXCERPT_CHARS: usize = 300;
/// How long an answer may take.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Headers of answers that a tap does not see: cookies are secrets, and the others do not hold for
/// a body that is unpacked.
const NOT_TOLD: [&str; 4] = ["set-cookie", "content-encoding", "content-length", "transfer-encoding"];

/// Whether a payment may be sent now. The error says why not.
pub type Gate<'a> = &'a (dyn Fn() -> BoxFuture<'a, Result<(), String>> + Send + Sync);

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Records,
    /// Its answer holds a secret.
    Token,
}

enum Answerer {
    Provider(Network),
    /// A cassette of what the provider answered once.
    Cassette(Player),
}

/// The way to the provider.
pub struct Transport {
    answerer: Answerer,
    tap: Option<Arc<dyn Tap>>,
    pace: Pace,
    /// What answers tell of limits.
    pub told: Told,
    pub clock: Arc<dyn Clock>,
    pub redactor: Redactor,
    sent: AtomicU64,
}

impl Transport {
    /// Sends over `network` at `pace`, reads what answers tell of limits by `told`, and shows nothing of what `redactor` hides.
    pub fn new(network: Network, pace: Pace, told: Told, redactor: Redactor) -> Self {
        Self {
            answerer: Answerer::Provider(network),
            tap: None,
            pace,
            told,
            clock: Arc::new(SystemClock),
            redactor,
            sent: AtomicU64::new(0),
        }
    }

    /// Replaces the clock by which pauses are made, and what is shared by what goes by that clock.
    pub fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.pace.set_own(Arc::new(InMemory::with_clock(Arc::clone(&clock))));
        self.clock = clock;
    }

    /// Shows `tap` what passes from now on.
    pub fn tap(&mut self, tap: Arc<dyn Tap>) {
        self.tap = Some(tap);
    }

    /// Has `cassette` answer instead of the provider.
    pub fn play(&mut self, cassette: Cassette) {
        // nobody is there whom a pause would spare
        self.set_clock(Arc::<SkippingClock>::default());
        self.pace.lift();
        self.answerer = Answerer::Cassette(Player::new(cassette));
    }

    /// The answers of a cassette that nobody asked for.
    pub fn unplayed(&self) -> usize {
        match &self.answerer {
            Answerer::Provider(_) => 0,
            Answerer::Cassette(player) => player.left(),
        }
    }

    /// How many requests were sent so far, repeated ones and those for tokens included: by the run
    /// that asks, or else by all.
    pub fn sent(&self) -> u64 {
        meter::sent().unwrap_or_else(|| self.sent.load(Ordering::Relaxed))
    }

    /// How much of an answer is read, in bytes.
    pub fn largest_answer(&self) -> usize {
        match &self.answerer {
            Answerer::Provider(network) => network.largest_answer,
            Answerer::Cassette(_) => usize::MAX,
        }
    }

    /// Reads no more of an answer than so many bytes.
    #[cfg(test)]
    pub fn limit_answers(&mut self, bytes: usize) {
        if let Answerer::Provider(network) = &mut self.answerer {
            network.largest_answer = bytes;
        }
    }

    /// What is shared with others who ask the same provider.
    pub fn shared(&self) -> &dyn Shared {
        self.pace.shared()
    }

    /// Shares with others from now on. Once only, and before anything was sent.
    pub fn share(&self, shared: Arc<dyn Shared>) {
        self.pace.share(shared);
    }

    /// Sends once, as soon as the pace and the budgets allow it, if that is no longer than a run
    /// waits.
    pub async fn send(&self, outgoing: Outgoing) -> Result<Incoming, SendError> {
        let _turn = self.turn().await;
        let mut waited = Duration::ZERO;
        loop {
            let (wait, why) = match self.pace.admission(&outgoing.lane).await {
                Ok(()) => return self.exchange(outgoing, TOTAL_TIMEOUT, Purpose::Records).await,
                Err(SendError::Closed { wait, why }) => (wait, why),
                Err(error) => return Err(error),
            };
            waited += wait;
            if waited > retry::LONGEST_WAIT {
                return Err(SendError::Closed { wait, why });
            }
            tracing::debug!(?wait, %why, "waiting for the next request");
            self.clock.sleep(wait).await;
        }
    }

    /// Asks for a token once, now or not at all, by a caller whose [`turn`](Self::turn) it is. The
    /// answer has to be there within `timeout`.
    pub async fn send_at_once(&self, outgoing: Outgoing, timeout: Duration) -> Result<Incoming, SendError> {
        self.pace.admission(&outgoing.lane).await?;
        self.exchange(outgoing, timeout, Purpose::Token).await
    }

    /// Sends a payment's request once, if `gate` lets it through at the last moment: it is asked
    /// after all waiting, right before the first byte.
    pub async fn send_payment(
        &self,
        outgoing: Outgoing,
        timeout: Duration,
        gate: Gate<'_>,
    ) -> Result<Incoming, PaymentError> {
        let Answerer::Provider(network) = &self.answerer else {
            return Err(PaymentError::Unsent("a cassette moves no money".to_owned()));
        };
        let _turn = self.turn().await;
        let lane = Lane::of_payments();
        self.pace.admission(&lane).await?;
        gate().await.map_err(PaymentError::Unsent)?;
        let (sent_at, begun) = (self.count(), Instant::now());
        let answered = network.send_once(outgoing, sent_at, timeout).await;
        self.tell(&answered, begun);
        let incoming = answered.map_err(|error| {
            match error.is_connect() {
                // there was no connection to write to
                true => PaymentError::Unsent(explain(error)),
                false => PaymentError::Broken(explain(error)),
            }
        })?;
        if let Some(wait) = self.used_up(&incoming.headers) {
            // the answer counts for more than the pause
            let _ = self.close_for(&lane, wait).await;
        }
        Ok(incoming)
    }

    /// Waits until the pace allows a request.
    pub async fn turn(&self) -> OwnedSemaphorePermit {
        self.pace.turn().await
    }

    /// Lets nobody send anything of `lane` for `wait`.
    pub async fn close_for(&self, lane: &Lane, wait: Duration) -> Result<(), SharedError> {
        self.pace.close_for(lane, wait).await
    }

    /// That no request may be sent before `wait` is over.
    pub fn asked_to_wait(&self, wait: Duration, why: Closed) -> ClientError {
        ClientError::AskedToWait { until: self.clock.now() + wait, why }
    }

    /// The beginning of a refusal's body on one line, without any secret it may echo.
    pub fn excerpt(&self, incoming: &Incoming) -> String {
        if incoming.status.is_redirection() {
            return "redirects are not followed".to_owned();
        }
        let body = incoming.body.as_deref().unwrap_or_default();
        let text = self.redactor.redact(&String::from_utf8_lossy(body));
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line: String = line.chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS).collect();
        if line.is_empty() { "no further explanation".to_owned() } else { line }
    }

    /// How long an answer with `headers` that is no success asks to wait.
    pub fn asked_pause(&self, headers: &HeaderMap) -> Option<Duration> {
        retry::asked_pause(&self.told.of(headers), self.clock.now())
    }

    /// How long nothing may be sent since the answer with `headers` was the last that is given for now.
    fn used_up(&self, headers: &HeaderMap) -> Option<Duration> {
        retry::used_up(&self.told.of(headers), self.clock.now())
    }

    /// Counts a request that is sent now.
    fn count(&self) -> chrono::DateTime<chrono::Utc> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        meter::request_sent();
        self.clock.now()
    }

    fn tell(&self, answered: &reqwest::Result<Incoming>, begun: Instant) {
        let status = answered.as_ref().ok().map(|incoming| incoming.status.as_u16());
        self.shared().ended(status, begun.elapsed());
    }

    async fn exchange(
        &self,
        outgoing: Outgoing,
        timeout: Duration,
        purpose: Purpose,
    ) -> Result<Incoming, SendError> {
        let sent_at = self.count();
        let lane = outgoing.lane.clone();
        let (seen, begun) = (self.tap.as_ref().map(|_| outgoing.clone()), Instant::now());
        let incoming = match &self.answerer {
            Answerer::Provider(network) => {
                let answered = network.send(outgoing, sent_at, timeout).await;
                self.tell(&answered, begun);
                answered.map_err(|error| SendError::Broken(explain(error)))?
            }
            Answerer::Cassette(player) => match player.answer(&outgoing) {
                Some(incoming) => incoming.map_err(SendError::Broken)?,
                None => return Err(SendError::Unsent(self.not_recorded(&outgoing))),
            },
        };
        if let (Some(tap), Some(outgoing)) = (&self.tap, seen) {
            self.show(&**tap, &outgoing, &incoming, begun.elapsed(), purpose);
        }
        if let Some(wait) = self.used_up(&incoming.headers) {
            self.close_for(&lane, wait).await.map_err(|error| SendError::Unsent(error.into()))?;
        }
        Ok(incoming)
    }

    fn not_recorded(&self, outgoing: &Outgoing) -> ClientError {
        let url = self.redactor.redact(outgoing.url.as_str());
        ClientError::NotRecorded { request: format!("{} {url}", outgoing.method.as_str()) }
    }

    fn show(
        &self,
        tap: &dyn Tap,
        outgoing: &Outgoing,
        incoming: &Incoming,
        took: Duration,
        purpose: Purpose,
    ) {
        let url = self.redactor.redact(outgoing.url.as_str());
        if purpose == Purpose::Token {
            return tap.asked_for_token(&url, incoming.status.as_u16());
        }
        let text = |bytes: &[u8]| self.redactor.redact(&String::from_utf8_lossy(bytes));
        let headers = incoming.headers.iter().filter(|(name, _)| !NOT_TOLD.contains(&name.as_str()));
        let headers = headers.map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
        let answer = Answered {
            status: incoming.status.as_u16(),
            headers: headers.collect(),
            body: text(incoming.body.as_deref().unwrap_or_default()),
        };
        let body = outgoing.body.as_deref().map(text);
        let method = outgoing.method.as_str().to_owned();
        tap.exchanged(&Exchanged { method, url, body, sent_at: incoming.sent_at, answer }, took);
    }
}
