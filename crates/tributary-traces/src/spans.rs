//! Every span that there is, with all that it may carry.

use std::fmt::Display;
use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue, global};
use tracing::Span;
use tracing::field::Empty;

use crate::context::{go_on_from, parse};

macro_rules! span {
    ($name:literal, $($fields:tt)*) => {
        tracing::info_span!(target: "tributary::traces", $name, $($fields)*)
    };
}

/// A request to us: `route` is our own template, without any value.
pub fn request(method: &'static str, route: &str) -> Span {
    span!("request", otel.name = %format_args!("{method} {route}"), otel.kind = "server",
        http.request.method = method, http.route = route, http.response.status_code = Empty,
        otel.status_code = Empty)
}

/// Notes with which status a [`request`] was answered.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// An order that is taken.
pub fn place_order(provider: &str, kind: &str) -> Span {
    span!(
        "place order",
        tributary.provider = provider,
        tributary.kind = kind,
        tributary.order = Empty,
        tributary.attempt = Empty
    )
}

/// Notes which order the caller's [`place_order`] is about.
pub fn placed(order: &dyn Display, attempt: i32) {
    let span = Span::current();
    span.record("tributary.order", tracing::field::display(order));
    span.record("tributary.attempt", i64::from(attempt));
}

/// An order that is worked on.
#[derive(Clone, Copy)]
pub struct Ordered<'a> {
    pub provider: &'a str,
    pub kind: &'a str,
    pub id: &'a dyn Display,
    pub attempt: i32,
    /// The `traceparent` that was kept with it: the work is a child of that, on whichever instance.
    pub trace: Option<&'a str>,
}

/// One try of an order: its steps, its gate and its request. `tries` is how many went before.
pub fn send_payment(order: Ordered<'_>, tries: i32) -> Span {
    let Ordered { provider, kind, id, attempt, trace } = order;
    let span = span!("send payment", tributary.provider = provider, tributary.kind = kind, tributary.order = %id,
        tributary.attempt = i64::from(attempt), tributary.try = i64::from(tries) + 1, tributary.outcome = Empty,
        otel.status_code = Empty);
    go_on_from(&span, trace);
    span
}

/// A step that goes before the request which moves the money, by its name in the provider file.
pub fn take_step(name: &str) -> Span {
    span!("take step", tributary.step = name)
}

/// The provider is asked for the payment of an order; `lookups` is how often it was before.
pub fn look_up(order: Ordered<'_>, lookups: i32) -> Span {
    let Ordered { provider, kind, id, attempt, trace } = order;
    let span = span!("look up payment", tributary.provider = provider, tributary.kind = kind, tributary.order = %id,
        tributary.attempt = i64::from(attempt), tributary.lookup = i64::from(lookups) + 1,
        tributary.outcome = Empty, otel.status_code = Empty);
    go_on_from(&span, trace);
    span
}

/// Notes what the caller's span came to, in a word of ours; `failed` where that is trouble.
pub fn came_to(outcome: &'static str, failed: bool) {
    let span = Span::current();
    span.record("tributary.outcome", outcome);
    if failed {
        span.record("otel.status_code", "ERROR");
    }
}

/// One request over the network to a provider. `path` is as the provider file writes it, without any value.
pub fn fsp_request(method: &'static str, path: Option<&str>) -> Span {
    span!(
        "fsp request",
        otel.name = method,
        otel.kind = "client",
        http.request.method = method,
        url.template = path,
        http.response.status_code = Empty,
        otel.status_code = Empty
    )
}

/// Notes on the caller's [`fsp_request`] how it was answered; `None` where it was not.
pub fn fsp_answered(span: &Span, status: Option<u16>) {
    if let Some(status) = status {
        span.record("http.response.status_code", i64::from(status));
    }
    if status.is_none_or(|status| status >= 400) {
        span.record("otel.status_code", "ERROR");
    }
}

/// A run of a group of streams. Always the first of its trace.
pub fn sync_run(provider: &str, group: &str) -> Span {
    span!(
        "sync",
        tributary.provider = provider,
        tributary.group = group,
        tributary.outcome = Empty,
        otel.status_code = Empty
    )
}

/// A stream that a run reads.
pub fn read_stream(stream: &str) -> Span {
    span!("read stream", tributary.stream = stream)
}

/// One of its partitions, by its place among them: its key may be an account.
pub fn read_partition(place: usize) -> Span {
    span!("read partition", tributary.partition = i64::try_from(place).unwrap_or(i64::MAX))
}

/// One page, from the request to the mapped records.
pub fn read_page(stream: &str) -> Span {
    span!("read page", tributary.stream = stream)
}

/// The transaction that keeps a page.
pub fn commit_page(stream: &str, resource: &str, records: usize) -> Span {
    span!(
        "commit page",
        tributary.stream = stream,
        tributary.resource = resource,
        tributary.records = i64::try_from(records).unwrap_or(i64::MAX)
    )
}

/// What a publication stamped.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    pub provider: &'a str,
    pub feed: &'a str,
    /// Of the whole publication, which may be of several traces.
    pub entries: u64,
}

/// Says that changes of the span that `traceparent` names were published from `begun` to now: a child of it,
/// as it is known only afterwards whose changes they were.
pub fn publish(traceparent: &str, begun: SystemTime, published: Published<'_>) {
    let Some(parent) = parse(traceparent) else { return };
    let Published { provider, feed, entries } = published;
    let attributes = [
        KeyValue::new("tributary.provider", provider.to_owned()),
        KeyValue::new("tributary.feed", feed.to_owned()),
        KeyValue::new("tributary.entries", i64::try_from(entries).unwrap_or(i64::MAX)),
    ];
    let tracer = global::tracer_provider().tracer("tributary");
    let span = tracer.span_builder("publish").with_kind(SpanKind::Internal).with_start_time(begun);
    let parent = Context::new().with_remote_span_context(parent);
    span.with_attributes(attributes).start_with_context(&tracer, &parent).end();
}
