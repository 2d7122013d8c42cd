//! Why there is no usable answer.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::budget::{Closed, SharedError};
use crate::cage::CageError;
use tributary_domain::TooCostly;

/// Why a request has no usable answer. Shows the path and the names of its query parameters,
/// never their values, headers or tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// An answer that asking again does not change.
    #[error("{request} was answered with {status}: {excerpt}")]
    Refused { request: String, status: u16, excerpt: String },
    /// There is no such URL.
    #[error("{request} cannot be asked for: {why}")]
    Unaskable { request: String, why: String },
    /// The answer is larger than what is read.
    #[error(
        "{request} was answered with more than {limit} bytes; ask for smaller pages, or raise answers.max_mib"
    )]
    TooLarge { request: String, limit: usize },
    /// To read the answer would cost too much.
    #[error("{request} was answered with too much: {why}; ask for smaller pages, or raise answers.max_mib")]
    TooCostly { request: String, why: TooCostly },
    /// The answer cannot be read.
    #[error("an answer cannot be read: {0}")]
    Unread(CageError),
    /// No attempt worked.
    #[error("{request} failed {attempts} times; the last time: {last}")]
    Failed { request: String, attempts: u32, last: String },
    /// No request may be sent before `until`, which is later than a run waits.
    #[error("no request before {}: {why}", .until.format("%Y-%m-%d %H:%M:%S UTC"))]
    AskedToWait { until: DateTime<Utc>, why: Closed },
    /// A rule says to leave the partition out.
    #[error("{request}: left out: {reason}")]
    SkipPartition { request: String, reason: String },
    /// A rule says that the pages have to be read from the first one again.
    #[error("{request}: the pages have to begin anew: {reason}")]
    ResetPaging { request: String, reason: String },
    /// The API says that this is too much for one window.
    #[error("{request}: the window holds too much for one answer: {reason}")]
    TooMuch { request: String, reason: String },
    /// There is no access token to send a request with.
    #[error("there is no access token: {0}")]
    NoToken(#[source] Box<ClientError>),
    #[error(transparent)]
    Shared(#[from] SharedError),
    /// A cassette answers, and has nothing (left) for this request.
    #[error("the cassette has no answer (left) to {request}")]
    NotRecorded { request: String },
    /// The rules for errors cannot be applied.
    #[error("the rules for errors cannot be applied: {0}")]
    Rules(CageError),
}

/// Why one attempt at a request has no answer.
#[derive(Debug)]
pub enum SendError {
    /// It was not sent.
    Unsent(ClientError),
    /// It was not sent, as it is not its time.
    Closed { wait: Duration, why: Closed },
    /// The network failed.
    Broken(String),
}

/// Why a payment has no answer.
#[derive(Debug)]
pub enum PaymentError {
    /// Not a byte of it was sent.
    Unsent(String),
    /// It may have arrived.
    Broken(String),
}

impl From<SendError> for PaymentError {
    /// Of an attempt that did not get as far as to be sent.
    fn from(error: SendError) -> Self {
        Self::Unsent(match error {
            SendError::Unsent(error) => error.to_string(),
            SendError::Closed { why, .. } => why.to_string(),
            SendError::Broken(why) => why,
        })
    }
}
