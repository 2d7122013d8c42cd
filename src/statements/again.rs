//! Files that were taken, read once more with the provider's file as it is now: what it says of movements otherwise is
//! written, and what was put aside and closes now is published. What is published keeps its id and its state: whatever
//! would give the same money another id is refused.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use tributary_domain::Amount;
use tributary_statements::checks::{self, Finding};
use tributary_statements::identity::{Facts, State};
use tributary_statements::{Account, Purpose, Statement, movements};

use super::account::{OfAccount, key, name};
use super::import::{TakeError, Taken, Taking, ToWrite};
use super::kept::is_whole;
use super::movements::{self as records_of, Written};
use crate::store::reread_statements::{self, KeptStatement};
use crate::store::statement_files::KeptFile;
use crate::store::statements::MovementRow;

/// What came of reading a file again.
#[derive(Debug, Default)]
pub struct Again {
    /// What was written.
    pub taken: Taken,
    /// Movements of which the file says what it said before.
    pub unchanged: u64,
    /// Statements that were put aside, and are published now.
    pub published: u64,
    /// What stays as it is, though the provider's file has it otherwise now: in words.
    pub stays: Vec<String>,
    /// What would give the same money other ids, in words. Nothing of the file may be committed then.
    pub refused: Vec<String>,
}

/// Takes `file` again, as it is read now, in the caller's transaction.
pub async fn take_again(
    connection: &mut PgConnection,
    taking: Taking<'_>,
    file: &KeptFile,
    read: &Result<Vec<Statement>, String>,
) -> Result<Again, TakeError> {
    let mut again = Again::default();
    let rows = reread_statements::kept(connection, taking.provider, &file.sha256).await?;
    let statements = match read {
        Ok(statements) => statements,
        Err(why) => {
            again
                .stays
                .push(format!("{}: cannot be read any more ({why}): it stays as it was taken", file.name));
            return Ok(again);
        }
    };
    if !are_same(&rows, statements) {
        again.refused.push(format!(
            "{}: is read as other statements, or as those of other accounts, than were taken: their movements would come \
             a second time, under other ids",
            file.name
        ));
        return Ok(again);
    }
    let mut by_account: BTreeMap<&Account, Vec<(usize, &Statement)>> = BTreeMap::new();
    for (place, statement) in statements.iter().enumerate() {
        by_account.entry(&statement.account).or_default().push((place, statement));
    }
    let mut written = ToWrite { backfill: taking.backfill, decides: taking.decides, ..ToWrite::default() };
    // in the order of accounts: two files never wait for each other
    for (account, statements) in by_account {
        let mut of = OfAccount::locked(connection, taking, account, &mut written).await?;
        // whoever had the lock may have changed them
        let rows = reread_statements::kept(connection, taking.provider, &file.sha256).await?;
        let mut is_loaded = false;
        for (place, statement) in statements {
            let Some(row) = rows.get(place) else { continue };
            match (row.state.as_str(), row.is_settled) {
                ("published", _) => {
                    of.tell_again(connection, (file, row), statement, &mut written, &mut again).await?;
                }
                ("put_aside", false) => {
                    let this = (file, row, place);
                    is_loaded |= of
                        .try_again(connection, this, statement, is_loaded, (&mut written, &mut again))
                        .await?;
                }
                _ => {}
            }
        }
        if is_loaded {
            of.end(connection, &mut written, &mut again.taken).await?;
        }
    }
    written.write(connection, taking.provider, &mut again.taken).await?;
    Ok(again)
}

/// Whether a file is read as the statements that were taken of it: as many, of the same accounts.
fn are_same(rows: &[KeptStatement], statements: &[Statement]) -> bool {
    rows.len() == statements.len()
        && rows.iter().zip(statements).all(|(row, statement)| {
            row.account == statement.account.id && row.currency == statement.account.currency.code()
        })
}

/// What is wrong with a statement itself.
fn fatal(statement: &Statement) -> Vec<Finding> {
    checks::of_statement(statement).into_iter().filter(Finding::is_fatal).collect()
}

impl OfAccount<'_> {
    /// Writes what a statement that was published says of its movements by now.
    async fn tell_again(
        &self,
        connection: &mut PgConnection,
        (file, row): (&KeptFile, &KeptStatement),
        statement: &Statement,
        written: &mut ToWrite,
        again: &mut Again,
    ) -> Result<(), TakeError> {
        let Taking { provider, files, .. } = self.taking;
        let named = named(row, self.account, file);
        let whole = match is_whole(statement) {
            true => Some(statement.clone()),
            false => self.kept().statement(connection, key(self.account), row.seq).await?,
        };
        let Some(whole) = whole else {
            again.stays.push(format!("{named} lacks pages now: it stays as it was published"));
            return Ok(());
        };
        if let Some(finding) = fatal(&whole).first() {
            again
                .stays
                .push(format!("{named} does not close any more ({finding}): it stays as it was published"));
            return Ok(());
        }
        let before: Facts = serde_json::from_str(row.facts.as_deref().unwrap_or_default())
            .map_err(|why| TakeError::Unreadable { account: name(self.account), why: why.to_string() })?;
        if Facts::of(&whole, files.rules) != before {
            again.refused.push(format!(
                "{named} is read with other days, amounts, references or codes than it was published with, by which the \
                 same money would get other ids"
            ));
            return Ok(());
        }
        let moves = movements(&whole, files.rules.level);
        for (movement, metadata) in reread_statements::told_by(connection, provider, row.seq).await? {
            let told = usize::try_from(movement.place).ok().and_then(|place| moves.get(place));
            let amount = movement.amount.as_str();
            let Some(told) = told.filter(|told| told.amount.minor_units().to_string() == amount) else {
                again.stays.push(format!(
                    "{named}: the transaction {} is not found in it, and stays as it is",
                    movement.id
                ));
                continue;
            };
            let now = records_of::metadata(told);
            if now == metadata {
                again.unchanged += 1;
                continue;
            }
            let record = self.record(movement, told.amount, now);
            match record {
                Ok(record) => written.transactions.push(record),
                Err((id, why)) => {
                    again.stays.push(format!("{named}: the transaction {id} stays as it is: {why}"))
                }
            }
        }
        Ok(())
    }

    /// A movement as it was published, with what is said of it now.
    fn record(
        &self,
        movement: MovementRow,
        amount: Amount,
        metadata: serde_json::Value,
    ) -> Result<tributary_domain::Record, (String, String)> {
        let state = match movement.state.as_str() {
            "booked" => State::Booked,
            "pending" => State::Pending,
            _ => State::Cancelled,
        };
        let written = Written {
            created_at: movement.created_at,
            kind: movement.kind,
            related: movement.related_transaction_id,
            order_reference: movement.order_reference,
            amount,
            metadata,
        };
        let asset = self.account.currency.asset();
        let place = (self.account_id.as_str(), asset.as_str());
        let (_, record) = records_of::transaction(&movement.id, place, &written, state);
        record.map_err(|error| (movement.id, error.to_string()))
    }

    /// Publishes a statement that was put aside, if it closes now: as if it came only now. Gives whether it did.
    async fn try_again(
        &mut self,
        connection: &mut PgConnection,
        (file, row, place): (&KeptFile, &KeptStatement, usize),
        statement: &Statement,
        is_loaded: bool,
        (written, again): (&mut ToWrite, &mut Again),
    ) -> Result<bool, TakeError> {
        let Taking { provider, files, .. } = self.taking;
        let whole = self.with_pages(connection, statement).await?.unwrap_or_else(|| statement.clone());
        if !is_whole(&whole) || whole.purpose == Purpose::Test {
            return Ok(false);
        }
        let fatal = fatal(&whole);
        if !fatal.is_empty() {
            let new = self.row((&file.sha256, place), &whole, "put_aside", (&fatal, None));
            if new.reason != row.reason {
                reread_statements::reread(connection, provider, row.seq, &new).await?;
            }
            return Ok(false);
        }
        if !is_loaded {
            self.load(connection).await?;
        }
        let facts = Facts::of(&whole, files.rules);
        let new = self.row((&file.sha256, place), &whole, "published", (&fatal, Some(&facts)));
        let seq = reread_statements::reread(connection, provider, row.seq, &new).await?;
        self.settle(connection, seq, whole, &facts, written, &mut again.taken).await?;
        again.published += 1;
        Ok(true)
    }
}

/// What a statement is called in messages.
fn named(row: &KeptStatement, account: &Account, file: &KeptFile) -> String {
    let number = row.number.as_deref().unwrap_or("without a number");
    format!("{}: statement {number} of {}", file.name, name(account))
}
