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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> ReadError {
        ReadError::Client(ClientError::Refused {
            request: "GET /feed".into(),
            status,
            excerpt: String::new(),
        })
    }

    fn paging() -> ReadError {
        ReadError::Paging("page: a circle".to_owned())
    }

    fn start(resumed: bool, by_mark: bool, failed: u32) -> Start {
        Start { resumed, by_mark, by_token: false, failed, resets: 0 }
    }

    /// What kind of warning tells that `start` was given up because of `error`.
    fn told(mut start: Start, error: &ReadError) -> Option<&'static str> {
        let position = Position { mark: Some("EV1".to_owned()), ..Position::default() };
        start.begin_anew(error, &position, "bank").map(|warning| warning.kind())
    }

    #[test]
    fn a_walk_begins_anew_where_the_api_does_not_know_the_place_any_more() {
        let anew = Some("walk_begun_anew");
        let reset =
            ReadError::Client(ClientError::ResetPaging { request: String::new(), reason: String::new() });
        for (resumed, by_mark, error, wanted) in [
            (true, false, refused(400), anew),
            (true, false, refused(401), anew),
            (true, false, refused(500), None),
            (true, false, paging(), anew),
            (false, false, refused(400), None),
            (false, false, paging(), None),
            (false, false, reset, anew),
            (false, true, refused(410), Some("mark_lost")),
            (false, true, refused(403), None),
            (false, true, paging(), None),
        ] {
            assert_eq!(told(start(resumed, by_mark, 0), &error), wanted, "{resumed} {by_mark} {error}");
        }
    }

    #[test]
    fn a_place_is_given_up_in_the_third_run_that_cannot_go_on_from_it() {
        let detail = ReadError::Detail("{}".to_owned());
        let outage = ReadError::Parent("accounts".to_owned());
        for (resumed, by_mark, failed, error, wanted) in [
            (true, false, 1, refused(500), None),
            (true, false, 2, refused(500), Some("walk_begun_anew")),
            (false, true, 1, refused(500), None),
            (false, true, 2, refused(500), Some("mark_lost")),
            // which is no place
            (false, false, 2, refused(500), None),
            (true, false, 2, detail, None),
            (true, false, 2, outage, None),
        ] {
            assert_eq!(told(start(resumed, by_mark, failed), &error), wanted, "{resumed} {failed} {error}");
        }
        let token = Start { by_token: true, ..start(false, true, 2) };
        assert_eq!(told(token, &refused(500)), Some("token_lost"));
    }

    #[test]
    fn a_walk_begins_anew_three_times_in_one_run_and_says_why() {
        let mut begun = start(true, false, 2);
        let position = Position::default();
        let mut begin_anew = |error: &ReadError| begun.begin_anew(error, &position, "bank");
        let Some(Warning::BegunAnew(why)) = begin_anew(&refused(500)) else { panic!("it begins anew") };
        assert!(why.starts_with("3 runs in a row could not go on") && why.contains("500"), "{why}");
        let lost = start(true, false, 2).begin_anew(&refused(400), &position, "bank");
        let Some(Warning::BegunAnew(why)) = lost else { panic!("it begins anew") };
        assert!(!why.contains("3 runs"), "the API says so itself: {why}");
        let reset =
            || ReadError::Client(ClientError::ResetPaging { request: String::new(), reason: "old".into() });
        for _ in 0..2 {
            let Some(Warning::BegunAnew(why)) = begin_anew(&reset()) else { panic!("it begins anew") };
            assert!(why.contains("old") && !why.contains("3 runs"), "{why}");
        }
        assert_eq!(begin_anew(&reset()), None);
    }

    #[test]
    fn what_came_is_no_place_to_be_given_up() {
        let mut start = start(true, true, 2);
        assert!(start.is_resumed() && start.has_failed_enough());
        start.came();
        assert!(!start.is_resumed() && !start.has_failed_enough());
        assert_eq!(told(start, &refused(410)), None);
    }

    #[test]
    fn runs_that_fail_at_one_place_are_counted() {
        let detail = ReadError::Detail("{}".to_owned());
        for (resumed, failed, error, wanted) in [
            (true, 0, refused(500), Some(1)),
            (true, 1, refused(500), Some(2)),
            (true, 2, refused(500), Some(2)),
            (false, 0, refused(500), None),
            (false, 0, detail, Some(1)),
            (true, 0, ReadError::Parent("accounts".to_owned()), None),
        ] {
            assert_eq!(
                start(resumed, false, failed).failed_again(&error),
                wanted,
                "{resumed} {failed} {error}"
            );
        }
    }
}
