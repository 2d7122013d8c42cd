//! How large a bank to open.

use thiserror::Error;

use crate::kit::{Clock, Limit};

/// What the bank consists of when it opens. The same values (and a manual clock that stands at
/// the same time) give the same bank, id by id.
#[derive(Clone)]
pub struct StarlingConfig {
    /// Everything that is not given follows from this number.
    pub seed: u64,
    /// The access token that clients have to send as `Authorization: Bearer <token>`.
    pub token: String,
    /// Number of accounts, at least 1. The first five hold GBP, EUR, JPY, USD and KWD; further
    /// ones GBP and EUR in turn.
    pub accounts: usize,
    /// Number of savings goals of each account; each goal is a category with its own feed.
    pub goals_per_account: usize,
    /// Number of feed items that exist when the bank opens, over all accounts and goals.
    pub items: usize,
    /// Number of payees.
    pub payees: usize,
    /// Over how many past days the history spreads, 1 to 364 (`changesSince` reaches back a year).
    pub history_days: u32,
    /// How many consecutive changes of the history share one `updatedAt`; 0 and 1 both mean that
    /// each has its own. A run ends early where one item would come twice in it. Later changes
    /// are tied by [`Faults::ties`](super::Faults::ties).
    pub ties: u32,
    /// How many requests clients may send; what goes over it is counted, and answered all the same.
    pub limit: Option<Limit>,
    /// The clock that dates everything.
    pub clock: Clock,
}

impl StarlingConfig {
    /// A small bank on the machine's clock: 5 accounts with 2 goals each, 1,000 items over 90
    /// days, 20 payees, every `updatedAt` unique.
    pub fn new(seed: u64, token: impl Into<String>) -> Self {
        Self {
            seed,
            token: token.into(),
            accounts: 5,
            goals_per_account: 2,
            items: 1_000,
            payees: 20,
            history_days: 90,
            ties: 1,
            limit: None,
            clock: Clock::System,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let categories = self.goals_per_account.saturating_add(1).saturating_mul(self.accounts);
        if self.token.is_empty() {
            return Err(ConfigError::EmptyToken);
        }
        if self.accounts == 0 {
            return Err(ConfigError::NoAccounts);
        }
        if categories > usize::from(u16::MAX) {
            return Err(ConfigError::TooManyCategories(categories));
        }
        if self.items > MAX_ITEMS {
            return Err(ConfigError::TooManyItems(self.items));
        }
        if self.payees > MAX_PAYEES {
            return Err(ConfigError::TooManyPayees(self.payees));
        }
        if !(1..=364).contains(&self.history_days) {
            return Err(ConfigError::HistoryDays(self.history_days));
        }
        Ok(())
    }
}

/// Items are numbered in 32 bits, and so is the log of their changes (at most four to an item).
const MAX_ITEMS: usize = 100_000_000;
/// `/payees` is one answer; more than this many no client would take.
const MAX_PAYEES: usize = 1_000_000;

/// Why a bank cannot be opened.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A stand-in without a token would let everybody in.
    #[error("the access token is empty")]
    EmptyToken,
    /// There is nothing to serve without an account.
    #[error("the stand-in needs at least one account")]
    NoAccounts,
    /// Accounts and goals together are more than 65,535 categories.
    #[error("{0} categories (accounts and their goals) are more than 65535")]
    TooManyCategories(usize),
    /// More items than the state can number.
    #[error("{0} items are more than 100000000")]
    TooManyItems(usize),
    /// More payees than one answer should hold.
    #[error("{0} payees are more than 1000000")]
    TooManyPayees(usize),
    /// The history has to fit into the year that `changesSince` reaches back.
    #[error("a history of {0} days is not between 1 and 364 days")]
    HistoryDays(u32),
}
