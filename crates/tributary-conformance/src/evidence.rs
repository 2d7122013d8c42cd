//! What was gathered of one list, for the checks to judge.

use super::polls::{Ending, Polled};
use super::rewalk::Rewalk;
use super::walk::Walk;
use tributary_formance::{Kind, Row};

/// Everything that is known of a list.
#[derive(Debug)]
pub struct List {
    /// Which list.
    pub kind: Kind,
    /// What it held in the middle of the run.
    pub walk: Walk,
    /// What it held near the end, against the first walk.
    pub rewalk: Rewalk,
    /// What each form of Formance's loop got, from the start of the run to its very end.
    pub polled: Vec<Polled>,
}

impl List {
    /// Its name in findings.
    pub fn subject(&self) -> &'static str {
        self.kind.as_str()
    }

    /// The rows that Formance would take, in order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.walk.rows.iter().filter_map(|seen| seen.ok())
    }

    /// Whether a bound of this run cut it short.
    pub fn is_truncated(&self) -> bool {
        self.walk.truncated || self.polled.iter().any(|polled| polled.ending == Ending::Truncated)
    }
}
