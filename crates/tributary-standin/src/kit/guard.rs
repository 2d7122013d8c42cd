//! What a request meets before its handler: the count, the token, and the faults in force; and
//! what happens to the answer afterwards.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::cut::cut;
use super::faults::Treatment;
use super::refusal::Refusal;
use super::{Json, Standin, liar};

/// Middleware around every route of the API.
pub(super) async fn guard(State(standin): State<Arc<Standin>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    standin.count_request();
    let response = match standin.admit(&path, &request) {
        Ok(()) => fault(&standin, &path, request, next).await,
        Err(refusal) => refusal.into_response(),
    };
    let response = worded(&standin, response);
    let changes = if response.status().is_success() { standin.faults.changes_after(&path) } else { 0 };
    if changes > 0 {
        standin.advance(changes as usize);
    }
    response
}

/// The answer, or what the faults in force make of it.
async fn fault(standin: &Arc<Standin>, path: &str, request: Request, next: Next) -> Response {
    let error_in_200 = standin.fsp.error_in_200();
    let (delay, verdict) = standin.faults.judge(path, error_in_200.is_some());
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    match verdict {
        Treatment::Answer => liar::answer(standin, request, next).await,
        Treatment::TokenExpired => {
            standin.tokens().kill();
            standin.faults.count_expired_token();
            Refusal::TokenExpired.into_response()
        }
        Treatment::RateLimited(retry_after) => Refusal::RateLimited(retry_after).into_response(),
        Treatment::ServerError(status) => Refusal::Server(status).into_response(),
        Treatment::ErrorIn200 => error_in_200.unwrap_or(Json::Null).into_response(),
        Treatment::CutBody => {
            let standin = Arc::clone(standin);
            cut(worded(&standin, next.run(request).await), move || standin.faults.count_cut_body()).await
        }
    }
}

/// Puts a refusal into the provider's words, and the provider's media type on everything.
fn worded(standin: &Standin, mut response: Response) -> Response {
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = standin.fsp.refusal(&refusal).into_response();
        if let Refusal::RateLimited(retry_after) = refusal
            && let Some(value) = retry_after.header()
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
    }
    let content_type = HeaderValue::from_static(standin.fsp.profile().content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

impl Standin {
    /// Whether a request may go on to its handler: whoever asks for a token has none yet.
    fn admit(&self, path: &str, request: &Request) -> Result<(), Refusal> {
        if path == self.fsp.profile().token_path {
            return Ok(());
        }
        let admitted = self.tokens().check(request.headers(), self.fsp.scheme(), self.now_us());
        if admitted == Err(Refusal::TokenExpired) {
            self.faults.count_expired_token();
        }
        admitted
    }
}
