//! How far a check goes.

use std::time::Duration;

/// Bounds and limits of a check; the default is what the command uses.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most rows that are read of a list, by each of its readers.
    pub max_rows: usize,
    /// How long to go on polling before the lists are read again; zero: not at all.
    pub watch: Duration,
    /// The pause between two polls while watching.
    pub poll_every: Duration,
    /// Accounts whose balances are asked; none: a sample of those that `/accounts` lists.
    pub accounts: Vec<String>,
    /// The most accounts in that sample.
    pub max_accounts: usize,
    /// A page that takes longer is worth a warning.
    pub slow: Duration,
    /// A page that takes longer fails in Formance.
    pub too_slow: Duration,
    /// When a request is given up. Above `too_slow`, so that a slow server can still be checked.
    pub timeout: Duration,
    /// How often a failed request is repeated.
    pub retries: u32,
    /// The pause before the first repetition; it doubles with each.
    pub retry_delay: Duration,
    /// By how much a timestamp may lie ahead of the server's `Date`, which has whole seconds.
    pub clock_tolerance: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_rows: 100_000,
            watch: Duration::ZERO,
            poll_every: Duration::from_secs(5),
            accounts: Vec::new(),
            max_accounts: 100,
            slow: Duration::from_secs(2),
            too_slow: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            retries: 3,
            retry_delay: Duration::from_secs(1),
            clock_tolerance: Duration::from_secs(2),
        }
    }
}
