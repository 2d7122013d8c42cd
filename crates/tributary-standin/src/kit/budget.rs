//! Whether a client keeps to the provider's limit.

use std::collections::VecDeque;

use serde::Serialize;

use super::times::SECOND_US;

/// How many requests a provider allows in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// This many requests ...
    pub requests: u64,
    /// ... in any time of this length.
    pub seconds: u32,
}

/// What a client asked of the limit, in any time of its length since the stand-in was opened.
/// The stand-in counts, also what it refuses; it answers all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    pub requests: u64,
    /// The most requests in any window; 0 where no limit is declared.
    pub most_in_window: u64,
    /// Requests that came when the window was full already. 0 for a client that keeps to the
    /// limit.
    pub over_limit: u64,
}

/// Counts requests in a sliding window.
#[derive(Debug)]
pub(super) struct Budget {
    limit: Option<Limit>,
    recent_us: VecDeque<i64>,
    spent: Spent,
}

impl Budget {
    pub fn new(limit: Option<Limit>) -> Self {
        Self { limit, recent_us: VecDeque::new(), spent: Spent::default() }
    }

    /// Counts a request that came at `now_us`.
    pub fn count(&mut self, now_us: i64) {
        self.spent.requests += 1;
        let Some(limit) = self.limit else {
            return;
        };
        let window_us = i64::from(limit.seconds) * SECOND_US;
        while self.recent_us.front().is_some_and(|&at_us| at_us <= now_us - window_us) {
            self.recent_us.pop_front();
        }
        self.recent_us.push_back(now_us);
        let in_window = self.recent_us.len() as u64;
        self.spent.most_in_window = self.spent.most_in_window.max(in_window);
        self.spent.over_limit += u64::from(in_window > limit.requests);
    }

    pub fn spent(&self) -> Spent {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_window_counts_not_only_those_that_start_on_the_minute() {
        let mut budget = Budget::new(Some(Limit { requests: 2, seconds: 60 }));
        for second in [50, 55, 70] {
            budget.count(second * SECOND_US);
        }
        assert_eq!(budget.spent(), Spent { requests: 3, most_in_window: 3, over_limit: 1 });
        budget.count(115 * SECOND_US);
        assert_eq!(budget.spent().over_limit, 1, "the first two have left the window");
    }
}
