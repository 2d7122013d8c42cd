//! What the stand-ins of providers have in common, so that one provider costs its tables and its
//! endpoints only.
//!
//! A [`Standin`] is a provider's API over a ledger that lives:
//! - records are born, change status, and are refunded or disputed, as the provider's tables of
//!   [`Kind`]s say ([`Standin::advance`]);
//! - it knows what an adapter that missed nothing holds in the end ([`Standin::truth`]);
//! - it fails on demand, as real providers do, and counts each failure that really happened
//!   ([`Standin::set_faults`], [`Standin::fired`]);
//! - it lies on demand: answers that look good and are not true, counted by kind
//!   ([`Standin::set_lies`], [`Standin::told`]);
//! - it counts what clients spend of the provider's limit on requests ([`Standin::spent`]);
//! - where the provider pays on order, it does so once for each key, and goes wrong on demand
//!   ([`Standin::set_payment_faults`], [`Standin::movements`]).
//!
//! All that it does follows from the seed, the clock and the requests.

mod asked;
mod auth;
mod books;
mod budget;
mod changes;
mod clock;
mod config;
mod cut;
mod desk;
mod faults;
mod fsp;
mod guard;
mod history;
pub mod ids;
mod json;
mod liar;
mod lives;
pub mod money;
pub mod names;
mod open;
mod page;
pub(super) mod payments;
mod refusal;
mod serve;
mod stamper;
pub mod times;
mod truth;
mod view;
mod when;

#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
pub(super) mod spec;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

pub use asked::Asked;
pub use auth::{Login, TokenTally};
pub use books::{Account, Balance, Beneficiary, Books, Item, Version};
pub use budget::{Limit, Spent};
pub use clock::{Clock, ManualClock};
pub use config::{ConfigError, OAuth, StandinConfig};
pub use desk::{Movement, OnDuplicate, PaymentFault};
pub use faults::{Faults, Fired, Late};
pub use fsp::{Fsp, Profile, Scheme};
pub use json::Json;
pub(super) use json::{long_list, object};
pub use liar::{Lie, Lies, Terms};
pub use lives::{Child, Kind, Move, Pace, Twin, TwinAccount, Way, rarely, soon};
pub use page::Page;
pub use refusal::Refusal;
pub use serve::{Running, router, serve, start};
pub use truth::{Expected, ExpectedAccount, Truth};
pub use view::{Booking, View, Visible};
pub use when::{RetryAfter, When};

use auth::Tokens;
use books::Shown;
use budget::Budget;
use changes::Clerk;
use desk::Desk;
use faults::FaultBoard;
use liar::Liar;
use times::{DAY_US, SECOND_US};

/// A provider: its ledger, and what goes wrong.
///
/// Shared by the router, the task that makes changes, and the test that watches: every method
/// takes `&self`.
pub struct Standin {
    fsp: &'static dyn Fsp,
    clock: Clock,
    books: RwLock<Books>,
    tokens: Mutex<Tokens>,
    budget: Mutex<Budget>,
    faults: FaultBoard,
    liar: Liar,
    desk: Desk,
}

impl Standin {
    /// Opens the provider with its history: `config.items` records over the past
    /// `config.history_days`, and what came of them until a second ago.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the number out of range.
    pub fn new(fsp: &'static dyn Fsp, config: StandinConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let now_us = config.clock.now_ms() * 1_000;
        let faults = FaultBoard::default();
        let mut books = Books::new(fsp, &config, now_us);
        books.stamper.restart(config.ties);
        let mut clerk = Clerk { fsp, books: &mut books, faults: &faults, now_us };
        let start_us = now_us - i64::from(config.history_days) * DAY_US;
        history::fill(&mut clerk, config.items, start_us, now_us - SECOND_US);
        Ok(Self {
            fsp,
            books: RwLock::new(books),
            tokens: Mutex::new(Tokens::new(&config)),
            budget: Mutex::new(Budget::new(config.limit.or(fsp.profile().limit))),
            // the ties of the history are no fault
            faults: FaultBoard::default(),
            liar: Liar::default(),
            desk: Desk::default(),
            clock: config.clock,
        })
    }

    /// Makes `steps` changes at the clock's now: new records, steps to the next status, refunds
    /// and disputes. Readers see all of them or none, but for those that are late.
    ///
    /// Each change gets a time above all given before (or ties as the faults in force say); where
    /// changes outnumber the ticks that passed, it runs ahead of the clock by the difference.
    pub fn advance(&self, steps: usize) {
        let now_us = self.now_us();
        let mut books = self.write();
        books.stamper.restart(self.faults.ties());
        let mut clerk = Clerk { fsp: self.fsp, books: &mut books, faults: &self.faults, now_us };
        for _ in 0..steps {
            clerk.step();
        }
    }

    /// Ends all faults and lies and shows readers what they were to see late: from here on, an adapter
    /// that reads everything holds the [`Truth`].
    pub fn end_faults(&self) {
        self.set_faults(Faults::default());
        self.set_lies(Lies::default());
        self.show_all();
    }

    fn show_all(&self) {
        for item in &mut self.write().items {
            for version in &mut item.versions {
                version.shown = Shown::AT_ONCE;
            }
        }
    }

    /// What an adapter that missed nothing holds in the end.
    pub fn truth(&self) -> Truth {
        Truth::of(self.fsp, &self.read())
    }

    /// Replaces the faults in force from the next request or change on, and starts their
    /// schedules anew. `Faults::default()` ends them all.
    pub fn set_faults(&self, faults: Faults) {
        self.faults.set(faults);
    }

    /// How often each fault really happened since the stand-in was opened.
    pub fn fired(&self) -> Fired {
        self.faults.fired()
    }

    /// What clients spent of the provider's limit on requests.
    pub fn spent(&self) -> Spent {
        lock(&self.budget).spent()
    }

    /// What clients did at the token endpoint.
    pub fn token_tally(&self) -> TokenTally {
        self.tokens().tally()
    }

    fn now_us(&self) -> i64 {
        self.clock.now_ms() * 1_000
    }

    fn count_request(&self) {
        lock(&self.budget).count(self.now_us());
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    // A panic while a lock was held can only come from a failed assertion in a test; the state
    // is still the one to look at, so a poisoned lock is used as it is.
    fn read(&self) -> RwLockReadGuard<'_, Books> {
        self.books.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Books> {
        self.books.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes `per_tick` changes `every` so often (first at once) until the handle is aborted. Must be
/// called within a Tokio runtime.
pub fn spawn_changes(standin: Arc<Standin>, every: Duration, per_tick: usize) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            standin.advance(per_tick);
        }
    })
}
