//! How a provider is asked: briefly, without redirects, and no longer than any provider answers.

use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(4);
/// And how long it may be, in bytes.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{}", explain(.0))]
    Request(#[from] reqwest::Error),
    #[error("its answer is longer than {ANSWER_MAX_BYTES} bytes")]
    TooLong,
    #[error("its answer cannot be read: {0}")]
    Answer(#[from] axum::http::Error),
}

/// The innermost cause, which says what happened; addresses with codes in them are left out.
fn explain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(first.source(), |cause| cause.source());
    causes.last().map_or_else(|| "the request failed".to_owned(), ToString::to_string)
}

/// A client for HTTP.
pub struct Http(reqwest::Client);

impl Http {
    pub fn new() -> Result<Self, String> {
        // two that do so at the same time install the same
        let _ = rustls::crypto::ring::default_provider().install_default();
        // a redirect would lead to somewhere that nobody named
        let built =
            reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self(built.map_err(|error| format!("no OpenID provider can be asked: {error}"))?))
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut built = axum::http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            built = built.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > ANSWER_MAX_BYTES {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(built.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
