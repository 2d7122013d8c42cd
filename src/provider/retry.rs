//! When a failed request is sent again.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest that a run waits because the provider asks for it. Beyond, the run ends and a
/// later one tries again.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whether an answer with this status may be another one next time.
pub fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        )
}

/// The pauses between the attempts where the provider does not ask for one: from half a second
/// doubling to a minute, each lengthened by up to itself at random.
pub fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

/// How long the answer asks to wait: `Retry-After` in seconds or as a date, seen at `now`.
/// Nothing, zero, the past and what cannot be read are no request to wait; they must not make
/// the attempts follow each other at once.
pub fn asked_pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?,
    };
    (!pause.is_zero()).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let date = |ahead| httpdate::fmt_http_date(now + Duration::from_secs(ahead));
        let past = httpdate::fmt_http_date(now - Duration::from_secs(60));
        for (value, seconds) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            (date(90).as_str(), Some(90)),
            (date(0).as_str(), None),
            (past.as_str(), None),
            ("0", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(asked_pause(&headers, now), seconds.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(asked_pause(&HeaderMap::new(), now), None);
    }

    #[test]
    fn pauses_grow_from_half_a_second_to_a_minute_and_never_end() {
        let pauses: Vec<Duration> = pauses().take(40).collect();
        assert_eq!(pauses.len(), 40);
        for (attempt, pause) in pauses.iter().enumerate() {
            let base = FIRST_PAUSE.saturating_mul(1 << attempt.min(20)).min(LONGEST_PAUSE);
            assert!(*pause >= base && *pause <= base * 2, "pause {attempt} is {pause:?}");
        }
    }

    #[test]
    fn only_passing_failures_are_sent_again() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(is_passing(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [200, 301, 400, 401, 403, 404, 409, 422] {
            assert!(!is_passing(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}
