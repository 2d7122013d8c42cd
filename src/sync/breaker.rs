//! What a failed run means for the next.

use std::time::Duration;

use chrono::{DateTime, Utc};

use tributary_manifest::{ClientError, Failure, ReadError};

/// Failed runs in a row from which on the pauses grow.
pub const PATIENCE: u32 = 3;
/// The pause after a run that failed, where the schedule's is not shorter.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// How badly a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedRun {
    /// Some of it was read.
    Partly,
    /// Nothing was.
    Wholly,
    /// The provider does not know us: trying again soon only gets us locked out.
    Refused,
    /// No request may be sent for so long: a budget is used up, or the provider said so.
    Closed(Duration),
    /// No request may be sent for some of it; the rest was read.
    PartlyClosed,
}

impl FailedRun {
    /// Of a run with these failures that read something or not, at `now`.
    pub fn of(failures: &[Failure], read_something: bool, now: DateTime<Utc>) -> Self {
        let answered = |wanted: u16| failures.iter().any(|failure| failure.refusal() == Some(wanted));
        let closed = failures.iter().filter_map(|failure| match &failure.error {
            ReadError::Client(ClientError::AskedToWait { until, .. }) => Some(*until),
            _ => None,
        });
        let closed: Vec<_> = closed.collect();
        match closed.iter().min().and_then(|until| (*until - now).to_std().ok()) {
            // one account that was asked too often does not close the others
            Some(_) if read_something && closed.len() == failures.len() => return Self::PartlyClosed,
            Some(wait) if !read_something => return Self::Closed(wait),
            _ => {}
        }
        // some providers refuse single accounts with 403: then the credentials are not at fault
        match (read_something, answered(401), answered(403)) {
            (_, true, _) | (false, _, true) => Self::Refused,
            (true, ..) => Self::Partly,
            (false, ..) => Self::Wholly,
        }
    }
}

/// The failed runs in a row that now count after `before` of them, and the pause that they make
/// where the schedule would have the next run after `scheduled`.
///
/// What was read partly is read again no later than its schedule says: the part that works must
/// not wait for the part that does not.
pub fn after(failed: FailedRun, before: u32, scheduled: Option<Duration>) -> (u32, Duration) {
    if let FailedRun::Closed(wait) = failed {
        // nothing is wrong: it counts neither for nor against the provider
        return (before, wait);
    }
    if failed == FailedRun::PartlyClosed {
        return (before, scheduled.unwrap_or(PAUSE_MAX));
    }
    let failures = before.saturating_add(1);
    let scheduled = scheduled.unwrap_or(PAUSE_MAX);
    let first = scheduled.min(PAUSE);
    let doubled = failures.saturating_sub(PATIENCE - 1).min(16);
    let grown = (first * 2_u32.pow(doubled)).min(PAUSE_MAX);
    match failed {
        FailedRun::Partly => (failures, grown.min(scheduled)),
        FailedRun::Wholly => (failures, grown),
        FailedRun::Refused | FailedRun::Closed(_) | FailedRun::PartlyClosed => {
            (failures.max(PATIENCE), PAUSE_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_manifest::Closed;

    const EVERY: Option<Duration> = Some(Duration::from_secs(900));

    fn failure(status: u16) -> Failure {
        failed(ClientError::Refused { request: "/".to_owned(), status, excerpt: String::new() })
    }

    fn failed(error: ClientError) -> Failure {
        Failure { stream: "feed".to_owned(), partition: String::new(), error: error.into(), line: None }
    }

    #[test]
    fn pauses_grow_to_an_hour_once_patience_is_over() {
        let pauses: Vec<u64> =
            (0..10).map(|before| after(FailedRun::Wholly, before, EVERY).1.as_secs()).collect();
        assert_eq!(pauses, [60, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(after(FailedRun::Wholly, u32::MAX, EVERY).1, PAUSE_MAX);
        assert_eq!(after(FailedRun::Wholly, 0, None).1, PAUSE);
    }

    #[test]
    fn what_works_does_not_wait_for_what_does_not() {
        assert!((0..100).all(|before| after(FailedRun::Partly, before, EVERY).1 <= Duration::from_secs(900)));
    }

    #[test]
    fn refused_credentials_open_the_breaker_at_once() {
        assert_eq!(after(FailedRun::Refused, 0, EVERY), (PATIENCE, PAUSE_MAX));
        assert_eq!(FailedRun::of(&[failure(500), failure(401)], true, Utc::now()), FailedRun::Refused);
        assert_eq!(FailedRun::of(&[failure(403)], false, Utc::now()), FailedRun::Refused);
        assert_eq!(FailedRun::of(&[failure(403)], true, Utc::now()), FailedRun::Partly);
        assert_eq!(FailedRun::of(&[failure(404)], false, Utc::now()), FailedRun::Wholly);
    }

    #[test]
    fn a_token_that_is_refused_opens_the_breaker_like_credentials_that_are() {
        let refused =
            ClientError::Refused { request: "/token".to_owned(), status: 400, excerpt: String::new() };
        let no_token = failed(ClientError::NoToken(Box::new(refused)));
        assert_eq!(FailedRun::of(&[no_token], false, Utc::now()), FailedRun::Refused);
    }

    #[test]
    fn a_budget_that_is_used_up_pauses_until_it_is_not_and_is_no_failure() {
        let now = Utc::now();
        let wait = Duration::from_secs(7200);
        let closed = ClientError::AskedToWait { until: now + wait, why: Closed::ByProvider };
        let failed = |read_something| FailedRun::of(&[failed(closed.clone())], read_something, now);
        assert_eq!(after(failed(false), 7, EVERY), (7, wait));
        assert_eq!(after(failed(true), 7, EVERY), (7, EVERY.unwrap()), "the rest is read as it is due");
    }
}
