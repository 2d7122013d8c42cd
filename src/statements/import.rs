//! One file, taken in one transaction: everything that it says that is new, or nothing.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use tributary_domain::{ProviderName, Record, Resource};
use tributary_statements::{Account, ReadError, Statement, read};

use super::Files;
use super::account::OfAccount;
use super::shelf::{Shelf, ShelfKey};
use crate::encryption;
use crate::records::{self, Batch};
use crate::store::quarantine::Refused;
use crate::store::statement_files::{self, NewFile};
use crate::store::statements::{self, Told};
use crate::store::{StoreError, Tally};

/// A file that can be read.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// As it was called.
    pub name: String,
    /// Where it came from.
    pub source: String,
    pub bytes: Vec<u8>,
    pub sha256: [u8; 32],
    pub statements: Vec<Statement>,
}

impl Incoming {
    /// Reads a file whole. Not for a thread that answers others meanwhile.
    pub fn read(files: &Files, name: String, source: String, bytes: Vec<u8>) -> Result<Self, ReadError> {
        let statements = read(&bytes, &files.settings)?;
        Ok(Self { name, source, sha256: Sha256::digest(&bytes).into(), bytes, statements })
    }
}

/// How files of one provider are taken.
#[derive(Debug, Clone, Copy)]
pub struct Taking<'a> {
    pub provider: &'a ProviderName,
    pub files: &'a Files,
    /// Whether they may decide about payments that were ordered.
    pub decides: bool,
    /// Whether they are history.
    pub backfill: bool,
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of the provider has changed in what ids go by.
    #[error(
        "the movements of {account} were told apart by other rules ({before}) than the provider's file has now ({now}), \
         by which the same money would get other ids: set `files` back to those"
    )]
    OtherRules { account: String, before: String, now: String },
    /// The file of the provider maps an account to another one.
    #[error(
        "statements of {account} were published as the account {before:?}, and the provider's file now says {now:?}: set \
         `files.accounts` back to that"
    )]
    OtherAccount { account: String, before: String, now: String },
    /// The account, or its balance, has no place in Formance as it is.
    #[error(
        "{account} cannot be published ({why}): say under `files.accounts` by which id it goes, or what it is called"
    )]
    Unpublishable { account: String, why: String },
    /// What was kept of earlier statements cannot be read.
    #[error(
        "what is kept of the statements of {account} cannot be read ({why}): it was changed by somebody else"
    )]
    Unreadable { account: String, why: String },
}

impl From<sqlx::Error> for TakeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What became of a file, to be told once it is committed.
#[derive(Debug, Default)]
pub struct Taken {
    /// Whether the same bytes were taken before; then nothing changes.
    pub known: bool,
    pub statements: Vec<Told>,
    /// What was written, by kind of record.
    pub tallies: BTreeMap<&'static str, Tally>,
    pub quarantined: u64,
    /// What does not follow on what is there, and what was bent to be read: each is published nevertheless.
    pub warnings: Vec<(&'static str, String)>,
    pub(super) shelves: Vec<(ShelfKey, Shelf)>,
}

impl Taken {
    /// Remembers what is known now. To be called once the transaction has committed, and only then.
    pub fn committed(&mut self, files: &Files) {
        for (key, shelf) in self.shelves.drain(..) {
            files.shelves.put(key, shelf);
        }
    }

    /// All that was written.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.tallies.values().for_each(|more| tally += *more);
        tally
    }

    /// How many statements were put aside.
    pub fn put_aside(&self) -> usize {
        self.statements.iter().filter(|told| told.state == "put_aside").count()
    }
}

/// Takes `file` in the caller's transaction.
pub async fn take(
    connection: &mut PgConnection,
    taking: Taking<'_>,
    file: &Incoming,
) -> Result<Taken, TakeError> {
    let provider = taking.provider;
    let kept = NewFile { sha256: &file.sha256, name: &file.name, source: &file.source, bytes: &file.bytes };
    if !statement_files::keep(connection, &encryption::keyring(), provider, kept).await? {
        let statements = statements::of_file(connection, provider, &file.sha256).await?;
        return Ok(Taken { known: true, statements, ..Taken::default() });
    }
    let mut by_account: BTreeMap<&Account, Vec<(usize, &Statement)>> = BTreeMap::new();
    for (place, statement) in file.statements.iter().enumerate() {
        by_account.entry(&statement.account).or_default().push((place, statement));
    }
    let mut taken = Taken::default();
    let mut written = ToWrite { backfill: taking.backfill, decides: taking.decides, ..ToWrite::default() };
    // in the order of accounts: two files never wait for each other
    for (account, statements) in by_account {
        let mut of_account = OfAccount::lock(connection, taking, account, &mut written).await?;
        for (place, statement) in statements {
            of_account.take(connection, file, place, statement, &mut written, &mut taken).await?;
        }
        of_account.end(connection, &mut written, &mut taken).await?;
    }
    written.write(connection, provider, &mut taken).await?;
    taken.statements = statements::of_file(connection, provider, &file.sha256).await?;
    Ok(taken)
}

/// The records of a file.
#[derive(Default)]
pub(super) struct ToWrite {
    pub backfill: bool,
    pub decides: bool,
    pub accounts: Vec<Record>,
    pub balances: Vec<Record>,
    pub transactions: Vec<Record>,
    /// Transactions that have no place.
    pub refused: Vec<Refused>,
}

impl ToWrite {
    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        provider: &ProviderName,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        let Self { backfill, decides, .. } = self;
        let refused_before = self.refused.len() as u64;
        let batches = [
            (Resource::Accounts, self.accounts, Vec::new()),
            (Resource::Transactions, self.transactions, self.refused),
            (Resource::Balances, self.balances, Vec::new()),
        ];
        for (resource, records, refused) in batches {
            if records.is_empty() && refused.is_empty() {
                continue;
            }
            let batch = Batch { records, refused, backfill, decides, may_amend: false };
            let written = records::write(connection, provider, resource, &batch).await?;
            taken.quarantined += written.refused.len() as u64;
            *taken.tallies.entry(resource.as_str()).or_default() += written.tally;
        }
        taken.quarantined += refused_before;
        Ok(())
    }
}
