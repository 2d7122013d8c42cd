//! Which headers of answers count as telling of limits, and what they count in.

use std::borrow::Cow;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::manifest::{RateLimit, WaitUnit};

/// How headers that tell of limits are read.
#[derive(Debug, Clone, Default)]
pub struct Told {
    unit: WaitUnit,
    ignored: Vec<HeaderName>,
}

impl Told {
    /// As `rate_limit` says. The error names the field that is wrong.
    pub fn new(rate_limit: &RateLimit) -> Result<Self, String> {
        let named = |(index, name): (usize, &String)| {
            HeaderName::try_from(name.as_str())
                .map_err(|_| format!("rate_limit.ignore[{index}]: {name:?} is no name of a header"))
        };
        let ignored = rate_limit.ignore.iter().enumerate().map(named).collect::<Result<_, _>>()?;
        Ok(Self { unit: rate_limit.waits, ignored })
    }

    /// The headers of an answer without those that are ignored, their waits in seconds.
    pub fn of<'a>(&self, headers: &'a HeaderMap) -> Cow<'a, HeaderMap> {
        if self.unit == WaitUnit::Seconds && self.ignored.is_empty() {
            return Cow::Borrowed(headers);
        }
        let mut told = headers.clone();
        for name in &self.ignored {
            told.remove(name);
        }
        for (name, value) in &mut told {
            let says_when = name.as_str() == "retry-after" || name.as_str().ends_with("-reset");
            let seconds = value.to_str().ok().filter(|_| says_when).map(|text| self.unit.in_seconds(text));
            if let Some(seconds) = seconds.and_then(|text| HeaderValue::try_from(text.as_ref()).ok()) {
                *value = seconds;
            }
        }
        Cow::Owned(told)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::wire::retry;

    fn told(limits: &str, headers: &[(&'static str, &str)]) -> (Option<Duration>, Option<Duration>) {
        let told = Told::new(&serde_saphyr::from_str(limits).unwrap()).unwrap();
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let now: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let headers = told.of(&headers);
        (retry::asked_pause(&headers, now), retry::used_up(&headers, now))
    }

    #[test]
    fn waits_count_in_what_the_file_says_and_dates_are_dates_either_way() {
        let ms = Duration::from_millis;
        for (value, seconds, milliseconds) in [
            ("1500", Some(ms(1_500_000)), Some(ms(1_500))),
            ("1767225660", Some(ms(60_000)), Some(ms(60_000))),
            ("1767225660000", Some(ms(60_000)), Some(ms(60_000))),
            ("Thu, 01 Jan 2026 00:00:07 GMT", Some(ms(7_000)), Some(ms(7_000))),
            ("0", None, None),
        ] {
            assert_eq!(told("per_second: 1", &[("retry-after", value)]).0, seconds, "{value}");
            assert_eq!(told("waits: milliseconds", &[("retry-after", value)]).0, milliseconds, "{value}");
        }
        let reset = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30000")];
        assert_eq!(told("waits: milliseconds", &reset), (Some(ms(30_000)), Some(ms(30_000))));
    }

    #[test]
    fn a_header_that_is_ignored_closes_nothing() {
        let left = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "43200")];
        assert!(told("per_second: 1", &left).1.is_some());
        assert_eq!(told("ignore: [X-RateLimit-Remaining]", &left).1, None);
        let both = [("retry-after", "86400"), ("ratelimit-reset", "5")];
        assert_eq!(told("ignore: [Retry-After]", &both).0, Some(Duration::from_secs(5)));
        let wrong = Told::new(&serde_saphyr::from_str("ignore: ['a b']").unwrap()).unwrap_err();
        assert!(wrong.starts_with("rate_limit.ignore[0]"), "{wrong}");
    }
}
