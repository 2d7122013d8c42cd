//! A collector of traces: what is posted to it by OTLP, and what a trace looks like as a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Which process sent it.
    pub instance: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub links: Vec<String>,
    begun: u64,
}

#[derive(Default)]
struct Got {
    spans: Vec<Exported>,
    bodies: Vec<u8>,
}

/// The collector; it listens for as long as the test goes on.
pub struct Collector {
    pub endpoint: String,
    got: Arc<Mutex<Got>>,
}

impl Collector {
    pub async fn start() -> Self {
        let got = Arc::<Mutex<Got>>::default();
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&got));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { endpoint, got }
    }

    /// The spans that came so far.
    pub fn spans(&self) -> Vec<Exported> {
        self.got.lock().unwrap().spans.clone()
    }

    /// Those of one trace.
    pub fn of_trace(&self, trace: &str) -> Trace {
        Trace(self.spans().into_iter().filter(|span| span.trace == trace).collect())
    }

    /// Everything that came, byte by byte.
    pub fn bytes(&self) -> Vec<u8> {
        self.got.lock().unwrap().bodies.clone()
    }

    /// Waits for a span that `wanted` holds for.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Exported) -> bool) -> Exported {
        let waiting = async {
            loop {
                if let Some(span) = self.spans().into_iter().find(|span| wanted(span)) {
                    return span;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(90), waiting).await;
        waited.unwrap_or_else(|_| panic!("waited in vain for {what}: {:#?}", self.spans()))
    }
}

async fn take(State(got): State<Arc<Mutex<Got>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) else { return StatusCode::BAD_REQUEST };
    let mut got = got.lock().unwrap();
    got.bodies.extend_from_slice(&body);
    for of_process in request.resource_spans {
        let about = attributes(&of_process.resource.unwrap_or_default().attributes);
        for span in of_process.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            got.spans.push(Exported {
                instance: about["service.instance.id"].clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                attributes: attributes(&span.attributes),
                links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
                begun: span.start_time_unix_nano,
            });
            assert!(span.events.is_empty(), "what is logged is nothing for a collector");
        }
    }
    StatusCode::OK
}

fn attributes(listed: &[KeyValue]) -> BTreeMap<String, String> {
    let pairs = listed.iter().map(|pair| {
        let value = match pair.value.clone().and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::BoolValue(truth)) => truth.to_string(),
            other => panic!("{} is {other:?}", pair.key),
        };
        (pair.key.clone(), value)
    });
    pairs.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of one trace.
pub struct Trace(pub Vec<Exported>);

impl Trace {
    /// The ways from the first span to each other one, as `POST /payouts / place order`.
    pub fn ways(&self) -> BTreeSet<String> {
        self.0.iter().map(|span| self.way(span)).collect()
    }

    fn way(&self, span: &Exported) -> String {
        match self.0.iter().find(|other| other.id == span.parent) {
            Some(parent) => format!("{} / {}", self.way(parent), span.name),
            None => span.name.clone(),
        }
    }

    /// Those whose parent is not among them.
    pub fn first(&self) -> Vec<&Exported> {
        let known: BTreeSet<&str> = self.0.iter().map(|span| span.id.as_str()).collect();
        self.0.iter().filter(|span| !known.contains(span.parent.as_str())).collect()
    }

    /// The trace as a tree for people: processes as letters, and equal neighbours once.
    pub fn tree(&self) -> String {
        let mut text = String::new();
        let mut letters = BTreeMap::new();
        for span in self.sorted(&self.first().into_iter().map(|span| span.parent.as_str()).collect()) {
            self.add(span, 0, &mut letters, &mut text);
        }
        text
    }

    fn sorted(&self, parents: &BTreeSet<&str>) -> Vec<&Exported> {
        let mut children: Vec<_> =
            self.0.iter().filter(|span| parents.contains(span.parent.as_str())).collect();
        children.sort_by_key(|span| span.begun);
        children
    }

    fn add(&self, span: &Exported, depth: usize, letters: &mut BTreeMap<String, char>, text: &mut String) {
        let next = char::from(b'A' + u8::try_from(letters.len()).unwrap());
        let letter = *letters.entry(span.instance.clone()).or_insert(next);
        let shown = span.attributes.iter().filter(|(name, _)| !name.contains("order"));
        let shown: Vec<_> = shown.map(|(name, value)| format!("{name}={value}")).collect();
        let line = format!("{letter} {}{}  {}\n", "  ".repeat(depth), span.name, shown.join(" "));
        text.push_str(&line);
        let mut last = String::new();
        for child in self.sorted(&BTreeSet::from([span.id.as_str()])) {
            let mut branch = String::new();
            self.add(child, depth + 1, letters, &mut branch);
            if branch != last {
                text.push_str(&branch);
            }
            last = branch;
        }
    }
}
