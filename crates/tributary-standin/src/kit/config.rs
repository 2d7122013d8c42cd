//! How large a stand-in to open.

use thiserror::Error;

use super::budget::Limit;
use super::clock::Clock;

/// What the ledger consists of when the stand-in opens, and who may ask. The same values (and a
/// manual clock that stands at the same time) give the same ledger, id by id.
#[derive(Clone)]
pub struct StandinConfig {
    /// Everything that is not given follows from this number.
    pub seed: u64,
    /// The access token that clients have to send.
    pub token: String,
    /// Lets clients fetch their tokens instead, and ends each after its time.
    pub oauth: Option<OAuth>,
    /// Number of accounts (or balances, locations: what the provider has), at least 1; no more
    /// are opened than the provider can have.
    pub accounts: usize,
    /// Number of spaces (savings goals, pots) in each account, where the provider has such.
    pub spaces: usize,
    /// Number of records that exist when the stand-in opens, at most 10,000,000; those that come of
    /// others (refunds, disputes) or with them (the other side of a transfer) come on top.
    pub items: usize,
    /// Number of beneficiaries (recipients, counterparties).
    pub beneficiaries: usize,
    /// Over how many past days the history spreads, 1 to 3,650.
    pub history_days: u32,
    /// How many consecutive changes of the history share one time; 0 and 1 both mean that each
    /// has its own. Later changes are tied by [`Faults::ties`](super::Faults::ties).
    pub ties: u32,
    /// Replaces the provider's own limit on requests.
    pub limit: Option<Limit>,
    /// The clock that dates everything.
    pub clock: Clock,
}

/// Tokens that a client fetches with a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// The client's id.
    pub client_id: String,
    /// The client's secret; not asked for where the client signs an assertion.
    pub client_secret: String,
    /// The first refresh token.
    pub refresh_token: String,
    /// How long an access token is good for.
    pub lifetime_seconds: u32,
    /// Whether each use of a refresh token ends it and gives another.
    pub rotates: bool,
}

impl StandinConfig {
    /// A small stand-in on the machine's clock: 3 accounts (of 2 spaces each), 500 records
    /// over 90 days, 20 beneficiaries, a token that never ends, no ties.
    pub fn new(seed: u64, token: impl Into<String>) -> Self {
        Self {
            seed,
            token: token.into(),
            oauth: None,
            accounts: 3,
            spaces: 2,
            items: 500,
            beneficiaries: 20,
            history_days: 90,
            ties: 1,
            limit: None,
            clock: Clock::System,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.token.is_empty() {
            return Err(ConfigError::EmptyToken);
        }
        if self.accounts == 0 {
            return Err(ConfigError::NoAccounts);
        }
        if self.items > MOST_ITEMS {
            return Err(ConfigError::TooManyItems(self.items));
        }
        if !(1..=3_650).contains(&self.history_days) {
            return Err(ConfigError::HistoryDays(self.history_days));
        }
        Ok(())
    }
}

/// More than this do not fit into the memory of a usual machine.
const MOST_ITEMS: usize = 10_000_000;

/// Why a stand-in cannot be opened.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A stand-in without a token would let everybody in.
    #[error("the access token is empty")]
    EmptyToken,
    /// There is nothing to serve without an account.
    #[error("the stand-in needs at least one account")]
    NoAccounts,
    /// More records than memory holds.
    #[error("{0} records are more than 10000000")]
    TooManyItems(usize),
    /// Ten years are enough for everybody.
    #[error("a history of {0} days is not between 1 and 3650 days")]
    HistoryDays(u32),
}
