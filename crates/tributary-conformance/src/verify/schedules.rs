//! The schedules by which Formance polls, and what they say of what it has not read.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::formance::Formance;
use super::report::{Difference, Subject, What};
use super::shown::{Connector, Schedule};
use super::{Unreadable, gotime};
use tributary_formance::GoTime;

/// Formance spreads its polls by up to this much.
const JITTER: Duration = Duration::from_secs(300);
/// Its period where its configuration does not say.
const DEFAULT_PERIOD: Duration = Duration::from_secs(1_800);
/// How many runs of a schedule are looked through for one that has ended.
const RUNS: u32 = 10;

/// The schedules of a connector, by what comes behind its id: `FETCH_PAYMENTS`, `FETCH_BALANCES-acc_1`.
pub struct Schedules {
    connector: String,
    by_task: HashMap<String, Schedule>,
    period: Duration,
}

impl Schedules {
    /// Reads those of the connector.
    pub async fn read(formance: &Formance, connector: &Connector) -> Result<Self, Unreadable> {
        let path = format!("/v3/connectors/{}/schedules", connector.id);
        let mut by_task = HashMap::new();
        formance
            .list(&path, |_, schedules: Vec<Schedule>| {
                for schedule in schedules {
                    let task = schedule.id.split_once(&connector.id).map_or("", |(_, task)| task);
                    by_task.insert(task.trim_start_matches('-').to_owned(), schedule);
                }
                Ok(())
            })
            .await?;
        let period = connector.config.as_ref().and_then(|config| config.polling_period.as_deref());
        let period = period.and_then(go_duration).unwrap_or(DEFAULT_PERIOD);
        Ok(Self { connector: connector.id.clone(), by_task, period })
    }

    /// Those that are paused, as differences: what they poll will differ.
    pub fn paused(&self) -> Vec<Difference> {
        let paused = self.by_task.iter().filter_map(|(task, schedule)| {
            let reason = paused(schedule)?;
            Some(Difference {
                reason: Some(reason),
                ..Difference::new(Subject::Schedule, What::Paused, task)
            })
        });
        paused.collect()
    }

    /// What is known of the schedule that fetches what a difference is about.
    pub async fn of(&self, formance: &Formance, difference: &Difference) -> Result<Polling, Unreadable> {
        let task = match difference.of {
            Subject::Account | Subject::Schedule => "FETCH_ACCOUNTS".to_owned(),
            Subject::Beneficiary => "FETCH_EXTERNAL_ACCOUNTS".to_owned(),
            Subject::Payment | Subject::Initiation => "FETCH_PAYMENTS".to_owned(),
            Subject::Balance => {
                let account = difference.id.rsplit_once(' ').map_or("", |(account, _)| account);
                format!("FETCH_BALANCES-{account}")
            }
        };
        let Some(schedule) = self.by_task.get(&task) else { return Ok(Polling::None(task)) };
        if let Some(reason) = paused(schedule) {
            return Ok(Polling::Paused(format!("not polled: {task} is {reason}")));
        }
        let runs = formance.instances(&self.connector, &schedule.id, RUNS).await?;
        let late = Utc::now() - TimeDelta::from_std(self.period * 2 + JITTER).unwrap_or(TimeDelta::MAX);
        let ended = runs.iter().filter(|run| run.terminated).map(|run| run.created_at).max();
        Ok(match runs.iter().map(|run| run.created_at).max() {
            None => Polling::Never,
            Some(last) if last < late => Polling::Silent(last),
            Some(_) => Polling::Alive(ended),
        })
    }
}

fn paused(schedule: &Schedule) -> Option<String> {
    let since = schedule.paused_at?;
    let why = schedule.paused_reason.as_deref().filter(|why| !why.is_empty()).unwrap_or("no reason is given");
    Some(format!(
        "paused since {} ({why}): mend that, then update the connector's configuration, which resumes it",
        time(since)
    ))
}

/// What a schedule does.
#[derive(Clone)]
pub enum Polling {
    Paused(String),
    /// The last run began so long ago that others should have followed.
    Silent(DateTime<Utc>),
    /// It runs; when the last run that has ended began.
    Alive(Option<DateTime<Utc>>),
    Never,
    /// There is no such schedule.
    None(String),
}

impl Polling {
    /// What to say of an entry that Formance has not read, told at `at`; and whether it waits for the next poll.
    pub fn of_unread(&self, at: GoTime) -> (String, bool) {
        match self {
            Self::Paused(reason) => (reason.clone(), false),
            Self::Silent(last) => {
                let why = "is its worker up, and the way to us?";
                (format!("not polled since {}: {why}", time(*last)), false)
            }
            Self::Never => ("not polled yet: its schedule has not run so far".to_owned(), true),
            Self::None(task) => (format!("not polled: Formance has no schedule {task}"), false),
            Self::Alive(Some(last)) if gotime(*last) > at => (
                format!(
                    "told at {at}, and the poll that began at {} did not take it, nor anything behind it: is it still \
                     being loaded? Look again after the next poll",
                    time(*last)
                ),
                false,
            ),
            Self::Alive(Some(last)) => {
                (format!("not polled yet: the last poll began at {}", time(*last)), true)
            }
            Self::Alive(None) => ("not polled yet: the first poll has not ended".to_owned(), true),
        }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A duration as Go prints it: `30m`, `1h30m0s`, `2s`.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        total += number
            * match &rest[digits..unit] {
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(total).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_as_go_prints_them() {
        for (text, seconds) in [("30m", 1_800), ("1h30m0s", 5_400), ("2s", 2), ("20m0s", 1_200)] {
            assert_eq!(go_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "30", "m", "30 m", "0s", "1d"] {
            assert_eq!(go_duration(wrong), None, "{wrong}");
        }
    }
}
