//! The rows of the server, and how they change and are paged through.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use serde_json::Value;

use super::{Defect, seed, spoil};
use crate::reading::walked_by;
use tributary_formance::Kind;

/// One row of a list.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The time by which the list is walked, in microseconds since 1970.
    pub at: i64,
    /// The row, but for that time.
    pub row: Value,
    /// Whether it is left out when it is served.
    pub deleted: bool,
}

impl Entry {
    pub fn new(at: i64, row: Value) -> Self {
        Self { at, row, deleted: false }
    }
}

/// A time as the server prints it.
pub fn print_time(at: i64) -> String {
    print(at, SecondsFormat::Micros)
}

fn print(at: i64, digits: SecondsFormat) -> String {
    DateTime::from_timestamp_micros(at).unwrap_or_default().to_rfc3339_opts(digits, true)
}

/// What is asked of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// From 1.
    pub page: usize,
    /// From 1.
    pub page_size: usize,
    /// The time from which, as text and in microseconds.
    pub from: Option<(String, i64)>,
}

/// Everything that the server knows.
#[derive(Debug)]
pub struct World {
    defect: Defect,
    lists: BTreeMap<Kind, Vec<Entry>>,
    requests: u64,
    written: u64,
    /// When the first account's balance last changed, and how often it has.
    balance: (i64, u64),
    begin: i64,
}

impl World {
    /// The world of a server that starts at `now`.
    pub fn new(defect: Defect, now: i64) -> Self {
        let begin = seed::beginning(now);
        let mut accounts = seed::accounts(begin);
        spoil::accounts(defect, &mut accounts);
        let mut transactions = seed::transactions(begin);
        spoil::transactions(defect, &mut transactions, now);
        let lists = BTreeMap::from([
            (Kind::Accounts, accounts),
            (Kind::Beneficiaries, seed::beneficiaries(begin)),
            (Kind::Transactions, transactions),
        ]);
        Self { defect, lists, requests: 0, written: 0, balance: (begin, 0), begin }
    }

    /// Counts a request for a list; every third writes a payment. Gives the count.
    pub fn count_request(&mut self, now: i64) -> u64 {
        self.requests += 1;
        if self.requests.is_multiple_of(3) {
            let at = self.next_time(now);
            let row = seed::live_payment(self.written, at);
            self.append(Entry::new(at, row));
        }
        self.requests
    }

    fn transactions(&mut self) -> &mut Vec<Entry> {
        self.lists.entry(Kind::Transactions).or_default()
    }

    /// The time of a row that is written at `now`: later than all others.
    fn next_time(&mut self, now: i64) -> i64 {
        self.transactions().last().map_or(now, |last| now.max(last.at + 1))
    }

    fn append(&mut self, entry: Entry) {
        self.written += 1;
        self.transactions().push(entry);
    }

    /// The rows of one page, as they are served.
    pub fn page(&mut self, kind: Kind, query: &Query, now: i64) -> Vec<Value> {
        if self.defect == Defect::UnstableOrder {
            self.shuffle();
        }
        let entries = &self.lists[&kind];
        let size = match self.defect {
            Defect::ClampedPageSize => query.page_size.min(50),
            _ => query.page_size,
        };
        let skipped = match self.defect {
            Defect::IgnoredPage => 0,
            _ => (query.page - 1).saturating_mul(size),
        };
        let matching = entries.iter().enumerate().filter(|(_, entry)| self.is_wanted(entry, query));
        let page: Vec<(usize, &Entry)> = matching.skip(skipped).take(size).collect();
        let rows: Vec<Value> = page
            .iter()
            .filter(|(_, entry)| !entry.deleted)
            .map(|(_, entry)| self.serve(kind, entry))
            .collect();
        let first = page.first().map(|(i, _)| *i);
        let reached_end = page.last().is_some_and(|(i, _)| i + 1 == entries.len());
        let is_full = page.len() == size;
        if kind == Kind::Transactions {
            self.change_behind(query, first.filter(|_| is_full), reached_end, now);
        }
        rows
    }

    fn is_wanted(&self, entry: &Entry, query: &Query) -> bool {
        let Some((text, from)) = &query.from else { return true };
        match self.defect {
            Defect::IgnoredFrom => true,
            Defect::ExclusiveFrom => entry.at > *from,
            Defect::StringComparedFrom => print_time(entry.at) >= *text,
            _ => entry.at >= *from,
        }
    }

    fn serve(&self, kind: Kind, entry: &Entry) -> Value {
        let digits = match self.defect {
            Defect::MillisecondPrint => SecondsFormat::Millis,
            _ => SecondsFormat::Micros,
        };
        let mut row = entry.row.clone();
        row[walked_by(kind)] = print(entry.at, digits).into();
        row
    }

    /// Puts rows of one timestamp into another order, as a database may that is not told how to
    /// break ties.
    fn shuffle(&mut self) {
        let requests = self.requests;
        let groups = self.transactions().chunk_by_mut(|a, b| a.at == b.at);
        for (i, group) in (0_u64..).zip(groups).filter(|(_, group)| group.len() > 1) {
            let turn = (requests.wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
            group.rotate_left(turn % group.len());
        }
    }

    /// What happens behind the back of whoever has just read a page.
    fn change_behind(&mut self, query: &Query, first: Option<usize>, reached_end: bool, now: i64) {
        match (self.defect, first) {
            (Defect::MovingRows, Some(first)) if query.page == 1 && query.page_size == 100 => {
                let at = self.next_time(now);
                let mut entry = self.transactions().remove(first);
                entry.at = at;
                entry.row["metadata"]["touched"] = self.written.to_string().into();
                self.append(entry);
            }
            (Defect::LateCommit, _) if reached_end => self.commit_late(),
            _ => {}
        }
    }

    /// A row that was stamped before the last one, and shows only now.
    fn commit_late(&mut self) {
        let written = self.written;
        let entries = self.transactions();
        let [.., before, last] = &entries[..] else { return };
        let at = last.at - 1;
        if before.at < at {
            let mut row = seed::live_payment(written, at);
            row["id"] = format!("late_{written:05}").into();
            let place = entries.len() - 1;
            entries.insert(place, Entry::new(at, row));
            self.written += 1;
        }
    }

    /// The balances of an account: its time and amounts; `None` where there is no such account.
    /// Those of the first account change with every request.
    pub fn balances(&mut self, account: &str, now: i64) -> Option<AccountBalances> {
        let number =
            self.lists[&Kind::Accounts].iter().position(|entry| entry.row["id"] == account)? as i64 + 1;
        if number == seed::EMPTY_ACCOUNT {
            return Some(AccountBalances { at: self.begin, amounts: Vec::new() });
        }
        let mut at = self.begin + number;
        let mut amount = 1_000 * number as u64;
        if number == 1 {
            let changed_at = match self.defect {
                Defect::StandingBalanceTime => self.balance.0,
                _ => now.max(self.balance.0 + 1),
            };
            self.balance = (changed_at, self.balance.1 + 1);
            at = changed_at;
            amount += self.balance.1;
        }
        Some(AccountBalances { at, amounts: vec![("EUR/2", amount), ("USD/2", 5)] })
    }
}

/// What an account holds.
#[derive(Debug, PartialEq, Eq)]
pub struct AccountBalances {
    /// Microseconds since 1970.
    pub at: i64,
    /// Assets and amounts, in minor units.
    pub amounts: Vec<(&'static str, u64)>,
}
