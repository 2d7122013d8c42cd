//! Answers that are not what was asked for.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::when::RetryAfter;

/// Why a request is not answered with what it asked for. Each provider words it as its API does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token, or a wrong one.
    Unauthorized,
    /// A token that was good until a moment ago.
    TokenExpired,
    /// Credentials that the token endpoint does not take.
    BadGrant(&'static str),
    /// Nothing of this name, such as `payment`.
    NotFound(&'static str),
    /// A parameter that the API does not take.
    BadRequest {
        /// The parameter.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Too many requests.
    RateLimited(RetryAfter),
    /// The provider's own fault, with this status from 500 on.
    Server(u16),
}

impl Refusal {
    /// The status that most APIs give it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized | Self::TokenExpired => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BadGrant(_) | Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Server(status) => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// A plain sentence for the error body.
    pub fn message(&self) -> String {
        match self {
            Self::Unauthorized => "The access token is missing or not valid".to_owned(),
            Self::TokenExpired => "The access token has expired".to_owned(),
            Self::BadGrant(why) => (*why).to_owned(),
            Self::NotFound(what) => format!("No {what} exists with this id"),
            Self::BadRequest { field, message } => format!("{field}: {message}"),
            Self::RateLimited(_) => "Too many requests".to_owned(),
            Self::Server(_) => "Something went wrong on our side".to_owned(),
        }
    }
}

/// The guard, which knows the provider, puts the body in.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
