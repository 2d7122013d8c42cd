//! What an operator and an orchestrator look at: health, readiness, metrics, the description. None of
//! it takes a key. The first three answer however much is asked, or an orchestrator would restart a
//! process because of somebody's flood.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ApiError, SharedState};
use crate::store::database::{self, within};
use crate::supervision::Part;

/// For how long the database is not asked again whether it is there.
const FRESH: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);

/// Whether the database was there when it was last looked at.
#[derive(Debug, Default)]
pub struct DatabaseSeen(Mutex<Option<(Instant, bool)>>);

impl DatabaseSeen {
    /// Whether it answers, or did within the last second.
    async fn answers(&self, pool: &PgPool) -> bool {
        // whoever asks meanwhile waits here, and not for another connection
        let mut seen = self.0.lock().await;
        if let Some((_, answered)) = seen.filter(|(at, _)| at.elapsed() < FRESH) {
            return answered;
        }
        let answered = within(ANSWER_LIMIT, database::ping(pool)).await;
        let answered = answered.inspect_err(|error| tracing::warn!(%error, "not ready")).is_ok();
        *seen = Some((Instant::now(), answered));
        answered
    }
}

/// The process is there, whatever the database does.
async fn healthz() -> &'static str {
    "ok"
}

/// Requests can be served, and more of them are welcome: the database answers, nothing that serving
/// depends on is down, and the process is not about to end. Else gives why not.
async fn reasons(state: &SharedState) -> Vec<String> {
    let mut reasons = Vec::new();
    if state.draining.has_begun() {
        reasons.push("this instance is about to stop".to_owned());
    }
    let (essential, _) = state.parts.down();
    reasons.extend(essential.iter().map(|part| format!("the task {part} failed and is being restarted")));
    if !state.database.answers(&state.pool).await {
        reasons.push("the database does not answer".to_owned());
    }
    reasons
}

/// For proxies, which reach it where strangers do, too: nothing about why.
async fn readyz(State(state): State<SharedState>) -> Result<&'static str, ApiError> {
    match reasons(&state).await.is_empty() {
        true => Ok("ready"),
        false => Err(ApiError::Unavailable("this instance is not ready; ask another one".into())),
    }
}

/// For operators: with what is wrong, also where it is nothing that serving depends on.
async fn readyz_in_full(State(state): State<SharedState>) -> Result<String, ApiError> {
    let reasons = reasons(&state).await;
    if !reasons.is_empty() {
        return Err(ApiError::Unavailable(reasons.join("; ")));
    }
    let (_, others) = state.parts.down();
    let others: Vec<String> = others.iter().map(Part::to_string).collect();
    Ok(if others.is_empty() {
        "ready".to_owned()
    } else {
        format!("ready; these tasks failed and are being restarted: {}", others.join(", "))
    })
}

async fn metrics(State(state): State<SharedState>) -> Result<impl IntoResponse, ApiError> {
    let metrics =
        state.metrics.as_ref().ok_or_else(|| ApiError::NotFound("no metrics are recorded".into()))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render().await))
}

async fn description(State(state): State<SharedState>) -> Result<impl IntoResponse, ApiError> {
    state.limits.unknown().take()?;
    Ok(Json(super::openapi()))
}

const HEALTHZ: &str = "/healthz";
const READYZ: &str = "/readyz";
const METRICS: &str = "/metrics";
/// Where the description is.
pub const DESCRIPTION: &str = "/openapi.json";

/// All that is here.
pub const PATHS: [&str; 4] = [HEALTHZ, READYZ, METRICS, DESCRIPTION];

/// On the listener for everybody.
pub fn public() -> Router<SharedState> {
    Router::new().route(HEALTHZ, get(healthz)).route(READYZ, get(readyz)).route(DESCRIPTION, get(description))
}

/// On the listener for operators.
pub fn for_operators() -> Router<SharedState> {
    Router::new().route(HEALTHZ, get(healthz)).route(READYZ, get(readyz_in_full)).route(METRICS, get(metrics))
}
