//! What a client gets when something is wrong: one JSON shape, `Title` and `Detail`, and
//! the status that makes Formance do the right thing. It tries 408, 421, 423, 425, 429 and 5xx
//! again; every other 4xx is final for it. Internals are logged here and never sent.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{SharedState, limits};
use crate::store::StoreError;
use crate::supervision;
use crate::verbs::Failure;
use tributary_domain::Scope;

/// An error as the client sees it.
#[derive(Debug)]
pub enum ApiError {
    /// 400: what was asked for makes no sense; the detail says which part.
    Invalid(String),
    /// 401: no API key, or not one of ours.
    Unauthorized,
    /// 401: neither the key nor the session of an operator.
    NoOperator,
    /// 401: a webhook that does not prove where it comes from. Its caller does not learn why.
    Unproven,
    /// 403: a key of another scope.
    Forbidden(Scope),
    /// 404.
    NotFound(String),
    /// 405.
    MethodNotAllowed,
    /// 413: more than one call may carry.
    TooLarge(String),
    /// 425: another request with the same idempotency key waits for its outcome.
    TooEarly { retry_after: Duration },
    /// What the provider's file or the state of an order refuses, with its own status and title.
    Refused { status: u16, title: &'static str, detail: String },
    /// 429: more than an API key may ask; the detail says how much that is.
    TooManyRequests { detail: String, retry_after: Duration },
    /// 503: the same request may succeed later.
    Unavailable(String),
    /// 500: a fault of ours; logged.
    Internal,
}

/// The body of every error, spelt as in Formance's own description.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Error)]
pub struct ErrorBody {
    /// What kind of error it is.
    pub title: String,
    /// What is wrong with this request, and what to do.
    pub detail: String,
}

/// The most that is said of any error: the detail may quote what was sent.
const DETAIL_MAX_BYTES: usize = 4096;
/// After how many seconds an outage may have passed.
const UNAVAILABLE_SECONDS: u64 = 2;

impl ApiError {
    pub(crate) fn parts(self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Invalid(detail) => (StatusCode::BAD_REQUEST, "Invalid request", detail),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "send a valid API key as \"Authorization: Bearer <key>\"; `tributary keys create` makes one"
                    .into(),
            ),
            Self::NoOperator => (
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "send the key of an operator as \"Authorization: Bearer <key>\"; `tributary operators create` makes one"
                    .into(),
            ),
            Self::Unproven => (
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "the call does not prove where it comes from".into(),
            ),
            Self::Forbidden(needed) => (
                StatusCode::FORBIDDEN,
                "Forbidden",
                format!(
                    "this needs an API key of scope {}; the API key sent has another scope",
                    scopes(needed)
                ),
            ),
            Self::NotFound(detail) => (StatusCode::NOT_FOUND, "Not found", detail),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
                "the path exists, but not with this method".into(),
            ),
            Self::TooLarge(detail) => (StatusCode::PAYLOAD_TOO_LARGE, "Too large", detail),
            Self::TooEarly { .. } => (
                StatusCode::TOO_EARLY,
                "Too early",
                "a request with the same idempotencyKey is under way; send it again".into(),
            ),
            Self::Refused { status, title, detail } => {
                (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), title, detail)
            }
            Self::TooManyRequests { detail, .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail)
            }
            Self::Unavailable(detail) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable", detail),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal error",
                "the error was logged; try again later".into(),
            ),
        }
    }
}

impl ApiError {
    /// After how many seconds to try again, where that helps.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::TooEarly { retry_after } => {
                Some(limits::retry_after_seconds(*retry_after))
            }
            Self::Unavailable(_) => Some(UNAVAILABLE_SECONDS),
            _ => None,
        }
    }
}

/// The scopes of keys that open what needs `needed`.
fn scopes(needed: Scope) -> String {
    let opening = Scope::ALL.into_iter().filter(|scope| scope.opens(needed));
    opening.map(|scope| format!("\"{}\"", scope.as_str())).collect::<Vec<_>>().join(" or ")
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after();
        let wants_key = matches!(self, Self::Unauthorized | Self::NoOperator);
        let (status, title, mut detail) = self.parts();
        if detail.len() > DETAIL_MAX_BYTES {
            detail.truncate(detail.floor_char_boundary(DETAIL_MAX_BYTES));
            detail.push('…');
        }
        let mut response = (status, Json(ErrorBody { title: title.into(), detail })).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if wants_key {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(error) => {
                tracing::warn!(%error, "the database is not available");
                Self::Unavailable("the database is not available; try again".into())
            }
            StoreError::Failed(_)
            | StoreError::Forbidden(_)
            | StoreError::Schema(_)
            | StoreError::Unprotected(_)
            | StoreError::Sealed(_) => {
                tracing::error!(%error, "a request failed in the database");
                Self::Internal
            }
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let detail = failure.to_string();
        match failure {
            Failure::Invalid(_) => Self::Invalid(detail),
            Failure::NotFound(_) => Self::NotFound(detail),
            Failure::Forbidden(_) => Self::Refused { status: 403, title: "Forbidden", detail },
            Failure::Refused(_) => Self::Refused { status: 409, title: "Refused", detail },
            // an operator is told which key is missing
            Failure::Store(StoreError::Sealed(_)) => Self::Unavailable(detail),
            Failure::Store(error) => error.into(),
            Failure::Unavailable(why) => {
                tracing::error!(why, "a provider file cannot be tried");
                Self::Internal
            }
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::TooLarge("the body is too large; send fewer records a call".into())
            }
            // the client's connection broke: whoever still hears this may try again
            _ => Self::Unavailable("the body did not arrive in full".into()),
        }
    }
}

/// The answer where there is no such path.
pub async fn not_found(State(state): State<SharedState>) -> ApiError {
    let missing = ApiError::NotFound("there is no such path; /openapi.json lists what there is".into());
    state.limits.unknown().take().err().unwrap_or(missing)
}

/// The answer where the path exists with other methods.
pub async fn method_not_allowed(State(state): State<SharedState>) -> ApiError {
    state.limits.unknown().take().err().unwrap_or(ApiError::MethodNotAllowed)
}

/// Gives errors of the framework, such as a path that is no UTF-8, the body that all others have.
pub async fn in_our_words(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    // a page of the console says it to people
    let is_said = kind.is_some_and(|kind| kind == "application/json" || kind.starts_with("text/html"));
    if is_said || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, DETAIL_MAX_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let title = status.canonical_reason().unwrap_or("Error").to_owned();
    let detail = if text.is_empty() { title.clone() } else { text };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    (parts.status, parts.headers, Json(ErrorBody { title, detail })).into_response()
}

/// The answer when a handler panicked.
pub fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!(panic = supervision::what(&*panic), "a handler panicked");
    ApiError::Internal.into_response()
}
