//! What statements prove about themselves and one another, as sums. Nothing is published of a statement that
//! does not close; a chain that breaks or a number that is missing is told, and the rest goes on.

mod chain;
mod finding;

use tributary_domain::Amount;

use self::chain::name;
pub use self::chain::{chain, missing_numbers, numbers_left_out};
pub use self::finding::Finding;
use crate::{Balance, Entry, EntryStatus, Statement, Total, TotalOf, decimal};

/// C1, C2 and whether all pages are there: what a statement says of itself.
pub fn of_statement(statement: &Statement) -> Vec<Finding> {
    let mut findings: Vec<Finding> = pages(statement).into_iter().chain(closes(statement)).collect();
    findings.extend(control_totals(statement));
    findings
}

fn pages(statement: &Statement) -> Option<Finding> {
    let page = statement.page.as_ref().filter(|page| !page.last)?;
    Some(Finding::MissingPages { statement: name(statement), page: page.number.clone() })
}

/// C1. Nothing, where there are not two balances to compare, as in notifications.
pub fn closes(statement: &Statement) -> Option<Finding> {
    let (opening, closing) = (statement.opening()?, statement.closing()?);
    let account = statement.account.currency;
    let booked = || statement.entries.iter().filter(|entry| entry.status == EntryStatus::Booked);
    let currencies =
        [opening.currency, closing.currency].into_iter().chain(booked().map(|entry| entry.currency));
    if let Some(found) = currencies.into_iter().find(|found| *found != account) {
        return Some(Finding::OtherCurrency { found, account });
    }
    let missing = short(opening, closing, booked().map(|entry| entry.amount.minor_units()))?;
    if missing == 0 {
        return None;
    }
    let turned = |entry: &Entry| entry.amount.minor_units() * if entry.reversal { -1 } else { 1 };
    let closes_inverted = short(opening, closing, booked().map(turned)) == Some(0);
    Some(Finding::DoesNotClose {
        missing: decimal::amount(missing).ok()?,
        currency: account,
        closes_inverted,
    })
}

fn short(opening: &Balance, closing: &Balance, entries: impl Iterator<Item = i128>) -> Option<i128> {
    let between = closing.amount.minor_units().saturating_sub(opening.amount.minor_units());
    Some(between.saturating_sub(sum(entries)))
}

/// Amounts have at most 38 digits, so that sums beyond an i128 take a file on purpose: they saturate, and
/// then nothing agrees with them.
fn sum(amounts: impl Iterator<Item = i128>) -> i128 {
    amounts.fold(0, i128::saturating_add)
}

/// C2. Totals are of all entries or of the booked ones: banks do either.
pub fn control_totals(statement: &Statement) -> Vec<Finding> {
    statement.totals.iter().filter_map(|total| wrong_total(total, statement)).collect()
}

fn wrong_total(total: &Total, statement: &Statement) -> Option<Finding> {
    let moving = |entry: &&Entry| {
        matches!(entry.status, EntryStatus::Booked | EntryStatus::Pending | EntryStatus::Future)
    };
    let booked = |entry: &&Entry| entry.status == EntryStatus::Booked;
    let all = found(total, statement.entries.iter().filter(moving));
    let of_booked = found(total, statement.entries.iter().filter(booked));
    let agrees = |(sum, count): &(Option<i128>, Option<u64>)| {
        let sums = total.sum.zip(*sum).is_none_or(|(stated, found)| stated.minor_units() == found);
        sums && total.count.zip(*count).is_none_or(|(stated, found)| stated == found)
    };
    if agrees(&all) || agrees(&of_booked) {
        return None;
    }
    let missing =
        total.sum.zip(of_booked.0).map(|(stated, found)| stated.minor_units().saturating_sub(found));
    let counts = total.count.zip(of_booked.1).filter(|(stated, found)| stated != found);
    Some(Finding::WrongTotal {
        name: total.name.clone(),
        missing: missing.filter(|missing| *missing != 0).and_then(|missing| decimal::amount(missing).ok()),
        counts,
        currency: statement.account.currency,
    })
}

fn found<'a>(total: &Total, entries: impl Iterator<Item = &'a Entry>) -> (Option<i128>, Option<u64>) {
    let amounts = entries.map(|entry| entry.amount.minor_units());
    let of = |amounts: Vec<i128>| (Some(sum(amounts.iter().copied())), Some(amounts.len() as u64));
    match &total.of {
        TotalOf::Credits => of(amounts.filter(|amount| *amount >= 0).collect()),
        TotalOf::Debits => of(amounts.filter(|amount| *amount < 0).map(i128::abs).collect()),
        TotalOf::Net => of(amounts.collect()),
        TotalOf::Gross => of(amounts.map(i128::abs).collect()),
        TotalOf::Counted { sum, count } => (sum.map(Amount::minor_units), *count),
    }
}

/// C6: the bank's balance `now` against the one that was agreed on, `anchor`, and all that was published of
/// the account since, signed.
pub fn since_anchor(
    anchor: &Balance,
    published: impl IntoIterator<Item = Amount>,
    now: &Balance,
) -> Option<Finding> {
    if anchor.currency != now.currency {
        return Some(Finding::OtherCurrency { found: now.currency, account: anchor.currency });
    }
    let missing = short(anchor, now, published.into_iter().map(Amount::minor_units))?;
    let missing =
        Some(missing).filter(|missing| *missing != 0).and_then(|missing| decimal::amount(missing).ok())?;
    Some(Finding::OffAnchor { missing, currency: now.currency })
}
