//! What statements prove about themselves and one another, as sums. Nothing is published of a statement that
//! does not close; a chain that breaks or a number that is missing is told, and the rest goes on.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use tributary_domain::Amount;

use crate::{Account, Balance, Currency, Entry, EntryStatus, Statement, Total, TotalOf, decimal};

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// C1: opening and booked entries are not the closing balance.
    DoesNotClose {
        /// Closing, less opening and entries: what is missing in the file, in minor units.
        missing: Amount,
        currency: Currency,
        /// It would close if reversals were turned: the provider's `reversal` setting.
        closes_inverted: bool,
    },
    /// C1: a balance or a booked entry is in another currency than the account.
    OtherCurrency { found: Currency, account: Currency },
    /// C2: a control total is not what there is.
    WrongTotal {
        name: String,
        /// Stated, less found, in minor units.
        missing: Option<Amount>,
        /// Stated and found.
        counts: Option<(u64, u64)>,
        currency: Currency,
    },
    /// C3: a statement does not open where the one before it closed.
    BrokenChain {
        before: String,
        after: String,
        /// Opening, less the closing before it: what moved in between.
        missing: Amount,
        currency: Currency,
    },
    /// C4: numbers that were left out.
    MissingNumbers { first: u64, last: u64 },
    /// A page of a statement whose other pages are not there.
    MissingPages { statement: String, page: String },
    /// C6: the balance is not what everything since the anchor makes.
    OffAnchor {
        /// The bank's, less ours.
        missing: Amount,
        currency: Currency,
    },
}

impl Finding {
    /// Whether the statement is to be put aside whole. The others are told, and published nevertheless.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::DoesNotClose { .. }
                | Self::OtherCurrency { .. }
                | Self::WrongTotal { .. }
                | Self::MissingPages { .. }
        )
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let money = |amount: &Amount, currency: &Currency| decimal::written(amount.minor_units(), *currency);
        match self {
            Self::DoesNotClose { missing, currency, closes_inverted } => {
                write!(
                    f,
                    "opening balance and entries are {} short of the closing balance",
                    money(missing, currency)
                )?;
                match closes_inverted {
                    true => f.write_str(
                        "; it closes if reversals are inverted: set that, if the bank marks them so",
                    ),
                    false => f.write_str(": ask the bank for the file again, or for what is missing"),
                }
            }
            Self::OtherCurrency { found, account } => {
                write!(f, "the account is in {account}, and a balance or a booked entry in {found}")
            }
            Self::WrongTotal { name, missing, counts, currency } => {
                write!(f, "{name} is not what is in the file")?;
                if let Some(missing) = missing {
                    write!(f, ": {} is missing", money(missing, currency))?;
                }
                match counts {
                    Some((stated, found)) => write!(f, "; it says {stated}, and there are {found}"),
                    None => Ok(()),
                }
            }
            Self::BrokenChain { before, after, missing, currency } => {
                let missing = money(missing, currency);
                write!(
                    f,
                    "statement {after} does not open where {before} closed: {missing} is missing in between"
                )
            }
            Self::MissingNumbers { first, last } if first == last => {
                write!(f, "statement {first} is missing: ask the bank for it")
            }
            Self::MissingNumbers { first, last } => {
                write!(f, "statements {first} to {last} are missing: ask the bank for them")
            }
            Self::MissingPages { statement, page } => {
                write!(f, "of statement {statement} there is page {page}, and not those before and after it")
            }
            Self::OffAnchor { missing, currency } => {
                let missing = money(missing, currency);
                write!(
                    f,
                    "the bank's balance differs by {missing} from everything that was published since it last agreed"
                )
            }
        }
    }
}

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
fn name(statement: &Statement) -> String {
    let day = statement.closing_day().map(|day| format!(" of {day}")).unwrap_or_default();
    let number = statement.number.as_deref().or(statement.id.as_deref()).unwrap_or("without a number");
    format!("{number}{day}")
}

/// C4, for the statements of one account in any order: numbers that are left out. Numbers that go on at 1 in a
/// new year are not; and where most steps are not by one, the bank counts otherwise and nothing is said.
pub fn missing_numbers<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> Vec<Finding> {
    let mut numbers: Vec<(i32, u64, NaiveDate)> = statements
        .into_iter()
        .filter_map(|statement| {
            let day = statement.closing_day()?;
            Some((day.year(), number(statement)?, day))
        })
        .collect();
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
