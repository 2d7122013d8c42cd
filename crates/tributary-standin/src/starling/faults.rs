//! What goes wrong, when, and how often it did.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kit::when::Schedule;
use crate::kit::{RetryAfter, When};

/// The faults in force. The default is none.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Requests answered with 429 instead.
    pub rate_limited: Option<When>,
    /// What the 429s say about the wait, in turn; none of them says anything if this is empty.
    pub retry_after: Vec<RetryAfter>,
    /// Requests answered with 500 instead.
    pub server_error: Option<When>,
    /// Requests whose answer has the right head and half of its body; then the connection is cut.
    pub cut_body: Option<When>,
    /// Changes that readers get to see late.
    pub late: Option<Late>,
    /// How many consecutive changes of one tick share one `updatedAt`, all of different items; 0
    /// and 1 both mean that each has its own.
    pub ties: u32,
    /// How long each answer is delayed.
    pub latency: Option<Duration>,
}

/// Which changes are seen late, and how late. The balance shows them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// Every `n`th change made while the fault is in force; 0 is never.
    pub every: u64,
    /// How many list requests of its feed still miss it. They get the item's version before, or
    /// nothing where the item is new.
    pub requests: u32,
}

/// How often each fault really happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fired {
    /// 429 with `Retry-After` in seconds.
    pub rate_limited_seconds: u64,
    /// 429 with `Retry-After` as a date.
    pub rate_limited_date: u64,
    /// 429 with `Retry-After: 0`.
    pub rate_limited_zero: u64,
    /// 429 without `Retry-After`.
    pub rate_limited_absent: u64,
    /// 500.
    pub server_errors: u64,
    /// Bodies that broke off after their first half was handed over.
    pub cut_bodies: u64,
    /// Versions that an answer should have held and did not.
    pub shown_late: u64,
    /// Changes that got an `updatedAt` already given to another.
    pub ties: u64,
    /// Requests that were made to wait.
    pub delayed: u64,
}

impl Fired {
    /// All 429s, whatever they said.
    pub fn rate_limited(&self) -> u64 {
        self.rate_limited_seconds + self.rate_limited_date + self.rate_limited_zero + self.rate_limited_absent
    }
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Answer,
    RateLimited(RetryAfter),
    ServerError,
    CutBody,
}

/// The faults in force, how far their schedules have come, and the tally.
#[derive(Default)]
pub(super) struct FaultBoard(Mutex<Board>);

#[derive(Default)]
struct Board {
    faults: Faults,
    rate_limits: Schedule,
    server_errors: Schedule,
    cuts: Schedule,
    changes_seen: u64,
    fired: Fired,
}

impl FaultBoard {
    pub fn set(&self, faults: Faults) {
        let mut board = self.lock();
        *board = Board { faults, fired: board.fired, ..Board::default() };
    }

    pub fn fired(&self) -> Fired {
        self.lock().fired
    }

    /// What happens to a request for this path, and how long it waits first.
    pub fn judge(&self, path: &str) -> (Option<Duration>, Verdict) {
        let board = &mut *self.lock();
        let faults = &board.faults;
        board.fired.delayed += u64::from(faults.latency.is_some());
        let verdict = if board.rate_limits.hits(faults.rate_limited.as_ref(), path) {
            let turn = board.rate_limits.hits - 1;
            let retry_after = RetryAfter::in_turn(&faults.retry_after, turn);
            board.fired.count_rate_limited(retry_after);
            Verdict::RateLimited(retry_after)
        } else if board.server_errors.hits(faults.server_error.as_ref(), path) {
            board.fired.server_errors += 1;
            Verdict::ServerError
        } else if board.cuts.hits(faults.cut_body.as_ref(), path) {
            Verdict::CutBody
        } else {
            Verdict::Answer
        };
        (faults.latency, verdict)
    }

    /// How many changes in a row share one `updatedAt`.
    pub fn ties(&self) -> u32 {
        self.lock().faults.ties
    }

    /// For how many list requests the change being made stays unseen, if it does.
    pub fn lateness_of_change(&self) -> Option<u32> {
        let board = &mut *self.lock();
        let late = board.faults.late?;
        board.changes_seen += 1;
        board.changes_seen.is_multiple_of(late.every).then_some(late.requests)
    }

    pub fn count_cut_body(&self) {
        self.lock().fired.cut_bodies += 1;
    }

    pub fn count_tie(&self) {
        self.lock().fired.ties += 1;
    }

    pub fn count_shown_late(&self, versions: u64) {
        self.lock().fired.shown_late += versions;
    }

    // As with the books: what a panicking test left behind is still the truth.
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fired {
    fn count_rate_limited(&mut self, retry_after: RetryAfter) {
        let counter = match retry_after {
            RetryAfter::Seconds(0) | RetryAfter::Zero => &mut self.rate_limited_zero,
            RetryAfter::Seconds(_) => &mut self.rate_limited_seconds,
            RetryAfter::Date(_) => &mut self.rate_limited_date,
            RetryAfter::Absent => &mut self.rate_limited_absent,
        };
        *counter += 1;
    }
}
