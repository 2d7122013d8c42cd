//! What an operator and an orchestrator look at: health, readiness, metrics, the description.
//! None of it takes a key. The first three answer however much is asked, or an orchestrator
//! would restart a process because of somebody's flood.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};

use super::{ApiError, SharedState};
use crate::store::database;

/// The process is there, whatever the database does.
async fn healthz() -> &'static str {
    "ok"
}

/// Requests can be served, and more of them are welcome: the database answers, and the process is
/// not about to end.
async fn readyz(State(state): State<SharedState>) -> Result<&'static str, ApiError> {
    if state.draining.has_begun() {
        return Err(ApiError::Unavailable("this instance is about to stop; use another one".into()));
    }
    database::ping(&state.pool).await?;
    Ok("ready")
}

async fn metrics(State(state): State<SharedState>) -> Result<impl IntoResponse, ApiError> {
    let handle =
        state.metrics.as_ref().ok_or_else(|| ApiError::NotFound("no metrics are recorded".into()))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()))
}

async fn description(State(state): State<SharedState>) -> Result<impl IntoResponse, ApiError> {
    state.limits.unknown().take()?;
    Ok(Json(super::openapi()))
}

pub const PATHS: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/openapi.json"];

pub fn router() -> Router<SharedState> {
    let [healthz_path, readyz_path, metrics_path, description_path] = PATHS;
    Router::new()
        .route(healthz_path, get(healthz))
        .route(readyz_path, get(readyz))
        .route(metrics_path, get(metrics))
        .route(description_path, get(description))
}
