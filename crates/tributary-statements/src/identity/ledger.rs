//! What is known of accounts, and what a statement adds to it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use tributary_domain::Amount;

use super::{Book, Facts, Rules};
use crate::{Account, Statement};

/// The movements of accounts, as the statements taken so far make them.
#[derive(Debug)]
pub struct Ledger {
    rules: Rules,
    accounts: BTreeMap<Account, Book>,
}

/// Where a movement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Money has moved.
    Booked,
    /// It is expected to.
    Pending,
    /// It was not booked after all, or the bank has taken it back.
    Cancelled,
}

/// A movement that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    /// Its id, which never changes: the key and a number.
    pub id: String,
    /// Signed, in minor units.
    pub amount: Amount,
    pub state: State,
}

/// A movement of a [`Book`], with where to find what was said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    pub id: &'a str,
    /// Signed, in minor units.
    pub amount: Amount,
    pub state: State,
    /// The day that it is told of.
    pub day: Option<NaiveDate>,
    /// Whether a final statement or an export has it, and not only what was expected.
    pub is_final: bool,
    /// Which of the statements that were taken tells of it, from 1 on, and its place among the movements there.
    pub arrival: u64,
    pub place: usize,
}

impl Ledger {
    /// One that knows nothing yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, accounts: BTreeMap::new() }
    }

    /// Takes a statement, which passed its checks, and gives the ids that are new. Tests have no effect.
    pub fn take(&mut self, statement: &Statement) -> Vec<String> {
        let book = self.accounts.entry(statement.account.clone()).or_default();
        book.take(&Facts::of(statement, self.rules), self.rules)
    }

    /// All movements of an account, by id.
    pub fn known(&self, account: &Account) -> Vec<Known> {
        let mut known = self.accounts.get(account).map(Book::known).unwrap_or_default();
        known.sort();
        known
    }

    /// The accounts of which anything is known.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.keys()
    }
}
