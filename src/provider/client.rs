//! Sends the requests of one connection: at its pace, again where that helps, and without ever
//! showing a secret.

mod request;
mod rules;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use chrono::Utc;
use futures::future::BoxFuture;
use governor::DefaultDirectRateLimiter;
use jaq_json::Val;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio::sync::Mutex;

use request::Reach;
pub use request::{Answer, Method, Request, Target};
pub use rules::Rules;

use super::jq;
use super::manifest::Manifest;
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
    #[error("{request} was answered with {status}: {excerpt}")]
    Refused { request: String, status: u16, excerpt: String },
    /// There is no such URL.
    #[error("{request} cannot be asked for: {why}")]
    Unaskable { request: String, why: String },
    /// The answer is larger than what is read.
    #[error("{request} was answered with more than {limit} bytes")]
    TooLarge { request: String, limit: usize },
    /// No attempt worked.
    #[error("{request} failed {attempts} times; the last time: {last}")]
    Failed { request: String, attempts: u32, last: String },
    /// A rule of the manifest says to leave this partition out.
    #[error("{request}: {reason}")]
    SkipPartition { request: String, reason: String },
    /// A rule of the manifest says to begin with the first page again.
    #[error("{request}: {reason}")]
    ResetPaging { request: String, reason: String },
    /// The provider asks to stay away for longer than a run waits.
    #[error("the provider asks for no requests for {} more seconds", .wait.as_secs())]
    AskedToWait { wait: Duration },
}

/// Waits; replaced in tests, which look at the pauses instead of sitting through them.
pub type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// The HTTP side of one connection.
pub struct Client {
    http: reqwest::Client,
    reach: Reach,
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
    Answered(Answer),
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
            reach: Reach::new(settings::base_url(&manifest.base_url)?, &manifest.allow_hosts)?,
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

    /// How many requests were sent so far, repeated ones included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Sends `request` until there is a JSON answer, the attempts are used up, or it is clear
    /// that asking again is of no use. `rules` tell what answers mean, before the usual meaning.
    pub async fn send(&self, request: &Request, _rules: &Rules) -> Result<Answer, ClientError> {
        let mut pauses = retry::pauses();
        let mut attempt = 1;
        loop {
            self.check_open().await?;
            self.limiter.until_ready().await;
            let (why, asked) = match self.attempt(request).await {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Final(error) => return Err(error),
                Attempt::Again { why, pause } => (why, pause),
            };
            if let Some(wait) = asked.filter(|wait| *wait > retry::LONGEST_WAIT) {
                *self.closed_until.lock().await = Some(Instant::now() + wait);
                return Err(ClientError::AskedToWait { wait });
            }
            if attempt == self.attempts {
                return Err(ClientError::Failed {
                    request: request.redacted(),
                    attempts: attempt,
                    last: why,
                });
            }
            let pause = asked.unwrap_or_else(|| pauses.next().unwrap_or(retry::LONGEST_WAIT));
            tracing::debug!(request = request.redacted(), attempt, why, ?pause, "request to be repeated");
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

    async fn attempt(&self, request: &Request) -> Attempt {
        let shown = request.redacted();
        let url = match self.reach.url(&request.target) {
            Ok(url) => url,
            Err(why) => return Attempt::Final(ClientError::Unaskable { request: shown, why }),
        };
        let sent_at = Utc::now();
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = match self.build(request, url.clone()).send().await {
            Ok(response) => response,
            Err(error) => return Attempt::Again { why: explain(error), pause: None },
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let pause = retry::asked_pause(&headers, SystemTime::now());
        if !status.is_success() {
            let excerpt = self.excerpt(response).await;
            if retry::is_passing(status) {
                return Attempt::Again { why: format!("it was answered with {status}: {excerpt}"), pause };
            }
            let status = status.as_u16();
            return Attempt::Final(ClientError::Refused { request: shown, status, excerpt });
        }
        let json = match read_body(response, self.largest_answer).await {
            Ok(Some(body)) if body.is_empty() && status == StatusCode::NO_CONTENT => Ok(Val::Null),
            Ok(Some(body)) => parse(body).await,
            Ok(None) => {
                let limit = self.largest_answer;
                return Attempt::Final(ClientError::TooLarge { request: shown, limit });
            }
            Err(error) => Err(explain(error)),
        };
        match json {
            Ok(json) => Attempt::Answered(Answer { json, headers, url, sent_at }),
            Err(why) => Attempt::Again { why, pause: None },
        }
    }

    fn build(&self, request: &Request, url: reqwest::Url) -> reqwest::RequestBuilder {
        let mut builder = match request.method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
        };
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            builder = builder.body(body.clone());
        }
        builder.headers(request.headers.clone())
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
async fn parse(body: Vec<u8>) -> Result<Val, String> {
    match tokio::task::spawn_blocking(move || jq::parse(&body)).await {
        Ok(parsed) => parsed.map_err(|error| format!("the answer cannot be used: {error}")),
        Err(_) => Err("the answer could not be read".to_owned()),
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
