//! What a request meets before its handler: the token, and the faults in force. Also the error
//! answers of the API.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};

use super::Starling;
use super::faults::Verdict;
use super::types::{ErrorMessage, Errors, TokenError};
use crate::kit::cut::cut;
use crate::kit::{RetryAfter, lock};

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(super) enum ApiError {
    InvalidToken,
    NotFound(&'static str),
    BadRequest(String),
    RateLimited(RetryAfter),
    Internal,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::InvalidToken => {
                let error_description = "No valid access token was given";
                (StatusCode::FORBIDDEN, Json(TokenError { error: "invalid_token", error_description }))
                    .into_response()
            }
            Self::NotFound(what) => errors(StatusCode::NOT_FOUND, format!("{what} not found")),
            Self::BadRequest(message) => errors(StatusCode::BAD_REQUEST, message),
            Self::RateLimited(retry_after) => {
                let mut response = errors(StatusCode::TOO_MANY_REQUESTS, "Too many requests".to_owned());
                if let Some(value) = retry_after.header() {
                    response.headers_mut().insert(header::RETRY_AFTER, value);
                }
                response
            }
            Self::Internal => errors(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error".to_owned()),
        }
    }
}

fn errors(status: StatusCode, message: String) -> Response {
    (status, Json(Errors { errors: [ErrorMessage { message }], success: false })).into_response()
}

/// Middleware around every route: refuses a bad token, then does what the faults in force say.
pub(super) async fn guard(State(starling): State<Arc<Starling>>, request: Request, next: Next) -> Response {
    lock(&starling.budget).count(starling.clock.now_ms() * 1_000);
    if !has_token(request.headers(), &starling.token) {
        return ApiError::InvalidToken.into_response();
    }
    let (delay, verdict) = starling.faults.judge(request.uri().path());
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    match verdict {
        Verdict::Answer => next.run(request).await,
        Verdict::RateLimited(retry_after) => ApiError::RateLimited(retry_after).into_response(),
        Verdict::ServerError => ApiError::Internal.into_response(),
        Verdict::CutBody => cut(next.run(request).await, move || starling.faults.count_cut_body()).await,
    }
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("Bearer") && given == token)
}
