//! Where in a trace the work is: within the process in a context, between processes in the form of the header
//! `traceparent` of W3C Trace Context.

use opentelemetry::Context;
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, WithContext,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The span that the caller is in, as a `traceparent`; `None` where there is none, or it is not exported.
pub fn current() -> Option<String> {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let here = span.span_context();
        let exported = here.is_valid() && here.is_sampled();
        exported.then(|| format!("00-{}-{}-01", here.trace_id(), here.span_id()))
    })
}

/// The id of the trace that the caller is in, as 32 hex digits.
pub fn trace_id() -> Option<String> {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let here = span.span_context();
        here.is_valid().then(|| here.trace_id().to_string())
    })
}

/// Makes `span`, which nobody has entered yet, a child of the one that `traceparent` names. Whatever is no
/// `traceparent` is left alone: it says nothing about the work.
pub fn go_on_from(span: &Span, traceparent: Option<&str>) {
    if span.is_disabled() {
        return;
    }
    if let Some(parent) = traceparent.and_then(parse) {
        // fails only where nobody exports
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Has the span that the caller is in point to the one that `traceparent` names.
pub fn link_to(traceparent: Option<&str>) {
    if let Some(other) = traceparent.and_then(parse) {
        Context::map_current(|context| context.span().add_link(other, Vec::new()));
    }
}

/// The work with the caller's place in the trace, for a task of its own.
pub fn carried<F: Future>(work: F) -> WithContext<F> {
    work.with_current_context()
}

/// The span that a `traceparent` names. What later versions add behind the flags is not looked at.
pub(crate) fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let hex = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    if !known || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    let sampled = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let named = SpanContext::new(trace, span, sampled, true, TraceState::default());
    named.is_valid().then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_traceparent_names_nothing() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = format!("00-{trace}-00f067aa0ba902b7-01");
        let named = parse(&good).unwrap();
        assert_eq!((named.trace_id().to_string().as_str(), named.is_sampled()), (trace, true));
        assert!(!parse(&good.replace("-01", "-00")).unwrap().is_sampled());
        assert!(parse(&format!("cc{}-more", &good[2..])).is_some(), "a later version");
        for bad in [
            String::new(),
            good.to_uppercase(),
            format!("{good}-more"),
            good.replace("00-4b", "ff-4b"),
            good.replace(trace, &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", "0000000000000000"),
            good.replace(trace, "x"),
            good[..54].to_owned(),
        ] {
            assert!(parse(&bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn where_nobody_exports_there_is_no_context_and_no_span() {
        let span = crate::request("GET", "/transactions");
        go_on_from(&span, Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(span.is_disabled() && span.in_scope(|| current().is_none() && trace_id().is_none()));
    }
}
