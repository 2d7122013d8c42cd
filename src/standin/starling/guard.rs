//! What a request meets before its handler: the token, and the faults in force. Also the error
//! answers of the API.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use futures::{Stream, StreamExt, stream};

use super::Starling;
use super::faults::{RetryAfter, Verdict};
use super::types::{ErrorMessage, Errors, TokenError};

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
                if let Some(value) = retry_after_value(retry_after) {
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

fn retry_after_value(retry_after: RetryAfter) -> Option<HeaderValue> {
    match retry_after {
        RetryAfter::Seconds(seconds) => Some(HeaderValue::from(seconds)),
        RetryAfter::Zero => Some(HeaderValue::from(0)),
        RetryAfter::Absent => None,
        RetryAfter::Date(seconds) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // A date has whole seconds: cutting would let the client come back too early.
            let whole_seconds = now.as_secs() + u64::from(now.subsec_nanos() > 0);
            let until = UNIX_EPOCH + Duration::from_secs(whole_seconds + u64::from(seconds));
            HeaderValue::try_from(httpdate::fmt_http_date(until)).ok()
        }
    }
}

/// Middleware around every route: refuses a bad token, then does what the faults in force say.
pub(super) async fn guard(State(starling): State<Arc<Starling>>, request: Request, next: Next) -> Response {
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
        Verdict::CutBody => cut(next.run(request).await, starling).await,
    }
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("Bearer") && given == token)
}

/// The same answer, which breaks off in the middle of its body.
async fn cut(response: Response, starling: Arc<Starling>) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return ApiError::Internal.into_response();
    };
    // The length is left to the framing, which then ends without its terminator: the client can
    // tell that something is missing.
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from_stream(half_then_cut(whole, starling)))
}

fn half_then_cut(whole: Bytes, starling: Arc<Starling>) -> impl Stream<Item = io::Result<Bytes>> {
    let half = whole.slice(..whole.len() / 2);
    let cut = async move {
        // Gives the server the chance to send the first half before it learns of the end.
        tokio::task::yield_now().await;
        starling.faults.count_cut_body();
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    stream::once(async { Ok(half) }).chain(stream::once(cut))
}
