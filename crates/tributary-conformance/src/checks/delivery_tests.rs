use super::super::fixtures::{transaction, transactions};
use super::*;
use crate::finding::Verdict;
use crate::reading::VersionKey;
use tributary_formance::GoTime;

/// Transactions under the seconds `served`; the loop got those of `got`, and stands at the last.
fn list(served: &[i64], got: &[i64]) -> List {
    let row = |at: &i64| transaction(&format!("t{at}"), *at, "PENDING");
    let mut list = transactions(&served.iter().map(row).collect::<Vec<_>>());
    let polled = &mut list.polled[0];
    polled.got = got.iter().map(|at| (key(*at), 1)).collect();
    polled.watermark = GoTime::from_unix(got.iter().copied().max().unwrap_or_default(), 0);
    list
}

fn key(at: i64) -> VersionKey {
    let list = transactions(&[transaction(&format!("t{at}"), at, "PENDING")]);
    version_key(list.rows().next().unwrap())
}

fn judge(check: fn(&List, &Options) -> Option<Finding>, list: &List) -> (Verdict, String) {
    let finding = check(list, &Options::default()).unwrap();
    (finding.verdict, finding.seen)
}

#[test]
fn what_the_walk_has_and_the_loop_never_got_is_lost() {
    assert_eq!(judge(nothing_lost, &list(&[1, 2, 3], &[1, 2, 3])).0, Verdict::Ok);
    let (verdict, seen) = judge(nothing_lost, &list(&[1, 2, 3], &[1, 3]));
    assert_eq!(verdict, Verdict::Fail);
    assert!(seen.contains("never gets 1 of 3 rows: 1 were passed over"), "{seen}");
    let (_, seen) = judge(nothing_lost, &list(&[1, 2, 3], &[1]));
    assert!(seen.contains("2 lie behind what it takes for the end"), "{seen}");
    assert_eq!(judge(nothing_lost, &list(&[], &[])).0, Verdict::Skipped);
}

#[test]
fn what_a_stopped_loop_may_still_get_is_not_lost() {
    let mut list = list(&[1, 2, 3, 4], &[1, 3]);
    list.polled[0].ending = Ending::Truncated;
    let (verdict, seen) = judge(nothing_lost, &list);
    assert!(verdict == Verdict::Fail && seen.contains("never gets 1 of 4"), "{seen}");
    list.polled[0].got.insert(key(2), 1);
    assert_eq!(judge(nothing_lost, &list).0, Verdict::Ok);
    list.polled[0].ending = Ending::Stuck("GET /transactions: status 500".into());
    assert_eq!(judge(nothing_lost, &list).0, Verdict::Skipped);
    let (verdict, seen) = judge(drains, &list);
    assert!(verdict == Verdict::Fail && seen.contains("beyond 3 rows: GET /transactions"), "{seen}");
}

#[test]
fn a_row_below_what_was_served_came_too_late() {
    let mut list = list(&[1, 3], &[1, 3, 4]);
    assert_eq!(judge(late, &list).0, Verdict::Skipped, "nothing changed");
    list.rewalk.new = transactions(&[transaction("t4", 4, "PENDING")]).walk.rows;
    assert_eq!(judge(late, &list).0, Verdict::Ok);
    assert_eq!(judge(nothing_lost, &list).0, Verdict::Ok);
    list.rewalk.new = transactions(&[transaction("t2", 2, "PENDING")]).walk.rows;
    assert_eq!(judge(late, &list).0, Verdict::Fail);
    let (verdict, seen) = judge(nothing_lost, &list);
    assert!(verdict == Verdict::Fail && seen.contains("became visible below its watermark"), "{seen}");
}

#[test]
fn a_row_that_comes_twice_warns() {
    let mut list = list(&[1], &[1]);
    assert_eq!(judge(once, &list).0, Verdict::Ok);
    list.polled[0].got.insert(key(1), 2);
    list.polled[0].twice = Some(key(1));
    assert_eq!(judge(once, &list).0, Verdict::Warning);
}

#[test]
fn cost_warns_above_3_and_fails_above_10_requests_per_100_rows() {
    let verdict = |requests, rows| {
        let mut list = list(&[1], &[1]);
        list.polled[0].first = (requests, rows);
        judge(cost, &list).0
    };
    assert_eq!(verdict(600, 199), Verdict::Skipped);
    assert_eq!(verdict(6, 200), Verdict::Ok);
    assert_eq!(verdict(31, 1_000), Verdict::Warning);
    assert_eq!(verdict(100, 1_000), Verdict::Warning);
    assert_eq!(verdict(101, 1_000), Verdict::Fail);
}
