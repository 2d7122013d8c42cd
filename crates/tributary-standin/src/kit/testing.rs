//! What the tests of the stand-ins ask with: the router, without a port.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header, request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeZone, Utc};
use serde_json::Value;
use tower::ServiceExt;

use super::{Clock, Fsp, ManualClock, Scheme, Standin, StandinConfig, router};

pub const TOKEN: &str = "secret-token:of-the-test";

pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

/// A stand-in of 3 accounts and 400 records whose clock stands at [`noon`].
pub fn config() -> StandinConfig {
    StandinConfig { items: 400, clock: Clock::manual(noon()), ..StandinConfig::new(7, TOKEN) }
}

pub fn open(fsp: &'static dyn Fsp) -> Arc<Standin> {
    Arc::new(Standin::new(fsp, config()).unwrap())
}

/// The same with a clock in the test's hands.
pub fn open_with_clock(fsp: &'static dyn Fsp) -> (Arc<Standin>, ManualClock) {
    let clock = ManualClock::new(noon());
    let config = StandinConfig { clock: Clock::Manual(clock.clone()), ..config() };
    (Arc::new(Standin::new(fsp, config).unwrap()), clock)
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The JSON of an answer that has to be good.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }
}

/// Fails where the answer breaks off.
pub async fn send(standin: &Arc<Standin>, request: Request<Body>) -> Result<Answer, axum::Error> {
    let response = router(Arc::clone(standin)).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await?.to_vec()).unwrap();
    Ok(Answer { status: head.status, headers: head.headers, text })
}

fn authorization(standin: &Standin, token: &str) -> String {
    match standin.fsp.scheme() {
        Scheme::Bearer => format!("Bearer {token}"),
        Scheme::BasicUser => format!("Basic {}", STANDARD.encode(format!("{token}:"))),
    }
}

/// POSTs a JSON body with this key in a header.
pub async fn post_with(
    standin: &Arc<Standin>,
    path: &str,
    (name, value): (&str, &str),
    body: &Value,
) -> Answer {
    send_json(standin, Request::post(path).header(name, value), body).await
}

pub async fn get_with(standin: &Arc<Standin>, path: &str, token: &str) -> Answer {
    let request = Request::get(path).header(header::AUTHORIZATION, authorization(standin, token));
    send(standin, request.header("host", "standin").body(Body::empty()).unwrap()).await.unwrap()
}

/// POSTs a JSON body.
pub async fn post(standin: &Arc<Standin>, path: &str, body: &Value) -> Answer {
    send_json(standin, Request::post(path), body).await
}

/// PUTs a JSON body.
pub async fn put(standin: &Arc<Standin>, path: &str, body: &Value) -> Answer {
    send_json(standin, Request::put(path), body).await
}

async fn send_json(standin: &Arc<Standin>, request: request::Builder, body: &Value) -> Answer {
    let request = request.header(header::AUTHORIZATION, authorization(standin, TOKEN));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    send(standin, request.body(Body::from(body.to_string())).unwrap()).await.unwrap()
}

pub async fn get(standin: &Arc<Standin>, path: &str) -> Answer {
    get_with(standin, path, TOKEN).await
}

/// The texts at `pointer` in each of these rows.
pub fn texts(rows: &Value, pointer: &str) -> Vec<String> {
    let text = |row: &Value| row.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(text).collect()
}

/// Sorted, and checked to hold nothing twice.
pub fn each_once(mut ids: Vec<String>) -> Vec<String> {
    let listed = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), listed, "an id was listed twice");
    ids
}

/// The minor units that a decimal text spells: for checks only, so it takes what it gets.
pub fn minor(decimal: &str, decimals: usize) -> i64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    assert!(fraction.len() <= decimals, "{decimal}");
    format!("{whole}{fraction:0<decimals$}").parse().unwrap()
}
