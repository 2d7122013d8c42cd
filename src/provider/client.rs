//! Sends the requests of one connection: at its pace, again where that helps, and without ever
//! showing a secret.

mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use governor::DefaultDirectRateLimiter;
use jaq_json::Val;
use reqwest::{Response, Url};
use tokio::sync::Mutex;

use super::jq;
use super::manifest::Manifest;
use super::meter;
use super::retry;
use super::secret::Secret;

/// The largest answer that is read, unpacked, in bytes.
const LARGEST_ANSWER: usize = 64 << 20;
/// How much of a refusal is repeated in the error, in characters.
const EXCERPT_CHARS: usize = 300;
/// Shorter header values (a version, say) are no secrets, and blanking them garbles errors.
const SHORTEST_SECRET: usize = 6;

/// Why a request has no usable answer. Shows the path and the names of its query parameters,
/// never their values, headers or tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// An answer that asking again does not change.
    #[error("GET {target} was answered with {status}: {excerpt}")]
    Refused { target: String, status: u16, excerpt: String },
    /// There is no such URL.
    #[error("GET {target} cannot be asked for: {why}")]
    Unaskable { target: String, why: String },
    /// The answer is larger than what is read.
    #[error("GET {target} was answered with more than {limit} bytes")]
    TooLarge { target: String, limit: usize },
    /// No attempt worked.
    #[error("GET {target} failed {attempts} times; the last time: {last}")]
    Failed { target: String, attempts: u32, last: String },
    /// The provider asks to stay away for longer than a run waits.
    #[error("the provider asks for no requests for {} more seconds", .wait.as_secs())]
    AskedToWait { wait: Duration },
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Target {
    /// Below the base URL, percent-encoded, beginning with `/`.
    pub path: String,
    pub query: Vec<(String, String)>,
}

impl Target {
    fn redacted(&self) -> String {
        let names = self.query.iter().map(|(name, _)| format!("{name}=…")).collect::<Vec<_>>().join("&");
        if names.is_empty() { self.path.clone() } else { format!("{}?{names}", self.path) }
    }
}

/// A JSON answer.
#[derive(Debug)]
pub struct Answer {
    pub json: Val,
    /// When the request was sent that got it: what the answer tells is at least as new.
    pub sent_at: DateTime<Utc>,
}

/// Waits; replaced in tests, which look at the pauses instead of sitting through them.
pub type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// The HTTP side of one connection.
pub struct Client {
    http: reqwest::Client,
    /// Without a `/` at its end.
    base: Url,
    limiter: DefaultDirectRateLimiter,
    attempts: u32,
    /// What no error may repeat, should an answer echo it.
    secrets: Vec<Secret>,
    largest_answer: usize,
    sleep: Sleep,
    sent: AtomicU64,
    /// The provider asked for no requests before this.
    closed_until: Mutex<Option<Instant>>,
}

/// What came of one attempt.
enum Attempt {
    Answered(Val),
    /// Send it again, after the pause that the provider asked for, if any.
    Again {
        why: String,
        pause: Option<Duration>,
    },
    Final(ClientError),
}

impl Client {
    /// Takes the settings of `manifest`, which has to be interpolated. The error names the
    /// field that is wrong.
    pub fn new(manifest: &Manifest) -> Result<Self, String> {
        if !(1..=20).contains(&manifest.retry.attempts) {
            return Err("retry.attempts: take 1 to 20".to_owned());
        }
        Ok(Self {
            http: settings::http_client(manifest)?,
            base: settings::base_url(&manifest.base_url)?,
            limiter: settings::limiter(manifest.rate_limit)?,
            attempts: manifest.retry.attempts,
            secrets: settings::secrets(manifest),
            largest_answer: LARGEST_ANSWER,
            sleep: Arc::new(|pause| Box::pin(tokio::time::sleep(pause))),
            sent: AtomicU64::new(0),
            closed_until: Mutex::new(None),
        })
    }

    /// Replaces the clock by which pauses are made.
    #[cfg(test)]
    pub fn set_sleep(&mut self, sleep: Sleep) {
        self.sleep = sleep;
    }

    /// How many requests were sent so far, repeated ones included: by the run that asks, or else
    /// by all.
    pub fn sent(&self) -> u64 {
        meter::sent().unwrap_or_else(|| self.sent.load(Ordering::Relaxed))
    }

    /// Asks for `target` until there is a JSON answer, the attempts are used up, or it is clear
    /// that asking again is of no use.
    pub async fn get(&self, target: &Target) -> Result<Answer, ClientError> {
        let mut pauses = retry::pauses();
        let mut attempt = 1;
        loop {
            self.check_open().await?;
            self.limiter.until_ready().await;
            let sent_at = Utc::now();
            let (why, asked) = match self.attempt(target).await {
                Attempt::Answered(json) => return Ok(Answer { json, sent_at }),
                Attempt::Final(error) => return Err(error),
                Attempt::Again { why, pause } => (why, pause),
            };
            if let Some(wait) = asked.filter(|wait| *wait > retry::LONGEST_WAIT) {
                *self.closed_until.lock().await = Some(Instant::now() + wait);
                return Err(ClientError::AskedToWait { wait });
            }
            if attempt == self.attempts {
                return Err(ClientError::Failed { target: target.redacted(), attempts: attempt, last: why });
            }
            let pause = asked.unwrap_or_else(|| pauses.next().unwrap_or(retry::LONGEST_WAIT));
            tracing::debug!(target = target.redacted(), attempt, why, ?pause, "request to be repeated");
            (self.sleep)(pause).await;
            attempt += 1;
        }
    }

    async fn check_open(&self) -> Result<(), ClientError> {
        let closed_until = *self.closed_until.lock().await;
        let wait = closed_until.map(|until| until.saturating_duration_since(Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(ClientError::AskedToWait { wait }),
            None => Ok(()),
        }
    }

    async fn attempt(&self, target: &Target) -> Attempt {
        let url = match self.url(target) {
            Ok(url) => url,
            Err(why) => return Attempt::Final(ClientError::Unaskable { target: target.redacted(), why }),
        };
        self.sent.fetch_add(1, Ordering::Relaxed);
        meter::request_sent();
        let response = match self.http.get(url).send().await {
            Ok(response) => response,
            Err(error) => return Attempt::Again { why: explain(error), pause: None },
        };
        let status = response.status();
        let pause = retry::asked_pause(response.headers(), SystemTime::now());
        if !status.is_success() {
            let excerpt = self.excerpt(response).await;
            if retry::is_passing(status) {
                return Attempt::Again { why: format!("it was answered with {status}: {excerpt}"), pause };
            }
            let (target, status) = (target.redacted(), status.as_u16());
            return Attempt::Final(ClientError::Refused { target, status, excerpt });
        }
        match read_body(response, self.largest_answer).await {
            Ok(Some(body)) => parse(body).await,
            Ok(None) => {
                let (target, limit) = (target.redacted(), self.largest_answer);
                Attempt::Final(ClientError::TooLarge { target, limit })
            }
            Err(error) => Attempt::Again { why: explain(error), pause: None },
        }
    }

    fn url(&self, target: &Target) -> Result<Url, String> {
        let text = format!("{}{}", self.base.as_str().trim_end_matches('/'), target.path);
        let mut url = Url::parse(&text).map_err(|error| error.to_string())?;
        if url.origin() != self.base.origin() {
            return Err("the path leads to another host".to_owned());
        }
        if !target.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&target.query);
        }
        Ok(url)
    }

    /// The beginning of a refusal's body on one line, without any secret it may echo.
    async fn excerpt(&self, response: Response) -> String {
        if response.status().is_redirection() {
            return "redirects are not followed".to_owned();
        }
        let body = read_body(response, 64 << 10).await.ok().flatten().unwrap_or_default();
        let mut text = String::from_utf8_lossy(&body).into_owned();
        for secret in self.secrets.iter().filter(|secret| secret.expose().len() >= SHORTEST_SECRET) {
            text = text.replace(secret.expose(), "[secret]");
        }
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

/// Reading a large answer takes long enough to hold up other tasks.
async fn parse(body: Vec<u8>) -> Attempt {
    match tokio::task::spawn_blocking(move || jq::parse(&body)).await {
        Ok(Ok(json)) => Attempt::Answered(json),
        Ok(Err(error)) => Attempt::Again { why: format!("the answer cannot be used: {error}"), pause: None },
        Err(_) => Attempt::Again { why: "the answer could not be read".to_owned(), pause: None },
    }
}

/// The error with its causes, without the URL, whose query may hold secrets.
fn explain(error: reqwest::Error) -> String {
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

#[cfg(test)]
mod tests;
