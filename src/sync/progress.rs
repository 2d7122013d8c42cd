//! How far the current run has come, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of the runs of one provider since the process started.
#[derive(Debug, Default)]
pub struct SyncProgress {
    records: AtomicU64,
    requests: AtomicU64,
    runs: AtomicU64,
}

impl SyncProgress {
    pub(super) fn add_records(&self, count: u64) {
        self.records.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_requests(&self, count: u64) {
        self.requests.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }

    /// Records committed, unchanged ones included.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Requests that committed pages reported.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Runs of a group that ended, well or not.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }
}
