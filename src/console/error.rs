//! What a page is not shown for, as a page.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::page;
use crate::http::ApiError;
use crate::store::StoreError;

/// Why a page is not shown.
#[derive(Debug)]
pub enum PageError {
    /// Nobody has signed in: somebody has to, and goes on to this path then.
    SignIn { next: String },
    /// The same, where the script asks: it has to see that it is no page.
    SignedOut,
    /// Anything else, with the status of the API.
    Failed(ApiError),
}

impl PageError {
    /// 404, with what to do.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::Failed(ApiError::NotFound(detail.into()))
    }

    /// 403, with what to do.
    pub fn forbidden(detail: &str) -> Self {
        Self::Failed(ApiError::Refused { status: 403, title: "Forbidden", detail: detail.to_owned() })
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let error = match self {
            Self::SignIn { next } => {
                let next = utf8_percent_encode(&next, NON_ALPHANUMERIC);
                return Redirect::to(&format!("/console/sign-in?next={next}")).into_response();
            }
            Self::SignedOut => {
                let said = html! { p { "You are signed out. " a href="/console/sign-in" { "Sign in" } } };
                return (StatusCode::UNAUTHORIZED, page::html(said)).into_response();
            }
            Self::Failed(error) => error,
        };
        let retry_after = error.retry_after();
        let (status, title, detail) = error.parts();
        let said = html! {
            p { (detail) }
            p { a href="/console" { "To the overview" } }
        };
        let mut response = (status, page::bare(title, said)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
