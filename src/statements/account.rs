//! One account: its statements as they follow each other, and what they make of its movements and balance.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tributary_domain::{ProviderName, RecordError};
use tributary_statements::checks::{self, Finding};
use tributary_statements::identity::Facts;
use tributary_statements::{Account, Format, Purpose, Statement, StatementKind};

use super::import::{Incoming, TakeError, Taken, Taking, ToWrite};
use super::kept::{Kept, is_whole};
use super::movements as records_of;
use super::shelf::{Changed, Shelf, ShelfKey};
use crate::store::accounts;
use crate::store::statements::{self, Key, Locked, NewStatement};

/// How many gaps of an account are kept in words.
const GAPS_MOST: usize = 20;

/// An account whose statements are taken, with its row locked.
pub(super) struct OfAccount<'a> {
    pub(super) taking: Taking<'a>,
    pub(super) account: &'a Account,
    pub(super) account_id: String,
    /// The last statement that was published; 0 before the first.
    last: i64,
    pub(super) shelf: Shelf,
    /// The statements that were taken now, and those that were read again, by their numbers.
    pub(super) now: BTreeMap<i64, Statement>,
    pub(super) at: DateTime<Utc>,
}

impl<'a> OfAccount<'a> {
    /// Locks the row, and reads what is known of the account.
    pub(super) async fn lock(
        connection: &mut PgConnection,
        taking: Taking<'a>,
        account: &'a Account,
        written: &mut ToWrite,
    ) -> Result<Self, TakeError> {
        let mut locked = Self::locked(connection, taking, account, written).await?;
        locked.load(connection).await?;
        Ok(locked)
    }

    /// Locks the row alone; before anything is taken, [`OfAccount::load`] has to read the rest.
    pub(super) async fn locked(
        connection: &mut PgConnection,
        taking: Taking<'a>,
        account: &'a Account,
        written: &mut ToWrite,
    ) -> Result<Self, TakeError> {
        let Taking { provider, files, .. } = taking;
        let (account_id, rules) = (files.account_id(account), files.rules_text());
        let key = key(account);
        let locked = statements::lock(connection, provider, key, &account_id, &rules).await?;
        let Locked { is_new, account_id: before, rules: rules_before, last } = locked;
        let named = || name(account);
        if rules_before != rules {
            return Err(TakeError::OtherRules { account: named(), before: rules_before, now: rules });
        }
        if before != account_id {
            return Err(TakeError::OtherAccount { account: named(), before, now: account_id });
        }
        let at = Utc::now();
        if is_new && !accounts::exists(connection, provider, &account_id).await? {
            let record = records_of::account(files, account, at);
            written.accounts.push(record.map_err(|error| unpublishable(account, &error))?);
        }
        Ok(Self { taking, account, account_id, last, shelf: Shelf::default(), now: BTreeMap::new(), at })
    }

    /// Reads what is known of the account.
    pub(super) async fn load(&mut self, connection: &mut PgConnection) -> Result<(), TakeError> {
        let Taking { provider, files, .. } = self.taking;
        let mut shelf = files.shelves.take(&shelf_key(provider, self.account));
        if shelf.last() > self.last {
            // of a transaction that did not come through after all
            shelf = Shelf::default();
        }
        for row in statements::published(connection, provider, key(self.account), shelf.last()).await? {
            let followed = shelf.follow(&row, files.rules);
            followed.map_err(|why| TakeError::Unreadable { account: name(self.account), why })?;
        }
        self.shelf = shelf;
        Ok(())
    }

    pub(super) async fn take(
        &mut self,
        connection: &mut PgConnection,
        file: &Incoming,
        place: usize,
        statement: &Statement,
        written: &mut ToWrite,
        taken: &mut Taken,
    ) -> Result<(), TakeError> {
        let provider = self.taking.provider;
        let whole = self.with_pages(connection, statement).await?.unwrap_or_else(|| statement.clone());
        let fatal: Vec<Finding> =
            checks::of_statement(&whole).into_iter().filter(Finding::is_fatal).collect();
        let is_known = !is_whole(&whole)
            && whole.number.is_some()
            && self.kept().has(connection, key(self.account), &whole).await?;
        let state = match (is_whole(&whole), fatal.is_empty(), whole.purpose) {
            (_, _, Purpose::Test) => "test",
            // it would wait for ever
            (false, ..) if is_known => "joined",
            (false, ..) => "waiting",
            (true, false, _) => "put_aside",
            (true, true, _) => "published",
        };
        let facts = (state == "published").then(|| Facts::of(&whole, self.taking.files.rules));
        let new = self.row((&file.sha256, place), &whole, state, (&fatal, facts.as_ref()));
        let seq = statements::add(connection, provider, new).await?;
        match facts {
            Some(facts) => self.settle(connection, seq, whole, &facts, written, taken).await,
            None => Ok(()),
        }
    }

    /// Publishes what is kept as `seq`: its pages wait no longer, and what was put aside of it is settled.
    pub(super) async fn settle(
        &mut self,
        connection: &mut PgConnection,
        seq: i64,
        whole: Statement,
        facts: &Facts,
        written: &mut ToWrite,
        taken: &mut Taken,
    ) -> Result<(), TakeError> {
        let (provider, key) = (self.taking.provider, key(self.account));
        let (number, day) = (whole.number.as_deref(), whole.closing_day());
        let parts = self.kept().waiting_parts(connection, key, &whole).await?;
        statements::joined(connection, provider, &parts).await?;
        statements::settle(connection, provider, key, number, day).await?;
        taken.warnings.extend(whole.warnings.iter().map(|warning| ("bent", warning.clone())));
        self.publish(connection, seq, whole, facts, written).await
    }

    /// The statement that a page belongs to, if it is all there by now.
    pub(super) async fn with_pages(
        &self,
        connection: &mut PgConnection,
        statement: &Statement,
    ) -> Result<Option<Statement>, TakeError> {
        if is_whole(statement) {
            return Ok(None);
        }
        let (kept, key) = (self.kept(), key(self.account));
        let waited = kept.with_pages(connection, key, statement, &["waiting"]).await?;
        // what has no number is among all others without one
        if waited.is_some() || statement.number.is_none() {
            return Ok(waited);
        }
        // another one of a page that was there, or that changes
        Ok(kept.with_pages(connection, key, statement, &["waiting", "joined", "published"]).await?)
    }

    pub(super) fn kept(&self) -> Kept<'a> {
        let Taking { provider, files, .. } = self.taking;
        Kept { provider, files }
    }

    /// Reads again what tells of movements that got an id of their own, or another teller, by what came now: a statement
    /// that was taken before.
    pub(super) async fn read_again(
        &mut self,
        connection: &mut PgConnection,
        changed: &[Changed],
    ) -> Result<(), TakeError> {
        let anew = changed.iter().filter(|each| each.is_new || each.is_retold);
        let seqs: BTreeSet<i64> =
            anew.map(|each| each.seq).filter(|seq| !self.now.contains_key(seq)).collect();
        for seq in seqs {
            if let Some(of) = self.kept().statement(connection, key(self.account), seq).await? {
                self.now.insert(seq, of);
            }
        }
        Ok(())
    }

    /// A statement at its place in a file, in its state: with what is wrong with it, or with its facts.
    pub(super) fn row<'s>(
        &'s self,
        (sha256, place): (&'s [u8], usize),
        of: &'s Statement,
        state: &'s str,
        (fatal, facts): (&[Finding], Option<&Facts>),
    ) -> NewStatement<'s> {
        let is_aside = state == "put_aside";
        let units = |balance: Option<&tributary_statements::Balance>| {
            balance.map(|balance| balance.amount.minor_units().to_string())
        };
        NewStatement {
            sha256,
            place,
            key: key(self.account),
            format: format_name(of.format),
            kind: kind_name(of.kind),
            number: of.number.as_deref(),
            page: of.page.as_ref().map(|page| page.number.as_str()),
            opening: units(of.opening()),
            closing: units(of.closing()),
            closing_day: of.closing_day(),
            entries: of.entries.len(),
            state,
            reason: is_aside.then(|| fatal.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
            missing: fatal.iter().find_map(missing).filter(|_| is_aside),
            facts: facts.and_then(|facts| serde_json::to_string(facts).ok()),
        }
    }

    /// Holds the account against itself, and writes its balance.
    pub(super) async fn end(
        self,
        connection: &mut PgConnection,
        written: &mut ToWrite,
        taken: &mut Taken,
    ) -> Result<(), TakeError> {
        let Taking { provider, files, .. } = self.taking;
        let latest = self.shelf.latest();
        if let Some(latest) = latest {
            let record = records_of::balances(files, self.account, latest, self.at);
            written.balances.push(record.map_err(|error| unpublishable(self.account, &error))?);
        }
        let name = name(self.account);
        let (broken, first) = self.shelf.broken_chains();
        let left_out = self.shelf.missing_numbers();
        let mut gaps: Vec<String> =
            first.into_iter().chain(left_out.iter().map(ToString::to_string)).collect();
        taken.warnings.extend(gaps.iter().map(|told| ("gap", format!("{name}: {told}"))));
        gaps.truncate(GAPS_MOST);
        let off_by = self.shelf.off_by();
        if off_by != 0 {
            let told = format!(
                "{name}: the bank's balances moved by {off_by} minor units more than its statements booked: compare with the \
                 bank which movements are missing or there twice"
            );
            taken.warnings.push(("unbalanced", told));
        }
        let missing = left_out.iter().map(|finding| match finding {
            Finding::MissingNumbers { first, last } => {
                usize::try_from(last - first + 1).unwrap_or(usize::MAX)
            }
            _ => 0,
        });
        let standing = statements::Standing {
            closing_day: latest.map(|(day, _)| day),
            closing: latest.map(|(_, units)| units.to_string()),
            broken_chains: broken,
            missing_numbers: missing.sum(),
            gaps,
            off_by: off_by.to_string(),
        };
        statements::save_standing(connection, provider, key(self.account), &standing).await?;
        taken.shelves.push((shelf_key(provider, self.account), self.shelf));
        Ok(())
    }
}

fn unpublishable(account: &Account, error: &RecordError) -> TakeError {
    TakeError::Unpublishable { account: name(account), why: error.to_string() }
}

/// What an account is called in messages.
pub(super) fn name(account: &Account) -> String {
    format!("{}/{}", account.id, account.currency)
}

pub(super) fn key(account: &Account) -> Key<'_> {
    Key { account: &account.id, currency: account.currency.code() }
}

fn shelf_key(provider: &ProviderName, account: &Account) -> ShelfKey {
    (provider.clone(), account.id.clone(), account.currency.code().to_owned())
}

/// The sum that is missing, in minor units.
fn missing(finding: &Finding) -> Option<String> {
    let amount = match finding {
        Finding::DoesNotClose { missing, .. } => Some(*missing),
        Finding::WrongTotal { missing, .. } => *missing,
        _ => None,
    };
    amount.map(|amount| amount.minor_units().to_string())
}

fn kind_name(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Final => "final",
        StatementKind::Interim => "interim",
        StatementKind::Notification => "notification",
        StatementKind::Export => "export",
    }
}

/// What a format is called.
pub(super) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Camt => "camt",
        Format::Mt => "mt",
        Format::Bai2 => "bai2",
        Format::Ofx => "ofx",
        Format::Csv => "csv",
    }
}
