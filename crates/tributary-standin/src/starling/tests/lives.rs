use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::starling::{Faults, ManualClock, Status, Version};

/// Which status may follow which; `None` stands for birth.
fn may_follow(before: Option<Status>, after: Status) -> bool {
    use Status::*;
    matches!(
        (before, after),
        (None, Upcoming | Pending | Declined | Settled)
            | (Some(Upcoming), Pending | Declined)
            | (Some(Pending), Settled | Declined | Reversed)
            | (Some(Settled), Refunded | Reversed)
    )
}

fn versions(ledger: &Ledger) -> impl Iterator<Item = &Version> {
    ledger.items.iter().flat_map(|item| &item.versions)
}

fn assert_lives_are_possible(ledger: &Ledger) {
    for item in &ledger.items {
        let mut before: Option<Version> = None;
        for version in &item.versions {
            assert!(may_follow(before.map(|before| before.status), version.status), "{item:?}");
            assert!(before.is_none_or(|before| before.updated_at < version.updated_at), "{item:?}");
            before = Some(*version);
        }
        assert_eq!(before, Some(Version { status: item.status, updated_at: item.updated_at }));
        assert!(item.amount_minor > 0);
        assert!(item.transaction_time <= item.versions[0].updated_at);
        let settled = item.versions.iter().find(|version| version.status == Status::Settled);
        assert_eq!(item.settled_at.is_some(), settled.is_some());
        if let (Some(at), Some(version)) = (item.settled_at, settled) {
            assert!((item.transaction_time..=version.updated_at).contains(&at), "{item:?}");
        }
    }
}

#[test]
fn every_item_leads_a_possible_life_and_every_status_occurs() {
    let bank = bank();
    assert_lives_are_possible(&bank.ledger());
    bank.tick(2_000);
    let ledger = bank.ledger();
    assert_lives_are_possible(&ledger);
    let statuses: BTreeSet<_> = ledger.items.iter().map(|item| item.status.as_str()).collect();
    let all = ["DECLINED", "PENDING", "REFUNDED", "REVERSED", "SETTLED", "UPCOMING"];
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn the_history_lies_within_its_days_and_never_in_the_future() {
    let ledger = open(StarlingConfig { items: 20_000, history_days: 1, ..config() }).ledger();
    let first = noon() - Duration::from_secs(86_400 + 60);
    assert!(versions(&ledger).all(|version| (first..=noon()).contains(&version.updated_at)));
    assert!(ledger.accounts.iter().all(|account| account.created_at < first));
}

#[test]
fn each_change_has_its_own_updated_at_unless_ties_are_asked_for() {
    let bank = bank();
    bank.tick(1_000);
    let ledger = bank.ledger();
    let distinct: BTreeSet<_> = versions(&ledger).map(|version| version.updated_at).collect();
    assert_eq!(distinct.len(), versions(&ledger).count());

    let tied = open(StarlingConfig { ties: 50, items: 20_000, ..config() }).ledger();
    assert_lives_are_possible(&tied);
    let distinct: BTreeSet<_> = versions(&tied).map(|version| version.updated_at).collect();
    let run = versions(&tied).count() / distinct.len();
    assert!((30..=50).contains(&run), "{run} changes share one updatedAt on average");
}

#[test]
fn ticks_are_dated_by_the_clock_and_only_ever_later() {
    let clock = ManualClock::new(noon());
    let bank = open(StarlingConfig { clock: Clock::Manual(clock.clone()), ..config() });
    let latest = |bank: &Starling| versions(&bank.ledger()).map(|version| version.updated_at).max().unwrap();
    let opened = latest(&bank);
    clock.advance(Duration::from_secs(3_600));
    bank.tick(1);
    let an_hour_on = noon() + Duration::from_secs(3_600);
    assert_eq!(latest(&bank), an_hour_on);
    assert!(opened <= noon());
    bank.tick(100);
    assert_eq!(latest(&bank), an_hour_on + Duration::from_millis(100), "without time passing, 1 ms each");
}

#[test]
fn ties_of_a_tick_are_as_long_as_asked_for_and_never_hit_one_item_twice() {
    let clock = ManualClock::new(noon());
    let bank = open(StarlingConfig { clock: Clock::Manual(clock.clone()), ..config() });
    clock.advance(Duration::from_secs(1));
    bank.set_faults(Faults { ties: 25, ..Faults::default() });
    bank.tick(510);
    let ledger = bank.ledger();
    assert_lives_are_possible(&ledger);
    let mut runs = BTreeMap::new();
    for version in versions(&ledger).filter(|version| version.updated_at > noon()) {
        *runs.entry(version.updated_at).or_insert(0) += 1;
    }
    let lengths: Vec<_> = runs.into_values().collect();
    assert_eq!(lengths, [vec![25; 20], vec![10]].concat());
    assert_eq!(bank.fired().ties, 20 * 24 + 9);
    assert!(ledger.items[..2_000].iter().any(|item| item.updated_at > noon()), "moves are tied too");
}
