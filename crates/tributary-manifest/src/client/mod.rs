//! Sends the requests of one provider: with proof of who sends them, at its pace, again where
//! that helps, and without ever showing a secret.

mod meaning;
mod rules;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};

use meaning::Meaning;
pub use rules::{Evidence, Rules};

use super::auth::Authenticator;
use super::cage::Cage;
use super::jq;
use super::manifest::Manifest;
#[cfg(test)]
use super::wire::Clock;
use super::wire::{
    Again, Answer, Attempts, Cassette, ClientError, Failed, Gate, Incoming, Outgoing, PaymentError, Reach,
    Request, SendError, Shared, Tap, Target, Transport, retry,
};
use tributary_domain::JsonBudget;

/// How long a payment's answer waits for another token to be got.
const RENEWAL_LIMIT: Duration = Duration::from_secs(2);

/// The HTTP side of one provider.
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
    /// What an answer may hold.
    budget: JsonBudget,
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
            budget: JsonBudget { values: manifest.answers.values(), ..jq::BUDGET },
        })
    }

    /// Replaces the clock by which pauses are made, and what is shared by what goes by that clock.
    #[cfg(test)]
    pub fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.unused_transport().set_clock(clock);
    }

    /// Shares budgets and tokens with others from now on. Once only, and before anything was sent.
    pub fn share(&self, shared: Arc<dyn Shared>) {
        self.transport.share(shared);
    }

    /// Shows `tap` what passes from now on.
    pub fn tap(&mut self, tap: Arc<dyn Tap>) {
        self.unused_transport().tap(tap);
    }

    /// Has `cassette` answer instead of the provider.
    pub fn play(&mut self, cassette: Cassette) {
        self.unused_transport().play(cassette);
    }

    fn unused_transport(&mut self) -> &mut Transport {
        Arc::get_mut(&mut self.transport).expect("nothing was sent yet")
    }

    /// The answers of a cassette that nobody asked for.
    pub fn unplayed(&self) -> usize {
        self.transport.unplayed()
    }

    /// How many requests were sent so far, repeated ones and those for tokens included: by the run
    /// that asks, or else by all.
    pub fn sent(&self) -> u64 {
        self.transport.sent()
    }

    /// Waits until no token is being exchanged: an exchange goes on when the run that needed it
    /// is dropped, and is lost if the process ends before it.
    pub async fn drained(&self) {
        self.auth.drained().await;
    }

    /// Sends `request` until there is a JSON answer, the attempts are used up, or it is clear
    /// that asking again is of no use. `rules` say what answers mean, before the rules of the
    /// source and the usual meaning.
    pub async fn send(&self, request: &Request, rules: &Rules) -> Result<Answer, ClientError> {
        let unaskable = |why| ClientError::Unaskable { request: request.redacted(), why };
        let url = self.reach.url(&request.target).map_err(unaskable)?;
        let most = if request.once { 1 } else { self.attempts };
        let (mut attempts, mut refused) = (Attempts::new(most), None);
        loop {
            let token = self.auth.token(&self.transport, refused.as_ref()).await?;
            let mut outgoing = self.outgoing(request, &url);
            let now = self.transport.clock.now();
            self.auth.stamp(&mut outgoing, token.as_ref(), now).map_err(unaskable)?;
            let failed = match self.attempt(request, &url, outgoing, rules).await? {
                Meaning::Answered(answer) => return Ok(answer),
                Meaning::Renew(_) if self.auth.is_renewable() && refused.is_none() => {
                    refused = token;
                    continue;
                }
                Meaning::Renew(error) => Failed::Final(error),
                Meaning::Failed(failed) => failed,
            };
            attempts.after(failed, &self.transport, &request.lane, || request.redacted()).await?;
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        url: &Url,
        outgoing: Outgoing,
        rules: &Rules,
    ) -> Result<Meaning, ClientError> {
        match self.transport.send(outgoing).await {
            Ok(incoming) => self.judge(request, url, incoming, rules).await,
            Err(SendError::Broken(why)) => Ok(Meaning::Failed(Failed::Again(Again::broken(why)))),
            Err(SendError::Unsent(error)) => Err(error),
            // it has waited for as long as a run waits
            Err(SendError::Closed { wait, why }) => Err(self.transport.asked_to_wait(wait, why)),
        }
    }

    /// Waits by the clock by which all pauses are made.
    pub async fn pause(&self, pause: Duration) {
        self.transport.clock.sleep(pause).await;
    }

    /// The time by that clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.transport.clock.now()
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

    /// The URL of `target`, if requests may go there; the error says why not.
    pub fn reach(&self, target: &Target) -> Result<Url, String> {
        self.reach.url(target)
    }

    /// Whether requests prove who sends them.
    pub fn proves_itself(&self) -> bool {
        self.auth.proves()
    }

    /// The beginning of an answer's body on one line, without any secret it may echo.
    pub fn excerpt(&self, incoming: &Incoming) -> String {
        self.transport.excerpt(incoming)
    }

    /// The header of an answer that tells of a limit, is not ignored, and cannot be read.
    pub fn unread_limit(&self, headers: &HeaderMap) -> Option<String> {
        retry::unread_limit(&self.transport.told.of(headers))
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
        if let Some(read_as) = request.read_as.as_ref().filter(|_| accepts_json(&headers)) {
            headers.insert(ACCEPT, HeaderValue::from_static(read_as.accept()));
        }
        for name in request.headers.keys() {
            headers.remove(name);
        }
        headers.extend(request.headers.clone());
        let (body, lane) = (request.body.clone(), request.lane.clone());
        let template = request.template.clone();
        Outgoing { method: request.method, url: url.clone(), headers, body, lane, template }
    }
}

/// Whether nobody said that answers should be anything else than JSON.
fn accepts_json(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).is_some_and(|accept| accept == "application/json")
}

#[cfg(test)]
mod answers_tests;
#[cfg(test)]
mod payments_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
