//! One run against a provider's API.

use sqlx::PgPool;

use super::Progress;
use super::sink::DatabaseSink;
use crate::domain::{FeedName, ProviderName};
use crate::provider::{Connection, RunError};
use crate::store::{StoreError, Tally, feeds, sync_runs};

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOutcome {
    /// Another instance is at it.
    Elsewhere,
    /// Everything was read.
    Succeeded { tally: Tally, quarantined: u64, requests: u64 },
    /// Some of it could not be read, or not be kept; the rest is committed.
    Failed { tally: Tally, error: String },
}

/// Reads everything once, unless another instance is at it. A run that is dropped leaves
/// behind what it committed, and the next one goes on from there.
pub async fn run_once(
    pool: &PgPool,
    provider: &ProviderName,
    connection: &Connection,
    progress: &Progress,
) -> Result<RunOutcome, StoreError> {
    // detached, so that dropping it ends the session and its lock whatever happens
    let mut lock = pool.acquire().await?.detach();
    if !sync_runs::try_lock(&mut lock, provider).await? {
        return Ok(RunOutcome::Elsewhere);
    }
    let run = sync_runs::begin(&mut lock, provider).await?;
    let mut sink = DatabaseSink::new(pool, provider, run, connection, progress);
    let result = connection.run(&mut sink).await;
    let (tally, quarantined) = (sink.tally, sink.quarantined);
    progress.add_run();
    for feed in [FeedName::Accounts, FeedName::Beneficiaries] {
        // also when their stream failed: what was read is not held back for what was not
        feeds::release(&mut lock, provider, feed).await?;
    }
    let outcome = match result {
        Ok(report) => {
            sync_runs::finish(pool, run, report.requests, None).await?;
            RunOutcome::Succeeded { tally, quarantined, requests: report.requests }
        }
        Err(error) => {
            let requests = if let RunError::Incomplete(report) = &error { report.requests } else { 0 };
            let error = with_causes(&error);
            sync_runs::finish(pool, run, requests, Some(&error)).await?;
            RunOutcome::Failed { tally, error }
        }
    };
    sync_runs::unlock(&mut lock, provider).await?;
    Ok(outcome)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
