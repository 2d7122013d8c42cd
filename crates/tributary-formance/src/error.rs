//! How calls fail, told apart as Formance tells them apart.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::gojson::JsonError;
use super::gotime::TimeError;
use super::storage::Rejection;

/// What Formance makes of a failed call: this alone decides whether it tries
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// A 4xx without a class of its own, or no connection. Final: a poll ends
    /// until its next period, a payout is FAILED.
    ClientError,
    /// A 5xx.
    ServerError,
    /// 429.
    TooManyRequests,
    /// 408, or no answer within the client's timeout.
    RequestTimeout,
    /// 421.
    Misdirected,
    /// 423.
    Locked,
    /// 425.
    TooEarly,
    /// Everything else, above all an answer that cannot be decoded. A poll
    /// repeats the same call without end.
    Other,
}

impl ErrorClass {
    /// The class of an HTTP status, `None` for a status that is no failure (all
    /// below 400: redirects that are not followed are read like a success).
    pub fn of_status(status: u16) -> Option<Self> {
        match status {
            408 => Some(Self::RequestTimeout),
            421 => Some(Self::Misdirected),
            423 => Some(Self::Locked),
            425 => Some(Self::TooEarly),
            429 => Some(Self::TooManyRequests),
            400..=499 => Some(Self::ClientError),
            500.. => Some(Self::ServerError),
            _ => None,
        }
    }

    /// Whether Formance gives up instead of asking again.
    pub fn is_final(self) -> bool {
        self == Self::ClientError
    }

    /// The name that recordings use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::TooManyRequests => "too_many_requests",
            Self::RequestTimeout => "request_timeout",
            Self::Misdirected => "misdirected",
            Self::Locked => "locked",
            Self::TooEarly => "too_early",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call failed. In every case nothing is stored and the state stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The server answered with a status of failure.
    #[error("status {status} ({class}): {title} {detail}")]
    Status {
        /// The HTTP status.
        status: u16,
        class: ErrorClass,
        /// The body's `title`; empty if the body is not the error's JSON.
        title: String,
        /// The body's `detail`; empty if the body is not the error's JSON.
        detail: String,
    },
    /// The body of a success is not what was expected.
    #[error("status {status}, but the body cannot be decoded: {source}")]
    Body {
        /// The HTTP status.
        status: u16,
        /// What is wrong with the body.
        source: JsonError,
    },
    /// The saved state cannot be read.
    #[error("the state cannot be decoded: {0}")]
    State(JsonError),
    /// An amount is not a base-10 integer.
    #[error("the amount {0:?} is not an integer")]
    Amount(String),
    /// A time was read, but cannot be written again as JSON.
    #[error("a time cannot be kept: {0}")]
    Time(#[from] TimeError),
    /// The account id does not make a URL.
    #[error("{0:?} does not make a URL")]
    Url(String),
    /// The payout or transfer is one that Formance does not even ask for.
    #[error("invalid request: {0}")]
    Initiation(&'static str),
    /// No answer: no connection, a broken one, or a timeout.
    #[error("no answer ({class}): {reason}")]
    Transport {
        /// `ClientError` without a connection, `RequestTimeout` after the
        /// timeout, `Other` when the answer breaks off within its body.
        class: ErrorClass,
        /// What happened.
        reason: String,
    },
    /// The call succeeded, but Formance refuses to store what it brought.
    #[error("refused by Formance's storage: {0}")]
    Storage(#[from] Rejection),
    /// The client has asked as many requests as it was allowed to. Formance has
    /// no such limit; a test needs one against servers that feed without end.
    #[error("more than {0} requests")]
    RequestLimit(u64),
}

impl CallError {
    /// The class by which Formance decides whether to try again.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Status { class, .. } | Self::Transport { class, .. } => *class,
            _ => ErrorClass::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_class_that_formance_gives_it() {
        for (status, class) in [
            (200, None),
            (204, None),
            (304, None),
            (400, Some(ErrorClass::ClientError)),
            (409, Some(ErrorClass::ClientError)),
            (408, Some(ErrorClass::RequestTimeout)),
            (421, Some(ErrorClass::Misdirected)),
            (423, Some(ErrorClass::Locked)),
            (425, Some(ErrorClass::TooEarly)),
            (429, Some(ErrorClass::TooManyRequests)),
            (499, Some(ErrorClass::ClientError)),
            (500, Some(ErrorClass::ServerError)),
            (599, Some(ErrorClass::ServerError)),
        ] {
            assert_eq!(ErrorClass::of_status(status), class, "{status}");
        }
    }

    #[test]
    fn only_client_errors_are_final() {
        assert!(ErrorClass::ClientError.is_final());
        assert!(!ErrorClass::TooEarly.is_final());
        assert!(!ErrorClass::Other.is_final());
    }
}
