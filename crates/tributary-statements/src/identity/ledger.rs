//! What is known of accounts, and what a statement adds to it.

use std::collections::BTreeMap;

use tributary_domain::Amount;

use super::Rules;
use super::book::Book;
use crate::{Account, Purpose, Statement};

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

impl Ledger {
    /// One that knows nothing yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, accounts: BTreeMap::new() }
    }

    /// Takes a statement, which passed its checks, and gives the ids that are new. Tests have no effect.
    pub fn take(&mut self, statement: &Statement) -> Vec<String> {
        if statement.purpose == Purpose::Test {
            return Vec::new();
        }
        let book = self.accounts.entry(statement.account.clone()).or_default();
        book.take(statement, self.rules)
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
