//! What the tests of this layer stand on: an upstream that answers as instructed and remembers what it
//! was asked, and a sink that remembers what it was handed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use reqwest::StatusCode;
use tributary_domain::Resource;

use super::client::Client;
use super::read::{MappedRecord, OpenRecord, PageSink, RecordPage, Warnings};
use super::wire::Clock;

/// A request that reached the fake.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: axum::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Received {
    /// The fields of a body that is a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// An upstream on a port of its own; gone when dropped.
pub struct Fake {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Fake {
    /// Starts an upstream; `answer` gets how many requests came before, and the request.
    pub async fn start(answer: impl Fn(usize, &Received) -> Response + Send + Sync + 'static) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&received);
        let answer = Arc::new(answer);
        let app = Router::new().fallback(move |request: Request| {
            let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
                let received = Received {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: query.into_owned().collect(),
                    headers: parts.headers,
                    body: axum::body::to_bytes(body, usize::MAX).await.unwrap().into(),
                };
                let before = {
                    let mut requests = requests.lock().unwrap();
                    requests.push(received.clone());
                    requests.len() - 1
                };
                answer(before, &received)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, received, server }
    }

    /// An upstream that answers by path alone, and 404 where it knows none.
    pub async fn with_paths(answers: impl IntoIterator<Item = (&'static str, serde_json::Value)>) -> Self {
        let answers: BTreeMap<_, _> = answers.into_iter().collect();
        Self::start(move |_, received| match answers.get(received.path.as_str()) {
            Some(answer) => json(answer.clone()),
            None => StatusCode::NOT_FOUND.into_response(),
        })
        .await
    }

    /// What it was asked so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A good answer.
pub fn json(body: serde_json::Value) -> Response {
    Json(body).into_response()
}

/// An answer with `status`, `headers` and a text.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// A good answer that breaks off in the middle.
pub fn cut_off() -> Response {
    let pieces = [Ok("{\"a\":"), Err(std::io::Error::other("the connection broke"))];
    answer(200, &[], Body::from_stream(futures::stream::iter(pieces)))
}

/// The pauses that a client makes; it no longer sits through them, but its time goes on.
#[derive(Clone, Default)]
pub struct Pauses {
    taken: Arc<Mutex<Vec<Duration>>>,
    passed: Arc<Mutex<Duration>>,
}

impl Pauses {
    /// Takes the place of the clock of `client`.
    pub fn of(client: &mut Client) -> Self {
        let pauses = Self::default();
        client.set_clock(Arc::new(pauses.clone()));
        pauses
    }

    /// The pauses so far.
    pub fn taken(&self) -> Vec<Duration> {
        self.taken.lock().unwrap().clone()
    }

    /// Lets time pass between requests.
    pub fn pass(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }
}

impl Clock for Pauses {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + *self.passed.lock().unwrap()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        self.taken.lock().unwrap().push(pause);
        self.pass(pause);
        Box::pin(std::future::ready(()))
    }
}

/// A sink that keeps everything in memory.
#[derive(Default)]
pub struct Memory {
    pub pages: Vec<RecordPage>,
    pub cursors: BTreeMap<(String, String), serde_json::Value>,
    pub open: BTreeMap<(String, String, String), OpenRecord>,
    pub next_known: BTreeSet<(String, String)>,
    /// Warnings that came with no page.
    pub warned: Vec<(String, String, Warnings)>,
}

impl PageSink for Memory {
    type Error = Infallible;

    async fn cursor(
        &mut self,
        stream: &str,
        partition: &str,
    ) -> Result<Option<serde_json::Value>, Infallible> {
        Ok(self.cursors.get(&(stream.to_owned(), partition.to_owned())).cloned())
    }

    async fn open_records(
        &mut self,
        stream: &str,
        _: Resource,
        partition: &str,
    ) -> Result<Vec<OpenRecord>, Infallible> {
        let here = |key: &(String, String, String)| key.0 == stream && key.1 == partition;
        Ok(self.open.iter().filter(|(key, _)| here(key)).map(|(_, open)| open.clone()).collect())
    }

    async fn next_known(&mut self, stream: &str, next: &str) -> Result<bool, Infallible> {
        Ok(self.next_known.contains(&(stream.to_owned(), next.to_owned())))
    }

    async fn note_next(&mut self, stream: &str, next: &str) -> Result<(), Infallible> {
        self.next_known.insert((stream.to_owned(), next.to_owned()));
        Ok(())
    }

    async fn warn(&mut self, stream: &str, partition: &str, warnings: Warnings) -> Result<(), Infallible> {
        self.warned.push((stream.to_owned(), partition.to_owned(), warnings));
        Ok(())
    }

    async fn page(&mut self, page: RecordPage) -> Result<(), Infallible> {
        let place = |key: &str| (page.stream.clone(), page.partition.clone(), key.to_owned());
        for key in &page.closed {
            self.open.remove(&place(key));
        }
        for open in &page.open {
            let before = self.open.get(&place(&open.key)).and_then(|open| open.first_seen);
            let first_seen = before.or(open.first_seen).or(open.checked_at);
            self.open.insert(place(&open.key), OpenRecord { first_seen, ..open.clone() });
        }
        if let Some(cursor) = &page.cursor {
            self.cursors.insert((page.stream.clone(), page.partition.clone()), cursor.clone());
        }
        self.pages.push(page);
        Ok(())
    }
}

impl Memory {
    /// As if what is open had been looked at an hour ago, and not before.
    pub fn an_hour_passes(&mut self) {
        for open in self.open.values_mut() {
            open.checked_at = open.checked_at.map(|at| at - chrono::TimeDelta::hours(1));
            open.first_seen = open.checked_at;
        }
    }

    /// The canonical records of a stream.
    pub fn records(&self, stream: &str) -> Vec<serde_json::Value> {
        let pages = self.pages.iter().filter(|page| page.stream == stream);
        let records = pages.flat_map(|page| &page.records).filter_map(|record| match record {
            MappedRecord::Canonical(record) => Some(record.to_json()),
            MappedRecord::Unmappable { .. } | MappedRecord::Refused { .. } => None,
        });
        records.collect()
    }

    /// Why records of a stream have no canonical form.
    pub fn reasons(&self, stream: &str) -> Vec<String> {
        let pages = self.pages.iter().filter(|page| page.stream == stream);
        let reasons = pages.flat_map(|page| &page.records).filter_map(|record| match record {
            MappedRecord::Canonical(_) => None,
            MappedRecord::Unmappable { reason, .. } | MappedRecord::Refused { reason, .. } => {
                Some(reason.clone())
            }
        });
        reasons.collect()
    }
}
