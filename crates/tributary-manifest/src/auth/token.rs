//! Access tokens: kept until shortly before they expire, got once for everybody who waits.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::login::LoginGrant;
use super::oauth2::OAuth2Grant;
use crate::secret::Secret;
use crate::wire::{
    AccessToken, Again, Attempts, ClientError, Exchange, Failed, Granted, Incoming, Lane, Outgoing,
    SendError, TokenError, TokenKey, Transport, meter, retry,
};

/// How long before its end a token is no longer used, if it is good for long enough.
const MARGIN: Duration = Duration::from_secs(60);
/// How long an answer with a token may take. An exchange of single-use tokens is claimed for
/// longer than that.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How a token is got.
pub enum Grant {
    OAuth2(Box<OAuth2Grant>),
    Login(Box<LoginGrant>),
}

/// Where the access tokens of one connection come from.
pub struct TokenSource {
    grant: Grant,
    attempts: u32,
    /// Locked while a token is got, so that whoever comes meanwhile gets the same.
    cached: Mutex<Option<AccessToken>>,
    /// Exchanges that go on when nobody waits for them any more.
    exchanges: TaskTracker,
}

impl TokenSource {
    /// Gets tokens by `grant`, with so many `attempts` each.
    pub fn new(grant: Grant, attempts: u32) -> Self {
        Self { grant, attempts, cached: Mutex::default(), exchanges: TaskTracker::new() }
    }

    /// A token that is good now, and another one than `refused`.
    pub async fn token(
        self: &Arc<Self>,
        transport: &Arc<Transport>,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, ClientError> {
        let mut cached = self.cached.lock().await;
        let stale = refused.map(|token| token.value.clone());
        let now = transport.clock.now();
        let good = |token: &&AccessToken| token.is_usable(now) && stale.as_ref() != Some(&token.value);
        if let Some(token) = cached.as_ref().filter(good) {
            return Ok(token.clone());
        }
        let token = self.get(transport, stale).await?;
        *cached = Some(token.clone());
        Ok(token)
    }

    /// Waits until no exchange is under way.
    pub async fn drained(&self) {
        self.exchanges.close();
        self.exchanges.wait().await;
        self.exchanges.reopen();
    }

    async fn get(
        self: &Arc<Self>,
        transport: &Arc<Transport>,
        stale: Option<Secret>,
    ) -> Result<AccessToken, ClientError> {
        let mut attempts = Attempts::new(self.attempts);
        loop {
            let failed = match self.attempt(transport, stale.clone()).await {
                Ok(token) => return Ok(token),
                Err(TokenError::Final(error)) => Failed::Final(ClientError::NoToken(Box::new(error))),
                Err(TokenError::Shared(error)) => Failed::Final(error.into()),
                Err(TokenError::Closed { wait, why }) => Failed::Closed { wait, why },
                Err(TokenError::Passing { why, wait }) => Failed::Again(Again { why, wait, closes: false }),
            };
            let lane = Lane::of_tokens();
            attempts.after(failed, transport, &lane, || self.grant.shown()).await.map_err(
                |error| match error {
                    failed @ ClientError::Failed { .. } => ClientError::NoToken(Box::new(failed)),
                    error => error,
                },
            )?;
        }
    }

    /// One attempt, as a task of its own: a single-use token must not be lost because the run
    /// that needed it was dropped before the answer was kept.
    async fn attempt(
        self: &Arc<Self>,
        transport: &Arc<Transport>,
        stale: Option<Secret>,
    ) -> Result<AccessToken, TokenError> {
        let turn = transport.turn().await;
        let (source, transport) = (Arc::clone(self), Arc::clone(transport));
        let task = self.exchanges.spawn(meter::carried(tributary_traces::carried(async move {
            let _turn = turn;
            let Some((key, first)) = source.grant.refresh_token() else {
                return Ok(source.ask(&transport, None).await?.access);
            };
            let (asking, way) = (Arc::clone(&source), Arc::clone(&transport));
            let send = Box::new(move |refresh| {
                let asked: futures::future::BoxFuture<'static, _> =
                    Box::pin(async move { asking.ask(&way, Some(refresh)).await });
                asked
            });
            let token = transport.shared().exchange_token(Exchange { key, first, stale, send }).await?;
            // another instance may have got it
            transport.redactor.add(&token.value);
            Ok(token)
        })));
        let crashed =
            || TokenError::Passing { why: "the exchange of a token crashed".to_owned(), wait: None };
        task.await.unwrap_or_else(|_| Err(crashed()))
    }

    /// Asks the provider for a token.
    async fn ask(&self, transport: &Transport, refresh: Option<Secret>) -> Result<Granted, TokenError> {
        if let Some(refresh) = &refresh {
            transport.redactor.add(refresh);
        }
        let outgoing = self.grant.request(refresh.as_ref(), transport.clock.now());
        let outgoing = outgoing.map_err(|why| ClientError::Unaskable { request: self.grant.shown(), why })?;
        let incoming = transport.send_at_once(outgoing, TIMEOUT).await?;
        if !incoming.status.is_success() {
            return Err(self.refusal(transport, &incoming));
        }
        let granted = match &self.grant {
            Grant::OAuth2(oauth2) => oauth2.read(&incoming),
            Grant::Login(login) => login.read(&incoming).await,
        }?;
        transport.redactor.add(&granted.access.value);
        if let Some(refresh) = &granted.refresh {
            transport.redactor.add(refresh);
        }
        Ok(granted)
    }

    fn refusal(&self, transport: &Transport, incoming: &Incoming) -> TokenError {
        let (status, excerpt) = (incoming.status, transport.excerpt(incoming));
        if retry::is_passing(status) {
            let wait = transport.asked_pause(&incoming.headers);
            return TokenError::Passing { why: format!("it was answered with {status}: {excerpt}"), wait };
        }
        ClientError::Refused { request: self.grant.shown(), status: status.as_u16(), excerpt }.into()
    }
}

impl Grant {
    fn shown(&self) -> String {
        match self {
            Self::OAuth2(oauth2) => oauth2.shown(),
            Self::Login(login) => login.shown(),
        }
    }

    fn request(&self, refresh: Option<&Secret>, now: DateTime<Utc>) -> Result<Outgoing, String> {
        match self {
            Self::OAuth2(oauth2) => oauth2.request(refresh, now),
            Self::Login(login) => Ok(login.request()),
        }
    }

    fn refresh_token(&self) -> Option<(TokenKey, Secret)> {
        match self {
            Self::OAuth2(oauth2) => oauth2.refresh_token(),
            Self::Login(_) => None,
        }
    }
}

impl From<SendError> for TokenError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Unsent(error) => Self::Final(error),
            SendError::Closed { wait, why } => Self::Closed { wait, why },
            SendError::Broken(why) => Self::Passing { why, wait: None },
        }
    }
}

/// Until when a token is used that was asked for at `sent_at` and is good for `lifetime`.
pub fn usable_until(sent_at: DateTime<Utc>, lifetime: Option<Duration>) -> Option<DateTime<Utc>> {
    lifetime.map(|lifetime| sent_at + (lifetime - MARGIN.min(lifetime / 10)))
}
