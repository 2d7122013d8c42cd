//! What a failed run means for the next.

use std::time::Duration;

use crate::provider::{ClientError, Failure, ReadError};

/// Failed runs in a row from which on the pauses grow.
pub const PATIENCE: u32 = 3;
/// The pause after a run that failed, where the schedule's is not shorter.
const PAUSE: Duration = Duration::from_secs(60);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// How badly a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Some of it was read.
    Partly,
    /// Nothing was.
    Wholly,
    /// The provider does not know us: trying again soon only gets us locked out.
    Refused,
}

impl Failed {
    /// Of a run with these failures that read something or not.
    pub fn of(failures: &[Failure], read_something: bool) -> Self {
        let answered = |wanted: u16| {
            failures.iter().any(|failure| {
                matches!(&failure.error, ReadError::Client(ClientError::Refused { status, .. }) if *status == wanted)
            })
        };
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
pub fn after(failed: Failed, before: u32, scheduled: Option<Duration>) -> (u32, Duration) {
    let failures = before.saturating_add(1);
    let scheduled = scheduled.unwrap_or(PAUSE_MAX);
    let first = scheduled.min(PAUSE);
    let doubled = failures.saturating_sub(PATIENCE - 1).min(16);
    let grown = (first * 2_u32.pow(doubled)).min(PAUSE_MAX);
    match failed {
        Failed::Partly => (failures, grown.min(scheduled)),
        Failed::Wholly => (failures, grown),
        Failed::Refused => (failures.max(PATIENCE), PAUSE_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Option<Duration> = Some(Duration::from_secs(900));

    fn failure(status: u16) -> Failure {
        let error = ClientError::Refused { target: "/".to_owned(), status, excerpt: String::new() };
        Failure { stream: "feed".to_owned(), partition: String::new(), error: error.into() }
    }

    #[test]
    fn pauses_grow_to_an_hour_once_patience_is_over() {
        let pauses: Vec<u64> =
            (0..10).map(|before| after(Failed::Wholly, before, EVERY).1.as_secs()).collect();
        assert_eq!(pauses, [60, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(after(Failed::Wholly, u32::MAX, EVERY).1, PAUSE_MAX);
        assert_eq!(after(Failed::Wholly, 0, None).1, PAUSE);
    }

    #[test]
    fn what_works_does_not_wait_for_what_does_not() {
        assert!((0..100).all(|before| after(Failed::Partly, before, EVERY).1 <= Duration::from_secs(900)));
    }

    #[test]
    fn refused_credentials_open_the_breaker_at_once() {
        assert_eq!(after(Failed::Refused, 0, EVERY), (PATIENCE, PAUSE_MAX));
        assert_eq!(Failed::of(&[failure(500), failure(401)], true), Failed::Refused);
        assert_eq!(Failed::of(&[failure(403)], false), Failed::Refused);
        assert_eq!(Failed::of(&[failure(403)], true), Failed::Partly);
        assert_eq!(Failed::of(&[failure(404)], false), Failed::Wholly);
    }
}
