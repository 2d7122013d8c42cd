//! Whether Formance's loops get what the list holds: all of it, once, and at what cost.

use std::collections::{HashMap, HashSet};

use super::Tally;
use crate::catalogue::Check;
use crate::evidence::List;
use crate::finding::Finding;
use crate::options::Options;
use crate::polls::{Ending, Polled};
use crate::reading::{ServedRow, version_key};
use crate::text::{count, grouped};
use tributary_formance::GoTime;

pub fn drains(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::LoopDrains;
    for polled in &list.polled {
        let (Ending::Stuck(why) | Ending::GaveUp(why)) = &polled.ending else { continue };
        let got = count(polled.got.len(), "row");
        let seen = format!("{} does not get beyond {got}: {why}", polled.form);
        return Some(Finding::fail(check, list.subject(), seen));
    }
    let polls: u32 = list.polled.iter().map(|polled| polled.polls).sum();
    Some(Finding::ok(check, list.subject(), format!("{} of both forms", count(polls as usize, "poll"))))
}

pub fn nothing_lost(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::NothingLost;
    let all: Vec<&ServedRow> = list.walk.rows.iter().chain(&list.rewalk.new).collect();
    if all.is_empty() {
        return Some(Finding::skipped(check, list.subject(), "there are no rows"));
    }
    let losses = list.polled.iter().filter_map(|polled| lost(list, polled, &all));
    if let Some((_, finding)) = losses.max_by_key(|(rows, _)| *rows) {
        return Some(finding);
    }
    let done = |polled: &Polled| matches!(polled.ending, Ending::Drained | Ending::Truncated);
    Some(match list.polled.iter().all(done) {
        true => Finding::ok(
            check,
            list.subject(),
            format!("{}, with both forms of the loop", count(all.len(), "row")),
        ),
        false => Finding::skipped(check, list.subject(), "a loop does not get to the end (loop-drains)"),
    })
}

/// What one loop never gets, with how many rows that is.
fn lost(list: &List, polled: &Polled, all: &[&ServedRow]) -> Option<(usize, Finding)> {
    let times: HashSet<GoTime> = polled.got.keys().map(|key| key.at).collect();
    let late: HashSet<_> = late_rows(list).filter_map(ServedRow::ok).map(version_key).collect();
    let mut reasons: HashMap<&str, usize> = HashMap::new();
    let mut tally = Tally::default();
    for seen in all {
        let Some(key) = seen.ok().map(version_key).filter(|key| polled.has_missed(key)) else { continue };
        let reason = if late.contains(&key) {
            "became visible below its watermark"
        } else if times.contains(&key.at) {
            "share their timestamp with a row that it got"
        } else if key.at > polled.watermark {
            "lie behind what it takes for the end"
        } else {
            "were passed over between two pages"
        };
        *reasons.entry(reason).or_default() += 1;
        tally.add(seen, || seen.name());
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(reason, rows)| (std::cmp::Reverse(*rows), *reason));
    let reasons: Vec<_> =
        reasons.iter().map(|(reason, rows)| format!("{} {reason}", grouped(*rows))).collect();
    let rows = tally.count;
    let finding = tally.finding(|lost, first| {
        let (form, total, why) = (polled.form, count(all.len(), "row"), reasons.join(", "));
        let seen = format!("{form} never gets {} of {total}: {why}; the first is {first}", grouped(lost));
        Finding::fail(Check::NothingLost, list.subject(), seen)
    })?;
    Some((rows, finding))
}

/// Rows that the second walk found at or below what the first had already seen.
fn late_rows(list: &List) -> impl Iterator<Item = &ServedRow> {
    let served = list.rows().map(|row| row.watermark).max();
    let below =
        move |seen: &&ServedRow| seen.ok().is_some_and(|row| served.is_some_and(|at| row.watermark <= at));
    list.rewalk.new.iter().filter(below)
}

pub fn late(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::LateRows;
    let mut tally = Tally::default();
    let served = list.rows().map(|row| row.watermark).max().unwrap_or_default();
    for seen in late_rows(list) {
        tally.add(seen, || format!("{} was not there when {served} was served", seen.name()));
    }
    let found = tally.finding(|rows, first| {
        Finding::fail(check, list.subject(), format!("{} came too late: {first}", count(rows, "row")))
    });
    Some(found.unwrap_or_else(|| match list.rewalk.new.len() {
        0 => Finding::skipped(
            check,
            list.subject(),
            "nothing changed during the run; watch longer (--watch 10m)",
        ),
        new => {
            Finding::ok(check, list.subject(), format!("{} came meanwhile, in order", count(new, "new row")))
        }
    }))
}

pub fn once(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::DeliveredOnce;
    for polled in &list.polled {
        let Some(first) = &polled.twice else { continue };
        let rows = polled.got.values().filter(|times| **times > 1).count();
        let seen =
            format!("{} gets {} more than once, such as {:?}", polled.form, count(rows, "row"), first.id);
        return Some(Finding::warning(check, list.subject(), seen));
    }
    Some(match list.polled.iter().map(|polled| polled.got.len()).max() {
        None | Some(0) => Finding::skipped(check, list.subject(), "no row came"),
        Some(rows) => Finding::ok(check, list.subject(), count(rows, "row")),
    })
}

/// Rows below which the requests that every poll needs hide the cost of a row.
const ROWS_TO_TELL_COST: usize = 200;

pub fn cost(list: &List, _: &Options) -> Option<Finding> {
    let check = Check::DrainCost;
    let told = list.polled.iter().filter(|polled| polled.first.1 >= ROWS_TO_TELL_COST);
    // in hundredths of a request for 100 rows
    let cost = |polled: &Polled| polled.first.0 * 10_000 / polled.first.1 as u64;
    let Some(worst) = told.max_by_key(|polled| cost(polled)) else {
        let few = format!("fewer than {ROWS_TO_TELL_COST} rows came at once");
        return Some(Finding::skipped(check, list.subject(), few));
    };
    let (requests, rows) = worst.first;
    let hundredths = cost(worst);
    let seen = format!(
        "{}.{:02} requests per 100 rows: {} for {} with {}",
        hundredths / 100,
        hundredths % 100,
        grouped(requests as usize),
        count(rows, "row"),
        worst.form
    );
    Some(match hundredths {
        0..=300 => Finding::ok(check, list.subject(), seen),
        301..=1_000 => Finding::warning(check, list.subject(), seen),
        _ => Finding::fail(check, list.subject(), seen),
    })
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
