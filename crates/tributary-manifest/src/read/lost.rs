//! From where a walk goes on, and what becomes of it where that is nowhere: an API forgets its cursors
//! and the older of its events, and must not be asked for them in every run for ever.

use super::report::{ReadError, Warning};
use crate::plan::{Position, Strategy, Stream};
use crate::wire::ClientError;

/// How often a walk of one partition may begin anew in one run.
const MOST_RESETS: u32 = 3;
/// After so many runs that could not go on from where the first of them stood, a walk begins anew.
const MOST_FAILED: u32 = 3;

/// From where the next page is asked for.
#[derive(Debug)]
pub struct Start {
    /// Whether that is a page that an earlier run stood before.
    resumed: bool,
    /// Whether that is an event, or a token of an earlier run.
    by_mark: bool,
    /// Whether it is a token.
    by_token: bool,
    /// How many runs in a row failed there.
    failed: u32,
    resets: u32,
}

impl Start {
    /// Of a walk from `position` on, which forgets how many runs failed there.
    pub fn at(stream: &Stream, position: &mut Position) -> Self {
        let by_token = stream.is_delta();
        let events = matches!(stream.strategy, Strategy::Events(_));
        // a walk that goes on at a page was answered by its token before
        let by_mark = position.mark.is_some() && (events || (by_token && position.walk.is_none()));
        Self {
            resumed: position.walk.is_some(),
            by_mark,
            by_token,
            failed: std::mem::take(&mut position.failed),
            resets: 0,
        }
    }

    /// Whether it is a page that an earlier run stood before.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// A page has come, so that there is a place.
    pub fn came(&mut self) {
        (self.resumed, self.by_mark, self.failed) = (false, false, 0);
    }

    /// With which warning the walk begins anew because of `error`; `None` where it fails.
    pub fn begin_anew(&mut self, error: &ReadError, position: &Position, provider: &str) -> Option<Warning> {
        let kept = (self.resumed || self.by_mark) && !matches!(error, ReadError::Detail(_));
        let tried_enough = kept && !error.is_of_all() && self.failed + 1 >= MOST_FAILED;
        if self.resets >= MOST_RESETS || !(self.lost(error) || tried_enough) {
            return None;
        }
        let mark = position.mark.as_ref().filter(|_| self.by_mark);
        let why = match tried_enough && !self.lost(error) {
            true => {
                format!("{MOST_FAILED} runs in a row could not go on where the first of them stood: {error}")
            }
            false => error.to_string(),
        };
        let by_token = self.by_token;
        *self = Self { resumed: false, by_mark: false, by_token, failed: 0, resets: self.resets + 1 };
        Some(match mark {
            Some(_) if by_token => Warning::TokenLost(why),
            Some(_) => Warning::MarkLost(why, provider.to_owned()),
            None => Warning::BegunAnew(why),
        })
    }

    /// How many runs in a row have failed here with `error`; `None` where that says nothing of the
    /// place.
    pub fn failed_again(&self, error: &ReadError) -> Option<u32> {
        let kept = self.resumed || self.by_mark || matches!(error, ReadError::Detail(_));
        (kept && !error.is_of_all()).then(|| (self.failed + 1).min(MOST_FAILED - 1))
    }

    /// Whether so many runs failed here that a record which cannot be had must not hold up the others.
    pub fn has_failed_enough(&self) -> bool {
        self.failed + 1 >= MOST_FAILED
    }

    /// Whether `error` is that the API does not know the place any more, or says that the walk has to
    /// begin anew.
    fn lost(&self, error: &ReadError) -> bool {
        match error {
            ReadError::Client(ClientError::ResetPaging { .. }) => true,
            ReadError::Client(ClientError::Refused { status, .. }) if self.resumed => {
                (400..500).contains(status)
            }
            ReadError::Client(ClientError::Refused { status, .. }) => {
                self.by_mark && matches!(status, 400 | 404 | 409 | 410 | 412 | 416 | 422)
            }
            ReadError::Paging(_) => self.resumed,
            _ => false,
        }
    }
}
