//! What follows on what: C3 and C4.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};

use super::Finding;
use crate::{Account, Statement, decimal};

/// C3, for statements of any accounts in any order: each account's, by day and number, open where the one
/// before closed.
pub fn chain<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (account, statements) in by_account(statements) {
        for pair in statements.windows(2) {
            let [before, after] = pair else { continue };
            let (Some(closing), Some(opening)) = (before.closing(), after.opening()) else { continue };
            let missing = opening.amount.minor_units().saturating_sub(closing.amount.minor_units());
            if let (Ok(amount), true) = (decimal::amount(missing), missing != 0) {
                findings.push(Finding::BrokenChain {
                    before: name(before),
                    after: name(after),
                    missing: amount,
                    currency: account.currency,
                });
            }
        }
    }
    findings
}

/// The statements of each account that have two balances, in the order of their days. Those of one day are in
/// the order in which one opens where another closed, as far as there is one.
fn by_account<'a>(
    statements: impl IntoIterator<Item = &'a Statement>,
) -> BTreeMap<&'a Account, Vec<&'a Statement>> {
    let mut accounts: BTreeMap<&Account, Vec<&Statement>> = BTreeMap::new();
    for statement in statements {
        if statement.kind == crate::StatementKind::Final {
            accounts.entry(&statement.account).or_default().push(statement);
        }
    }
    for statements in accounts.values_mut() {
        statements.sort_by_key(|statement| (statement.closing_day(), number(statement)));
        link_days(statements);
    }
    accounts
}

/// Orders the statements of each day that has unnumbered ones by what opens where another closed.
fn link_days(statements: &mut [&Statement]) {
    let mut from = 0;
    while from < statements.len() {
        let day = statements[from].closing_day();
        let to = from + statements[from..].iter().take_while(|next| next.closing_day() == day).count();
        let (before, rest) = statements.split_at_mut(from);
        let of_day = &mut rest[..to - from];
        if of_day.iter().any(|statement| number(statement).is_none()) {
            link(before.last().copied(), of_day);
        }
        from = to;
    }
}

fn link<'a>(mut before: Option<&'a Statement>, of_day: &mut [&'a Statement]) {
    let meets = |before: &Statement, next: &Statement| {
        before
            .closing()
            .zip(next.opening())
            .is_some_and(|(closing, opening)| closing.amount == opening.amount)
    };
    for at in 0..of_day.len() {
        let rest = &of_day[at..];
        let follows = before.and_then(|before| rest.iter().position(|next| meets(before, next)));
        let first = || {
            rest.iter()
                .position(|next| !rest.iter().any(|other| !std::ptr::eq(*other, *next) && meets(other, next)))
        };
        let next = follows.or_else(first).unwrap_or(0);
        // the others keep their order
        of_day[at..=at + next].rotate_right(1);
        before = Some(of_day[at]);
    }
}

fn number(statement: &Statement) -> Option<u64> {
    statement.number.as_ref()?.parse().ok()
}

/// How a message names a statement.
pub fn name(statement: &Statement) -> String {
    let day = statement.closing_day().map(|day| format!(" of {day}")).unwrap_or_default();
    let number = statement.number.as_deref().or(statement.id.as_deref()).unwrap_or("without a number");
    format!("{number}{day}")
}

/// C4, for the statements of one account in any order: numbers that are left out. Numbers that go on at 1 in a
/// new year are not; and where most steps are not by one, the bank counts otherwise and nothing is said.
pub fn missing_numbers<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> Vec<Finding> {
    let numbered = |statement: &Statement| Some((statement.closing_day()?, number(statement)?));
    numbers_left_out(statements.into_iter().filter_map(numbered))
}

/// As [`missing_numbers`], of closing days and numbers.
pub fn numbers_left_out(numbered: impl IntoIterator<Item = (NaiveDate, u64)>) -> Vec<Finding> {
    let mut numbers: Vec<(i32, u64, NaiveDate)> =
        numbered.into_iter().map(|(day, number)| (day.year(), number, day)).collect();
    numbers.sort_unstable_by_key(|(_, number, day)| (*day, *number));
    numbers.dedup_by_key(|(year, number, _)| (*year, *number));
    let steps = numbers.windows(2).filter_map(|pair| match pair {
        [(before, last, _), (year, number, _)] if before == year || number > last => Some((*last, *number)),
        // a new year that begins with another number than 1 has lost its first ones
        [_, (_, number, _)] if *number > 1 => Some((0, *number)),
        _ => None,
    });
    let steps: Vec<(u64, u64)> = steps.collect();
    let by_one = steps.iter().filter(|(last, number)| last.checked_add(1) == Some(*number)).count();
    if by_one * 2 < steps.len() {
        return Vec::new();
    }
    steps
        .into_iter()
        .filter(|(last, number)| last.checked_add(1).is_some_and(|next| next < *number))
        .map(|(last, number)| Finding::MissingNumbers { first: last + 1, last: number - 1 })
        .collect()
}
