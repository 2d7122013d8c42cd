//! What everybody who pulls the same provider has in common: how much may still be asked, and
//! the token that only one of them may exchange. Who keeps it is behind [`Shared`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::client::ClientError;
use super::clock::{Clock, SystemClock};
use super::secret::Secret;

/// How many requests fit into any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub requests: u32,
    pub per: Duration,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may, now, and is counted.
    Go,
    /// It may not, and is not counted. May be asked again after `wait`.
    Wait { wait: Duration, why: Closed },
}

/// Why no request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("the provider asks for none")]
    ByProvider,
    #[error("the budget of requests is used up")]
    ByBudget,
}

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
    /// The key of what `parts` tell.
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

/// What is shared cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what the instances share is out of reach: {0}")]
pub struct SharedError(pub String);

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
    /// Takes one request out of every budget, or tells how long there is none in one of them,
    /// or until when the provider wants none at all.
    fn take_request<'a>(&'a self, budgets: &'a [Budget]) -> BoxFuture<'a, Result<Admission, SharedError>>;

    /// Lets nobody send a request for `wait`, as the provider asks. Never shortens a wait.
    fn close_for(&self, wait: Duration) -> BoxFuture<'_, Result<(), SharedError>>;

    /// The access token that is kept under the key, unless it is stale or expires; else what
    /// `send` gets for the refresh token that is kept. No two callers send at the same time,
    /// and the new refresh token is kept for good before the access token is given.
    ///
    /// Must be polled to its end: whoever may be dropped lets a task of its own do it.
    fn exchange_token(&self, exchange: Exchange) -> BoxFuture<'_, Result<AccessToken, TokenError>>;
}

/// Shares within one process, for as long as it runs.
pub struct InMemory {
    clock: Arc<dyn Clock>,
    pace: Mutex<Pace>,
    /// Locked during an exchange.
    tokens: tokio::sync::Mutex<HashMap<TokenKey, Granted>>,
}

#[derive(Default)]
struct Pace {
    /// When the latest requests were taken, oldest first.
    taken: VecDeque<DateTime<Utc>>,
    closed_until: Option<DateTime<Utc>>,
}

impl Default for InMemory {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }
}

impl InMemory {
    /// Counts by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock, pace: Mutex::default(), tokens: tokio::sync::Mutex::default() }
    }
}

impl Pace {
    fn take(&mut self, budgets: &[Budget], now: DateTime<Utc>) -> Admission {
        let left = |until: DateTime<Utc>| (until - now).to_std().ok().filter(|wait| !wait.is_zero());
        if let Some(wait) = self.closed_until.and_then(left) {
            return Admission::Wait { wait, why: Closed::ByProvider };
        }
        let full_until = budgets.iter().filter_map(|budget| {
            // the request that has to leave the window before another one fits into it
            let place = self.taken.len().checked_sub(budget.requests as usize)?;
            Some(self.taken[place] + budget.per)
        });
        if let Some(wait) = full_until.max().and_then(left) {
            return Admission::Wait { wait, why: Closed::ByBudget };
        }
        let most = budgets.iter().map(|budget| budget.requests as usize).max().unwrap_or_default();
        self.taken.push_back(now);
        while self.taken.len() > most {
            self.taken.pop_front();
        }
        Admission::Go
    }
}

impl Shared for InMemory {
    fn take_request<'a>(&'a self, budgets: &'a [Budget]) -> BoxFuture<'a, Result<Admission, SharedError>> {
        Box::pin(async move {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(pace.take(budgets, self.clock.now()))
        })
    }

    fn close_for(&self, wait: Duration) -> BoxFuture<'_, Result<(), SharedError>> {
        Box::pin(async move {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.closed_until = pace.closed_until.max(Some(self.clock.now() + wait));
            Ok(())
        })
    }

    fn exchange_token(&self, exchange: Exchange) -> BoxFuture<'_, Result<AccessToken, TokenError>> {
        Box::pin(async move {
            let mut tokens = self.tokens.lock().await;
            let kept = tokens.get(&exchange.key);
            if let Some(kept) = kept
                && kept.access.is_usable(self.clock.now())
                && exchange.stale.as_ref() != Some(&kept.access.value)
            {
                return Ok(kept.access.clone());
            }
            let refresh = kept.and_then(|kept| kept.refresh.clone()).unwrap_or(exchange.first);
            let granted = (exchange.send)(refresh.clone()).await?;
            let access = granted.access.clone();
            let refresh = granted.refresh.or(Some(refresh));
            tokens.insert(exchange.key, Granted { access: granted.access, refresh });
            Ok(access)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn any_stretch_of_time_holds_no_more_than_each_budget() {
        let budget = |requests, seconds| Budget { requests, per: Duration::from_secs(seconds) };
        let budgets = [budget(2, 10), budget(3, 60)];
        let mut pace = Pace::default();
        let mut taken = Vec::new();
        for second in 0..200 {
            if pace.take(&budgets, at(second)) == Admission::Go {
                taken.push(second);
            }
        }
        assert_eq!(taken[..6], [0, 1, 10, 60, 61, 70]);
        for budget in budgets {
            for start in 0..200 {
                let end = start + budget.per.as_secs() as i64;
                let within = taken.iter().filter(|at| (start..end).contains(*at)).count();
                assert!(within <= budget.requests as usize, "{within} from {start} to {end}: {taken:?}");
            }
        }
    }

    #[test]
    fn who_has_to_wait_is_told_for_how_long_and_why() {
        let budgets = [Budget { requests: 1, per: Duration::from_secs(60) }];
        let wait = |seconds, why| Admission::Wait { wait: Duration::from_secs(seconds), why };
        let mut pace = Pace::default();
        assert_eq!(pace.take(&budgets, at(0)), Admission::Go);
        assert_eq!(pace.take(&budgets, at(20)), wait(40, Closed::ByBudget));
        pace.closed_until = Some(at(100));
        assert_eq!(pace.take(&budgets, at(70)), wait(30, Closed::ByProvider));
        assert_eq!(pace.take(&budgets, at(100)), Admission::Go);
    }

    #[test]
    fn another_first_token_is_kept_elsewhere() {
        assert_eq!(TokenKey::of(&["a", "b"]), TokenKey::of(&["a", "b"]));
        assert_ne!(TokenKey::of(&["a", "b"]), TokenKey::of(&["ab", ""]));
    }
}
