//! Is Formance up to date with the bank? From what is known of each step between the two, and what to do about it.

use chrono::{DateTime, Utc};

use super::{FeedHealth, GroupHealth, Health, length};
use crate::store::consumers::Consumer;
use tributary_domain::ProviderName;

/// After so many of its periods without success a group is late, and a consumer is behind: as the alarms count.
const PERIODS: f64 = 3.0;
/// So long a change may wait to be published, in seconds, before that is more than the pace of the feed.
const PUBLISHED_WITHIN: f64 = 60.0;
/// So far the database's clock may stand below what was issued, in seconds.
const CLOCK_BEHIND: f64 = 2.0;

/// Why Formance may not have what the bank has.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    pub text: String,
    /// Whether it does not pass by itself.
    pub lasts: bool,
    /// The command that shows more of it, or does something about it.
    pub command: String,
}

/// How Formance stands to the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    UpToDate,
    /// What is missing is on its way.
    CatchingUp,
    /// Something has to happen first.
    Behind,
}

/// The verdict on reasons: the worst of them counts.
pub fn on(reasons: &[Reason]) -> Verdict {
    match reasons {
        [] => Verdict::UpToDate,
        reasons if reasons.iter().any(|reason| reason.lasts) => Verdict::Behind,
        _ => Verdict::CatchingUp,
    }
}

/// Why Formance may not have what the provider has at `now`, from the bank to Formance.
pub fn reasons(health: &Health, now: DateTime<Utc>) -> Vec<Reason> {
    let name = &health.name;
    let mut reasons = Vec::new();
    match &health.pause {
        Some(pause) => reasons.push(lasts(pause.to_string(), format!("tributary resume {name}"))),
        None => reasons.extend(health.groups.iter().filter_map(|group| of_group(name, group, now))),
    }
    reasons.extend(health.closed.iter().map(|closed| {
        let text =
            format!("the provider wants no requests for {} until {}", closed.lane, closed.closed_until);
        passes(text, format!("tributary limits list --provider {name}"))
    }));
    if health.quarantined > 0 {
        let text = format!("{} records are in quarantine, and Formance has none of them", health.quarantined);
        reasons.push(lasts(text, format!("tributary quarantine groups --provider {name}")));
    }
    reasons.extend(health.feeds.iter().flat_map(|feed| of_feed(name, feed, now)));
    if health.consumers.is_empty() {
        let text = "nobody has polled yet: install the connector, as docs/formance.md says".to_owned();
        reasons
            .push(lasts(text, format!("tributary formance install-config --provider {name} --endpoint URL")));
    }
    reasons.extend(health.consumers.iter().filter_map(|consumer| of_consumer(name, consumer)));
    reasons
}

fn lasts(text: String, command: String) -> Reason {
    Reason { text, lasts: true, command }
}

fn passes(text: String, command: String) -> Reason {
    Reason { text, lasts: false, command }
}

fn of_group(provider: &ProviderName, group: &GroupHealth, now: DateTime<Utc>) -> Option<Reason> {
    let name = &group.state.group;
    let age = group.last_success.map(|at| (now - at).as_seconds_f64());
    let late = |age: f64| group.period.is_some_and(|period| age > PERIODS * period);
    let runs = || format!("tributary runs --provider {provider}");
    match (group.state.failures, age) {
        (failures @ 1.., _) => Some(Reason {
            text: format!("the last {failures} runs of {name} failed"),
            lasts: group.breaker_is_open() || age.is_none_or(late),
            command: runs(),
        }),
        (_, None) => Some(passes(format!("{name} was never read to its end"), runs())),
        (_, Some(age)) if late(age) => {
            let text = format!("{name} was read {} ago, later than its schedule", length(age));
            Some(lasts(text, format!("tributary sync {provider}")))
        }
        _ => None,
    }
}

fn of_feed(provider: &ProviderName, feed: &FeedHealth, now: DateTime<Utc>) -> Vec<Reason> {
    let name = feed.feed.as_str();
    let runs = || format!("tributary runs --provider {provider}");
    let mut reasons = Vec::new();
    if feed.clock_behind > CLOCK_BEHIND {
        let behind = length(feed.clock_behind);
        let text = format!("nothing of {name} is published: the database's clock is {behind} behind");
        reasons.push(lasts(text, "timedatectl status, where the database runs".to_owned()));
    }
    if feed.head.as_ref().is_some_and(|head| head.awaits_first_sync) {
        reasons.push(passes(format!("{name} are published when the first sync has ended"), runs()));
    }
    let Some(backlog) = &feed.backlog else { return reasons };
    if let Some(oldest) = backlog.oldest {
        let waits = (now - oldest).as_seconds_f64();
        reasons.push(Reason {
            text: format!("about {} changes of {name} wait to be published", backlog.queued.max(1)),
            lasts: waits > PUBLISHED_WITHIN && reasons.is_empty(),
            command: "tributary health".to_owned(),
        });
    }
    if backlog.without_parent > 0 {
        let text = format!("{} of {name} wait for the payment that they belong to", backlog.without_parent);
        reasons.push(passes(text, runs()));
    }
    reasons
}

fn of_consumer(provider: &ProviderName, consumer: &Consumer) -> Option<Reason> {
    let Consumer { key, feed, lag_entries, lag_seconds, period_seconds, silent, .. } = consumer;
    let command = format!("tributary consumers --provider {provider}");
    if *silent {
        return Some(lasts(format!("{key} has not polled {feed} for two of its periods"), command));
    }
    (*lag_entries > 0).then(|| Reason {
        text: format!("{key} has not been served {lag_entries} entries of {feed}"),
        lasts: period_seconds.is_some_and(|period| *lag_seconds > PERIODS * period),
        command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::changes::Backlog;
    use crate::store::leases::GroupState;
    use tributary_domain::FeedName;

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn before(seconds: i64) -> DateTime<Utc> {
        now() - chrono::TimeDelta::seconds(seconds)
    }

    fn consumer() -> Consumer {
        Consumer {
            provider: "acme".into(),
            feed: "transactions".into(),
            key: "key:formance".into(),
            asked_from: None,
            position: 7,
            position_at: Some(before(60)),
            head_position: 7,
            head_at: Some(before(60)),
            first_polled_at: before(600),
            polled_at: before(1),
            caught_up_at: Some(before(1)),
            begun_at: Some(before(1)),
            polls: 9,
            pages: 9,
            period_seconds: Some(10.0),
            lag_entries: 0,
            lag_seconds: 0.0,
            silent: false,
        }
    }

    /// What is otherwise than [`well`].
    type Change = fn(&mut Health);

    /// A provider of which Formance has everything.
    fn well() -> Health {
        let state = GroupState {
            group: "payments".into(),
            failures: 0,
            paused: false,
            paused_until: None,
            holder: None,
        };
        Health {
            pause: None,
            name: "acme".parse().unwrap(),
            groups: vec![GroupHealth {
                state,
                streams: vec!["payments".into()],
                period: Some(60.0),
                last_success: Some(before(30)),
                running: None,
            }],
            feeds: FeedName::ALL
                .map(|feed| FeedHealth { feed, head: None, backlog: None, clock_behind: 0.0 })
                .into(),
            consumers: vec![consumer()],
            quarantined: 0,
            payments: vec![],
            closed: vec![],
        }
    }

    fn verdict(change: impl FnOnce(&mut Health)) -> (Verdict, String) {
        let mut health = well();
        change(&mut health);
        let reasons = reasons(&health, now());
        (on(&reasons), reasons.into_iter().map(|reason| reason.text).collect::<Vec<_>>().join("; "))
    }

    fn backlog(oldest: i64) -> Option<Backlog> {
        let (provider, resource) = ("acme".into(), "accounts".into());
        Some(Backlog { provider, resource, queued: 3, oldest: Some(before(oldest)), without_parent: 0 })
    }

    #[test]
    fn formance_is_up_to_date_only_where_every_step_is() {
        assert_eq!(verdict(|_| ()), (Verdict::UpToDate, String::new()));
        use Verdict::{Behind, CatchingUp};
        let cases: [(Change, Verdict, &str); 12] = [
            (|h| h.groups[0].last_success = Some(before(181)), Behind, "read 3 min ago"),
            (|h| h.groups[0].last_success = None, CatchingUp, "never read"),
            (|h| h.groups[0].state.failures = 1, CatchingUp, "last 1 runs of payments failed"),
            (
                |h| {
                    h.groups[0].state.failures = 1;
                    h.groups[0].last_success = None;
                },
                Behind,
                "failed",
            ),
            (|h| h.quarantined = 2, Behind, "2 records are in quarantine"),
            (|h| h.feeds[0].backlog = backlog(5), CatchingUp, "about 3 changes of accounts"),
            (|h| h.feeds[0].backlog = backlog(61), Behind, "about 3 changes of accounts"),
            (|h| h.feeds[0].clock_behind = 3.0, Behind, "clock is 3 s behind"),
            (|h| h.consumers.clear(), Behind, "nobody has polled"),
            (|h| h.consumers[0].silent = true, Behind, "has not polled"),
            (|h| h.consumers[0].lag_entries = 4, CatchingUp, "not been served 4 entries"),
            (
                |h| {
                    h.consumers[0].lag_entries = 4;
                    h.consumers[0].lag_seconds = 31.0;
                },
                Behind,
                "not been served 4 entries",
            ),
        ];
        for (change, expected, said) in cases {
            let (verdict, text) = verdict(change);
            assert!(verdict == expected && text.contains(said), "{said}: {verdict:?} {text}");
        }
    }

    #[test]
    fn a_group_that_is_read_only_when_somebody_asks_is_never_late() {
        let (verdict, text) = verdict(|health| {
            health.groups[0].period = None;
            health.groups[0].last_success = Some(before(1_000_000));
        });
        assert_eq!((verdict, text.as_str()), (Verdict::UpToDate, ""));
    }
}
