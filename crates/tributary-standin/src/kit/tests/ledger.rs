//! The ledger lives, and the same seed gives the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use tributary_domain::Status;

#[test]
fn the_same_seed_and_steps_give_the_same_ledger_and_another_seed_another() {
    let truth = |seed| {
        let (standin, clock) = {
            let clock = ManualClock::new(noon());
            let config = StandinConfig { seed, clock: Clock::Manual(clock.clone()), ..config() };
            (Standin::new(&Mercury, config).unwrap(), clock)
        };
        for _ in 0..5 {
            clock.advance(Duration::from_secs(60));
            standin.advance(30);
        }
        standin.truth()
    };
    let first = truth(1);
    assert_eq!(first, truth(1));
    assert_ne!(first, truth(2));
    assert!(first.transactions.len() > 400);
}

#[test]
fn every_way_through_life_is_taken_and_versions_ascend() {
    let standin = open(&Mercury);
    standin.advance(2_000);
    let view = standin.view();
    let statuses: BTreeSet<_> = view.items.iter().map(|item| item.current().status).collect();
    assert_eq!(
        statuses.into_iter().collect::<Vec<_>>(),
        ["blocked", "cancelled", "failed", "pending", "reversed", "sent"]
    );
    for item in &view.items {
        assert!(item.versions.is_sorted_by(|a, b| a.at_us < b.at_us), "{}", item.id());
        assert!(item.amount_minor > 0);
    }
    let created: BTreeMap<i64, usize> =
        view.items.iter().map(|item| (item.created_at_us(), item.number)).collect();
    assert!(created.values().is_sorted(), "later records have later times");
    let truth = standin.truth();
    let reversed = truth.transactions.values().find(|one| one.status == Status::Refunded).unwrap();
    assert!(reversed.passed.ends_with(&[Status::Succeeded, Status::Refunded]));
}

#[test]
fn the_past_ends_before_now_and_ties_where_asked() {
    let open = |ties| Standin::new(&Mercury, StandinConfig { ties, ..config() }).unwrap();
    let times = |standin: &Standin| -> Vec<i64> {
        let view = standin.view();
        view.items.iter().flat_map(|item| item.versions.iter().map(|version| version.at_us)).collect()
    };
    let apart = times(&open(1));
    let distinct: BTreeSet<_> = apart.iter().collect();
    assert_eq!(distinct.len(), apart.len());
    assert!(apart.iter().all(|&at_us| at_us <= noon().timestamp_micros()));
    let tied = times(&open(10));
    let distinct: BTreeSet<_> = tied.iter().collect();
    assert!(distinct.len() * 3 < tied.len(), "{} of {}", distinct.len(), tied.len());
}

/// When all changes after [`noon`] happened.
fn times_after_noon(standin: &Standin) -> Vec<i64> {
    let view = standin.view();
    let versions = view.items.iter().flat_map(|item| item.versions.iter().map(|version| version.at_us));
    let mut times: Vec<_> = versions.filter(|&at_us| at_us > noon().timestamp_micros()).collect();
    times.sort_unstable();
    times
}

#[test]
fn changes_are_dated_by_the_clock_and_only_ever_later() {
    let (standin, clock) = open_with_clock(&Mercury);
    clock.advance(Duration::from_secs(3_600));
    standin.advance(100);
    let first_us = noon().timestamp_micros() + 3_600_000_000;
    let times = times_after_noon(&standin);
    assert!(times.len() >= 100);
    // without time passing, a millisecond each
    let expected: Vec<i64> = (0..times.len()).map(|n| first_us + n as i64 * 1_000).collect();
    assert_eq!(times, expected);
}

#[test]
fn changes_tie_in_runs_as_long_as_asked_for_that_never_hit_one_record_twice() {
    let (standin, clock) = open_with_clock(&Mercury);
    clock.advance(Duration::from_secs(1));
    standin.set_faults(Faults { ties: 25, ..Faults::default() });
    standin.advance(510);
    let times = times_after_noon(&standin);
    let runs: Vec<usize> = times.chunk_by(|a, b| a == b).map(<[i64]>::len).collect();
    let (last, whole) = runs.split_last().unwrap();
    assert!(whole.len() >= 20 && whole.iter().all(|&run| run == 25) && *last <= 25, "{runs:?}");
    assert_eq!(standin.fired().ties, (times.len() - runs.len()) as u64);
    for item in &standin.view().items {
        assert!(item.versions.is_sorted_by(|a, b| a.at_us < b.at_us), "{}", item.id());
    }
}

#[tokio::test]
async fn changes_go_on_in_the_background_until_aborted() {
    let standin = open(&Mercury);
    let versions = || standin.view().items.iter().map(|item| item.versions.len()).sum::<usize>();
    let at_first = versions();
    let changes = spawn_changes(Arc::clone(&standin), Duration::from_millis(1), 10);
    let grown = async {
        while versions() < at_first + 30 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), grown).await.unwrap();
    changes.abort();
    assert!(changes.await.unwrap_err().is_cancelled());
}

#[test]
fn a_stand_in_that_cannot_be_is_refused() {
    let open = |config| Standin::new(&Mercury, config).err();
    assert_eq!(open(StandinConfig { token: String::new(), ..config() }), Some(ConfigError::EmptyToken));
    assert_eq!(open(StandinConfig { accounts: 0, ..config() }), Some(ConfigError::NoAccounts));
    let too_many = StandinConfig { items: 10_000_001, ..config() };
    assert_eq!(open(too_many), Some(ConfigError::TooManyItems(10_000_001)));
    assert_eq!(open(StandinConfig { history_days: 0, ..config() }), Some(ConfigError::HistoryDays(0)));
}
