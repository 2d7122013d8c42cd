//! What everybody who asks the same provider has in common: how much may still be asked, and
//! the token that only one of them may exchange. Who keeps it is behind [`Shared`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::budget::{Admission, Budget, Closed, SharedError};
use super::error::ClientError;
use super::lane::Lane;
use crate::secret::Secret;

/// A token that requests carry.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessToken {
    pub value: Secret,
    /// A while before it expires; `None` where it is good until it is refused.
    pub usable_until: Option<DateTime<Utc>>,
}

impl AccessToken {
    /// Whether it is worth trying at `now`.
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        self.usable_until.is_none_or(|until| now < until)
    }
}

/// Under which a refresh token is kept: a digest of the configuration that it belongs to, the
/// first refresh token included, so that a newly configured one is not mistaken for spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// The key of what `parts` say.
    pub fn of(parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        Self(digest.finalize().into())
    }

    /// The digest itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a refresh token was exchanged for.
#[derive(Debug, Clone)]
pub struct Granted {
    pub access: AccessToken,
    /// The token for the next exchange, where it is another one.
    pub refresh: Option<Secret>,
}

/// Why there is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// It may work next time, after `wait` if the provider asks for it.
    #[error("{why}")]
    Passing { why: String, wait: Option<Duration> },
    /// It is not the time for it; the request was not sent.
    #[error("{why}")]
    Closed { wait: Duration, why: Closed },
    #[error(transparent)]
    Final(#[from] ClientError),
    #[error(transparent)]
    Shared(#[from] SharedError),
}

/// An exchange of refresh tokens.
pub struct Exchange {
    pub key: TokenKey,
    /// The configured refresh token, for when none is kept under `key` yet.
    pub first: Secret,
    /// An access token that was refused: another one is wanted.
    pub stale: Option<Secret>,
    /// Sends the refresh token to the provider.
    pub send: Box<dyn FnOnce(Secret) -> BoxFuture<'static, Result<Granted, TokenError>> + Send>,
}

/// What everybody who pulls one provider has in common.
pub trait Shared: Send + Sync {
    /// Takes one request of `lane` out of every budget, or says how long there is none in one of them,
    /// or until when the provider wants none of this lane.
    fn take_request<'a>(
        &'a self,
        budgets: &'a [Budget],
        lane: &'a Lane,
    ) -> BoxFuture<'a, Result<Admission, SharedError>>;

    /// Lets nobody send a request of `lane` for `wait`, as the provider asks. Never shortens a wait.
    fn close_for<'a>(&'a self, lane: &'a Lane, wait: Duration) -> BoxFuture<'a, Result<(), SharedError>>;

    /// Is told how each request ended: with this status, or without an answer; and how long that took.
    fn ended(&self, _status: Option<u16>, _took: Duration) {}

    /// The access token that is kept under the key, unless it is stale or expires; else what
    /// `send` gets for the refresh token that is kept. No two callers send at the same time,
    /// and the new refresh token is kept for good before the access token is given.
    ///
    /// Must be polled to its end: whoever may be dropped lets a task of its own do it.
    fn exchange_token(&self, exchange: Exchange) -> BoxFuture<'_, Result<AccessToken, TokenError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_first_token_is_kept_elsewhere() {
        assert_eq!(TokenKey::of(&["a", "b"]), TokenKey::of(&["a", "b"]));
        assert_ne!(TokenKey::of(&["a", "b"]), TokenKey::of(&["ab", ""]));
    }
}
