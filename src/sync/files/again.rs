//! The files of a provider that were taken, read once more in the order in which they came: first all of them without
//! writing anything, so that what must not be done is not begun; then each in a transaction of its own.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::encryption;
use crate::records;
use crate::statements::{Again, Files, TakeError, Taking, take_again};
use crate::store::database::{LARGE, within};
use crate::store::statement_files::{self, KeptFile};
use crate::store::{self, StoreError, quarantine};
use crate::sync::preview::Bounds;
use tributary_domain::ProviderName;
use tributary_statements::read;

/// How many sentences of a kind are kept.
const SAID: usize = 100;
/// Where files come from that are not fetched: what they say decides about no order where an API is read, too.
const GIVEN: [&str; 3] = ["push", "console", "import"];

/// What reading files again has done so far, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesAgain {
    /// Files that were read.
    pub files: u64,
    /// Statements that were put aside, and are published.
    pub published: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub quarantined: u64,
    /// What stays as it is, though the provider's file has it otherwise now: the first 100.
    pub stays: Vec<String>,
    /// Why nothing is written, as the same money would get other ids: the first 100.
    pub refused: Vec<String>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RereadOutcome {
    Done(FilesAgain),
    /// Something would get another id: what was committed before that was found stands, which is nothing unless it came
    /// meanwhile.
    Refused(FilesAgain),
    /// Stopped in between; what was committed stands, and doing it again does the rest.
    Interrupted(FilesAgain),
}

/// Why it did not go on.
#[derive(Debug, thiserror::Error)]
pub enum RereadFailure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Take(#[from] TakeError),
    #[error(
        "{0}: some of it would have to be quarantined, and the quarantine is full; look at `tributary quarantine list`"
    )]
    Full(String),
    #[error("a file could not be read: {0}")]
    Reader(#[from] tokio::task::JoinError),
}

impl From<sqlx::Error> for RereadFailure {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Is told what was done so far.
type Report<'a> = &'a (dyn Fn(&FilesAgain) + Sync);

/// Reads the files of one provider again.
#[derive(Clone)]
pub struct Rereader {
    pub pool: PgPool,
    pub provider: ProviderName,
    /// How they are read now.
    pub files: Arc<Files>,
    /// Whether an API of the provider is read, too.
    pub pulled: bool,
}

impl Rereader {
    /// How many files are kept.
    pub async fn kept(&self) -> Result<u64, StoreError> {
        statement_files::count(&self.pool, &self.provider).await
    }

    /// What reading the files again would do, or the first of them within `bounds`. Nothing is written.
    pub async fn rehearse(&self, bounds: Bounds) -> Result<FilesAgain, RereadFailure> {
        let never = CancellationToken::new();
        let rehearsed = records::rehearsed(self.walk(false, bounds, &never, &|_| {})).await?;
        let (RereadOutcome::Done(done) | RereadOutcome::Refused(done) | RereadOutcome::Interrupted(done)) =
            rehearsed;
        Ok(done)
    }

    /// Reads all of them again, and writes what is different; nothing where something would get another id.
    pub async fn reread(
        &self,
        stop: &CancellationToken,
        report: Report<'_>,
    ) -> Result<RereadOutcome, RereadFailure> {
        match records::rehearsed(self.walk(false, Bounds::NONE, stop, &|_| {})).await? {
            RereadOutcome::Done(_) => self.walk(true, Bounds::NONE, stop, report).await,
            RereadOutcome::Interrupted(_) => Ok(RereadOutcome::Interrupted(FilesAgain::default())),
            refused @ RereadOutcome::Refused(_) => Ok(refused),
        }
    }

    async fn walk(
        &self,
        writes: bool,
        bounds: Bounds,
        stop: &CancellationToken,
        report: Report<'_>,
    ) -> Result<RereadOutcome, RereadFailure> {
        let (keys, mut after, mut done) = (encryption::keyring(), 0, FilesAgain::default());
        let begun = Instant::now();
        while done.files < bounds.records && begun.elapsed() < bounds.time {
            if stop.is_cancelled() {
                return Ok(RereadOutcome::Interrupted(done));
            }
            let next = statement_files::next_taken(&self.pool, &keys, &self.provider, after);
            let Some(file) = within(LARGE, next).await? else { break };
            after = file.seq;
            let refused = within(LARGE, self.one(file, writes, &mut done)).await?;
            if writes && refused || done.refused.len() >= SAID {
                return Ok(RereadOutcome::Refused(done));
            }
            report(&done);
        }
        Ok(if done.refused.is_empty() { RereadOutcome::Done(done) } else { RereadOutcome::Refused(done) })
    }

    /// Reads one file again; gives whether it was refused, and then nothing of it is written.
    async fn one(&self, file: KeptFile, writes: bool, done: &mut FilesAgain) -> Result<bool, RereadFailure> {
        let files = Arc::clone(&self.files);
        let reading = move || {
            let statements = read(&file.bytes, &files.settings).map_err(|error| error.to_string());
            (file, statements)
        };
        let (file, statements) = tokio::task::spawn_blocking(reading).await?;
        let decides = !self.pulled || !GIVEN.contains(&file.source.as_str());
        let taking = Taking { provider: &self.provider, files: &self.files, decides, backfill: true };
        let mut transaction = store::begin(&self.pool).await?;
        let mut again = take_again(&mut transaction, taking, &file, &statements).await?;
        let refused = !again.refused.is_empty();
        if again.taken.quarantined > 0 && quarantine::is_full(&mut transaction, &self.provider).await? {
            return Err(RereadFailure::Full(file.name));
        }
        if writes && !refused {
            transaction.commit().await?;
            again.taken.committed(&self.files);
        } else {
            transaction.rollback().await?;
        }
        done.add(again);
        Ok(refused)
    }
}

impl FilesAgain {
    fn add(&mut self, again: Again) {
        let tally = again.taken.tally();
        self.files += 1;
        self.published += again.published;
        self.created += tally.created;
        self.updated += tally.updated;
        self.unchanged += tally.unchanged + again.unchanged;
        self.quarantined += again.taken.quarantined;
        self.stays.extend(again.stays);
        self.refused.extend(again.refused);
        self.stays.truncate(SAID);
        self.refused.truncate(SAID);
    }
}
