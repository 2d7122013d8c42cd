//! Time: how much has really passed, also while the process or the machine slept, and how much is
//! left.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nix::time::{ClockId, clock_gettime};

/// A moment by a clock that nobody sets and that goes on while the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub struct Moment(Option<Duration>);

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self(clock_gettime(CLOCK).ok().map(Duration::from))
    }

    /// How long ago it was; for ever, if the clock cannot be read.
    pub fn elapsed(self) -> Duration {
        match (self.0, Self::now().0) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            _ => Duration::MAX,
        }
    }
}

/// `period` after `at`, or as late as can be expressed.
pub fn after(at: DateTime<Utc>, period: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(period)
        .ok()
        .and_then(|period| at.checked_add_signed(period))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What is left until `at`; `None` if it is over.
pub fn left(at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    (at - now).to_std().ok().filter(|left| !left.is_zero())
}
