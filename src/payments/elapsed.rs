//! How much time has really passed, also while the process or the machine slept.

use std::time::Duration;

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
