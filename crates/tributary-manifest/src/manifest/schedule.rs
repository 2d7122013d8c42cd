//! `every:`, `cron:` and `after_webhook:`: when a stream is read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{Manifest, ManifestError, StreamManifest, field};
use crate::period::Period;

/// The most that a run is put off, so that what is scheduled alike does not run at once.
const JITTER_MAX: TimeDelta = TimeDelta::seconds(30);
/// What a pause is at least, whatever the manifest says.
const PAUSE_MIN: TimeDelta = TimeDelta::seconds(1);

/// Among so many times of a clock the longest gap is looked for: a night, a weekend.
const GAPS_LOOKED_AT: usize = 200;

/// When a stream is read.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Again and again, with this pause after the end of a run.
    Every(Period),
    /// At the times that five fields describe, in UTC.
    Cron(CronTimes),
    /// Once in the beginning, and then when a webhook or a person asks.
    AfterWebhook,
}

impl Schedule {
    /// When the stream is due after a run that ended at `now`; `None` where somebody has to ask.
    /// `jitter` is from 0 to 1: a pause becomes up to a tenth shorter or longer by it, and what
    /// is due by the clock comes up to half a minute later, but never later than the time after.
    pub fn next(&self, now: DateTime<Utc>, jitter: f64) -> Option<DateTime<Utc>> {
        match self {
            Self::Every(pause) => {
                let pause = pause.as_delta().max(PAUSE_MIN);
                Some(now + part(pause, 0.9 + 0.2 * jitter))
            }
            Self::Cron(times) => {
                let next = times.after(now)?;
                let gap = times.after(next).map_or(JITTER_MAX, |later| later - next);
                Some(next + part(JITTER_MAX.min(gap / 2), jitter))
            }
            Self::AfterWebhook => None,
        }
    }

    /// The longest time that passes between two runs as it says, among those that come after `now`; `None` where
    /// somebody has to ask.
    pub fn longest_gap(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        match self {
            Self::Every(pause) => Some(pause.as_delta().max(PAUSE_MIN)),
            Self::Cron(times) => {
                let next: Vec<_> = std::iter::successors(times.after(now), |at| times.after(*at))
                    .take(GAPS_LOOKED_AT)
                    .collect();
                next.windows(2).map(|pair| pair[1] - pair[0]).max()
            }
            Self::AfterWebhook => None,
        }
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(pause) => write!(f, "every {} s", pause.as_duration().as_secs()),
            Self::Cron(times) => write!(f, "cron {}", times.cron.as_str()),
            Self::AfterWebhook => f.write_str("after webhook"),
        }
    }
}

fn part(whole: TimeDelta, of: f64) -> TimeDelta {
    TimeDelta::milliseconds((whole.num_milliseconds() as f64 * of) as i64)
}

/// The times that five cron fields describe: minute, hour, day of month, month, day of week.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct CronTimes {
    cron: Box<Cron>,
}

impl JsonSchema for CronTimes {
    fn schema_name() -> Cow<'static, str> {
        "CronTimes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Five cron fields: minute, hour, day of month, month, day of week.",
            "pattern": "^\\S+( +\\S+){4}$",
        })
    }
}

impl CronTimes {
    /// The first of the times after `now`.
    fn after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cron.find_next_occurrence(&now, false).ok()
    }
}

impl TryFrom<String> for CronTimes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let explain = |why: String| {
            format!("{text:?} is no cron schedule of five fields, such as \"30 6 * * 1-5\": {why}")
        };
        let cron = parser.parse(&text).map_err(|error| explain(error.to_string()))?;
        let times = Self { cron: Box::new(cron) };
        match times.after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(times),
            None => Err(explain("there is no such date".to_owned())),
        }
    }
}

/// The word `only`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterWebhook {
    Only,
}

impl StreamManifest {
    fn schedule(&self, default: Period) -> Result<Schedule, ManifestError> {
        match (self.every, &self.cron, self.after_webhook) {
            (None, None, None) => Ok(Schedule::Every(default)),
            (Some(pause), None, None) => Ok(Schedule::Every(pause)),
            (None, Some(times), None) => Ok(Schedule::Cron(times.clone())),
            (None, None, Some(AfterWebhook::Only)) => Ok(Schedule::AfterWebhook),
            _ => {
                Err(field(&self.name, "every", "give one of every, cron and after_webhook, or none of them"))
            }
        }
    }
}

impl Manifest {
    /// Whether anything but a person has the stream at `place` read again: a trigger, or a stream behind it
    /// that is read for its records.
    fn is_read_again(&self, place: usize) -> bool {
        let name = self.streams[place].name.as_str();
        let mut triggers = self.webhook.iter().flat_map(|webhook| &webhook.triggers);
        triggers.any(|trigger| trigger.stream == name)
            || (place + 1..self.streams.len()).any(|below| {
                let child = &self.streams[below];
                child.for_each.as_deref() == Some(name)
                    && (child.after_webhook.is_none() || self.is_read_again(below))
            })
    }

    /// When each stream is read, by its name.
    pub fn schedules(&self) -> Result<BTreeMap<String, Schedule>, ManifestError> {
        let mut schedules = BTreeMap::new();
        for (place, stream) in self.streams.iter().enumerate() {
            let schedule = stream.schedule(self.every)?;
            if schedule == Schedule::AfterWebhook {
                if self.webhook.is_none() {
                    return Err(field(&stream.name, "after_webhook", "there is no webhook section"));
                }
                if !self.is_read_again(place) {
                    let why =
                        "no trigger of the webhook has it read: add one for it, or leave after_webhook out";
                    return Err(field(&stream.name, "after_webhook", why));
                }
            }
            schedules.insert(stream.name.clone(), schedule);
        }
        if !(1..=32).contains(&self.concurrency) {
            return Err(ManifestError::Field("concurrency: take 1 to 32".to_owned()));
        }
        Ok(schedules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{TriggerManifest, WebhookCheck, WebhookManifest};

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn cron(text: &str) -> Schedule {
        Schedule::Cron(CronTimes::try_from(text.to_owned()).unwrap())
    }

    #[test]
    fn a_pause_counts_from_the_end_of_the_run_and_varies_by_a_tenth() {
        let schedule = Schedule::Every(Period::from_seconds(600));
        let now = at("2026-03-01T12:00:00Z");
        for (jitter, next) in
            [(0.0, "2026-03-01T12:09:00Z"), (0.5, "2026-03-01T12:10:00Z"), (1.0, "2026-03-01T12:11:00Z")]
        {
            assert_eq!(schedule.next(now, jitter), Some(at(next)));
        }
        let none = Schedule::Every(Period::from_seconds(0));
        assert!(none.next(now, 0.0).unwrap() > now, "no pause at all would never let go");
    }

    #[test]
    fn cron_times_are_utc_and_come_after_now_not_at_it() {
        for (fields, now, next) in [
            ("30 6 * * *", "2026-03-01T06:29:59Z", "2026-03-01T06:30:00Z"),
            ("30 6 * * *", "2026-03-01T06:30:00Z", "2026-03-02T06:30:00Z"),
            ("*/15 * * * *", "2026-03-01T12:07:00Z", "2026-03-01T12:15:00Z"),
            // a Friday evening
            ("0 9 * * 1-5", "2026-03-06T18:00:00Z", "2026-03-09T09:00:00Z"),
            ("0 0 29 2 *", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            // Berlin's clocks go forward that night; UTC's do not
            ("30 1 * * *", "2026-03-29T00:45:00Z", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(cron(fields).next(at(now), 0.0), Some(at(next)), "{fields}");
        }
    }

    #[test]
    fn cron_times_are_put_off_by_at_most_half_a_minute_and_never_past_the_next() {
        let now = at("2026-03-01T12:00:30Z");
        assert_eq!(cron("0 * * * *").next(now, 1.0), Some(at("2026-03-01T13:00:30Z")));
        assert_eq!(cron("* * * * *").next(now, 1.0), Some(at("2026-03-01T12:01:30Z")));
    }

    #[test]
    fn what_is_no_schedule_says_so() {
        for text in ["", "* * * *", "* * * * * *", "60 * * * *", "0 0 31 2 *", "hourly"] {
            let error = CronTimes::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains("five fields"), "{text}: {error}");
        }
    }

    fn manifest(
        stream: &str,
        more: &str,
        webhook: Option<WebhookManifest>,
    ) -> Result<BTreeMap<String, Schedule>, String> {
        let text = format!(
            "base_url: http://bank\nauth: {{ bearer: token }}\nevery: 5m\n{more}streams:\n  \
             - {{ name: feed, request: {{ path: / }}, records: '.'{stream} }}\n"
        );
        let mut manifest: Manifest = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
        manifest.webhook = webhook;
        manifest.schedules().map_err(|error| error.to_string())
    }

    #[test]
    fn a_stream_has_the_schedule_of_its_source_unless_it_has_its_own() {
        let schedule = |stream| manifest(stream, "", None).unwrap()["feed"].to_string();
        assert_eq!(schedule(""), "every 300 s");
        assert_eq!(schedule(", every: 1h"), "every 3600 s");
        assert_eq!(schedule(", cron: '0 6 * * *'"), "cron 0 6 * * *");
    }

    fn of_another_stream() -> WebhookManifest {
        let (name, value) = ("X".to_owned(), "s".to_owned().into());
        let trigger = TriggerManifest { when: None, stream: "other".to_owned(), partition: None };
        let check = WebhookCheck::Header { name, value };
        WebhookManifest { check, url: None, challenge: None, answer: 202, triggers: vec![trigger] }
    }

    #[test]
    fn schedules_that_contradict_each_other_are_refused() {
        for (stream, more, webhook, about) in [
            (", every: 1h, cron: '0 6 * * *'", "", None, "give one of every"),
            (", cron: hourly", "", None, "five fields"),
            (", after_webhook: only", "", None, "no webhook section"),
            (", after_webhook: only", "", Some(of_another_stream()), "no trigger"),
            (", after_webhook: never", "", None, "never"),
            ("", "concurrency: 0\n", None, "concurrency"),
        ] {
            let error = manifest(stream, more, webhook).unwrap_err();
            assert!(error.contains(about), "{about}: {error}");
        }
    }
}
