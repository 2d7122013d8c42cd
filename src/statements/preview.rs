//! What files would become, without a database: as if nothing were there yet.

use std::collections::BTreeMap;

use chrono::Utc;
use serde_json::Value;
use tributary_statements::checks::{self, Finding};
use tributary_statements::identity::{Book, Facts};
use tributary_statements::{Account, Movement, Purpose, Statement, movements};

use super::Files;
use super::movements::{Written, transaction};

/// What is wrong with a statement itself: it would be put aside, or wait for its other pages.
pub fn put_aside(statement: &Statement) -> Vec<Finding> {
    checks::of_statement(statement).into_iter().filter(Finding::is_fatal).collect()
}

/// The transactions that `statements` would become together, in the order in which they are told of.
pub fn preview(files: &Files, statements: &[Statement]) -> Vec<Value> {
    let mut accounts: BTreeMap<&Account, Vec<&Statement>> = BTreeMap::new();
    for statement in
        statements.iter().filter(|each| put_aside(each).is_empty() && each.purpose != Purpose::Test)
    {
        accounts.entry(&statement.account).or_default().push(statement);
    }
    accounts.into_iter().flat_map(|(account, statements)| of_account(files, account, &statements)).collect()
}

fn of_account(files: &Files, account: &Account, statements: &[&Statement]) -> Vec<Value> {
    let mut book = Book::default();
    for statement in statements {
        book.take(&Facts::of(statement, files.rules), files.rules);
    }
    let moves: Vec<Vec<Movement<'_>>> =
        statements.iter().map(|statement| movements(statement, files.rules.level)).collect();
    let (account_id, asset) = (files.account_id(account), account.currency.asset());
    let standing = book.standing().filter_map(|each| {
        let at = usize::try_from(each.arrival.checked_sub(1)?).ok()?;
        let movement = moves.get(at)?.get(each.place)?;
        let written = Written::new(files, statements.get(at)?, movement, Utc::now());
        Some(transaction(each.id, (&account_id, asset.as_str()), &written, each.state).0)
    });
    standing.collect()
}
