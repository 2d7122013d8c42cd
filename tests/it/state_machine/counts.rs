//! How often what was meant to happen really did.

use std::collections::BTreeMap;

/// What histories did, all together.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub histories: u64,
    /// Versions that a consumer got and that were compared with what was acknowledged.
    pub versions: u64,
    /// Payments that Formance's storage was compared with the provider's ledger for.
    pub payments: u64,
    /// Faults that really happened, and calls that failed for them.
    fired: BTreeMap<&'static str, u64>,
}

/// Everything that a run has to have met.
const KINDS: [&str; 15] = [
    "balances_asked",
    "balances_held_between_answers",
    "balances_late",
    "balances_together",
    "clock_back",
    "clock_forward",
    "full_page_kept",
    "killed_in_transaction",
    "late_snapshot",
    "overlapping_sync",
    "publisher_terminated",
    "rolled_back",
    "server_terminated",
    "two_publishers_at_work",
    "writer_terminated",
];

impl Counts {
    /// Something happened `times` more times.
    pub fn fire(&mut self, kind: &'static str, times: u64) {
        *self.fired.entry(kind).or_default() += times;
    }

    pub fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.versions += other.versions;
        self.payments += other.payments;
        for (kind, times) in &other.fired {
            self.fire(kind, *times);
        }
    }

    pub fn print(&self) {
        println!(
            "histories run: {}; versions checked: {}; payments checked against the ledger: {}",
            self.histories, self.versions, self.payments
        );
        for (kind, times) in &self.fired {
            println!("faults fired: {kind} {times}");
        }
    }

    /// A run that did not meet everything proves nothing of what it did not meet.
    pub fn check(&self) {
        let absent: Vec<_> =
            KINDS.iter().filter(|kind| self.fired.get(*kind).is_none_or(|times| *times == 0)).collect();
        assert!(absent.is_empty() && self.versions > 0 && self.payments > 0, "never happened: {absent:?}");
    }
}
