//! When a failed request is sent again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::{DateTime, Utc};
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

/// How long an answer that is no success asks to wait: `Retry-After`, else the time at which the
/// provider counts anew. Nothing, zero, the past and what cannot be read are no request to wait;
/// they must not make the attempts follow each other at once.
pub fn asked_pause(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match header(RETRY_AFTER.as_str()) {
        Some(text) => parse_wait(text, now),
        None => remaining(headers).is_none_or(|remaining| remaining == 0).then(|| reset(headers, now))?,
    }
}

/// How long nothing may be sent since this answer was the last that the provider gives for now.
pub fn used_up(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    (remaining(headers)? == 0).then(|| reset(headers, now))?
}

/// The headers by which providers say how many requests are left, and until when.
const LIMIT_HEADERS: [&str; 3] = ["ratelimit", "x-ratelimit", "x-rate-limit"];

/// The header by which an answer says how many requests are left, or until when, in a form that nobody
/// can read.
pub fn unread_limit(headers: &HeaderMap) -> Option<String> {
    let name = |what: &str| LIMIT_HEADERS.iter().map(|name| format!("{name}-{what}")).collect::<Vec<_>>();
    let given = |names: Vec<String>| names.into_iter().find(|name| headers.contains_key(name));
    let unread = given(name("remaining")).filter(|_| remaining(headers).is_none());
    unread.or_else(|| {
        let told = limit_header(headers, "reset")
            .is_some_and(|text| leading(text).is_some() || instant(text).is_some());
        given(name("reset")).filter(|_| !told)
    })
}

fn remaining(headers: &HeaderMap) -> Option<u64> {
    leading(limit_header(headers, "remaining")?)?.parse().ok()
}

/// The number that `text` begins with; parameters may follow (`0;w=60`, `0, 0;w=60`).
fn leading(text: &str) -> Option<&str> {
    let number = text.split([';', ',']).next()?.trim();
    number.parse::<f64>().ok().map(|_| number)
}

fn reset(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = limit_header(headers, "reset")?;
    parse_wait(leading(text).unwrap_or(text), now)
}

fn limit_header<'a>(headers: &'a HeaderMap, what: &str) -> Option<&'a str> {
    let value = LIMIT_HEADERS.iter().find_map(|name| headers.get(format!("{name}-{what}")));
    Some(value?.to_str().ok()?.trim())
}

/// Numbers from here on are a time since 1970 in seconds (2001), from there on in milliseconds.
const FIRST_TIME: f64 = 1e9;
const FIRST_TIME_MS: f64 = 1e11;
/// Longer waits are a mistake, in seconds.
const LONGEST_TOLD: f64 = 366.0 * 86_400.0;

/// The wait that `text` is at `now`: seconds, a date of HTTP, a time of RFC 3339, or seconds
/// or milliseconds since 1970. `None` for nothing, zero and the past.
pub fn parse_wait(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    let seconds = match text.parse::<f64>() {
        Ok(number) if number >= FIRST_TIME_MS => (number - now.timestamp_millis() as f64) / 1_000.0,
        Ok(number) if number >= FIRST_TIME => number - now.timestamp_millis() as f64 / 1_000.0,
        Ok(number) => number,
        Err(_) => (instant(text)? - now).num_milliseconds() as f64 / 1_000.0,
    };
    (seconds > 0.0 && seconds <= LONGEST_TOLD).then(|| Duration::from_secs_f64(seconds))
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date.into());
    }
    let time = DateTime::parse_from_rfc3339(text);
    // offsets without a colon are common
    let time = time.or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    time.ok().map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let date =
            |ahead: i64| httpdate::fmt_http_date(SystemTime::from(now() + chrono::TimeDelta::seconds(ahead)));
        for (value, seconds) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("0.0", None),
            (date(90).as_str(), Some(90)),
            (date(0).as_str(), None),
            (date(-60).as_str(), None),
            ("2026-01-01T00:01:00Z", Some(60)),
            ("2026-01-01T01:01:00.000+0100", Some(60)),
            ("1767225660", Some(60)),
            ("1767225660000", Some(60)),
            ("1767225000", None),
            ("0", None),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = headers(&[("retry-after", value)]);
            assert_eq!(asked_pause(&headers, now()), seconds.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(asked_pause(&HeaderMap::new(), now()), None);
    }

    #[test]
    fn the_time_at_which_the_provider_counts_anew_stands_in_for_retry_after() {
        for (given, pause, used) in [
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "30")][..], Some(30), Some(30)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1767225660")], Some(60), Some(60)),
            (&[("x-rate-limit-reset", "30")], Some(30), None),
            (&[("ratelimit-remaining", "3"), ("ratelimit-reset", "30")], None, None),
            (&[("ratelimit-remaining", "0")], None, None),
            (
                &[("retry-after", "5"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "30")],
                Some(5),
                Some(30),
            ),
        ] {
            let headers = headers(given);
            let seconds = |wait: Option<Duration>| wait.map(|wait| wait.as_secs());
            assert_eq!(seconds(asked_pause(&headers, now())), pause, "{given:?}");
            assert_eq!(seconds(used_up(&headers, now())), used, "{given:?}");
        }
    }

    #[test]
    fn parameters_behind_a_limit_are_no_part_of_it_and_what_cannot_be_read_is_named() {
        for (given, used, unread) in [
            (&[("ratelimit-remaining", "0;w=60"), ("ratelimit-reset", "30;w=60")][..], Some(30), None),
            (&[("ratelimit-remaining", "0, 0;w=60"), ("ratelimit-reset", "30")], Some(30), None),
            (&[("x-ratelimit-remaining", "none")], None, Some("x-ratelimit-remaining")),
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "soon")], None, Some("ratelimit-reset")),
            (&[("ratelimit-remaining", "7")], None, None),
            (&[("x-rate-limit-reset", "2026-01-01T00:01:00Z")], None, None),
        ] {
            let headers = headers(given);
            assert_eq!(used_up(&headers, now()).map(|wait| wait.as_secs()), used, "{given:?}");
            assert_eq!(unread_limit(&headers).as_deref(), unread, "{given:?}");
        }
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
