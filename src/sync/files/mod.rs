//! Statement files, fetched from where a bank puts them: by one instance at a time, under a lease, in runs like those of
//! streams. A file is read once it stays as it is, and moved or deleted only after what it says has committed.

mod again;
mod import;
mod place;
mod run;
mod take;

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::Instance;
use super::foreground::{Busy, take_lease};
use super::renewed_lease::RenewedLease;
use crate::statements::Files;
use crate::store::database::soon;
use crate::store::leases::Holder;
use crate::store::sync_tasks::{self, Scheduled};
use crate::store::{StoreError, leases};
use tributary_domain::ProviderName;
use tributary_manifest::{Period, Schedule};

pub use again::{FilesAgain, RereadFailure, RereadOutcome, Rereader};
pub use import::{Imported, ImportedAccount, Importer, NotImported, files_in};
pub use place::{AfterTaking, AzureCredential, Bucket, BucketOf, FilePlace, Sftp, SftpLogin};
pub use run::{FilesRun, FilesRunOutcome};

/// The stream of files, and its group: no file of a provider can give this name to a stream of its own.
pub const FILES: &str = sync_tasks::OF_FILES;

/// The largest file that is taken, in bytes.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// How often an instance looks for work.
const TICK: Duration = Duration::from_secs(1);

/// Where files are fetched from, and how.
#[derive(Debug, Clone)]
pub struct FileSource {
    pub place: FilePlace,
    /// Patterns of the names that are taken; none: all.
    pub names: Vec<String>,
    /// How long a file has to stay as it is before it is read.
    pub settle: Duration,
    pub after: AfterTaking,
    /// The pause between two looks.
    pub every: Period,
}

/// Fetches the files of one provider again and again, together with all other instances that do. Cheap to clone.
#[derive(Clone)]
pub struct FileFetcher {
    pool: PgPool,
    provider: ProviderName,
    files: Arc<Files>,
    source: Arc<FileSource>,
    instance: Instance,
}

impl FileFetcher {
    /// Of `provider`, whose files are taken as `files` says.
    pub fn new(
        pool: PgPool,
        provider: ProviderName,
        files: Arc<Files>,
        source: FileSource,
        instance: Instance,
    ) -> Self {
        Self { pool, provider, files, source: Arc::new(source), instance }
    }

    /// Whose files they are.
    pub fn provider(&self) -> &ProviderName {
        &self.provider
    }

    fn schedule(&self) -> Schedule {
        Schedule::Every(self.source.every)
    }

    /// Makes its schedule known to all instances.
    pub async fn register(&self) -> Result<(), StoreError> {
        let now = leases::clock(&self.pool).await?;
        let schedule = self.schedule();
        let next = schedule.next(now, jitter());
        let scheduled = Scheduled { stream: FILES, group: FILES, schedule: schedule.to_string(), next };
        sync_tasks::register_one(&self.pool, &self.provider, &scheduled).await
    }

    /// Runs until `stop`, between two files.
    pub async fn run(self, stop: CancellationToken) {
        let mut registered = false;
        while !stop.is_cancelled() {
            if !registered {
                let done = soon(self.register()).await;
                if let Err(error) = &done {
                    tracing::error!(provider = %self.provider, %error, "cannot schedule; trying again");
                }
                registered = done.is_ok();
            }
            if registered && let Some(lease) = self.take_due().await {
                self.run_and_report(lease, &stop).await;
            }
            let tick = TICK.mul_f64(rand::rng().random_range(0.75..1.25));
            let _ = stop.run_until_cancelled(tokio::time::sleep(tick)).await;
        }
    }

    async fn take_due(&self) -> Option<RenewedLease> {
        let Instance { name, lease_time } = &self.instance;
        let taken = leases::take_due(&self.pool, &self.provider, &[FILES], u32::MAX, name, *lease_time);
        let taken = soon(taken).await.unwrap_or_else(|error| {
            tracing::error!(provider = %self.provider, %error, "cannot find out which files are due");
            None
        });
        Some(RenewedLease::new(&self.pool, taken?))
    }

    async fn run_and_report(&self, lease: RenewedLease, stop: &CancellationToken) {
        let provider = &self.provider;
        let outcome = match self.run_under(lease, stop).await {
            Ok(FilesRunOutcome::Nothing) => return,
            Ok(FilesRunOutcome::Interrupted) => "interrupted",
            Ok(FilesRunOutcome::Ended(run)) => {
                let warnings = run.warnings();
                let FilesRun { files, tally, quarantined, error, .. } = run;
                match error {
                    None => {
                        tracing::info!(%provider, group = FILES, files, created = tally.created,
                            updated = tally.updated, unchanged = tally.unchanged, quarantined, warnings, "synced");
                        "succeeded"
                    }
                    Some(error) => {
                        tracing::error!(%provider, group = FILES, error, "a sync run failed");
                        "failed"
                    }
                }
            }
            Err(error) => {
                tracing::error!(%provider, group = FILES, %error, "a sync run could not be recorded");
                "failed"
            }
        };
        metrics::counter!("tributary_sync_runs_total", "provider" => provider.to_string(), "group" => FILES,
            "outcome" => outcome)
        .increment(1);
    }

    /// Fetches now what there is, whether it is due or not; waits while another instance is at it.
    pub async fn fetch_now(&self, stop: &CancellationToken) -> Result<FilesRunOutcome, StoreError> {
        let fetched = self.fetch(&Busy::Wait(&|_, _| {}), stop).await?;
        Ok(fetched.unwrap_or(FilesRunOutcome::Interrupted))
    }

    /// As [`fetch_now`](Self::fetch_now), or gives who is at it, where that is not waited for.
    pub async fn fetch(
        &self,
        busy: &Busy<'_>,
        stop: &CancellationToken,
    ) -> Result<Result<FilesRunOutcome, Holder>, StoreError> {
        soon(self.register()).await?;
        let lease = take_lease(&self.pool, (&self.provider, FILES), &self.instance, busy);
        match stop.run_until_cancelled(lease).await.transpose()? {
            Some(Ok(lease)) => Ok(Ok(self.run_now(lease, stop).await?)),
            Some(Err(holder)) => Ok(Err(holder)),
            None => Ok(Ok(FilesRunOutcome::Interrupted)),
        }
    }
}

fn jitter() -> f64 {
    rand::rng().random_range(0.0..=1.0)
}
