//! What goes wrong, when, and how often it did.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::when::{RetryAfter, Schedule, When};

/// The faults in force. The default is none.
///
/// Of those that hit a request, at most one does, the one listed first. Faults of changes hit
/// only changes made while they are in force; their `path_part` is held against the kind of the
/// record.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Requests answered with 401 instead. With OAuth, the token they bring is dead from then on;
    /// a token that never ends is good again for the next request.
    pub expired_token: Option<When>,
    /// Requests answered with 429 instead.
    pub rate_limited: Option<When>,
    /// What the 429s say about the wait, in turn; none of them says anything if this is empty.
    pub retry_after: Vec<RetryAfter>,
    /// Requests answered with a status from 500 on instead.
    pub server_error: Option<When>,
    /// Which ones, in turn; 500 if this is empty.
    pub server_statuses: Vec<u16>,
    /// Requests answered with an error under status 200 instead, where the provider does that.
    pub error_in_200: Option<When>,
    /// Requests whose answer has the right head and half of its body; then the connection is cut.
    pub cut_body: Option<When>,
    /// Requests after whose answer [`Faults::changes`] happen before the next is read: rows come
    /// and change between two pages.
    pub changes_while_reading: Option<When>,
    /// How many changes happen then.
    pub changes: u32,
    /// Pages that hold half of the rows asked for although more follow. Only of lists whose next
    /// page is named by the answer.
    pub short_page: Option<When>,
    /// Last pages that name themselves as the next page, or that come again where the page after
    /// them is asked for.
    pub last_page_again: Option<When>,
    /// Changes that readers get to see late. The balance shows them at once.
    pub late: Option<When>,
    pub late_by: Late,
    /// Records that get another id when they are booked.
    pub new_id_when_booked: Option<When>,
    /// How many consecutive changes made at once share one time, all of different records; 0 and
    /// 1 both mean that each has its own.
    pub ties: u32,
    /// How long each answer is delayed.
    pub latency_milliseconds: u32,
}

/// For how long readers miss a change after its own time: until both are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Late {
    /// Time on the stand-in's clock.
    pub milliseconds: u32,
    /// Further changes.
    pub changes: u32,
}

/// How often each fault really happened since the stand-in was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fired {
    /// 401 for a token that was good until then: killed, or (with OAuth) past its time.
    pub expired_tokens: u64,
    /// 429 with `Retry-After` in seconds.
    pub rate_limited_seconds: u64,
    /// 429 with `Retry-After` as a date.
    pub rate_limited_date: u64,
    /// 429 with `Retry-After: 0`.
    pub rate_limited_zero: u64,
    /// 429 without `Retry-After`.
    pub rate_limited_absent: u64,
    /// Statuses from 500 on.
    pub server_errors: u64,
    /// Errors under status 200.
    pub errors_in_200: u64,
    /// Bodies that broke off after their first half was handed over.
    pub cut_bodies: u64,
    /// Changes made between two requests.
    pub changes_while_reading: u64,
    /// Pages that were shorter than asked for although more followed.
    pub short_pages: u64,
    /// Last pages that named themselves as the next, or came again.
    pub last_pages_again: u64,
    /// Versions that an answer should have held and did not.
    pub shown_late: u64,
    /// Records that got another id.
    pub new_ids: u64,
    /// Changes that got a time already given to another.
    pub ties: u64,
    /// Requests that were made to wait.
    pub delayed: u64,
}

impl Fired {
    /// All 429s, whatever they said.
    pub fn rate_limited(&self) -> u64 {
        self.rate_limited_seconds + self.rate_limited_date + self.rate_limited_zero + self.rate_limited_absent
    }

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

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    Answer,
    TokenExpired,
    RateLimited(RetryAfter),
    ServerError(u16),
    ErrorIn200,
    CutBody,
}

/// The faults in force, how far their schedules have come, and the tally.
#[derive(Default)]
pub(super) struct FaultBoard(Mutex<Board>);

#[derive(Default)]
struct Board {
    faults: Faults,
    expiries: Schedule,
    rate_limits: Schedule,
    server_errors: Schedule,
    errors_in_200: Schedule,
    cuts: Schedule,
    readings: Schedule,
    short_pages: Schedule,
    last_pages: Schedule,
    late: Schedule,
    new_ids: Schedule,
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
    pub fn judge(&self, path: &str, has_error_in_200: bool) -> (Option<Duration>, Treatment) {
        let board = &mut *self.lock();
        let faults = &board.faults;
        let delay = (faults.latency_milliseconds > 0)
            .then(|| Duration::from_millis(u64::from(faults.latency_milliseconds)));
        board.fired.delayed += u64::from(delay.is_some());
        let verdict = if board.expiries.hits(faults.expired_token.as_ref(), path) {
            Treatment::TokenExpired
        } else if board.rate_limits.hits(faults.rate_limited.as_ref(), path) {
            let retry_after = RetryAfter::in_turn(&faults.retry_after, board.rate_limits.hits - 1);
            board.fired.count_rate_limited(retry_after);
            Treatment::RateLimited(retry_after)
        } else if board.server_errors.hits(faults.server_error.as_ref(), path) {
            board.fired.server_errors += 1;
            let turn = (board.server_errors.hits - 1).checked_rem(faults.server_statuses.len() as u64);
            Treatment::ServerError(turn.map_or(500, |place| faults.server_statuses[place as usize]))
        } else if has_error_in_200 && board.errors_in_200.hits(faults.error_in_200.as_ref(), path) {
            board.fired.errors_in_200 += 1;
            Treatment::ErrorIn200
        } else if board.cuts.hits(faults.cut_body.as_ref(), path) {
            Treatment::CutBody
        } else {
            Treatment::Answer
        };
        (delay, verdict)
    }

    /// How many changes happen now that a request for this path is answered.
    pub fn changes_after(&self, path: &str) -> u32 {
        let board = &mut *self.lock();
        if !board.readings.hits(board.faults.changes_while_reading.as_ref(), path) {
            return 0;
        }
        board.fired.changes_while_reading += u64::from(board.faults.changes);
        board.faults.changes
    }

    /// Whether this page, which is not the last, is to be short.
    pub fn shortens(&self, path: &str) -> bool {
        let board = &mut *self.lock();
        let hit = board.short_pages.hits(board.faults.short_page.as_ref(), path);
        board.fired.short_pages += u64::from(hit);
        hit
    }

    /// Whether this last page is to come again.
    pub fn repeats_last(&self, path: &str) -> bool {
        let board = &mut *self.lock();
        let hit = board.last_pages.hits(board.faults.last_page_again.as_ref(), path);
        board.fired.last_pages_again += u64::from(hit);
        hit
    }

    /// How many changes in a row share one time.
    pub fn ties(&self) -> u32 {
        self.lock().faults.ties
    }

    /// How late the change being made becomes visible, if it does.
    pub fn lateness_of_change(&self, kind: &str) -> Option<Late> {
        let board = &mut *self.lock();
        board.late.hits(board.faults.late.as_ref(), kind).then_some(board.faults.late_by)
    }

    /// Whether the record being booked gets another id.
    pub fn gets_new_id(&self, kind: &str) -> bool {
        let board = &mut *self.lock();
        let hit = board.new_ids.hits(board.faults.new_id_when_booked.as_ref(), kind);
        board.fired.new_ids += u64::from(hit);
        hit
    }

    pub fn count_expired_token(&self) {
        self.lock().fired.expired_tokens += 1;
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
