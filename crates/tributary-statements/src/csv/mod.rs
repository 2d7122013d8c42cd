//! Tables, by the description of whoever knows the bank: nothing in a CSV file says what it means.

mod cell;
mod description;
mod row;

use std::collections::BTreeMap;

pub use self::description::{CsvColumns, CsvDescription, CsvSign, DateOrder, DecimalMark};
use self::row::{Header, Row};
use crate::{
    Account, Balance, BalanceKind, EntryStatus, Format, ReadError, Settings, Statement, StatementKind, Total,
    TotalOf, decimal, text,
};

/// The statements of a file: one for each account and currency in it.
pub fn read(bytes: &[u8], settings: &Settings) -> Result<Vec<Statement>, ReadError> {
    let description = settings.csv.as_ref().ok_or_else(|| {
        ReadError::Unrecognised(
            "it is taken for CSV: say in the provider's file what its columns are".to_owned(),
        )
    })?;
    let text = text::decode(bytes, description.charset.or(settings.charset));
    let mut header: Option<Header> = None;
    let mut nearest: Option<Vec<String>> = None;
    let mut preamble = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut reader = csv_reader(description, text.trim_start_matches('\u{feff}'));
    for record in reader.records() {
        let record = record.map_err(|error| ReadError::at("CSV", error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        match &header {
            None => {
                let missing = match Header::find(&record, description) {
                    Ok(found) => {
                        header = Some(found);
                        continue;
                    }
                    Err(missing) => missing,
                };
                if nearest.as_ref().is_none_or(|nearest| missing.len() < nearest.len()) {
                    nearest = Some(missing);
                }
                preamble.push(record.iter().collect::<Vec<_>>().join(" ").trim().to_owned());
            }
            Some(_) if description.is_no_entry(&record) => {}
            Some(header) => rows.push(header.row(&record, line, description, settings)?),
        }
    }
    if header.is_none() {
        let missing = nearest.unwrap_or_default().join(", ");
        return Err(ReadError::NoStatement(format!(
            "no row has all columns of the description; of the nearest one these are missing: {missing}. Has the bank renamed them?"
        )));
    }
    if rows.is_empty() {
        return Err(ReadError::NoStatement("there is no row below its header".to_owned()));
    }
    by_account(rows, &preamble)
}

fn csv_reader<'a>(description: &CsvDescription, text: &'a str) -> csv::Reader<&'a [u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(description.separator)
        .quoting(description.quoted)
        .from_reader(text.as_bytes())
}

fn by_account(rows: Vec<Row>, preamble: &[String]) -> Result<Vec<Statement>, ReadError> {
    let mut accounts: BTreeMap<Account, Vec<Row>> = BTreeMap::new();
    for row in rows {
        accounts.entry(row.account.clone()).or_default().push(row);
    }
    let made = accounts.into_iter().map(|(account, rows)| {
        let mut statement = Statement::new(Format::Csv, StatementKind::Export, account);
        for line in preamble {
            statement.texts.add("preamble", line);
        }
        running_balance(&rows, &mut statement).map_err(|reason| ReadError::at("CSV", reason))?;
        statement.entries = rows.into_iter().map(|row| row.entry).collect();
        let days = |entry: &crate::Entry| entry.booked_on.clone();
        statement.from = statement.entries.iter().filter_map(days).min();
        statement.to = statement.entries.iter().filter_map(days).max();
        Ok(statement)
    });
    made.collect()
}

/// Where each row says the balance after it, the file proves itself: oldest or newest first, each row follows
/// from its neighbour. Opening and closing balance are made of the ends; where rows do not follow, how many do
/// is a control total that fails.
fn running_balance(rows: &[Row], statement: &mut Statement) -> Result<(), String> {
    let booked: Vec<(i128, i128, &Row)> = rows
        .iter()
        .filter(|row| row.entry.status == EntryStatus::Booked)
        .filter_map(|row| Some((row.entry.amount.minor_units(), row.balance?, row)))
        .collect();
    let oldest_first = follows(booked.iter());
    let newest_first = follows(booked.iter().rev());
    let (first, last) = match (booked.first(), booked.last()) {
        (Some(first), Some(last)) if is_oldest_first(first, last, oldest_first, newest_first) => {
            (first, last)
        }
        (Some(last), Some(first)) => (first, last),
        _ => return Ok(()),
    };
    let before = first.1.checked_sub(first.0).ok_or("the balances are too large")?;
    for (kind, units, row) in
        [(BalanceKind::Opening, before, first.2), (BalanceKind::Closing, last.1, last.2)]
    {
        let amount = decimal::amount(units)?;
        let date = row.entry.booked_on.clone();
        statement.balances.push(Balance { kind, amount, currency: row.account.currency, date });
    }
    let count = Some(oldest_first.max(newest_first));
    let of = TotalOf::Counted { sum: None, count };
    let stated = Some(booked.len() as u64 - 1);
    statement.totals.push(Total { name: "running balance".to_owned(), of, sum: None, count: stated });
    Ok(())
}

/// Whether the `first` row is the oldest: more rows follow so, else its day is the earlier one.
fn is_oldest_first(
    first: &(i128, i128, &Row),
    last: &(i128, i128, &Row),
    oldest_first: u64,
    newest_first: u64,
) -> bool {
    let day = |row: &Row| row.entry.booked_on.as_ref().map(|stated| stated.date);
    oldest_first > newest_first || oldest_first == newest_first && day(first.2) <= day(last.2)
}

/// How many rows have the balance of the row before and their own amount.
fn follows<'a>(rows: impl Iterator<Item = &'a (i128, i128, &'a Row)>) -> u64 {
    let mut before: Option<i128> = None;
    let mut count = 0;
    for (amount, balance, _) in rows {
        if before.and_then(|before| before.checked_add(*amount)) == Some(*balance) {
            count += 1;
        }
        before = Some(*balance);
    }
    count
}
