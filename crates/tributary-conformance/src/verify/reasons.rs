//! Why Formance differs, as far as both sides show it.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::books::{Books, History, Place, histories};
use super::compare::{Found, Theirs};
use super::formance::{Connector, Formance, Schedule};
use super::report::{Difference, Subject, What};
use super::{Unreadable, gotime};
use tributary_formance::GoTime;
use tributary_formance::kept::{InitiationStatus, PaymentKey, ShownPayment};

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
    async fn of(&self, formance: &Formance, difference: &Difference) -> Result<Polling, Unreadable> {
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
enum Polling {
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
    fn of_unread(&self, at: GoTime) -> (String, bool) {
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

/// What reasons are found with.
pub struct Reasons<'a> {
    pub formance: &'a Formance,
    pub books: &'a Books,
    pub schedules: Schedules,
}

impl Reasons<'_> {
    /// Gives the differences with their reasons.
    pub async fn explain(&self, mut found: Found) -> Result<Vec<Difference>, Unreadable> {
        let mut differences = std::mem::take(&mut found.differences);
        let histories = self.histories(&differences, &found).await?;
        let mut polling: HashMap<Subject, Polling> = HashMap::new();
        for difference in &mut differences {
            let place = self.unread(difference, &found, &histories);
            if let Some(at) = place {
                let known =
                    polling.get(&difference.of).filter(|_| difference.of != Subject::Balance).cloned();
                let known = match known {
                    Some(known) => known,
                    None => self.schedules.of(self.formance, difference).await?,
                };
                polling.insert(difference.of, known.clone());
                let (reason, waiting) = known.of_unread(at);
                (difference.reason, difference.waiting) = (Some(reason), waiting);
            } else {
                let key = key_of(difference, &found);
                let history = key.and_then(|key| histories.get(key));
                difference.reason = self.reason(difference, &found, key, history);
            }
        }
        Ok(differences)
    }

    /// What the feed says of the payments that differ; nothing is read if none does.
    async fn histories(
        &self,
        differences: &[Difference],
        found: &Found,
    ) -> Result<HashMap<PaymentKey, History>, Unreadable> {
        let of_payments =
            differences.iter().filter(|one| matches!(one.of, Subject::Payment | Subject::Initiation));
        let asked = of_payments.filter(|one| matches!(one.what, What::Different | What::Extra));
        let keys: Vec<PaymentKey> = asked.filter_map(|one| key_of(one, found).cloned()).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let reached = found.reached[2].most.map_or(0, |place| place.number);
        histories(&self.books.feed, keys, reached).await
    }

    /// When that was told which Formance has not read yet, if a difference comes of nothing else.
    fn unread(
        &self,
        difference: &Difference,
        found: &Found,
        histories: &HashMap<PaymentKey, History>,
    ) -> Option<GoTime> {
        let told = |list: usize, place: Place| found.reached[list].is_before(place).then_some(place.at);
        let account = || self.books.accounts.get(&*difference.id);
        match (difference.of, difference.what) {
            (Subject::Account, What::Missing) => told(0, account()?.place),
            (Subject::Beneficiary, What::Missing) => told(1, account()?.place),
            (Subject::Payment, What::Missing) => {
                let payment = self.books.payments.get(key_of(difference, found)?)?;
                told(2, payment.first)
            }
            (Subject::Payment | Subject::Initiation, What::Different) => {
                let key = key_of(difference, found)?;
                let payment = self.books.payments.get(key)?;
                let (at, history) = (told(2, payment.changed)?, histories.get(key)?);
                // our answer to an order is its first entry, whatever was polled
                let begun = history.as_begun.as_ref().filter(|_| payment.is_order);
                let before = history.as_reached.as_ref().or(begun)?;
                let is_as_before = found.theirs.get(key)?.differing(before).is_empty();
                (is_as_before && goes_with(difference, before)).then_some(at)
            }
            (Subject::Balance, _) => found.balance_times.get(&difference.id).copied(),
            _ => None,
        }
    }

    fn reason(
        &self,
        difference: &Difference,
        found: &Found,
        key: Option<&PaymentKey>,
        history: Option<&History>,
    ) -> Option<String> {
        match (difference.of, difference.what) {
            (Subject::Account, What::Missing) => {
                let place = self.books.accounts.get(&*difference.id)?.place;
                Some(passed(place, found, 0))
            }
            (Subject::Beneficiary, What::Missing) => {
                let place = self.books.accounts.get(&*difference.id)?.place;
                Some(passed(place, found, 1))
            }
            (Subject::Payment, What::Missing) => Some(passed(self.books.payments.get(key?)?.first, found, 2)),
            (Subject::Payment, What::Extra) => Some(extra(history?)),
            (Subject::Payment, What::Different) => different(difference, history?, found.theirs.get(key?)?),
            (Subject::Initiation, What::Missing) => {
                Some("ordered by somebody else than this connector, or deleted in Formance".to_owned())
            }
            (Subject::Initiation, What::Extra) => Some(unanswered(difference)),
            (Subject::Initiation, What::Different) => initiation(difference, found.theirs.contains_key(key?)),
            (Subject::Balance, What::Different) => {
                Some("both are of the same confirmation: no poll will mend it".to_owned())
            }
            (Subject::Balance, What::Extra) => Some(
                "our answer does not list this asset; Formance keeps the last amount for ever".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Whether an initiation says what it has to where its payment is as `before`; of a payment it is no question.
fn goes_with(difference: &Difference, before: &ShownPayment) -> bool {
    let status = InitiationStatus::of_row(before.status).map(InitiationStatus::as_str);
    difference.of == Subject::Payment
        || (difference.field == Some("status") && difference.formance.as_deref() == status)
}

fn key_of<'a>(difference: &Difference, found: &'a Found) -> Option<&'a PaymentKey> {
    found.keys.get(&(difference.id.clone(), difference.kind.clone()))
}

/// Of what Formance lacks in front of something that it has.
fn passed(place: Place, found: &Found, list: usize) -> String {
    let (least, most) = (found.reached[list].least, found.reached[list].most);
    match (least, most) {
        (Some(least), _) if place.number < least.number => format!(
            "told at {}, before its window: all that it has of this list was told from {} on, and it will not ask for \
             what was before",
            place.at, least.at
        ),
        (_, Some(most)) => format!(
            "told at {}, and passed over: it has what was told until {}, and will not ask again",
            place.at, most.at
        ),
        _ => format!("told at {}", place.at),
    }
}

fn extra(history: &History) -> String {
    match (&history.part_of, history.other_types.first()) {
        (Some(payment), _) => format!(
            "the entry of this id belongs to the payment {} {}: Formance has the movement twice",
            payment.identity, payment.kind
        ),
        (None, Some(kind)) => format!("told as {kind}: Formance has it under two types"),
        (None, None) => {
            "never told: made in Formance itself, or by a database that was restored or replaced since"
                .to_owned()
        }
    }
}

fn different(difference: &Difference, history: &History, theirs: &Theirs) -> Option<String> {
    let (expected, formance) = (difference.expected.as_deref()?, difference.formance.as_deref()?);
    match difference.field? {
        "status" => {
            let told = history.entries.iter().rev().find(|(_, status, ..)| status.to_string() == formance);
            Some(match told {
                Some((_, _, at, _)) => format!(
                    "told under another status since: {formance} was told with the date {at}, and what came behind it \
                     was passed over"
                ),
                None => format!("{formance} was never told of it"),
            })
        }
        "amount" | "initial_amount" if is_rounded(expected, formance) => {
            Some("rounded like a floating-point number, on its way or in between".to_owned())
        }
        "amount" | "initial_amount" | "asset" | "source" | "destination" => merged(history, theirs),
        _ => None,
    }
}

/// Of a payment that other entries than the first one made, or several.
fn merged(history: &History, theirs: &Theirs) -> Option<String> {
    let (first, ..) = history.entries.first()?;
    let mut others: Vec<&str> =
        history.entries.iter().map(|(id, ..)| &**id).filter(|id| id != first).collect();
    others.sort_unstable();
    others.dedup();
    let others = others.get(..others.len().min(3)).filter(|others| !others.is_empty())?;
    let first_there = history.entries.iter().find(|(.., amount)| theirs.begins_with(amount));
    let order = match first_there {
        Some((id, ..)) if id != first => format!("; Formance took that of {id} for the first"),
        _ => String::new(),
    };
    Some(format!("entries of several ids are merged in it: {first}, {}{order}", others.join(", ")))
}

fn initiation(difference: &Difference, payment_differs: bool) -> Option<String> {
    let reason = match (difference.field?, difference.formance.as_deref()?) {
        ("status", _) if payment_differs => "as its payment, which differs, too",
        ("status", "FAILED") => {
            "its request ended in what Formance takes for final, though the order went on here: do not press Retry \
             before you know why"
        }
        ("status", "PROCESSING") => {
            "Formance stored our answer at a later date than the status has: it goes on saying so. The payment is right"
        }
        _ => return None,
    };
    Some(reason.to_owned())
}

fn unanswered(difference: &Difference) -> String {
    match difference.formance.as_deref() {
        Some("PROCESSING") => {
            "being sent: no answer of ours is final so far, and none is a payment".to_owned()
        }
        _ => "we know no such order: was the database restored?".to_owned(),
    }
}

/// Whether `rounded` is what a double makes of the whole number `exact`.
fn is_rounded(exact: &str, rounded: &str) -> bool {
    let double = |text: &str| text.parse::<f64>().ok();
    exact != rounded
        && double(exact).is_some_and(|double| double.abs() >= 9_007_199_254_740_992.0)
        && double(exact).map(f64::to_bits) == double(rounded).map(f64::to_bits)
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

    #[test]
    fn what_a_double_makes_of_a_number_is_known() {
        assert!(is_rounded("9007199254740993", "9007199254740992"));
        assert!(!is_rounded("9007199254740993", "9007199254740994"));
        assert!(!is_rounded("9007199254740990", "9007199254740991"), "below 2^53 nothing is rounded");
        assert!(!is_rounded("9007199254740993", "9007199254740993"));
    }
}
