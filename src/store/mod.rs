//! Every SQL statement, one file per table. Functions take the caller's executor, so that the
//! caller owns the transaction. Knows the domain only.

pub mod accounts;
pub mod api_keys;
pub mod balances;

pub mod changes;
pub mod consumers;
pub mod database;
pub mod encrypted;
pub mod erasures;
pub mod feed;
pub mod feeds;
pub mod leases;
pub mod listed_statement_files;
pub mod listed_statements;
pub mod migrate;
pub mod named_records;
pub mod notifications;
pub mod operator_audit;
pub mod operator_issuers;
pub mod operator_sign_ins;
pub mod operators;
pub mod payment_audit;
pub mod payment_orders;
pub mod unmatched_records;

pub mod payment_refusals;
pub mod payment_secrets;
mod protection;
pub mod provider_pauses;
pub mod provider_tokens;
pub mod quarantine;
pub mod raw_records;
pub mod readers;
pub mod request_log;
pub mod reread_statements;
pub mod roles;
mod sealing;
pub mod statement_files;
pub mod statements;
pub mod sync_cursors;
pub mod sync_known_next;
pub mod sync_open_records;
pub mod sync_runs;
pub mod sync_tasks;
pub mod transactions;

pub use database::{StoreError, begin, connect};
pub use migrate::migrate;
pub use readers::Readers;
pub use sealing::Resealed;

/// What somebody said, as a text column can hold it: U+FFFD stands for NUL, which PostgreSQL refuses. An
/// FSP's answer may hold one, and so may every error that quotes it.
fn without_nul(said: &str) -> String {
    said.replace('\0', "\u{fffd}")
}

/// A length of time as PostgreSQL takes it.
fn interval(duration: std::time::Duration) -> sqlx::postgres::types::PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    sqlx::postgres::types::PgInterval { months: 0, days: 0, microseconds }
}

/// What became of the records of one upsert.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    pub created: u64,
    pub updated: u64,
    /// As stored already, or older than what is stored.
    pub unchanged: u64,
    /// Of these, the ones that differ from what is stored, and are older by the provider's time.
    pub older: u64,
    /// Known payments that came with another amount or asset than before.
    pub amended: u64,
    /// Of the unchanged, the ones that are news of an order, with which they are kept.
    pub of_orders: u64,
}

impl Tally {
    /// From the rows that an upsert wrote (`true`: created, `false`: content changed; a row
    /// that only moved its provider time is not among them) and how many it was given.
    fn count(given: usize, written: impl IntoIterator<Item = Option<bool>>) -> Self {
        let mut tally = Self { unchanged: given as u64, ..Self::default() };
        for created in written.into_iter().flatten() {
            tally.unchanged -= 1;
            match created {
                true => tally.created += 1,
                false => tally.updated += 1,
            }
        }
        tally
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.older += other.older;
        self.amended += other.amended;
        self.of_orders += other.of_orders;
    }
}
