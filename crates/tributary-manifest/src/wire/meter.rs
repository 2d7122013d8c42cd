//! Counts the requests of one run, also where other runs share its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static SENT: Arc<AtomicU64>;
}

/// Runs `work` with a count of its own, from 0 on.
pub async fn counted<T>(work: impl Future<Output = T>) -> T {
    SENT.scope(Arc::default(), work).await
}

/// Counts what `work` sends for whoever is counting now, also where it becomes a task of its own.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let counted = SENT.try_with(Arc::clone).unwrap_or_default();
    SENT.scope(counted, work)
}

/// Tells that a request is sent.
pub fn request_sent() {
    // outside of a run nobody counts
    let _ = SENT.try_with(|sent| sent.fetch_add(1, Ordering::Relaxed));
}

/// The requests of the run that asks; `None` outside of one.
pub fn sent() -> Option<u64> {
    SENT.try_with(|sent| sent.load(Ordering::Relaxed)).ok()
}
