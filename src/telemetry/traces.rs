//! Traces: spans on their way to a collector, by OTLP over HTTP. Nothing waits for the collector: a span for
//! which the queue has no room, or which it does not take, is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics::counter;
use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Sampling, TraceExport};

/// How many spans wait for the collector at most: some seconds of a busy instance.
const QUEUE: usize = 4_096;
/// How many go in one request at most.
const BATCH: usize = 512;
/// How long a span waits for others to go with it.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of the process waits for what is left.
const FLUSH: Duration = Duration::from_secs(5);
/// How often it is said again that the collector does not take spans.
const COMPLAIN_EVERY: Duration = Duration::from_secs(300);

const DROPPED: &str = "tributary_trace_spans_dropped_total";
/// Why spans are dropped: there was no room for them, or the collector did not take them.
const REASONS: [&str; 2] = ["queue", "collector"];

/// What becomes of spans, made ready and not begun yet.
pub struct Traces {
    provider: SdkTracerProvider,
    exporter: SpanExporter,
    queue: mpsc::Receiver<SpanData>,
}

impl Traces {
    /// Exports as `export` says. The error says why not.
    pub fn new(export: &TraceExport) -> Result<Self, String> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // another thread may install it first; either way there is one afterwards
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let unusable = |error: &dyn std::fmt::Display| format!("cannot export traces: {error}");
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| unusable(&error))?;
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(http)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(export.endpoint.as_str())
            .with_headers(export.headers.clone())
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|error| unusable(&error))?;
        let attributes =
            export.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder_empty()
            .with_attributes(attributes)
            .with_service_name(export.service.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", Uuid::new_v4().to_string()))
            .build();
        exporter.set_resource(&resource);
        let (spans, queue) = mpsc::channel(QUEUE);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Queue(spans))
            .with_sampler(sampler(export.sampling))
            .with_resource(resource)
            .build();
        Ok(Self { provider, exporter, queue })
    }

    /// What makes spans.
    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("tributary")
    }

    /// Begins to export; within a runtime.
    pub fn start(self) -> Exporting {
        opentelemetry::global::set_tracer_provider(self.provider);
        let stop = CancellationToken::new();
        let unsent = Arc::<AtomicU64>::default();
        let exporter = Exporter { exporter: self.exporter, complained: None, unsent: Arc::clone(&unsent) };
        let task = tokio::spawn(exporter.run(self.queue, stop.clone()));
        Exporting { stop, task, unsent }
    }
}

fn sampler(Sampling { by_parent, share }: Sampling) -> Sampler {
    let own = match share {
        share if share >= 1.0 => Sampler::AlwaysOn,
        share if share <= 0.0 => Sampler::AlwaysOff,
        share => Sampler::TraceIdRatioBased(share),
    };
    if by_parent { Sampler::ParentBased(Box::new(own)) } else { own }
}

/// Describes what is counted here, and has it begin at 0.
pub(super) fn describe() {
    metrics::describe_counter!(
        "tributary_trace_spans_dropped_total",
        "Spans that no collector got, by reason: no room in the queue, or not taken by the collector"
    );
    for reason in REASONS {
        counter!("tributary_trace_spans_dropped_total", "reason" => reason).increment(0);
    }
}

fn dropped(reason: &'static str, spans: u64) {
    counter!(DROPPED, "reason" => reason).increment(spans);
}

/// Takes spans as they end. Whoever ends one never waits.
#[derive(Debug)]
struct Queue(mpsc::Sender<SpanData>);

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if is_strangers(&span) {
            return;
        }
        if self.0.try_send(span).is_err() {
            dropped(REASONS[0], 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Whether the span is of a request that did not prove who asks: whoever reaches us could fill the collector
/// with those.
fn is_strangers(span: &SpanData) -> bool {
    let unproven =
        |of: &KeyValue| of.key.as_str() == "http.response.status_code" && matches!(of.value, Value::I64(401));
    span.span_kind == SpanKind::Server && span.attributes.iter().any(unproven)
}

/// The export of spans, at work.
pub struct Exporting {
    stop: CancellationToken,
    task: JoinHandle<()>,
    unsent: Arc<AtomicU64>,
}

impl Exporting {
    /// Sends what is left, if the collector takes it in time, and ends.
    pub async fn finish(self) {
        self.stop.cancel();
        let ending = self.task.abort_handle();
        if tokio::time::timeout(FLUSH, self.task).await.is_err() {
            ending.abort();
            tracing::warn!(
                spans = self.unsent.load(Ordering::Relaxed),
                "the collector did not take the last spans within {} s: they are dropped",
                FLUSH.as_secs()
            );
        }
    }
}

struct Exporter {
    exporter: SpanExporter,
    complained: Option<Instant>,
    /// Spans in the request that is under way.
    unsent: Arc<AtomicU64>,
}

impl Exporter {
    async fn run(mut self, mut queue: mpsc::Receiver<SpanData>, stop: CancellationToken) {
        loop {
            let mut batch = Vec::new();
            if stop.is_cancelled() {
                // what ended until now; nobody waits for more
                while batch.len() < BATCH
                    && let Ok(span) = queue.try_recv()
                {
                    batch.push(span);
                }
                if batch.is_empty() {
                    return;
                }
            } else {
                gather(&mut queue, &mut batch, &stop).await;
            }
            if !batch.is_empty() {
                self.send(batch).await;
            }
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        self.unsent.store(spans, Ordering::Relaxed);
        let sent = tokio::time::timeout(TIMEOUT, self.exporter.export(batch)).await;
        self.unsent.store(0, Ordering::Relaxed);
        let why = match sent {
            Ok(Ok(())) => return self.complained = None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        dropped(REASONS[1], spans);
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::warn!(
                why,
                spans,
                "the collector did not take spans: they are dropped, and so are others \
                until it does; look at OTEL_EXPORTER_OTLP_ENDPOINT and at the collector"
            );
        }
    }
}

/// Waits for a span, and for others that end soon after it.
async fn gather(queue: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>, stop: &CancellationToken) {
    let Some(Some(first)) = stop.run_until_cancelled(queue.recv()).await else { return };
    batch.push(first);
    let until = tokio::time::Instant::now() + GATHER;
    while batch.len() < BATCH {
        let more = tokio::time::timeout_at(until, queue.recv());
        match stop.run_until_cancelled(more).await {
            Some(Ok(Some(span))) => batch.push(span),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer as _};

    use super::*;

    #[test]
    fn a_span_without_room_is_dropped_and_counted_and_nobody_waits() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let (spans, mut queue) = mpsc::channel(2);
        let provider = SdkTracerProvider::builder().with_span_processor(Queue(spans)).build();
        metrics::with_local_recorder(&recorder, || {
            describe();
            for _ in 0..5 {
                provider.tracer("test").start("work").end();
            }
        });
        assert_eq!(
            (queue.try_recv().is_ok(), queue.try_recv().is_ok(), queue.try_recv().is_ok()),
            (true, true, false)
        );
        let counted = recorder.handle().render();
        for line in ["{reason=\"queue\"} 3", "{reason=\"collector\"} 0"] {
            assert!(counted.contains(&format!("tributary_trace_spans_dropped_total{line}")), "{counted}");
        }
    }

    #[test]
    fn a_request_without_a_valid_key_fills_no_collector() {
        let (spans, mut queue) = mpsc::channel(4);
        let provider = SdkTracerProvider::builder().with_span_processor(Queue(spans)).build();
        let tracer = provider.tracer("test");
        for (kind, status) in [(SpanKind::Server, 401), (SpanKind::Server, 403), (SpanKind::Client, 401)] {
            let status = [KeyValue::new("http.response.status_code", status)];
            tracer.span_builder("work").with_kind(kind).with_attributes(status).start(&tracer).end();
        }
        let kept: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).map(|span| span.span_kind).collect();
        assert_eq!(kept, [SpanKind::Server, SpanKind::Client]);
    }

    #[test]
    fn a_share_of_all_or_nothing_needs_no_chance() {
        let shown = |by_parent, share| format!("{:?}", sampler(Sampling { by_parent, share }));
        assert_eq!([shown(false, 1.0), shown(false, 0.0)], ["AlwaysOn", "AlwaysOff"]);
        assert_eq!(shown(true, 0.25), "ParentBased(TraceIdRatioBased(0.25))");
    }
}
