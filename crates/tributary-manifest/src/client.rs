//! Sends the requests of one connection: with proof of who sends them, at its pace, again where
//! that helps, and without ever showing a secret.

mod redact;
mod request;
mod rules;
mod settings;
mod transport;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::ExponentialBackoff;
use chrono::{DateTime, Utc};
use jaq_json::Val;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};

use request::Reach;
pub use request::{Answer, Method, Request, Target};
use rules::Decision;
pub use rules::{Evidence, Rules, text};
use transport::Wire;
pub use transport::{Gate, Incoming, Outgoing, PaymentError, SendError, Transport};

use super::auth::Authenticator;
use super::cage::{Cage, CageError};
use super::cassette::{Cassette, Player};
use super::clock::{Clock, SkippingClock};
use super::jq;
use super::manifest::{Action, Manifest};
use super::meter;
use super::retry;
use super::shared::{AccessToken, Closed, Shared, SharedError};
use super::tap::Tap;

/// How long a payment's answer waits for another token to be got.
const RENEWAL_LIMIT: Duration = Duration::from_secs(2);

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
    /// No request may be sent before `until`, which is later than a run waits.
    #[error("no request before {}: {why}", .until.format("%Y-%m-%d %H:%M:%S UTC"))]
    AskedToWait { until: DateTime<Utc>, why: Closed },
    /// A rule says to leave the partition out.
    #[error("{request}: left out: {reason}")]
    SkipPartition { request: String, reason: String },
    /// A rule says that the pages have to be read from the first one again.
    #[error("{request}: the pages have to begin anew: {reason}")]
    ResetPaging { request: String, reason: String },
    /// There is no access token to send a request with.
    #[error("there is no access token: {0}")]
    NoToken(#[source] Box<ClientError>),
    #[error(transparent)]
    Shared(#[from] SharedError),
    /// A cassette answers, and has nothing (left) for this request.
    #[error("the cassette has no answer (left) to {request}")]
    NotRecorded { request: String },
    /// The rules for errors cannot be applied.
    #[error("the rules for errors cannot be applied: {0}")]
    Rules(CageError),
}

/// The HTTP side of one connection.
pub struct Client {
    transport: Arc<Transport>,
    auth: Authenticator,
    reach: Reach,
    /// Of every request.
    headers: HeaderMap,
    /// What answers of any stream mean.
    rules: Rules,
    cage: Arc<Cage>,
    attempts: u32,
}

/// What an answer, or the lack of one, leads to.
enum Verdict {
    Answered(Answer),
    /// Send it again.
    Again(Again),
    /// Get another token, then send it again; if that was done already, the error stands.
    Renew(ClientError),
    Final(ClientError),
}

struct Again {
    why: String,
    /// The pause that the provider asks for.
    wait: Option<Duration>,
    /// Whether the pause is for everybody.
    closes: bool,
}

/// How far a request has come.
struct Course {
    pauses: ExponentialBackoff,
    attempt: u32,
    refused: Option<AccessToken>,
}

impl Client {
    /// Takes the settings of `manifest`, which has to be interpolated. The error names the
    /// field that is wrong.
    pub fn new(manifest: &Manifest, shared: Arc<dyn Shared>, cage: Arc<Cage>) -> Result<Self, String> {
        if !(1..=20).contains(&manifest.retry.attempts) {
            return Err("retry.attempts: take 1 to 20".to_owned());
        }
        let base = settings::base_url(&manifest.base_url)?;
        let headers = settings::headers(manifest)?;
        Ok(Self {
            transport: Arc::new(settings::transport(manifest, shared)?),
            auth: settings::authenticator(manifest, &base, &headers, &cage)?,
            reach: Reach::new(base, &manifest.allow_hosts)?,
            headers,
            rules: Rules::compile(&manifest.functions, &manifest.errors)
                .map_err(|(field, why)| format!("{field}: {why}"))?,
            cage,
            attempts: manifest.retry.attempts,
        })
    }

    /// Replaces the clock by which pauses are made, and what is shared by what goes by that clock.
    pub fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        let transport = Arc::get_mut(&mut self.transport).expect("nothing was sent yet");
        transport.shared = Arc::new(super::shared::InMemory::with_clock(Arc::clone(&clock)));
        transport.clock = clock;
    }

    /// Shows `tap` what passes from now on.
    pub fn tap(&mut self, tap: Arc<dyn Tap>) {
        Arc::get_mut(&mut self.transport).expect("nothing was sent yet").tap = Some(tap);
    }

    /// Has `cassette` answer instead of the provider.
    pub fn play(&mut self, cassette: Cassette) {
        // nobody is there whom a pause would spare
        self.set_clock(Arc::<SkippingClock>::default());
        let transport = Arc::get_mut(&mut self.transport).expect("nothing was sent yet");
        transport.wire = Wire::Played(Player::new(cassette));
        transport.limiter = settings::no_limit();
        transport.budgets.clear();
    }

    /// The answers of a cassette that nobody asked for.
    pub fn unplayed(&self) -> usize {
        match &self.transport.wire {
            Wire::Network { .. } => 0,
            Wire::Played(player) => player.left(),
        }
    }

    /// How many requests were sent so far, repeated ones and those for tokens included: by the run
    /// that asks, or else by all.
    pub fn sent(&self) -> u64 {
        meter::sent().unwrap_or_else(|| self.transport.sent.load(Ordering::Relaxed))
    }

    /// Waits until no token is being exchanged: an exchange goes on when the run that needed it
    /// is dropped, and is lost if the process ends before it.
    pub async fn settled(&self) {
        self.auth.settled().await;
    }

    /// Sends `request` until there is a JSON answer, the attempts are used up, or it is clear
    /// that asking again is of no use. `rules` tell what answers mean, before the rules of the
    /// source and the usual meaning.
    pub async fn send(&self, request: &Request, rules: &Rules) -> Result<Answer, ClientError> {
        let mut course = Course { pauses: retry::pauses(), attempt: 1, refused: None };
        let unaskable = |why| ClientError::Unaskable { request: request.redacted(), why };
        let url = self.reach.url(&request.target).map_err(unaskable)?;
        loop {
            let token = self.auth.token(&self.transport, course.refused.as_ref()).await?;
            let mut outgoing = self.outgoing(request, &url);
            let now = self.transport.clock.now();
            self.auth.stamp(&mut outgoing, token.as_ref(), now).map_err(unaskable)?;
            let verdict = match self.transport.send(outgoing).await {
                Ok(incoming) => self.judge(request, &url, incoming, rules).await?,
                Err(SendError::Broken(why)) => Verdict::Again(Again { why, wait: None, closes: false }),
                Err(SendError::Unsent(error)) => return Err(error),
                Err(SendError::Closed { wait, why }) => return Err(self.asked_to_wait(wait, why)),
            };
            match verdict {
                Verdict::Answered(answer) => return Ok(answer),
                Verdict::Final(error) => return Err(error),
                Verdict::Renew(_) if self.auth.is_renewable() && course.refused.is_none() => {
                    course.refused = token;
                }
                Verdict::Renew(error) => return Err(error),
                Verdict::Again(again) => self.pause(request, again, &mut course).await?,
            }
        }
    }

    /// Sends a payment's request once, whatever comes of it. `gate` is asked at the last moment.
    pub async fn send_payment(
        &self,
        request: &Request,
        timeout: Duration,
        gate: Gate<'_>,
    ) -> Result<Incoming, PaymentError> {
        let unaskable = |why: String| PaymentError::Unsent(format!("{}: {why}", request.redacted()));
        let url = self.reach.url(&request.target).map_err(unaskable)?;
        let token = self.auth.token(&self.transport, None).await;
        let token = token.map_err(|error| PaymentError::Unsent(error.to_string()))?;
        let mut outgoing = self.outgoing(request, &url);
        self.auth.stamp(&mut outgoing, token.as_ref(), self.transport.clock.now()).map_err(unaskable)?;
        let incoming = self.transport.send_payment(outgoing, timeout, gate).await?;
        if incoming.status == StatusCode::UNAUTHORIZED && self.auth.is_renewable() {
            // for the next request; this one's answer does not wait for it long
            let renewed = self.auth.token(&self.transport, token.as_ref());
            let _ = tokio::time::timeout(RENEWAL_LIMIT, renewed).await;
        }
        Ok(incoming)
    }

    /// The beginning of an answer's body on one line, without any secret it may echo.
    pub fn excerpt(&self, incoming: &Incoming) -> String {
        self.transport.excerpt(incoming)
    }

    /// `text` that came of an answer, without any secret it may echo.
    pub fn redact(&self, text: &str) -> String {
        self.transport.redactor.redact(text)
    }

    fn outgoing(&self, request: &Request, url: &Url) -> Outgoing {
        let mut headers = self.headers.clone();
        if request.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for name in request.headers.keys() {
            headers.remove(name);
        }
        headers.extend(request.headers.clone());
        Outgoing { method: request.method, url: url.clone(), headers, body: request.body.clone() }
    }

    /// Waits before the next attempt, if there is one.
    async fn pause(&self, request: &Request, again: Again, course: &mut Course) -> Result<(), ClientError> {
        let Again { why, wait, closes } = again;
        let long = wait.is_some_and(|wait| wait > retry::LONGEST_WAIT);
        if let Some(wait) = wait.filter(|_| closes || long) {
            self.transport.close_for(wait).await?;
            if long {
                return Err(self.asked_to_wait(wait, Closed::ByProvider));
            }
        }
        if course.attempt == self.attempts {
            let request = request.redacted();
            return Err(ClientError::Failed { request, attempts: course.attempt, last: why });
        }
        tracing::debug!(
            request = request.redacted(),
            attempt = course.attempt,
            why,
            ?wait,
            "request to be repeated"
        );
        course.attempt += 1;
        match wait {
            // everybody waits, so this request does too, when it is its turn
            Some(_) if closes => {}
            Some(wait) => self.transport.clock.sleep(wait).await,
            None => {
                let pause = course.pauses.next().unwrap_or(retry::LONGEST_WAIT);
                self.transport.clock.sleep(pause).await;
            }
        }
        Ok(())
    }

    fn asked_to_wait(&self, wait: Duration, why: Closed) -> ClientError {
        ClientError::AskedToWait { until: self.transport.clock.now() + wait, why }
    }

    async fn judge(
        &self,
        request: &Request,
        url: &Url,
        mut incoming: Incoming,
        rules: &Rules,
    ) -> Result<Verdict, ClientError> {
        let status = incoming.status;
        if status.is_success() && incoming.body.is_none() {
            let limit = self.transport.largest_answer;
            return Ok(Verdict::Final(ClientError::TooLarge { request: request.redacted(), limit }));
        }
        let json = read_json(&mut incoming).await;
        if let Some(decision) = self.decide(rules, &incoming, &json).await? {
            return Ok(self.decided(request, decision, &incoming));
        }
        if !status.is_success() {
            return Ok(self.usual(request, &incoming));
        }
        let Incoming { headers, sent_at, .. } = incoming;
        Ok(match json {
            Ok(json) => Verdict::Answered(Answer { json, headers, url: url.clone(), sent_at }),
            Err(why) => Verdict::Again(Again { why, wait: None, closes: false }),
        })
    }

    /// What the rules of the stream and then those of the source decide.
    async fn decide(
        &self,
        rules: &Rules,
        incoming: &Incoming,
        json: &Result<Val, String>,
    ) -> Result<Option<Decision>, ClientError> {
        let rules = [rules.clone(), self.rules.clone()];
        let evidence = Evidence {
            status: incoming.status,
            headers: incoming.headers.clone(),
            body: json.clone().unwrap_or_else(|_| {
                let body = incoming.body.as_deref().unwrap_or_default();
                Val::from(String::from_utf8_lossy(body).into_owned())
            }),
            now: self.transport.clock.now(),
        };
        let filters = rules.iter().any(|rules| rules.need_filters(incoming.status));
        let decide = move |deadline| rules.iter().find_map(|rules| rules.decide(&evidence, deadline));
        if !filters {
            return Ok(decide(std::time::Instant::now()));
        }
        self.cage.run(move |deadline| Ok(decide(deadline))).await.map_err(ClientError::Rules)
    }

    fn decided(&self, request: &Request, decision: Decision, incoming: &Incoming) -> Verdict {
        let status = incoming.status;
        let reason = match decision.reason {
            Some(reason) => reason,
            // records are nothing for a log
            None if status.is_success() => "a rule for errors holds".to_owned(),
            None => self.transport.excerpt(incoming),
        };
        let again = |wait, closes| {
            let why = format!("it was answered with {status}: {reason}");
            Verdict::Again(Again { why, wait, closes })
        };
        let shown = request.redacted();
        let refused = |excerpt| ClientError::Refused { request: shown, status: status.as_u16(), excerpt };
        let asked = || retry::asked_pause(&incoming.headers, self.transport.clock.now());
        match decision.action {
            Action::Retry => again(decision.wait, false),
            Action::RateLimited => again(decision.wait.or_else(asked), true),
            Action::RefreshToken => Verdict::Renew(refused(reason)),
            Action::SkipPartition => {
                Verdict::Final(ClientError::SkipPartition { request: request.redacted(), reason })
            }
            Action::ResetPaging => {
                Verdict::Final(ClientError::ResetPaging { request: request.redacted(), reason })
            }
            Action::Fatal => Verdict::Final(refused(reason)),
        }
    }

    /// What HTTP says that a refusal means.
    fn usual(&self, request: &Request, incoming: &Incoming) -> Verdict {
        let (status, excerpt) = (incoming.status, self.transport.excerpt(incoming));
        if retry::is_passing(status) {
            let wait = retry::asked_pause(&incoming.headers, self.transport.clock.now());
            let why = format!("it was answered with {status}: {excerpt}");
            return Verdict::Again(Again { why, wait, closes: true });
        }
        let refused = ClientError::Refused { request: request.redacted(), status: status.as_u16(), excerpt };
        if status == StatusCode::UNAUTHORIZED { Verdict::Renew(refused) } else { Verdict::Final(refused) }
    }
}

/// The JSON of an answer. Reading a large one takes long enough to hold up other tasks. The body
/// stays for what is no JSON.
async fn read_json(incoming: &mut Incoming) -> Result<Val, String> {
    let body = incoming.body.take().unwrap_or_default();
    if body.is_empty() && incoming.status == StatusCode::NO_CONTENT {
        return Ok(Val::Null);
    }
    let read = tokio::task::spawn_blocking(move || (jq::parse(&body), body)).await;
    let Ok((parsed, body)) = read else { return Err("the answer could not be read".to_owned()) };
    incoming.body = Some(body);
    parsed.map_err(|error| format!("the answer cannot be used: {error}"))
}

#[cfg(test)]
mod answers_tests;
#[cfg(test)]
mod payments_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
