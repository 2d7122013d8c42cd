//! A provider's API of a few fixed answers, that can be told to wait or to fail.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;

#[derive(Default)]
struct Shared {
    answers: BTreeMap<String, (StatusCode, Value)>,
    asked: BTreeMap<String, usize>,
    held: HashMap<String, (oneshot::Sender<()>, oneshot::Receiver<Value>)>,
}

/// The API.
#[derive(Clone)]
pub struct Upstream {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

/// A request that waits for its answer.
pub struct HeldRequest {
    arrived: Option<oneshot::Receiver<()>>,
    answer: oneshot::Sender<Value>,
}

impl HeldRequest {
    /// Waits until the request is there.
    pub async fn arrived(&mut self) {
        self.arrived.take().expect("waited for once").await.expect("the upstream is there");
    }

    /// Answers it. Nothing where its client is gone.
    pub fn answer(self, answer: Value) {
        self.answer.send(answer).ok();
    }
}

impl Upstream {
    /// Starts it; every path answers 404.
    pub async fn start() -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, shared }
    }

    /// Answers `path` with `answer` from now on.
    pub fn set(&self, path: &str, answer: Value) {
        self.shared.lock().unwrap().answers.insert(path.to_owned(), (StatusCode::OK, answer));
    }

    /// Refuses `path` with `status` from now on.
    pub fn refuse(&self, path: &str, status: u16) {
        let answer = (StatusCode::from_u16(status).unwrap(), json!({"error": "no"}));
        self.shared.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// Has the next request for `path` wait.
    pub fn hold(&self, path: &str) -> HeldRequest {
        let (arrives, arrived) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        self.shared.lock().unwrap().held.insert(path.to_owned(), (arrives, answered));
        HeldRequest { arrived: Some(arrived), answer }
    }

    /// How often `path` was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.shared.lock().unwrap().asked.get(path).copied().unwrap_or(0)
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let held = {
        let mut shared = shared.lock().unwrap();
        *shared.asked.entry(path.clone()).or_default() += 1;
        shared.held.remove(&path)
    };
    if let Some((arrives, answered)) = held {
        arrives.send(()).ok();
        if let Ok(answer) = answered.await {
            return axum::Json(answer).into_response();
        }
    }
    let answer = shared.lock().unwrap().answers.get(&path).cloned();
    match answer {
        Some((status, answer)) => (status, axum::Json(answer)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
