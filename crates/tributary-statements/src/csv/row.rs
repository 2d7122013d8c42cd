//! A row to an entry.

use std::collections::BTreeMap;

use csv::StringRecord;

use super::cell;
use super::description::{CsvDescription, CsvSign};
use crate::{Account, Currency, Entry, EntryStatus, ReadError, Settings, Texts, decimal};

/// An entry, whose it is, and the balance after it.
pub struct Row {
    pub account: Account,
    pub entry: Entry,
    pub balance: Option<i128>,
}

/// Where the columns are.
pub struct Header {
    names: Vec<String>,
    at: BTreeMap<String, usize>,
}

impl Header {
    /// Takes a row for the header if it has all columns of the description; else says which it has not.
    pub fn find(record: &StringRecord, description: &CsvDescription) -> Result<Self, Vec<String>> {
        let names: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
        let mut at = BTreeMap::new();
        let mut missing = Vec::new();
        for wanted in description.columns.named() {
            match names.iter().position(|name| name == wanted.trim()) {
                Some(index) => drop(at.insert(wanted.to_owned(), index)),
                None => missing.push(wanted.to_owned()),
            }
        }
        if missing.is_empty() { Ok(Self { names, at }) } else { Err(missing) }
    }

    fn cell<'r>(&self, record: &'r StringRecord, name: Option<&String>) -> Option<&'r str> {
        let at = self.at.get(name?)?;
        record.get(*at).map(str::trim).filter(|cell| !cell.is_empty())
    }

    /// Reads a row; one of another length than the header is none, as its cells are not where they seem to be.
    pub fn row(
        &self,
        record: &StringRecord,
        line: u64,
        description: &CsvDescription,
        settings: &Settings,
    ) -> Result<Row, ReadError> {
        let wrong = |reason: String| ReadError::at(format!("line {line}"), reason);
        let beyond = record.iter().skip(self.names.len()).any(|cell| !cell.trim().is_empty());
        if record.len() < self.names.len() || beyond {
            let (cells, names) = (record.len(), self.names.len());
            return Err(wrong(format!(
                "it has {cells} cells and the header has {names}: is it cut, or a quote missing?"
            )));
        }
        self.parse(record, description, settings).map_err(wrong)
    }

    fn parse(
        &self,
        record: &StringRecord,
        description: &CsvDescription,
        settings: &Settings,
    ) -> Result<Row, String> {
        let columns = &description.columns;
        let account = self.cell(record, columns.account.as_ref()).or(description.account.as_deref());
        let currency = self.cell(record, columns.currency.as_ref()).or(description.currency.as_deref());
        let currency =
            settings.currency(currency.ok_or("neither a column nor the description says the currency")?)?;
        let id = account.ok_or("neither a column nor the description says the account")?.to_owned();
        let booked = self.cell(record, Some(&columns.booked_on)).ok_or("it has no date")?;
        let value = self.cell(record, columns.value_on.as_ref());
        let balance = self.cell(record, columns.balance.as_ref());
        let status = self.cell(record, columns.status.as_ref());
        let pending = status.is_some_and(|status| description.pending.iter().any(|text| text == status));
        let reference = self
            .cell(record, columns.reference.as_ref())
            .filter(|text| crate::identity::names_something(text));
        let entry = Entry {
            amount: decimal::amount(self.units(record, currency, description)?)?,
            currency,
            status: if pending { EntryStatus::Pending } else { EntryStatus::Booked },
            reversal: false,
            booked_on: Some(cell::day(booked, description.date_order)?),
            value_on: value.map(|value| cell::day(value, description.date_order)).transpose()?,
            reference: reference.map(str::to_owned),
            code: self.cell(record, columns.code.as_ref()).map(str::to_owned),
            correction: None,
            details: Vec::new(),
            texts: self.texts(record, description),
        };
        let balance =
            balance.map(|text| cell::units(text, currency, description.decimal_mark)).transpose()?;
        Ok(Row { account: Account { id, currency }, entry, balance })
    }

    fn units(
        &self,
        record: &StringRecord,
        currency: Currency,
        description: &CsvDescription,
    ) -> Result<i128, String> {
        let columns = &description.columns;
        let parsed = |text: &str| cell::units(text, currency, description.decimal_mark);
        let amount = || self.cell(record, columns.amount.as_ref()).ok_or("it has no amount".to_owned());
        match &description.sign {
            CsvSign::Signed => parsed(amount()?),
            CsvSign::Columns => {
                let side = |name: &Option<String>| {
                    self.cell(record, name.as_ref()).map(parsed).transpose().map(Option::unwrap_or_default)
                };
                match (side(&columns.credit)?, side(&columns.debit)?) {
                    (credit, 0) if credit >= 0 => Ok(credit),
                    // some write the column of debits with a minus
                    (0, debit) => Ok(-debit.abs()),
                    _ => Err("both of its columns hold an amount, or the credit is negative".to_owned()),
                }
            }
            CsvSign::Side { credit, debit } => {
                let side = self.cell(record, columns.side.as_ref()).unwrap_or_default();
                let units = parsed(amount()?)?;
                let is = |texts: &[String]| texts.iter().any(|text| text == side);
                match (is(credit), is(debit), units >= 0) {
                    (true, false, true) => Ok(units),
                    (false, true, true) => Ok(-units),
                    (_, _, false) => Err("its amount has a sign, and a column says the side".to_owned()),
                    _ => Err(format!("{side:?} is neither money in nor money out by the description")),
                }
            }
        }
    }

    fn texts(&self, record: &StringRecord, description: &CsvDescription) -> Texts {
        let mut texts = Texts::default();
        for (name, cell) in self.names.iter().zip(record) {
            let name = description.texts.get(name).unwrap_or(name);
            texts.add(if name.is_empty() { "unnamed" } else { name }, cell);
        }
        texts
    }
}
