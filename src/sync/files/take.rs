//! What a look does with the files that it finds.

use super::place::{AfterTaking, Listed, OpenPlace, PlaceError, is_wanted};
use super::run::{Going, Stopped};
use super::{FILE_MAX_BYTES, FILES, FileFetcher};
use crate::statements::{Incoming, TakeError, Taken, Taking, take};
use crate::store::database::{soon, within};
use crate::store::statement_files::{self, Sighting};
use crate::store::sync_runs::{self, Counts};
use crate::store::{self, StoreError, leases};
use crate::sync::sink::page_limit;
use tributary_statements::ReadError;

/// How many files in a row a place may give no answer about until the look ends.
const SILENT_MOST: u32 = 3;

impl FileFetcher {
    pub(super) async fn take_all(&self, going: &mut Going<'_>) -> Result<(), Stopped> {
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
        if taken.known {
            statement_files::repeated(&mut transaction, provider, &incoming.sha256).await?;
        }
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
        for (kind, told) in &warnings {
            going.brought.warned.add_text(FILES, kind, told);
        }
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
