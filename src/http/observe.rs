//! What is recorded of every request, and the time that it may take.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use tracing::Instrument as _;

use super::{ApiError, operations};
use crate::store::Tally;
use tributary_domain::{ProviderName, Resource};

/// Formance waits 10 s for an answer: one that it can hear, and try again, comes sooner.
const READ_LIMIT: Duration = Duration::from_secs(9);
/// A push of 10,000 records may take longer; its client is not Formance.
const WRITE_LIMIT: Duration = Duration::from_secs(55);

/// A method as a label. Clients may make methods up, and a label of their choice would be a new
/// series each time, kept for as long as the process lives.
fn method_label(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Counts and times a request, and logs it without its query or headers. No label is of the
/// client's choice: routes are our own, statuses what we answer.
pub async fn record(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let labels = [("method", method.to_owned()), ("route", route.clone()), ("status", status.to_string())];
    counter!("tributary_http_requests_total", &labels).increment(1);
    histogram!("tributary_http_request_seconds", &labels[..2]).record(begun.elapsed().as_secs_f64());
    tracing::debug!(method, route, status, milliseconds = begun.elapsed().as_millis() as u64, "request");
    response
}

/// Gives a request a span of its own, which goes on with the caller's trace where a `traceparent` says so. What
/// only looks after the process has none, and neither has what nobody serves.
pub async fn trace(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let looks = |route: &str| operations::PATHS.contains(&route) || route.starts_with("/console");
    let Some(route) = route.filter(|route| !looks(route)) else {
        return next.run(request).await;
    };
    let span = tributary_traces::request(method_label(request.method()), route);
    if span.is_disabled() {
        return next.run(request).await;
    }
    let caller = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    tributary_traces::go_on_from(&span, caller);
    let response = next.run(request).instrument(span.clone()).await;
    tributary_traces::answered(&span, response.status().as_u16());
    response
}

/// Ends a request that takes too long with a 503. Its transaction, if any, is rolled back.
pub async fn limit_time(request: Request, next: Next) -> Response {
    let limit = if request.method().is_safe() { READ_LIMIT } else { WRITE_LIMIT };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Unavailable(format!("no answer within {} s; try again", limit.as_secs()))
            .into_response(),
    }
}

/// Counts what a push brought.
pub fn ingested(provider: &ProviderName, resource: Resource, tally: Tally, quarantined: usize) {
    let count = |outcome: &'static str, n: u64| {
        counter!("tributary_ingested_total", "provider" => provider.to_string(),
            "resource" => resource.as_str(), "outcome" => outcome)
        .increment(n);
    };
    count("created", tally.created);
    count("updated", tally.updated);
    count("unchanged", tally.unchanged);
    count("quarantined", quarantined as u64);
    if quarantined > 0 {
        tracing::error!(%provider, %resource, quarantined, "records were quarantined");
    }
}

/// Counts a provider's call.
pub fn webhook(provider: &ProviderName, outcome: &'static str) {
    counter!("tributary_webhooks_total", "provider" => provider.to_string(), "outcome" => outcome)
        .increment(1);
}
