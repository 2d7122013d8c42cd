//! What every format becomes.

use std::collections::BTreeMap;

use tributary_domain::Amount;

use crate::{Currency, Format, StatedDate};

/// Text by name, as the bank gives it. Known things have the names of ISO 20022 (`endToEndId`, `mandateId`,
/// `remittanceInformation`); everything else keeps the name that it has in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    map: BTreeMap<String, String>,
    /// How often a name was given, where that is more than once.
    given: BTreeMap<String, usize>,
}

impl Texts {
    /// Adds a text; blank ones are left out, and so is one that the name has already. A name that is taken gets
    /// a number (`name.2`), so that nothing is overwritten. Control characters, which banks send and no table
    /// holds, become blanks.
    pub fn add(&mut self, name: &str, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let text = text.replace(|c: char| c.is_control() && c != '\n', " ");
        match self.map.get(name) {
            None => drop(self.map.insert(name.to_owned(), text)),
            Some(there) if *there == text => {}
            Some(_) => {
                let given = self.given.entry(name.to_owned()).or_insert(1);
                *given += 1;
                let numbered = format!("{name}.{given}");
                self.map.insert(numbered, text);
            }
        }
    }

    /// The text of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.map.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.map
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Texts) {
        for (name, text) in &other.map {
            self.add(name, text);
        }
    }
}

/// Whose statement it is. Accounts of several currencies are several: the id alone is no key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The IBAN, or the bank's own number, as written.
    pub id: String,
    /// What it is kept in.
    pub currency: Currency,
}

/// What a statement claims about the time it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    /// Final and complete: camt.053, MT940, BAI2 of the previous day.
    Final,
    /// During the day, and neither: camt.052, MT942, BAI2 of the same day.
    Interim,
    /// Single movements, without balances: camt.054.
    Notification,
    /// What somebody asked for, from a day to a day: OFX, CSV.
    Export,
}

/// What the sender wants done with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Take it.
    #[default]
    Report,
    /// It is a copy of one that was sent (`CpyDplctInd`): the same content counts once, as always.
    Copy,
    /// Take back what the same account and day had (BAI2 group status 2).
    Deletion,
    /// Replace what the same account and day had (BAI2 group status 3).
    Correction,
    /// A test, without effect (BAI2 group status 4).
    Test,
}

/// A page of a statement that comes in several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its number as written; of pages that were joined, that of the first.
    pub number: String,
    /// Of pages that were joined, the number of the last.
    pub to: Option<String>,
    /// Whether the statement begins with it.
    pub first: bool,
    /// Whether the statement ends with it.
    pub last: bool,
}

/// Which balance it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BalanceKind {
    /// Booked, before the entries.
    Opening,
    /// Booked, after the entries.
    Closing,
    /// Booked, between pages or during the day.
    Interim,
    /// Booked, when the previous statement closed.
    PreviousClosing,
    /// What can be disposed of, after the entries.
    ClosingAvailable,
    /// What can be disposed of, before the entries.
    OpeningAvailable,
    /// What can be disposed of during the day.
    InterimAvailable,
    /// What can be disposed of on a coming day.
    ForwardAvailable,
    /// Any other, by the bank's code. Never used for a check.
    Other(String),
}

/// A balance, signed: what the account is overdrawn by is negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    pub kind: BalanceKind,
    /// In minor units of `currency`.
    pub amount: Amount,
    pub currency: Currency,
    pub date: Option<StatedDate>,
}

/// Whether an entry has moved money.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryStatus {
    /// It has; balances include these alone.
    Booked,
    /// It is expected to.
    Pending,
    /// Booked later, already announced.
    Future,
    /// It moves nothing.
    Information,
    /// A code of the bank's own. Counts as information until somebody says otherwise.
    Other(String),
}

/// What an entry says of one that was reported before (OFX `CORRECTACTION`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Correction {
    /// It replaces the one of this bank reference.
    Replaces(String),
    /// It takes back the one of this bank reference.
    Deletes(String),
}

/// One movement on the account, as booked: the line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Signed, in minor units of `currency`: money in is positive.
    pub amount: Amount,
    pub currency: Currency,
    pub status: EntryStatus,
    /// Whether the bank marks it as a reversal. The sign of `amount` says it already.
    pub reversal: bool,
    pub booked_on: Option<StatedDate>,
    pub value_on: Option<StatedDate>,
    /// The bank's own reference (AcctSvcrRef, FITID). It repeats in real files.
    pub reference: Option<String>,
    /// The bank transaction code, or the bank's own.
    pub code: Option<String>,
    pub correction: Option<Correction>,
    /// The transactions within it: none, one, or those of a batch.
    pub details: Vec<Detail>,
    pub texts: Texts,
}

/// A transaction within an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Signed minor units and their currency, where the file gives any. It may differ from the entry by charges.
    pub amount: Option<(Amount, Currency)>,
    pub reference: Option<String>,
    pub texts: Texts,
}

/// What a control total is the total of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TotalOf {
    /// Money in.
    Credits,
    /// Money out, without a sign.
    Debits,
    /// All of it, signed.
    Net,
    /// All of it, each without its sign.
    Gross,
    /// Something that was counted while the file was read, such as records: what there was.
    Counted { sum: Option<Amount>, count: Option<u64> },
}

/// A control total that the bank states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// What the format calls it, for messages.
    pub name: String,
    pub of: TotalOf,
    /// In minor units of the account's currency.
    pub sum: Option<Amount>,
    /// How many there are.
    pub count: Option<u64>,
}

/// One statement of one account in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub format: Format,
    pub kind: StatementKind,
    pub purpose: Purpose,
    pub account: Account,
    /// The bank's id of it. Some repeat every year, some never change.
    pub id: Option<String>,
    /// The number that counts statements, as written; `None` where the bank does not count (`0`).
    pub number: Option<String>,
    pub page: Option<Page>,
    pub created: Option<StatedDate>,
    /// The first and the last day that it covers, where it says so.
    pub from: Option<StatedDate>,
    pub to: Option<StatedDate>,
    pub balances: Vec<Balance>,
    pub entries: Vec<Entry>,
    pub totals: Vec<Total>,
    pub texts: Texts,
    /// What was bent to be read, such as a day that does not exist.
    pub warnings: Vec<String>,
}

impl Statement {
    pub(crate) fn new(format: Format, kind: StatementKind, account: Account) -> Self {
        Self {
            format,
            kind,
            purpose: Purpose::default(),
            account,
            id: None,
            number: None,
            page: None,
            created: None,
            from: None,
            to: None,
            balances: Vec::new(),
            entries: Vec::new(),
            totals: Vec::new(),
            texts: Texts::default(),
            warnings: Vec::new(),
        }
    }

    /// The booked balance before the entries: the opening one, else the previous closing one, else the first
    /// of two interim ones, else the interim one beside a closing one (of a last page).
    pub fn opening(&self) -> Option<&Balance> {
        self.first(&BalanceKind::Opening)
            .or_else(|| self.first(&BalanceKind::PreviousClosing))
            .or_else(|| self.interim_pair().map(|(first, _)| first))
            .or_else(|| self.first(&BalanceKind::Closing).and_then(|_| self.first(&BalanceKind::Interim)))
    }

    /// The booked balance after the entries: the closing one, else the last of two interim ones, else the only
    /// interim one beside an opening one. Never an opening one.
    pub fn closing(&self) -> Option<&Balance> {
        self.first(&BalanceKind::Closing).or_else(|| match self.interim_pair() {
            Some((_, last)) => Some(last),
            None if self.first(&BalanceKind::Opening).is_some() => self.first(&BalanceKind::Interim),
            None => None,
        })
    }

    fn first(&self, kind: &BalanceKind) -> Option<&Balance> {
        self.balances.iter().find(|balance| balance.kind == *kind)
    }

    fn interim_pair(&self) -> Option<(&Balance, &Balance)> {
        let mut interim = self.balances.iter().filter(|balance| balance.kind == BalanceKind::Interim);
        Some((interim.next()?, interim.next_back()?))
    }

    /// The last day that it covers: of its closing balance, else as it says, else of its last entry.
    pub fn closing_day(&self) -> Option<chrono::NaiveDate> {
        let dated = |date: &Option<StatedDate>| date.as_ref().map(|stated| stated.date);
        self.closing()
            .and_then(|balance| dated(&balance.date))
            .or_else(|| dated(&self.to))
            .or_else(|| self.entries.iter().filter_map(|entry| dated(&entry.booked_on)).max())
            .or_else(|| dated(&self.created))
    }
}
