//! One look at the place of files, under a lease.

use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::place::{AfterTaking, Listed, OpenPlace, PlaceError, is_wanted};
use super::{FILES, FileFetcher, jitter};
use crate::statements::{Incoming, TakeError, Taken, Taking, take};
use crate::store::database::{soon, within};
use crate::store::leases::{self, Lease};
use crate::store::statement_files::{self, Sighting};
use crate::store::sync_runs::{self, Counts};
use crate::store::sync_tasks::{self, Task};
use crate::store::{self, StoreError, Tally, statements};
use crate::sync::RenewedLease;
use crate::sync::breaker::{self, FailedRun};
use crate::sync::sink::page_limit;
use tributary_statements::ReadError;

/// The largest file that is taken, in bytes.
pub const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// How many files in a row a place may give no answer about until the look ends.
const SILENT_MOST: u32 = 3;

/// What one look brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FilesRun {
    /// Files that were taken.
    pub files: u64,
    pub tally: Tally,
    pub quarantined: u64,
    pub warnings: u64,
    /// Why the place could not be looked at, or a file not be taken.
    pub error: Option<String>,
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
struct Going<'a> {
    lease: &'a Lease,
    run: Uuid,
    brought: FilesRun,
    failures: Vec<String>,
    /// How many files in a row the place gave no answer about.
    silent: u32,
}

/// Why a run does not go on.
enum Stopped {
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

    async fn take_all(&self, going: &mut Going<'_>) -> Result<(), Stopped> {
        match self.take_place(going).await {
            Err(Stopped::Place(error)) => going.failures.push(error.to_string()),
            taken => taken?,
        }
        self.note_late(going).await
    }

    /// Takes what is there, page by page.
    async fn take_place(&self, going: &mut Going<'_>) -> Result<(), Stopped> {
        let place = self.source.place.open().await.map_err(Stopped::Place)?;
        let mut from = None;
        loop {
            let page = place.list(from).await.map_err(Stopped::Place)?;
            self.take_page(going, &place, &page.files).await?;
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    async fn take_page(
        &self,
        going: &mut Going<'_>,
        place: &OpenPlace,
        files: &[Listed],
    ) -> Result<(), Stopped> {
        let folder = self.source.place.name();
        let wanted: Vec<&Listed> =
            files.iter().filter(|file| is_wanted(&file.name, &self.source.names)).collect();
        let paths: Vec<(String, &str)> =
            wanted.iter().map(|file| (format!("{folder}/{}", file.name), file.version.as_str())).collect();
        let seen = soon::<_, StoreError>(async {
            let mut connection = self.pool.acquire().await?;
            statement_files::see(&mut connection, &self.provider, &paths, self.source.settle).await
        });
        let seen = seen.await?;
        for (file, (path, _)) in wanted.into_iter().zip(&paths) {
            match seen.get(path) {
                Some(Sighting::Due) => self.take_one(going, place, file, path).await?,
                Some(Sighting::Taken) => self.finish(going, place, file).await?,
                Some(Sighting::Settling) | None => {}
            }
        }
        Ok(())
    }

    async fn take_one(
        &self,
        going: &mut Going<'_>,
        place: &OpenPlace,
        file: &Listed,
        path: &str,
    ) -> Result<(), Stopped> {
        if file.size > FILE_MAX_BYTES {
            let told =
                format!("{}: is larger than 64 MiB, and not read: ask the bank for smaller files", file.name);
            return self.warn(going, "unread", &told).await;
        }
        let bytes = match place.read(file).await {
            Ok(Some(bytes)) => bytes,
            // it changes: the next look finds what it is then
            Ok(None) => return Ok(()),
            Err(error) => {
                let told = format!("{}: {error}", file.name);
                return self.not_done(going, "unread", &told, error).await;
            }
        };
        going.silent = 0;
        if self.take_bytes(going, file, path, bytes).await? {
            self.finish(going, place, file).await?;
        }
        Ok(())
    }

    /// Takes the bytes of a file; `false` where they were not.
    async fn take_bytes(
        &self,
        going: &mut Going<'_>,
        file: &Listed,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<bool, Stopped> {
        let (files, name, source) = (self.files.clone(), file.name.clone(), self.source.place.name());
        let read = tokio::task::spawn_blocking(move || Incoming::read(&files, name, source, bytes)).await;
        let incoming = match read {
            Ok(Ok(incoming)) => incoming,
            Ok(Err(error)) => {
                let kind = match error {
                    ReadError::Incomplete(_) | ReadError::Empty => "incomplete",
                    _ => "unread",
                };
                self.warn(going, kind, &format!("{}: {error}", file.name)).await?;
                return Ok(false);
            }
            Err(error) => {
                self.warn(going, "unread", &format!("{}: {error}", file.name)).await?;
                return Ok(false);
            }
        };
        match within(page_limit(going.lease), self.commit(going, file, path, &incoming)).await {
            Ok(()) => Ok(true),
            Err(NotTaken::LeaseLost) => Err(Stopped::LeaseLost),
            Err(NotTaken::Take(TakeError::Store(error))) => Err(Stopped::Store(error)),
            Err(NotTaken::Take(error)) => {
                going.failures.push(format!("{}: {error}", file.name));
                Ok(false)
            }
        }
    }

    /// Takes a file, with the counts of the run and the note that it was taken, as long as the lease holds.
    async fn commit(
        &self,
        going: &mut Going<'_>,
        file: &Listed,
        path: &str,
        incoming: &Incoming,
    ) -> Result<(), NotTaken> {
        let provider = &self.provider;
        let mut transaction = store::begin(&self.pool).await?;
        leases::limit_silence(&mut transaction, going.lease).await?;
        let taking = Taking { provider, files: &self.files, decides: true, backfill: false };
        let mut taken = take(&mut transaction, taking, incoming).await?;
        statement_files::note(&mut transaction, provider, (path, &file.version), &incoming.sha256).await?;
        let warnings = warnings(&file.name, &taken);
        let (tally, quarantined) = (taken.tally(), taken.quarantined);
        let counts = Counts { tally, quarantined, requests: 1, warnings: warnings.len() as u64 };
        sync_runs::add(&mut transaction, going.run, FILES, counts).await?;
        let rows: Vec<(&str, u64, &str)> =
            warnings.iter().map(|(kind, told)| (*kind, 1, told.as_str())).collect();
        for row in &rows {
            sync_runs::add_warnings(&mut transaction, going.run, FILES, std::slice::from_ref(row)).await?;
        }
        if !leases::confirm(&mut transaction, going.lease).await? {
            return Err(NotTaken::LeaseLost);
        }
        transaction.commit().await?;
        taken.committed(&self.files);
        self.report(&warnings);
        for (resource, tally) in &taken.tallies {
            for (outcome, count) in
                [("created", tally.created), ("updated", tally.updated), ("unchanged", tally.unchanged)]
            {
                metrics::counter!("tributary_ingested_total", "provider" => provider.to_string(),
                    "resource" => *resource, "outcome" => outcome)
                .increment(count);
            }
        }
        going.brought.files += u64::from(!taken.known);
        going.brought.tally += tally;
        going.brought.quarantined += quarantined;
        going.brought.warnings += warnings.len() as u64;
        Ok(())
    }

    /// Moves or deletes what is taken, where it is to be. If that fails, nothing is lost: it is tried again.
    async fn finish(&self, going: &mut Going<'_>, place: &OpenPlace, file: &Listed) -> Result<(), Stopped> {
        if self.source.after == AfterTaking::Leave {
            return Ok(());
        }
        let Err(error) = place.finish(file, &self.source.after).await else { return Ok(()) };
        let told = format!(
            "{}: was taken, and can be neither moved nor deleted ({error}): allow it, or write `after: leave`",
            file.name
        );
        self.not_done(going, "unmoved", &told, error).await
    }

    /// Keeps with the run what the place did not do with a file, unless that means that it does nothing more.
    async fn not_done(
        &self,
        going: &mut Going<'_>,
        kind: &'static str,
        told: &str,
        error: PlaceError,
    ) -> Result<(), Stopped> {
        going.silent = if matches!(error, PlaceError::Silent(_)) { going.silent + 1 } else { 0 };
        if matches!(error, PlaceError::Gone(_)) || going.silent >= SILENT_MOST {
            return Err(Stopped::Place(error));
        }
        self.warn(going, kind, told).await
    }

    /// C5: tells of accounts whose statement should be there.
    async fn note_late(&self, going: &mut Going<'_>) -> Result<(), Stopped> {
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
    async fn warn(&self, going: &mut Going<'_>, kind: &'static str, told: &str) -> Result<(), Stopped> {
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
        going.brought.warnings += 1;
        Ok(())
    }

    fn report(&self, warnings: &[(&'static str, String)]) {
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

/// What is odd about what was taken.
fn warnings(name: &str, taken: &Taken) -> Vec<(&'static str, String)> {
    let told = |kind, text: String| (kind, format!("{name}: {text}"));
    let mut warnings: Vec<(&'static str, String)> =
        taken.warnings.iter().map(|(kind, text)| told(*kind, text.clone())).collect();
    for statement in taken.statements.iter().filter(|each| each.state == "put_aside" && !taken.known) {
        let number = statement.number.as_deref().unwrap_or("without a number");
        let reason = statement.reason.as_deref().unwrap_or_default();
        let account = format!("{}/{}", statement.account, statement.currency);
        warnings.push(told("put_aside", format!("statement {number} of {account} was put aside: {reason}")));
    }
    warnings
}

/// Why a file was not taken.
enum NotTaken {
    Take(TakeError),
    LeaseLost,
}

impl<E: Into<TakeError>> From<E> for NotTaken {
    fn from(error: E) -> Self {
        Self::Take(error.into())
    }
}
