//! `POST /admin/sync`: has streams read now, by whatever instance.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::{ApiError, SharedState, error::ErrorBody};
use crate::store::{self, leases, sync_tasks};

/// The largest body, in bytes: it names a stream.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// What is to be read.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncOrder {
    /// Only this stream, with those above it; all without it.
    #[serde(default)]
    stream: Option<String>,
}

/// What will be read.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SyncAnswer {
    /// The streams, which are read at the next opportunity.
    streams: Vec<String>,
}

/// Has the provider's streams read at the next opportunity, in the background. A pause after
/// failed runs ends with it. Served on the listener for operators only.
#[utoipa::path(post, path = "/admin/sync", tag = "admin",
    request_body = Option<SyncOrder>,
    responses((status = 202, body = SyncAnswer), (status = "default", body = ErrorBody)))]
async fn order_sync(
    State(state): State<SharedState>,
    Admin(caller): Admin,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<SyncAnswer>), ApiError> {
    let body = body?;
    let order = parse(&body).map_err(|error| {
        ApiError::Invalid(format!("the body has to be {{\"stream\": \"…\"}}, or nothing: {error}"))
    })?;
    let known = sync_tasks::streams(&state.pool, &caller.provider).await?;
    let streams = match order.stream {
        None if known.is_empty() => {
            return Err(ApiError::NotFound(format!("nothing of {} is pulled", caller.provider)));
        }
        None => known,
        Some(stream) if known.contains(&stream) => vec![stream],
        Some(stream) => {
            let known = known.join(", ");
            return Err(ApiError::NotFound(format!("there is no stream {stream:?}; there are: {known}")));
        }
    };
    let mut transaction = store::begin(&state.pool).await?;
    for stream in &streams {
        sync_tasks::ask(&mut transaction, &caller.provider, stream, None).await?;
    }
    leases::end_pauses(&mut transaction, &caller.provider, &streams).await?;
    transaction.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(SyncAnswer { streams })))
}

fn parse(body: &[u8]) -> serde_json::Result<SyncOrder> {
    if body.trim_ascii().is_empty() {
        return Ok(SyncOrder::default());
    }
    // an object, as serde takes an array for one, too
    let members: Option<serde_json::Map<String, Value>> = serde_json::from_slice(body)?;
    SyncOrder::deserialize(Value::Object(members.unwrap_or_default()))
}

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(order_sync)).layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
}
