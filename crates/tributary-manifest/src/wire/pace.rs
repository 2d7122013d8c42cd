//! When requests may be sent: evenly, no more at once than may be, and within the budgets.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::{Admission, Budget, SharedError};
use super::error::SendError;
use super::lane::Lane;
use super::shared::Shared;
use crate::manifest::RateLimit;

/// A request takes a moment from being counted here to being counted there, not always the same.
/// Budgets are therefore kept over a stretch that is a twentieth longer, but at most by this.
const MOST_SLACK: Duration = Duration::from_secs(2);
/// The longest that the headers of one answer close the API: what they say may be wrong.
const LONGEST_CLOSED: Duration = Duration::from_secs(24 * 3600);

/// The pace of the requests to one provider.
pub struct Pace {
    limiter: DefaultDirectRateLimiter,
    /// As many permits as requests may be under way.
    under_way: Arc<Semaphore>,
    budgets: Vec<Budget>,
    own: Arc<dyn Shared>,
    /// What counts instead of its own, once it was given.
    given: OnceLock<Arc<dyn Shared>>,
}

impl Pace {
    /// Takes `rate_limit` of a manifest, whose budgets are counted in `shared`. The error names the
    /// field that is wrong.
    pub fn new(rate_limit: &RateLimit, shared: Arc<dyn Shared>) -> Result<Self, String> {
        let concurrency = match rate_limit.concurrency {
            None => Semaphore::MAX_PERMITS,
            Some(most @ 1..=1_000) => most as usize,
            Some(_) => return Err("rate_limit.concurrency: take 1 to 1000".to_owned()),
        };
        Ok(Self {
            limiter: limiter(rate_limit)?,
            under_way: Arc::new(Semaphore::new(concurrency)),
            budgets: budgets(rate_limit)?,
            own: shared,
            given: OnceLock::new(),
        })
    }

    /// What budgets are counted in, and tokens exchanged by.
    pub fn shared(&self) -> &dyn Shared {
        &**self.given.get().unwrap_or(&self.own)
    }

    /// Counts in `shared` from now on. Once only: what was counted elsewhere would be forgotten.
    pub fn share(&self, shared: Arc<dyn Shared>) {
        assert!(self.given.set(shared).is_ok(), "it is shared with others already");
    }

    /// Replaces what is its own.
    pub fn set_own(&mut self, shared: Arc<dyn Shared>) {
        self.own = shared;
    }

    /// As many requests as anybody likes.
    pub fn lift(&mut self) {
        let any = Quota::per_second(NonZeroU32::MAX).allow_burst(NonZeroU32::MAX);
        self.limiter = RateLimiter::direct(any);
        self.budgets.clear();
    }

    /// Waits until the pace allows a request; no more than may be are under way until the turn
    /// is dropped.
    pub async fn turn(&self) -> OwnedSemaphorePermit {
        let turn = Arc::clone(&self.under_way).acquire_owned().await.expect("it is never closed");
        self.limiter.until_ready().await;
        turn
    }

    /// Counts a request of `lane`. To be asked for last: what is counted is sent at once.
    pub async fn admission(&self, lane: &Lane) -> Result<(), SendError> {
        match self.shared().take_request(&self.budgets, lane).await {
            Ok(Admission::Go) => Ok(()),
            Ok(Admission::Wait { wait, why }) => Err(SendError::Closed { wait, why }),
            Err(error) => Err(SendError::Unsent(error.into())),
        }
    }

    /// Lets nobody send anything of `lane` for `wait`.
    pub async fn close_for(&self, lane: &Lane, wait: Duration) -> Result<(), SharedError> {
        self.shared().close_for(lane, wait.min(LONGEST_CLOSED)).await
    }
}

/// Evenly spaced, after a pause as many at once as a burst is.
fn limiter(rate_limit: &RateLimit) -> Result<DefaultDirectRateLimiter, String> {
    let per_second = NonZeroU32::new(rate_limit.per_second)
        .filter(|per_second| per_second.get() <= 1_000)
        .ok_or("rate_limit.per_second: take 1 to 1000")?;
    let burst = NonZeroU32::new(rate_limit.burst)
        .filter(|burst| burst.get() <= 1_000)
        .ok_or("rate_limit.burst: take 1 to 1000")?;
    let spacing = Quota::with_period(Duration::from_secs(1) / per_second.get())
        .expect("a thousandth of a second is not zero");
    Ok(RateLimiter::direct(spacing.allow_burst(burst)))
}

fn budgets(rate_limit: &RateLimit) -> Result<Vec<Budget>, String> {
    let budgets = rate_limit.budgets.iter().enumerate().map(|(index, budget)| {
        let per = budget.per.as_duration();
        if budget.requests == 0 {
            return Err(format!("rate_limit.budgets[{index}].requests: take at least 1"));
        }
        if per.is_zero() || per > Duration::from_secs(366 * 86_400) {
            return Err(format!("rate_limit.budgets[{index}].per: take 1s to 366d"));
        }
        Ok(Budget { requests: budget.requests, per: per + (per / 20).min(MOST_SLACK) })
    });
    budgets.collect()
}
