//! One look at the place of files, under a lease.

use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::place::PlaceError;
use super::{FILES, FileFetcher, jitter};
use crate::store::database::{soon, within};
use crate::store::leases::{self, Lease};
use crate::store::statement_files;
use crate::store::sync_runs::{self, Counts};
use crate::store::sync_tasks::{self, Task};
use crate::store::{self, StoreError, Tally, statements};
use crate::sync::breaker::{self, FailedRun};
use crate::sync::sink::page_limit;
use crate::sync::{RenewedLease, WarnedOf};

/// What one look brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FilesRun {
    /// Files that were taken.
    pub files: u64,
    pub tally: Tally,
    pub quarantined: u64,
    pub warned: WarnedOf,
    /// Why the place could not be looked at, or a file not be taken.
    pub error: Option<String>,
}

impl FilesRun {
    /// How many warnings there were.
    pub fn warnings(&self) -> u64 {
        self.warned.total()
    }
}

/// How a look ended.
#[derive(Debug, Clone, PartialEq)]
pub enum FilesRunOutcome {
    /// Nothing was due after all.
    Nothing,
    /// This process stops, or another one took over: whoever is next goes on with the next file.
    Interrupted,
    Ended(FilesRun),
}

/// A run that goes on.
pub(super) struct Going<'a> {
    pub lease: &'a Lease,
    pub run: Uuid,
    pub brought: FilesRun,
    pub failures: Vec<String>,
    /// How many files in a row the place gave no answer about.
    pub silent: u32,
}

/// Why a run does not go on.
pub(super) enum Stopped {
    Store(StoreError),
    LeaseLost,
    /// Nothing more of the place can be had; what was taken is.
    Place(PlaceError),
}

impl<E: Into<StoreError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl FileFetcher {
    pub(super) async fn run_under(
        &self,
        lease: RenewedLease,
        stop: &CancellationToken,
    ) -> Result<FilesRunOutcome, StoreError> {
        self.look(lease, stop, true).await
    }

    pub(super) async fn run_now(
        &self,
        lease: RenewedLease,
        stop: &CancellationToken,
    ) -> Result<FilesRunOutcome, StoreError> {
        self.look(lease, stop, false).await
    }

    async fn look(
        &self,
        renewed: RenewedLease,
        stop: &CancellationToken,
        only_due: bool,
    ) -> Result<FilesRunOutcome, StoreError> {
        let taken = renewed.taken().clone();
        let lease = &taken.lease;
        let Some((run, tasks)) = soon(self.begin(lease, only_due)).await? else {
            renewed.give_back().await?;
            return Ok(FilesRunOutcome::Nothing);
        };
        let mut going = Going { lease, run, brought: FilesRun::default(), failures: Vec::new(), silent: 0 };
        let looked = tokio::select! {
            looked = self.take_all(&mut going) => looked,
            () = renewed.lost().cancelled_owned() => Err(Stopped::LeaseLost),
            () = stop.cancelled() => {
                renewed.give_back().await?;
                return Ok(FilesRunOutcome::Interrupted);
            }
        };
        match looked {
            Ok(()) => {}
            Err(Stopped::LeaseLost) => {
                tracing::warn!(provider = %self.provider, group = FILES, "this instance lost its lease");
                renewed.forget();
                return Ok(FilesRunOutcome::Interrupted);
            }
            Err(Stopped::Store(error)) => going.failures.push(error.to_string()),
            Err(Stopped::Place(error)) => going.failures.push(error.to_string()),
        }
        going.brought.error = (!going.failures.is_empty()).then(|| going.failures.join("; "));
        let ended = within(page_limit(lease), self.end(&going, tasks, taken.failures)).await?;
        renewed.forget();
        Ok(if ended { FilesRunOutcome::Ended(going.brought) } else { FilesRunOutcome::Interrupted })
    }

    /// `None` where nothing is due, or the lease is lost.
    async fn begin(&self, lease: &Lease, only_due: bool) -> Result<Option<(Uuid, Vec<Task>)>, StoreError> {
        let mut transaction = store::begin(&self.pool).await?;
        leases::limit_silence(&mut transaction, lease).await?;
        let tasks = match only_due {
            true => sync_tasks::due(&mut transaction, lease, &[FILES]).await?,
            false => sync_tasks::of(&mut transaction, lease, &[FILES]).await?,
        };
        if tasks.is_empty() && only_due {
            return Ok(None);
        }
        let run = sync_runs::begin(&mut transaction, lease).await?;
        if !leases::confirm(&mut transaction, lease).await? {
            return Ok(None);
        }
        transaction.commit().await?;
        Ok(Some((run, tasks)))
    }

    /// C5: tells of accounts whose statement should be there.
    pub(super) async fn note_late(&self, going: &mut Going<'_>) -> Result<(), Stopped> {
        let Some(expected) = &self.files.expect else { return Ok(()) };
        let Some(day) = expected.day(Utc::now(), self.files.zone) else { return Ok(()) };
        let late = soon::<_, StoreError>(async {
            let mut connection = self.pool.acquire().await?;
            statements::note_late(&mut connection, &self.provider, day).await
        });
        for account in late.await? {
            let last = account.closing_day.map_or_else(|| "none yet".to_owned(), |day| day.to_string());
            let told = format!(
                "{}/{}: the statement of {day} is not there; the last one is that of {last}: ask the bank for it",
                account.account, account.currency
            );
            self.warn(going, "late", &told).await?;
        }
        Ok(())
    }

    /// Keeps a warning with the run.
    pub(super) async fn warn(
        &self,
        going: &mut Going<'_>,
        kind: &'static str,
        told: &str,
    ) -> Result<(), Stopped> {
        let kept = soon::<_, StoreError>(async {
            let mut transaction = store::begin(&self.pool).await?;
            let counts = Counts { warnings: 1, ..Counts::default() };
            sync_runs::add(&mut transaction, going.run, FILES, counts).await?;
            sync_runs::add_warnings(&mut transaction, going.run, FILES, &[(kind, 1, told)]).await?;
            let ours = leases::confirm(&mut transaction, going.lease).await?;
            if ours {
                transaction.commit().await?;
            }
            Ok(ours)
        });
        if !kept.await? {
            return Err(Stopped::LeaseLost);
        }
        self.report(&[(kind, told.to_owned())]);
        going.brought.warned.add_text(FILES, kind, told);
        Ok(())
    }

    pub(super) fn report(&self, warnings: &[(&'static str, String)]) {
        for (kind, told) in warnings {
            tracing::warn!(provider = %self.provider, stream = FILES, kind, "{told}");
            metrics::counter!("tributary_sync_warnings_total", "provider" => self.provider.to_string(),
                "stream" => FILES, "kind" => *kind)
            .increment(1);
        }
    }

    /// Ends the run and its lease together; `false` where the lease was lost.
    async fn end(&self, going: &Going<'_>, tasks: Vec<Task>, failed_before: u32) -> Result<bool, StoreError> {
        let now = leases::clock(&self.pool).await?;
        let next = self.schedule().next(now, jitter());
        let mut transaction = store::begin(&self.pool).await?;
        leases::limit_silence(&mut transaction, going.lease).await?;
        let error = going.brought.error.as_deref();
        let failures: Vec<(&str, String)> =
            error.map(|error| (FILES, error.to_owned())).into_iter().collect();
        sync_runs::finish(&mut transaction, going.run, None, error, &failures).await?;
        let (failures, pause): (u32, Option<Duration>) = match error {
            None => (0, None),
            Some(_) => {
                let scheduled = next.and_then(|at| at.signed_duration_since(now).to_std().ok());
                let how = if going.brought.files > 0 { FailedRun::Partly } else { FailedRun::Wholly };
                let (failures, pause) = breaker::after(how, failed_before, scheduled);
                (failures, Some(pause))
            }
        };
        statement_files::forget_unseen(&mut transaction, &self.provider).await?;
        if error.is_none() {
            let tasks: Vec<_> = tasks.into_iter().map(|task| (task, next)).collect();
            sync_tasks::done(&mut transaction, going.lease, &tasks).await?;
        }
        if !leases::confirm(&mut transaction, going.lease).await? {
            return Ok(false);
        }
        leases::end(&mut transaction, going.lease, failures, pause).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
