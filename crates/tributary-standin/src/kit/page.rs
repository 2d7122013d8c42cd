//! Cutting lists into pages.

use std::ops::Range;

use super::Standin;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The rows, as positions in the whole list.
    pub rows: Range<usize>,
    /// Where the next page starts, if one follows (or if the fault in force says so).
    pub next: Option<usize>,
}

impl Standin {
    /// The page that starts at `start` of a list of `all` rows, whose answer names the next page:
    /// so it may be short, and the last one may name itself.
    pub fn named_page(&self, path: &str, all: usize, start: usize, limit: usize) -> Page {
        let start = start.min(all);
        let end = all.min(start.saturating_add(limit));
        let rows = start..end;
        if end == all {
            let again = start > 0 && !rows.is_empty() && self.faults.repeats_last(path);
            return Page { rows, next: again.then_some(start) };
        }
        if rows.len() > 1 && self.faults.shortens(path) {
            let end = start + rows.len() / 2;
            return Page { rows: start..end, next: Some(end) };
        }
        Page { rows, next: Some(end) }
    }

    /// The page that starts at `start` of a list of `all` rows, where clients count for
    /// themselves: every page but the last is full. Past the end, the last page may come again.
    pub fn counted_page(&self, path: &str, all: usize, start: usize, limit: usize) -> Page {
        if start >= all && all > 0 && self.faults.repeats_last(path) {
            return Page { rows: (all - 1) / limit * limit..all, next: None };
        }
        let start = start.min(all);
        let end = all.min(start.saturating_add(limit));
        Page { rows: start..end, next: (end < all).then_some(end) }
    }
}
