//! The calls over HTTP: Formance as a server of the Generic Connector API meets
//! it, from the request to the check of its storage.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::error::{CallError, ErrorClass};
use super::fetch::{Fetch, Fetched, Progress};
use super::initiation::{Initiation, Movement};
use super::message::{Answer, Kind, Method, Request};
use super::row::{Balance, Row};
use super::state::Watermark;
use super::{balances, storage};

/// How long Formance waits for an answer, its body included.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// How many rows Formance asks for at once.
pub const PAGE_SIZE: usize = 100;

/// A Generic Connector client as it is set up in Formance.
///
/// One thing is not as in Go: a path segment `.` or `..` (which only an account
/// id can bring in) is resolved before the request is sent.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
    key: SecretString,
    page_size: usize,
    timeout: Duration,
    request_limit: u64,
    requests: AtomicU64,
}

/// A drain that ended early.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("stopped after {} rows: {error}", rows.len())]
pub struct Stopped {
    /// The rows of the calls before the one that failed: Formance has stored
    /// them, and the state is past them.
    pub rows: Vec<Row>,
    /// Why the last call failed.
    pub error: CallError,
}

impl Client {
    /// A client for the API at `endpoint` (an `http://` or `https://` URL,
    /// perhaps with a path, without a slash at its end) with an API key.
    ///
    /// # Panics
    /// If the machine's TLS roots cannot be set up.
    pub fn new(endpoint: &str, key: &str) -> Self {
        // Fails if a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http =
            reqwest::Client::builder().no_proxy().build().expect("an HTTP client without special settings");
        Self {
            http,
            endpoint: endpoint.to_owned(),
            key: key.into(),
            page_size: PAGE_SIZE,
            timeout: TIMEOUT,
            request_limit: u64::MAX,
            requests: AtomicU64::new(0),
        }
    }

    /// The same client with another page size than Formance's.
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// The same client with another timeout than Formance's.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same client with a limit of requests, after which every call fails.
    pub fn with_request_limit(mut self, requests: u64) -> Self {
        self.request_limit = requests;
        self
    }

    /// How many requests it has sent.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// One call for the next rows of `kind`. The state given stays as it is: the
    /// one to go on from is in what is returned.
    pub async fn fetch_next<S: Watermark>(&self, kind: Kind, state: &S) -> Result<Fetched<S>, CallError> {
        let mut fetch = Fetch::new(kind, self.page_size, state.clone());
        let fetched = loop {
            let answer = self.ask(&fetch.request()).await?;
            match fetch.answer(&answer)? {
                Progress::Ask(next) => fetch = next,
                Progress::Done(fetched) => break fetched,
            }
        };
        storage::check(&fetched.rows)?;
        Ok(fetched)
    }

    /// One poll: calls until there is no more, and returns all rows. `state` goes
    /// on with each call that succeeds, as it does in Formance's tables.
    pub async fn drain<S: Watermark>(&self, kind: Kind, state: &mut S) -> Result<Vec<Row>, Stopped> {
        let mut rows = Vec::new();
        loop {
            let fetched = match self.fetch_next(kind, state).await {
                Ok(fetched) => fetched,
                Err(error) => return Err(Stopped { rows, error }),
            };
            rows.extend(fetched.rows);
            *state = fetched.state;
            if !fetched.has_more {
                return Ok(rows);
            }
        }
    }

    pub async fn balances(&self, account_id: &str) -> Result<Vec<Balance>, CallError> {
        let answer = self.ask(&balances::request(account_id)?).await?;
        let balances = balances::answer(&answer)?;
        storage::check_balances(&balances)?;
        Ok(balances)
    }

    /// One call that creates a payout or transfer.
    pub async fn create(&self, movement: Movement, initiation: &Initiation) -> Result<Row, CallError> {
        let answer = self.ask(&initiation.request(movement)?).await?;
        let row = movement.answer(&answer)?;
        storage::check(std::slice::from_ref(&row))?;
        Ok(row)
    }

    async fn ask(&self, request: &Request) -> Result<Answer, CallError> {
        self.count()?;
        let mut url = format!("{}{}", self.endpoint, request.path);
        if let Some(query) = &request.query {
            url = format!("{url}?{query}");
        }
        let sending = match request.method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
        };
        let sending = match &request.body {
            Some(body) => sending.json(body),
            None => sending,
        };
        let sending = sending.timeout(self.timeout).bearer_auth(self.key.expose_secret());
        let response = sending.send().await.map_err(|error| {
            let class = if error.is_timeout() { ErrorClass::RequestTimeout } else { ErrorClass::ClientError };
            no_answer(class, &error)
        })?;
        let status = response.status().as_u16();
        let body = response.bytes().await;
        let body = body.map_err(|error| no_answer(ErrorClass::Other, &error))?;
        Ok(Answer { status, body: body.into() })
    }

    fn count(&self) -> Result<(), CallError> {
        let below_limit = |count| (count < self.request_limit).then_some(count + 1);
        self.requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below_limit)
            .map(|_| ())
            .map_err(|_| CallError::RequestLimit(self.request_limit))
    }
}

fn no_answer(class: ErrorClass, error: &reqwest::Error) -> CallError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    CallError::Transport { class, reason }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
