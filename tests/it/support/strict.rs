//! A provider that is as strict as they come: a refresh token is good once, and whoever sends a
//! spent one ends all tokens. Counts what reaches it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::watch;

/// The provider.
pub struct Strict {
    pub url: String,
    state: Arc<Inner>,
}

struct Inner {
    tokens: Mutex<Tokens>,
    /// How many requests an access token is good for.
    uses: usize,
    /// Whether answers of the token endpoint are let through.
    open: watch::Sender<bool>,
    /// How many exchanges were begun.
    exchanging: watch::Sender<usize>,
    /// What it says of its limits.
    retry_after: Option<&'static str>,
}

#[derive(Default)]
struct Tokens {
    exchanges: usize,
    refresh: String,
    spent: HashSet<String>,
    dead: bool,
    /// How many more requests each access token is good for.
    access: BTreeMap<String, usize>,
    arrivals: Vec<Instant>,
}

impl Strict {
    /// With `first` as its refresh token, and access tokens that are good for `uses` requests.
    pub async fn start(first: &str, uses: usize) -> Self {
        Self::start_with(first, uses, None).await
    }

    /// One that asks everybody to wait, always.
    pub async fn closed(retry_after: &'static str) -> Self {
        Self::start_with("first", usize::MAX, Some(retry_after)).await
    }

    async fn start_with(first: &str, uses: usize, retry_after: Option<&'static str>) -> Self {
        let tokens = Tokens { refresh: first.to_owned(), ..Tokens::default() };
        let state = Arc::new(Inner {
            tokens: Mutex::new(tokens),
            uses,
            open: watch::Sender::new(true),
            exchanging: watch::Sender::new(0),
            retry_after,
        });
        let app =
            Router::new().route("/token", post(token)).fallback(any(records)).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    /// Holds the answers of the token endpoint back, or lets them go.
    pub fn hold_tokens(&self, hold: bool) {
        self.state.open.send_replace(!hold);
    }

    /// Waits until so many exchanges have begun in all.
    pub async fn exchange_begun(&self, count: usize) {
        self.state.exchanging.subscribe().wait_for(|begun| *begun >= count).await.unwrap();
    }

    /// The refresh token that is good now, unless a spent one was sent.
    pub fn refresh_token(&self) -> Option<String> {
        let tokens = self.state.tokens.lock().unwrap();
        (!tokens.dead).then(|| tokens.refresh.clone())
    }

    /// How often a refresh token was exchanged.
    pub fn exchanges(&self) -> usize {
        self.state.tokens.lock().unwrap().exchanges
    }

    /// How many requests arrived, those for tokens included.
    pub fn requests(&self) -> usize {
        self.state.tokens.lock().unwrap().arrivals.len()
    }

    /// The most requests that arrived within any stretch of `period`.
    pub fn most_within(&self, period: Duration) -> usize {
        let arrivals = self.state.tokens.lock().unwrap().arrivals.clone();
        let within =
            |from: &Instant| arrivals.iter().filter(|at| **at >= *from && **at < *from + period).count();
        arrivals.iter().map(within).max().unwrap_or_default()
    }
}

async fn token(State(state): State<Arc<Inner>>, body: String) -> Response {
    state.tokens.lock().unwrap().arrivals.push(Instant::now());
    let form: BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).collect();
    let answer = exchange(&state, &form["refresh_token"]);
    state.exchanging.send_modify(|begun| *begun += 1);
    // what was exchanged is exchanged, even if nobody hears of it
    state.open.subscribe().wait_for(|open| *open).await.unwrap();
    answer
}

fn exchange(state: &Inner, refresh: &str) -> Response {
    let mut tokens = state.tokens.lock().unwrap();
    if tokens.dead || tokens.refresh != refresh {
        tokens.dead |= tokens.spent.contains(refresh);
        if tokens.dead {
            tokens.access.clear();
        }
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    }
    tokens.exchanges += 1;
    tokens.spent.insert(refresh.to_owned());
    tokens.refresh = format!("refresh-{}", tokens.exchanges);
    let access = format!("access-{}", tokens.exchanges);
    // as many providers do: a new access token ends the one before
    tokens.access.clear();
    tokens.access.insert(access.clone(), state.uses);
    let answer = json!({ "access_token": access, "refresh_token": tokens.refresh, "expires_in": 2400 });
    Json(answer).into_response()
}

async fn records(State(state): State<Arc<Inner>>, request: Request) -> Response {
    let mut tokens = state.tokens.lock().unwrap();
    tokens.arrivals.push(Instant::now());
    if let Some(retry_after) = state.retry_after {
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, retry_after)]).into_response();
    }
    if state.uses == usize::MAX {
        return Json(json!([])).into_response();
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    match tokens.access.get_mut(token) {
        Some(uses) if *uses > 0 => {
            *uses -= 1;
            Json(json!([])).into_response()
        }
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}
