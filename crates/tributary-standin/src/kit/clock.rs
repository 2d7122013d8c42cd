//! Where a stand-in takes its time from.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// The clock of a stand-in, in whole milliseconds.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock: for the demo.
    System,
    /// A clock that only moves when it is told to: for tests that repeat exactly.
    Manual(ManualClock),
}

impl Clock {
    /// A manual clock that stands at `start` (cut to milliseconds).
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::Manual(ManualClock::new(start))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn now_ms(&self) -> i64 {
        match self {
            Self::System => Utc::now().timestamp_millis(),
            Self::Manual(clock) => clock.0.load(Ordering::SeqCst),
        }
    }
}

/// A clock in the hands of a test. Clones show and move the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that stands at `start` (cut to milliseconds).
    pub fn new(start: DateTime<Utc>) -> Self {
        Self(Arc::new(AtomicI64::new(start.timestamp_millis())))
    }

    /// Moves the clock forward to `time` (cut to milliseconds), if that is not in its past.
    pub fn move_to(&self, time: DateTime<Utc>) {
        self.0.fetch_max(time.timestamp_millis(), Ordering::SeqCst);
    }

    /// Moves the clock forward by `by` (cut to milliseconds).
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}
