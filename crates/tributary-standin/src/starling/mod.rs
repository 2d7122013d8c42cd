//! A stateful stand-in of Starling Bank's public API v2 (accounts, balances, feeds, payees,
//! savings goals; payments to payees).
//!
//! What makes it worth syncing from, rather than a set of canned answers:
//! - feed items live: they are born, settle, are declined, reversed or refunded, and each change
//!   moves `updatedAt` and the balance;
//! - it keeps every version of every item, so an oracle can ask whether any was lost
//!   ([`Starling::ledger`]);
//! - it fails on demand, as real banks do, and counts each failure that really happened
//!   ([`Starling::set_faults`], [`Starling::fired`]).
//!
//! All that it does follows from the seed and the clock. An answer holds a whole range, newest
//! transaction first; there is no paging.

mod births;
mod changes;
mod config;
mod directory;
mod faults;
mod guard;
mod history;
mod ledger;
mod lives;
mod money;
mod payments;
mod people;
mod render;
mod routes;
mod state;
mod types;
mod uids;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use super::kit::{Clock, Limit, ManualClock, RetryAfter, Spent, When};
pub use changes::spawn_changes;
pub use config::{ConfigError, StarlingConfig};
pub use faults::{Faults, Fired, Late};
pub use ledger::{Balances, Ledger, LedgerAccount, LedgerGoal, LedgerItem, LedgerPayee, Version};
pub use lives::{Direction, Status};
pub use routes::{router, serve};

use super::kit::{Desk, budget::Budget, lock};
use directory::Directory;
use faults::FaultBoard;
use state::Bank;

/// The stand-in bank: who banks there, what happened to their money, and what goes wrong.
///
/// Shared by the router, the task that makes changes, and the test that watches: every method
/// takes `&self`.
pub struct Starling {
    token: String,
    clock: Clock,
    directory: Directory,
    bank: RwLock<Bank>,
    faults: FaultBoard,
    budget: Mutex<Budget>,
    desk: Desk,
}

impl Starling {
    /// Opens the bank with its history: `config.items` feed items over the past
    /// `config.history_days`, the latest version of each no later than the clock's now.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the number out of range.
    pub fn new(config: StarlingConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let now_ms = config.clock.now_ms();
        let directory = Directory::new(&config, now_ms);
        let mut bank = Bank::new(config.seed, directory.categories.len());
        history::fill(&mut bank, &directory, &config, now_ms);
        Ok(Self {
            token: config.token,
            clock: config.clock,
            directory,
            bank: RwLock::new(bank),
            faults: FaultBoard::default(),
            budget: Mutex::new(Budget::new(config.limit)),
            desk: Desk::default(),
        })
    }

    /// Replaces the faults in force from the next request or change on, and starts their
    /// schedules anew. `Faults::default()` ends them all.
    pub fn set_faults(&self, faults: Faults) {
        self.faults.set(faults);
    }

    /// How often each fault really happened since the bank was opened.
    pub fn fired(&self) -> Fired {
        self.faults.fired()
    }

    /// What clients spent of their limit on requests.
    pub fn spent(&self) -> Spent {
        lock(&self.budget).spent()
    }

    /// Ends all faults, and shows readers what they were to see late.
    pub fn settle(&self) {
        self.set_faults(Faults::default());
        self.write().show_all();
    }

    // A panic while the lock was held can only come from a failed assertion in a test; the state
    // is still the one to look at, so a poisoned lock is used as it is.
    fn read(&self) -> RwLockReadGuard<'_, Bank> {
        self.bank.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Bank> {
        self.bank.write().unwrap_or_else(PoisonError::into_inner)
    }
}
