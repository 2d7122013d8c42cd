//! The stand-in as a server, and its control API.
//!
//! | request | does |
//! |---|---|
//! | `POST /_standin/advance?steps=100` | makes changes |
//! | `PUT /_standin/faults` | replaces the faults in force by the body ([`Faults`]) |
//! | `PUT /_standin/lies` | replaces the lies in force by the body ([`Lies`]) |
//! | `POST /_standin/settle` | ends the faults and lies and shows what was late |
//! | `GET /_standin/truth` | what an adapter that missed nothing holds ([`Truth`](super::Truth)) |
//! | `GET /_standin/fired` | how often each fault happened and each lie was told, and what clients spent |
//!
//! It needs no token and knows no faults.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Json as Plain;
use axum::routing::{get, post, put};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::asked::Asked;
use super::auth::{self, TokenTally};
use super::budget::Spent;
use super::faults::{Faults, Fired};
use super::guard::guard;
use super::liar::{Lie, Lies};
use super::refusal::Refusal;
use super::truth::Truth;
use super::{Json, Standin, object};

type Shared = State<Arc<Standin>>;

/// The provider's API, and the control API under `/_standin`. Every request to the former needs
/// the token; errors come in the provider's words.
pub fn router(standin: Arc<Standin>) -> Router {
    let profile = standin.fsp.profile();
    let api = standin
        .fsp
        .routes()
        .route(profile.token_path, post(auth::token))
        .fallback(|| async { Refusal::NotFound("resource") })
        .layer(from_fn_with_state(Arc::clone(&standin), guard));
    Router::new()
        .route("/_standin/advance", post(advance))
        .route("/_standin/faults", put(set_faults))
        .route("/_standin/lies", put(set_lies))
        .route("/_standin/settle", post(settle))
        .route("/_standin/truth", get(truth))
        .route("/_standin/fired", get(fired))
        .merge(api)
        .with_state(standin)
}

/// Serves the API on `listener` until `shutdown` resolves and open requests are answered.
///
/// # Errors
/// Whatever the listener fails with.
pub async fn serve(
    listener: TcpListener,
    standin: Arc<Standin>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(standin)).with_graceful_shutdown(shutdown).await
}

/// A stand-in on a port of its own; closed when dropped.
pub struct Running {
    /// Where it listens: `http://127.0.0.1:<port>`.
    pub url: String,
    server: JoinHandle<io::Result<()>>,
}

/// Opens the API on a free port of the loopback interface. Must be called within a Tokio runtime.
///
/// # Errors
/// Where no port can be had.
pub async fn start(standin: Arc<Standin>) -> io::Result<Running> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = tokio::spawn(serve(listener, standin, std::future::pending()));
    Ok(Running { url, server })
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn advance(State(standin): Shared, asked: Asked) -> Result<Json, StatusCode> {
    let steps = asked.number("steps", 0).map_err(|_| StatusCode::BAD_REQUEST)?.unwrap_or(1);
    standin.advance(steps);
    Ok(object! { "steps": steps })
}

async fn set_faults(State(standin): Shared, Plain(faults): Plain<Faults>) -> StatusCode {
    standin.set_faults(faults);
    StatusCode::NO_CONTENT
}

async fn set_lies(State(standin): Shared, Plain(lies): Plain<Lies>) -> StatusCode {
    standin.set_lies(lies);
    StatusCode::NO_CONTENT
}

async fn settle(State(standin): Shared) -> StatusCode {
    standin.end_faults();
    StatusCode::NO_CONTENT
}

async fn truth(State(standin): Shared) -> Plain<Truth> {
    Plain(standin.truth())
}

#[derive(Serialize)]
struct Tally {
    fired: Fired,
    told: BTreeMap<Lie, u64>,
    spent: Spent,
    tokens: TokenTally,
}

async fn fired(State(standin): Shared) -> Plain<Tally> {
    Plain(Tally {
        fired: standin.fired(),
        told: standin.told(),
        spent: standin.spent(),
        tokens: standin.token_tally(),
    })
}
