//! Judges the evidence of a list. One function a check; none of them asks anything.

mod delivery;
mod paging;
mod payments;
mod rows;
mod times;
mod versions;

#[cfg(test)]
mod fixtures;

use super::evidence::List;
use super::finding::Finding;
use super::options::Options;
use super::reading::ServedRow;

/// A check of one list; `None` where it does not concern that list.
type ListCheck = fn(&List, &Options) -> Option<Finding>;

const LIST_CHECKS: &[ListCheck] = &[
    rows::lists_answer,
    rows::decoded,
    rows::stored,
    paging::short_page,
    paging::past_the_end,
    paging::stable,
    times::ascend,
    times::crowded,
    times::clock,
    versions::distinct,
    payments::created_at_kept,
    payments::created_at_ascends,
    payments::type_kept,
    payments::parent_first,
    payments::child_type,
    delivery::drains,
    delivery::nothing_lost,
    delivery::late,
    delivery::once,
    delivery::cost,
];

/// What all checks say of a list.
pub fn judge(list: &List, options: &Options) -> Vec<Finding> {
    LIST_CHECKS.iter().filter_map(|check| check(list, options)).collect()
}

/// How often something was seen, and where first.
#[derive(Default)]
struct Tally {
    count: usize,
    first: Option<(String, String)>,
}

impl Tally {
    /// Counts; `what` says it in a sentence.
    fn add(&mut self, seen: &ServedRow, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((what(), seen.literal.clone()));
        }
    }

    /// The first one, put into a finding that `judge` makes of the count and the sentence.
    fn finding(self, judge: impl FnOnce(usize, &str) -> Finding) -> Option<Finding> {
        let (what, literal) = self.first?;
        Some(judge(self.count, &what).with_example(literal))
    }
}
