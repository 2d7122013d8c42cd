//! Requests over HTTP.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{ClientBuilder, Response};
use tracing::Instrument as _;

use super::message::{Incoming, Outgoing};
use super::request::Method;

/// How much of a refusal is read, in bytes.
const LARGEST_REFUSAL: usize = 64 << 10;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What sends requests to the provider.
pub struct Network {
    usual: reqwest::Client,
    once: reqwest::Client,
    /// How much of an answer is read, in bytes.
    pub largest_answer: usize,
    /// Whether requests tell which trace they are of.
    tells_trace: bool,
}

impl Network {
    /// `once` is to build what sends payments: it is made to send nothing twice of itself.
    pub fn new(usual: ClientBuilder, once: ClientBuilder, largest_answer: usize) -> reqwest::Result<Self> {
        let once = once
            .retry(reqwest::retry::never())
            // a kept connection may be closed by the other end just when it is used
            .pool_max_idle_per_host(0)
            .http1_only();
        Ok(Self { usual: usual.build()?, once: once.build()?, largest_answer, tells_trace: false })
    }

    /// Has requests tell in `traceparent` which trace they are of, if the provider is to know.
    pub fn telling(self, tells_trace: bool) -> Self {
        Self { tells_trace, ..self }
    }

    /// The answer to a request that may be sent again by itself where it was certainly not read.
    pub async fn send(
        &self,
        outgoing: Outgoing,
        sent_at: DateTime<Utc>,
        timeout: Duration,
    ) -> reqwest::Result<Incoming> {
        self.traced(&self.usual, outgoing, sent_at, timeout).await
    }

    /// The answer to a request that is sent once and never again: a payment.
    pub async fn send_once(
        &self,
        outgoing: Outgoing,
        sent_at: DateTime<Utc>,
        timeout: Duration,
    ) -> reqwest::Result<Incoming> {
        self.traced(&self.once, outgoing, sent_at, timeout).await
    }

    /// The exchange in a span of its own.
    async fn traced(
        &self,
        http: &reqwest::Client,
        mut outgoing: Outgoing,
        sent_at: DateTime<Utc>,
        timeout: Duration,
    ) -> reqwest::Result<Incoming> {
        let span = tributary_traces::fsp_request(outgoing.method.as_str(), outgoing.template.as_deref());
        if self.tells_trace
            && let Some(here) = span.in_scope(tributary_traces::current)
            && let Ok(here) = HeaderValue::try_from(here)
        {
            outgoing.headers.insert(TRACEPARENT, here);
        }
        let answered = self.exchange(http, outgoing, sent_at, timeout).instrument(span.clone()).await;
        tributary_traces::fsp_answered(
            &span,
            answered.as_ref().ok().map(|incoming| incoming.status.as_u16()),
        );
        answered
    }

    async fn exchange(
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
