//! Files of this machine, taken one after the other: history of years in one go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::FILE_MAX_BYTES;
use super::place::is_wanted;
use crate::statements::{Files, Incoming, TakeError, Taken, Taking, take};
use crate::store::database::{LARGE, within};
use crate::store::quarantine;
use crate::store::statements::Told;
use crate::store::{self, StoreError, Tally};
use tributary_domain::ProviderName;

/// What is imported, and for whom.
pub struct Importer {
    pub pool: PgPool,
    pub provider: ProviderName,
    pub files: Arc<Files>,
    /// Whether what the files say decides about payments that were ordered.
    pub decides: bool,
}

/// What an import has done so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Files that were taken, without those that are known.
    pub files: u64,
    /// Files whose bytes were taken before, by whatever way.
    pub known: u64,
    pub statements: u64,
    pub entries: u64,
    pub tally: Tally,
    pub quarantined: u64,
    /// By what the bank calls them, with the currency.
    pub accounts: BTreeMap<String, ImportedAccount>,
    /// Files that were not taken.
    pub unread: Vec<NotImported>,
    /// Statements that were not published.
    pub put_aside: Vec<NotImported>,
    /// How many dates and the like had to be bent to be read.
    pub bent: u64,
}

/// What came of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedAccount {
    pub statements: u64,
    pub entries: u64,
    pub put_aside: u64,
    /// Pages whose statement is not whole yet.
    pub waiting: u64,
    pub first_day: Option<NaiveDate>,
    pub last_day: Option<NaiveDate>,
    /// What does not follow on what is there, after the last of its files.
    pub warnings: Vec<String>,
}

/// A file, and why it was not taken; or why a statement in it was not published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotImported {
    pub file: String,
    pub why: String,
}

/// Why an import ended before its last file.
#[derive(Debug, thiserror::Error)]
pub enum ImportStopped {
    #[error("interrupted; what was taken is known when the same is imported again")]
    Interrupted,
    #[error(
        "{file} could not be taken: {error}. What was taken before is known when the same is imported again"
    )]
    Failed { file: String, error: TakeError },
    #[error(
        "{file} was not taken: some of it would have to be quarantined, and the quarantine is full; look at \
         `tributary quarantine list`"
    )]
    Full { file: String },
}

/// The files that `paths` name, and those in folders among them and below, each folder sorted by name. Of folders, names
/// have to be of one of the patterns `names`, if there are any; what begins with a dot or is unfinished is left out.
///
/// # Errors
/// The path that cannot be read, and why.
pub fn files_in(paths: &[PathBuf], names: &[String]) -> Result<Vec<PathBuf>, String> {
    let unread = |path: &Path, error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut found = Vec::new();
    for path in paths {
        if !std::fs::metadata(path).map_err(|error| unread(path, error))?.is_dir() {
            found.push(path.clone());
            continue;
        }
        let mut waiting = vec![path.clone()];
        while let Some(folder) = waiting.pop() {
            if !folder.is_dir() {
                found.push(folder);
                continue;
            }
            let mut within = Vec::new();
            for entry in std::fs::read_dir(&folder).map_err(|error| unread(&folder, error))? {
                let entry = entry.map_err(|error| unread(&folder, error))?;
                // a link to a folder may lead back here
                let is_folder = entry.file_type().map_err(|error| unread(&entry.path(), error))?.is_dir();
                let name = entry.file_name().to_string_lossy().into_owned();
                let wanted = if is_folder { !name.starts_with('.') } else { is_wanted(&name, names) };
                if wanted && (is_folder || entry.path().is_file()) {
                    within.push(entry.path());
                }
            }
            within.sort();
            waiting.extend(within.into_iter().rev());
        }
    }
    Ok(found)
}

/// A file as it was read.
struct Read {
    name: String,
    incoming: Result<Incoming, String>,
}

impl Importer {
    /// Takes `paths` in their order, the next one being read while one is committed; `report` is told after each. What
    /// cannot be read is noted, and the others are taken.
    pub async fn import(
        &self,
        paths: Vec<PathBuf>,
        stop: &CancellationToken,
        report: &(dyn Fn(&Imported) + Sync),
    ) -> (Imported, Result<(), ImportStopped>) {
        let mut imported = Imported::default();
        let mut read = self.read_ahead(paths);
        loop {
            let next = tokio::select! {
                next = read.recv() => next,
                () = stop.cancelled() => return (imported, Err(ImportStopped::Interrupted)),
            };
            let Some(Read { name, incoming }) = next else { return (imported, Ok(())) };
            match incoming {
                Err(why) => imported.unread.push(NotImported { file: name, why }),
                Ok(incoming) => match within(LARGE, self.commit(&incoming)).await {
                    Ok(Some(taken)) => imported.add(&name, &taken),
                    Ok(None) => return (imported, Err(ImportStopped::Full { file: name })),
                    Err(error) => return (imported, Err(ImportStopped::Failed { file: name, error })),
                },
            }
            report(&imported);
        }
    }

    /// Reads files on a thread of its own, one ahead of the one that waits to be taken.
    fn read_ahead(&self, paths: Vec<PathBuf>) -> mpsc::Receiver<Read> {
        let (send, receive) = mpsc::channel(1);
        let files = Arc::clone(&self.files);
        tokio::task::spawn_blocking(move || {
            for path in paths {
                let read = Read { name: path.display().to_string(), incoming: read(&files, &path) };
                if send.blocking_send(read).is_err() {
                    return;
                }
            }
        });
        receive
    }

    /// Takes a file; `None` where it is not taken because the quarantine is full.
    async fn commit(&self, incoming: &Incoming) -> Result<Option<Taken>, TakeError> {
        let Self { pool, provider, files, decides } = self;
        let mut transaction = store::begin(pool).await?;
        let taking = Taking { provider, files, decides: *decides, backfill: true };
        let mut taken = take(&mut transaction, taking, incoming).await?;
        if taken.quarantined > 0 && quarantine::is_full(&mut transaction, provider).await? {
            return Ok(None);
        }
        transaction.commit().await.map_err(StoreError::from)?;
        taken.committed(files);
        Ok(Some(taken))
    }
}

fn read(files: &Files, path: &Path) -> Result<Incoming, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_MAX_BYTES {
        return Err("is larger than 64 MiB: ask the bank for smaller files".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Incoming::read(files, name, "import".to_owned(), bytes).map_err(|error| error.to_string())
}

impl Imported {
    fn add(&mut self, file: &str, taken: &Taken) {
        if taken.known {
            self.known += 1;
            return;
        }
        self.files += 1;
        self.tally += taken.tally();
        self.quarantined += taken.quarantined;
        for told in &taken.statements {
            self.add_statement(file, told);
        }
        for (name, account) in &mut self.accounts {
            if !taken.statements.iter().any(|told| name_of(told) == *name) {
                continue;
            }
            // those of the file before were of what was there then
            let of_account =
                |(kind, text): &&(&str, String)| *kind != BENT && text.starts_with(name.as_str());
            account.warnings =
                taken.warnings.iter().filter(of_account).map(|(_, text)| text.clone()).collect();
        }
        self.bent += taken.warnings.iter().filter(|(kind, _)| *kind == BENT).count() as u64;
    }

    fn add_statement(&mut self, file: &str, told: &Told) {
        let entries = u64::try_from(told.entries).unwrap_or(0);
        self.statements += 1;
        self.entries += entries;
        let name = name_of(told);
        if told.state == "put_aside" {
            let number = told.number.as_deref().unwrap_or("without a number");
            let reason = told.reason.as_deref().unwrap_or_default();
            let why = format!("statement {number} of {name}: {reason}");
            self.put_aside.push(NotImported { file: file.to_owned(), why });
        }
        let account = self.accounts.entry(name).or_default();
        account.statements += 1;
        account.entries += entries;
        account.put_aside += u64::from(told.state == "put_aside");
        account.waiting += u64::from(told.state == "waiting");
        account.first_day = account.first_day.into_iter().chain(told.closing_day).min();
        account.last_day = account.last_day.into_iter().chain(told.closing_day).max();
    }
}

/// The kind of warnings that are about one statement alone.
const BENT: &str = "bent";

fn name_of(told: &Told) -> String {
    format!("{}/{}", told.account, told.currency)
}
