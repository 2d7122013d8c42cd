//! Runs a provider's pull again and again.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{DatabaseShared, Progress, RunOutcome, run_once};
use crate::domain::ProviderName;
use crate::provider::{Connection, Manifest, ManifestError};
use crate::store::{StoreError, sync_runs};

/// The longest pause after a run that failed.
const FAILED_PAUSE: Duration = Duration::from_secs(60);

/// Pulls one provider at its manifest's pace.
pub struct Scheduler {
    pool: PgPool,
    provider: ProviderName,
    connection: Connection,
    every: Duration,
    progress: Arc<Progress>,
}

impl Scheduler {
    /// Compiles `manifest`, of which the variables are filled in.
    pub fn new(pool: PgPool, provider: ProviderName, manifest: &Manifest) -> Result<Self, ManifestError> {
        let shared = Arc::new(DatabaseShared::new(pool.clone(), provider.clone()));
        let connection = Connection::with_shared(&provider, manifest, shared)?;
        Ok(Self { pool, provider, connection, every: manifest.every.as_duration(), progress: Arc::default() })
    }

    /// What to watch the runs by.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Runs until `stop`, which interrupts a run where it stands, except for the exchange of a
    /// token.
    pub async fn run(self, stop: CancellationToken) {
        while let Some(pause) = stop.run_until_cancelled(self.run_and_report()).await {
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        self.connection.settled().await;
    }

    /// One run; gives the pause until the next.
    async fn run_and_report(&self) -> Duration {
        let provider = &self.provider;
        let outcome = run_once(&self.pool, provider, &self.connection, &self.progress).await;
        let (label, pause) = match &outcome {
            Ok(RunOutcome::Elsewhere) => ("elsewhere", self.every),
            Ok(RunOutcome::Succeeded { tally, quarantined, requests }) => {
                tracing::info!(%provider, created = tally.created, updated = tally.updated,
                    unchanged = tally.unchanged, quarantined, requests, "synced");
                ("succeeded", self.every)
            }
            Ok(RunOutcome::Failed { error, .. }) => {
                tracing::error!(%provider, error, "a sync run failed");
                ("failed", self.every.min(FAILED_PAUSE))
            }
            Err(error) => {
                tracing::error!(%provider, %error, "a sync run could not be kept");
                ("failed", self.every.min(FAILED_PAUSE))
            }
        };
        counter!("tributary_sync_runs_total", "provider" => provider.to_string(), "outcome" => label)
            .increment(1);
        if let Err(error) = self.report_lag().await {
            tracing::warn!(%provider, %error, "cannot tell when the last run succeeded");
        }
        pause
    }

    async fn report_lag(&self) -> Result<(), StoreError> {
        let at = sync_runs::last_success(&self.pool, &self.provider).await?;
        gauge!("tributary_sync_last_success_timestamp_seconds", "provider" => self.provider.to_string())
            .set(at.map_or(0.0, |at| at.timestamp() as f64));
        Ok(())
    }
}
