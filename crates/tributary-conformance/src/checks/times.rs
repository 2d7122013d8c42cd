//! Whether timestamps are what a watermark can go by.

use std::collections::{HashMap, HashSet};

use super::Tally;
use crate::catalogue::Check;
use crate::evidence::List;
use crate::finding::Finding;
use crate::options::Options;
use crate::reading::{PAGE_SIZE, ServedRow, version_key};
use crate::text::count;
use tributary_formance::{GoTime, Row};

/// Rows in one second above which it is read more than 3 times for each 100 of them.
const CROWDED: usize = 400;
/// Rows in one second above which every 100 of them cost 50 requests and more.
const OVERCROWDED: usize = 10_000;

/// The rows that Formance would take, each version once however often it was served.
fn versions(list: &List) -> impl Iterator<Item = (&ServedRow, &Row)> {
    let mut known = HashSet::new();
    list.walk
        .rows
        .iter()
        .filter_map(|seen| Some((seen, seen.ok()?)))
        .filter(move |(_, row)| known.insert(version_key(row)))
}

pub fn ascend(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::TimestampsAscend;
    let mut sharing: HashMap<i128, (usize, &ServedRow)> = HashMap::new();
    let mut back = Tally::default();
    let mut last: Option<GoTime> = None;
    for (seen, row) in versions(list) {
        sharing.entry(row.watermark.unix_nanos()).or_insert((0, seen)).0 += 1;
        if let Some(last) = last.filter(|last| row.watermark < *last) {
            back.add(seen, || format!("{} comes after {last}", seen.name()));
        }
        last = Some(row.watermark);
    }
    if sharing.is_empty() {
        return Some(Finding::skipped(check, list.subject(), "there are no rows"));
    }
    let found = back.finding(|times, first| {
        let seen = format!("timestamps go back {}: {first}", count(times, "time"));
        Finding::fail(check, list.subject(), seen)
    });
    let found = found.or_else(|| shared(list, &sharing));
    Some(found.unwrap_or_else(|| {
        Finding::ok(
            check,
            list.subject(),
            format!("{}, each later than the one before", count(sharing.len(), "timestamp")),
        )
    }))
}

fn shared(list: &List, sharing: &HashMap<i128, (usize, &ServedRow)>) -> Option<Finding> {
    let groups = sharing.values().filter(|(rows, _)| *rows > 1);
    let rows: usize = groups.clone().map(|(rows, _)| rows).sum();
    let (largest, example) = groups.max_by_key(|(rows, _)| *rows)?;
    let at = example.ok()?.watermark;
    let loss = match *largest > PAGE_SIZE {
        true => format!("of the {largest} rows at {at}, all beyond the first {PAGE_SIZE} are lost for ever"),
        false => {
            format!("{largest} have {at}; where such a group lies across a cut, its rest is lost for ever")
        }
    };
    let seen = format!("{} share a timestamp with others: {loss}", count(rows, "row"));
    Some(Finding::fail(Check::TimestampsAscend, list.subject(), seen).with_example(&example.literal))
}

pub fn crowded(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::CrowdedSeconds;
    let mut seconds: HashMap<i64, (usize, &ServedRow)> = HashMap::new();
    for (seen, row) in versions(list) {
        seconds.entry(row.watermark.unix_seconds()).or_insert((0, seen)).0 += 1;
    }
    let Some((most, example)) = seconds.into_values().max_by_key(|(rows, _)| *rows) else {
        return Some(Finding::skipped(check, list.subject(), "there are no rows"));
    };
    let second = example.ok()?.watermark.to_utc_seconds();
    let seen = format!("at most {} in one second ({second})", count(most, "row"));
    let finding = match most {
        rows if rows <= CROWDED => return Some(Finding::ok(check, list.subject(), seen)),
        rows if rows <= OVERCROWDED => Finding::warning(check, list.subject(), seen),
        _ => Finding::fail(check, list.subject(), seen),
    };
    Some(finding.with_example(&example.literal))
}

pub fn clock(list: &List, options: &Options) -> Option<Finding> {
    let check = Check::Clock;
    if list.rows().next().is_none() {
        return Some(Finding::skipped(check, list.subject(), "there are no rows"));
    }
    let Some(ahead) = list.walk.ahead.as_ref().filter(|ahead| ahead.by > options.clock_tolerance) else {
        return Some(Finding::ok(check, list.subject(), "no timestamp lies in the future"));
    };
    let seconds = ahead.by.as_secs();
    let finding = match ahead.server_clock {
        true => {
            let seen = format!(
                "a timestamp lies {} ahead of the server's own Date",
                count(seconds as usize, "second")
            );
            Finding::fail(check, list.subject(), seen)
        }
        // without a Date, the two clocks may just differ
        false => {
            let seen = format!(
                "a timestamp lies {} ahead of this machine's clock (the server sends no Date)",
                count(seconds as usize, "second")
            );
            Finding::warning(check, list.subject(), seen)
        }
    };
    Some(finding.with_example(&ahead.literal))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{transaction, transactions};
    use super::*;
    use crate::finding::Verdict;
    use crate::walk::Ahead;
    use std::time::Duration;

    fn at(seconds: &[i64]) -> List {
        let rows: Vec<_> =
            seconds.iter().enumerate().map(|(i, s)| transaction(&i.to_string(), *s, "PENDING")).collect();
        transactions(&rows)
    }

    #[test]
    fn a_timestamp_that_is_shared_or_goes_back_fails() {
        let judge = |seconds: &[i64]| ascend(&at(seconds), &Options::default()).unwrap();
        assert_eq!(judge(&[1, 2, 3]).verdict, Verdict::Ok);
        assert_eq!(judge(&[]).verdict, Verdict::Skipped);
        let back = judge(&[1, 3, 2]);
        assert!(back.verdict == Verdict::Fail && back.seen.contains("go back 1 time"), "{}", back.seen);
        let pair = judge(&[1, 2, 2]);
        assert!(pair.verdict == Verdict::Fail && pair.seen.contains("2 rows share"), "{}", pair.seen);
        let many = judge(&[1; 101]);
        assert!(many.seen.contains("beyond the first 100"), "{}", many.seen);
    }

    #[test]
    fn a_row_that_is_served_twice_does_not_share_its_timestamp_with_itself() {
        let row = transaction("a", 1, "PENDING");
        let list = transactions(&[row.clone(), row]);
        assert_eq!(ascend(&list, &Options::default()).unwrap().verdict, Verdict::Ok);
    }

    #[test]
    fn a_second_is_crowded_above_400_rows() {
        let verdict = |rows: usize| crowded(&at(&vec![7; rows]), &Options::default()).unwrap().verdict;
        assert_eq!(verdict(400), Verdict::Ok);
        assert_eq!(verdict(401), Verdict::Warning);
        assert_eq!(verdict(10_001), Verdict::Fail);
    }

    #[test]
    fn only_the_servers_own_clock_convicts() {
        let mut list = at(&[1]);
        let mut judge = |by: u64, server_clock: bool| {
            list.walk.ahead = Some(Ahead { by: Duration::from_secs(by), literal: "{}".into(), server_clock });
            clock(&list, &Options::default()).unwrap().verdict
        };
        assert_eq!(judge(2, true), Verdict::Ok);
        assert_eq!(judge(3, true), Verdict::Fail);
        assert_eq!(judge(3, false), Verdict::Warning);
    }
}
