//! What every request goes through, be it for records or for a token: the pace, the budgets,
//! and the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use governor::DefaultDirectRateLimiter;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::redact::Redactor;
use super::{ClientError, Method, retry};
use crate::cassette::Player;
use crate::clock::Clock;
use crate::meter;
use crate::shared::{Admission, Budget, Closed, Shared, SharedError};
use crate::tap::{Answered, Exchanged, Tap};

/// How much of a refusal is repeated in an error, in characters.
const EXCERPT_CHARS: usize = 300;
/// How much of a refusal is read, in bytes.
const LARGEST_REFUSAL: usize = 64 << 10;
/// How long an answer may take.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Headers of answers that a tap does not see: cookies are secrets, and the others do not hold for
/// a body that is unpacked.
const NOT_TOLD: [&str; 4] = ["set-cookie", "content-encoding", "content-length", "transfer-encoding"];
/// The longest that the headers of one answer close the API: what they say may be wrong.
const LONGEST_CLOSED: Duration = Duration::from_secs(24 * 3600);

/// A request in full.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Incoming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Unpacked; `None` where it is larger than what is read.
    pub body: Option<Vec<u8>>,
    pub sent_at: DateTime<Utc>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// It was not sent.
    Unsent(ClientError),
    /// It was not sent, as it is not its time.
    Closed { wait: Duration, why: Closed },
    /// The network failed.
    Broken(String),
}

/// Whether a payment may be sent now. The error says why not.
pub type Gate<'a> = &'a (dyn Fn() -> BoxFuture<'a, Result<(), String>> + Send + Sync);

/// Why a payment has no answer.
#[derive(Debug)]
pub enum PaymentError {
    /// Not a byte of it was sent.
    Unsent(String),
    /// It may have arrived.
    Broken(String),
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Records,
    /// Its answer holds a secret.
    Token,
}

/// Who answers.
pub enum Wire {
    /// The provider; `once` repeats nothing, not even what was certainly not read: for payments.
    Network { usual: reqwest::Client, once: reqwest::Client },
    /// A cassette of what it answered once.
    Played(Player),
}

/// The way to the provider.
pub struct Transport {
    pub wire: Wire,
    /// Who sees what passes.
    pub tap: Option<Arc<dyn Tap>>,
    pub limiter: DefaultDirectRateLimiter,
    /// As many permits as requests may be under way.
    pub under_way: Arc<Semaphore>,
    pub budgets: Vec<Budget>,
    pub shared: Arc<dyn Shared>,
    pub clock: Arc<dyn Clock>,
    pub redactor: Redactor,
    /// In bytes.
    pub largest_answer: usize,
    pub sent: AtomicU64,
}

impl Transport {
    /// Sends once, as soon as the pace and the budgets allow it, if that is no longer than a run
    /// waits.
    pub async fn send(&self, outgoing: Outgoing) -> Result<Incoming, SendError> {
        let _turn = self.turn().await;
        let mut waited = Duration::ZERO;
        loop {
            let (wait, why) = match self.admission().await {
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
        self.admission().await?;
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
        let Wire::Network { once, .. } = &self.wire else {
            return Err(PaymentError::Unsent("a cassette moves no money".to_owned()));
        };
        let _turn = self.turn().await;
        self.admission().await.map_err(|error| {
            PaymentError::Unsent(match error {
                SendError::Unsent(error) => error.to_string(),
                SendError::Closed { why, .. } => why.to_string(),
                SendError::Broken(why) => why,
            })
        })?;
        gate().await.map_err(PaymentError::Unsent)?;
        let sent_at = self.clock.now();
        self.sent.fetch_add(1, Ordering::Relaxed);
        meter::request_sent();
        let incoming = self.answer(once, outgoing, sent_at, timeout).await.map_err(|error| {
            match error.is_connect() {
                // there was no connection to write to
                true => PaymentError::Unsent(explain(error)),
                false => PaymentError::Broken(explain(error)),
            }
        })?;
        if let Some(wait) = retry::used_up(&incoming.headers, self.clock.now()) {
            // the answer counts for more than the pause
            let _ = self.close_for(wait).await;
        }
        Ok(incoming)
    }

    /// Waits until the pace allows a request; no more than may be are under way until the turn
    /// is dropped.
    pub async fn turn(&self) -> OwnedSemaphorePermit {
        let turn = Arc::clone(&self.under_way).acquire_owned().await.expect("it is never closed");
        self.limiter.until_ready().await;
        turn
    }

    /// Counts a request. To be asked for last: what is counted is sent at once.
    async fn admission(&self) -> Result<(), SendError> {
        match self.shared.take_request(&self.budgets).await {
            Ok(Admission::Go) => Ok(()),
            Ok(Admission::Wait { wait, why }) => Err(SendError::Closed { wait, why }),
            Err(error) => Err(SendError::Unsent(error.into())),
        }
    }

    async fn exchange(
        &self,
        outgoing: Outgoing,
        timeout: Duration,
        purpose: Purpose,
    ) -> Result<Incoming, SendError> {
        let sent_at = self.clock.now();
        self.sent.fetch_add(1, Ordering::Relaxed);
        meter::request_sent();
        let (seen, begun) = (self.tap.as_ref().map(|_| outgoing.clone()), std::time::Instant::now());
        let incoming = match &self.wire {
            Wire::Network { usual, .. } => {
                let answered = self.answer(usual, outgoing, sent_at, timeout).await;
                answered.map_err(|error| SendError::Broken(explain(error)))?
            }
            Wire::Played(player) => match player.answer(&outgoing) {
                Some(incoming) => incoming.map_err(SendError::Broken)?,
                None => {
                    let request = format!(
                        "{} {}",
                        outgoing.method.as_str(),
                        self.redactor.redact(outgoing.url.as_str())
                    );
                    return Err(SendError::Unsent(ClientError::NotRecorded { request }));
                }
            },
        };
        if let (Some(tap), Some(outgoing)) = (&self.tap, seen) {
            self.tell(&**tap, &outgoing, &incoming, begun.elapsed(), purpose);
        }
        if let Some(wait) = retry::used_up(&incoming.headers, self.clock.now()) {
            self.close_for(wait).await.map_err(|error| SendError::Unsent(error.into()))?;
        }
        Ok(incoming)
    }

    fn tell(
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

    async fn answer(
        &self,
        http: &reqwest::Client,
        outgoing: Outgoing,
        sent_at: DateTime<Utc>,
        timeout: Duration,
    ) -> reqwest::Result<Incoming> {
        let mut builder = match outgoing.method {
            Method::Get => http.get(outgoing.url),
            Method::Post => http.post(outgoing.url),
            Method::Put => http.put(outgoing.url),
        };
        if let Some(body) = outgoing.body {
            builder = builder.body(body);
        }
        let response = builder.headers(outgoing.headers).timeout(timeout).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let largest = if status.is_success() { self.largest_answer } else { LARGEST_REFUSAL };
        let body = match read_body(response, largest).await {
            Ok(body) => body,
            // that it was refused is known even if the explanation breaks off
            Err(_) if !status.is_success() => None,
            Err(error) => return Err(error),
        };
        Ok(Incoming { status, headers, body, sent_at })
    }

    /// Lets nobody send anything for `wait`.
    pub async fn close_for(&self, wait: Duration) -> Result<(), SharedError> {
        self.shared.close_for(wait.min(LONGEST_CLOSED)).await
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
}

/// The body, unpacked; `None` where it is longer than `limit` bytes.
async fn read_body(mut response: Response, limit: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The error with its causes, without the URL, whose query may hold secrets.
pub fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
