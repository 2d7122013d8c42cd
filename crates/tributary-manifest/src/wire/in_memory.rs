//! What is shared within one process only.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use super::budget::{Admission, Budget, Closed, SharedError};
use super::clock::{Clock, SystemClock};
use super::lane::Lane;
use super::shared::{AccessToken, Exchange, Granted, Shared, TokenError, TokenKey};

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
    closed_until: HashMap<Lane, DateTime<Utc>>,
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
    fn take(&mut self, budgets: &[Budget], lane: &Lane, now: DateTime<Utc>) -> Admission {
        let left = |until: DateTime<Utc>| (until - now).to_std().ok().filter(|wait| !wait.is_zero());
        if let Some(wait) = self.closed_until.get(lane).copied().and_then(left) {
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
    fn take_request<'a>(
        &'a self,
        budgets: &'a [Budget],
        lane: &'a Lane,
    ) -> BoxFuture<'a, Result<Admission, SharedError>> {
        Box::pin(async move {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(pace.take(budgets, lane, self.clock.now()))
        })
    }

    fn close_for<'a>(&'a self, lane: &'a Lane, wait: Duration) -> BoxFuture<'a, Result<(), SharedError>> {
        Box::pin(async move {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            let (now, until) = (self.clock.now(), self.clock.now() + wait);
            pace.closed_until.retain(|_, until| *until > now);
            let closed = pace.closed_until.entry(lane.clone()).or_insert(until);
            *closed = until.max(*closed);
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
            if pace.take(&budgets, &Lane::default(), at(second)) == Admission::Go {
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
        let (closed, open) = (Lane::of_partition("feed", "a"), Lane::of_partition("feed", "b"));
        assert_eq!(pace.take(&budgets, &closed, at(0)), Admission::Go);
        assert_eq!(pace.take(&budgets, &closed, at(20)), wait(40, Closed::ByBudget));
        pace.closed_until.insert(closed.clone(), at(100));
        assert_eq!(pace.take(&budgets, &closed, at(70)), wait(30, Closed::ByProvider));
        assert_eq!(pace.take(&budgets, &open, at(70)), Admission::Go);
        assert_eq!(pace.take(&budgets, &closed, at(140)), Admission::Go);
    }
}
