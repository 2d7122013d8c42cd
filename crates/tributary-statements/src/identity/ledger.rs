//! What is known of accounts, and what a statement adds to it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use tributary_domain::Amount;

use super::counts::{Counts, Scope};
use super::{Rules, key};
use crate::{
    Account, Correction, Entry, EntryStatus, Movement, Purpose, Statement, StatementKind, movements,
};

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

/// Which of two views of an account a movement was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Booked = 0,
    /// Reports during the day, notifications, and what is expected.
    Expected = 1,
}

#[derive(Debug, Default)]
struct Book {
    slots: Vec<Slot>,
    by_id: BTreeMap<String, usize>,
    by_amount: BTreeMap<i128, Vec<usize>>,
    counts: [BTreeMap<String, Counts>; 2],
    bound: [BTreeMap<(String, usize), usize>; 2],
    revisions: BTreeMap<Scope, Revision>,
    arrivals: u64,
    /// Days that final statements cover.
    covered: BTreeSet<(NaiveDate, NaiveDate)>,
    /// Days that were corrected or deleted as a whole.
    corrected: BTreeSet<NaiveDate>,
    /// Bank references that were replaced or deleted.
    withdrawn: BTreeSet<String>,
}

/// The newest content of a numbered statement.
#[derive(Debug)]
struct Revision {
    rank: (String, u64),
    keys: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Slot {
    id: String,
    amount: Amount,
    day: Option<NaiveDate>,
    reference: Option<String>,
    /// The key and number under which each side knows it.
    names: [Option<(String, usize)>; 2],
    pending: bool,
}

/// A movement that a side has one more of than it had.
struct New<'a> {
    key: String,
    number: usize,
    movement: &'a Movement<'a>,
}

impl Book {
    fn take(&mut self, statement: &Statement, rules: Rules) -> Vec<String> {
        self.arrivals += 1;
        self.cover(statement);
        for entry in &statement.entries {
            match &entry.correction {
                Some(Correction::Replaces(id) | Correction::Deletes(id)) => {
                    drop(self.withdrawn.insert(id.clone()))
                }
                None => {}
            }
        }
        let moves = match statement.purpose {
            Purpose::Deletion => Vec::new(),
            _ => movements(statement, rules.level),
        };
        let mut ids = Vec::new();
        for side in [Side::Booked, Side::Expected] {
            let of_side: Vec<&Movement<'_>> = moves
                .iter()
                .filter(|movement| side_of(statement, movement.entry) == side)
                .filter(|movement| !matches!(movement.entry.correction, Some(Correction::Deletes(_))))
                .collect();
            ids.extend(self.take_side(statement, side, &of_side, rules));
        }
        ids
    }

    fn cover(&mut self, statement: &Statement) {
        if !matches!(statement.kind, StatementKind::Final | StatementKind::Export) {
            return;
        }
        let Some(last) = statement.closing_day() else { return };
        let stated = statement.from.as_ref().map(|from| from.date);
        let first = statement.entries.iter().filter_map(day).min();
        let first = stated.into_iter().chain(first).min().unwrap_or(last).min(last);
        self.covered.insert((first, last));
    }

    fn take_side(
        &mut self,
        statement: &Statement,
        side: Side,
        moves: &[&Movement<'_>],
        rules: Rules,
    ) -> Vec<String> {
        let scope = Scope::of(statement, side == Side::Booked, rules.interim);
        let mut by_key: BTreeMap<String, Vec<&Movement<'_>>> = BTreeMap::new();
        for movement in moves {
            by_key.entry(key(&statement.account, movement, rules)).or_default().push(movement);
        }
        let counts = by_key.iter().map(|(key, equal)| (key.clone(), equal.len())).collect();
        let newest = side == Side::Expected || self.revise(statement, &scope, counts);
        let mut new = Vec::new();
        for (key, equal) in &by_key {
            let counts = self.counts[side as usize].entry(key.clone()).or_default();
            let before = counts.ids();
            counts.note(&scope, equal.len(), newest);
            for number in before + 1..=counts.ids() {
                // equal movements are interchangeable: which of them is the new one does not matter
                let movement = equal[(number - 1) % equal.len()];
                new.push(New { key: key.clone(), number, movement });
            }
        }
        self.bind(side, new)
    }

    /// Whether this is the newest of a statement that came before. Then what only the older one had is gone.
    fn revise(&mut self, statement: &Statement, scope: &Scope, keys: BTreeMap<String, usize>) -> bool {
        let day = statement.closing_day();
        if matches!(statement.purpose, Purpose::Correction | Purpose::Deletion) {
            self.clear_day(day);
            self.corrected.extend(day);
            return statement.purpose == Purpose::Correction;
        }
        if day.is_some_and(|day| self.corrected.contains(&day)) {
            return false;
        }
        if !matches!(scope, Scope::Numbered { .. }) {
            return true;
        }
        let created = statement.created.as_ref().map(|created| created.text.clone()).unwrap_or_default();
        let rank = (created, self.arrivals);
        if self.revisions.get(scope).is_some_and(|there| there.rank > rank) {
            return false;
        }
        if let Some(older) = self.revisions.insert(scope.clone(), Revision { rank, keys }) {
            for key in older.keys.keys() {
                if let Some(counts) = self.counts[Side::Booked as usize].get_mut(key) {
                    counts.clear(scope);
                }
            }
        }
        true
    }

    fn clear_day(&mut self, wanted: Option<NaiveDate>) {
        for slot in self.slots.iter().filter(|slot| slot.day == wanted) {
            if let Some((key, _)) = &slot.names[Side::Booked as usize]
                && let Some(counts) = self.counts[Side::Booked as usize].get_mut(key)
            {
                counts.clear_all();
            }
        }
    }

    /// Finds for each new movement the one that the other side knows already, else gives it an id. Exact
    /// matches come first, so that no looser one takes what they need.
    fn bind(&mut self, side: Side, new: Vec<New<'_>>) -> Vec<String> {
        let mut left = Vec::new();
        for new in new {
            let exact = self.by_id.get(&id(&new.key, new.number)).copied();
            match exact.filter(|slot| self.slots[*slot].names[side as usize].is_none()) {
                Some(slot) => self.name(slot, side, &new),
                None => left.push(new),
            }
        }
        for pass in [same_reference, same_day, near_day] {
            for new in std::mem::take(&mut left) {
                match self.find(side, &new, pass) {
                    Some(slot) => self.name(slot, side, &new),
                    None => left.push(new),
                }
            }
        }
        left.into_iter().map(|new| self.mint(side, &new)).collect()
    }

    fn find(&self, side: Side, new: &New<'_>, fits: fn(&Slot, &Movement<'_>) -> bool) -> Option<usize> {
        let equal = self.by_amount.get(&new.movement.amount.minor_units())?;
        let free =
            |slot: &Slot| slot.names[side as usize].is_none() && slot.names[1 - side as usize].is_some();
        equal
            .iter()
            .copied()
            .filter(|slot| free(&self.slots[*slot]) && fits(&self.slots[*slot], new.movement))
            .min_by(|a, b| self.slots[*a].id.cmp(&self.slots[*b].id))
    }

    fn name(&mut self, slot: usize, side: Side, new: &New<'_>) {
        let name = (new.key.clone(), new.number);
        self.bound[side as usize].insert(name.clone(), slot);
        self.slots[slot].names[side as usize] = Some(name);
        if side == Side::Booked {
            self.slots[slot].reference =
                new.movement.reference.map(str::to_owned).or(self.slots[slot].reference.take());
        }
    }

    fn mint(&mut self, side: Side, new: &New<'_>) -> String {
        let free = (new.number..).map(|number| id(&new.key, number)).find(|id| !self.by_id.contains_key(id));
        let id = free.unwrap_or_default();
        let slot = self.slots.len();
        self.slots.push(Slot {
            id: id.clone(),
            amount: new.movement.amount,
            day: day(new.movement.entry),
            reference: new.movement.reference.map(str::to_owned),
            names: [None, None],
            pending: new.movement.entry.status != EntryStatus::Booked,
        });
        self.by_id.insert(id.clone(), slot);
        self.by_amount.entry(new.movement.amount.minor_units()).or_default().push(slot);
        self.name(slot, side, new);
        id
    }

    fn known(&self) -> Vec<Known> {
        let known = |slot: &Slot| Known { id: slot.id.clone(), amount: slot.amount, state: self.state(slot) };
        self.slots.iter().map(known).collect()
    }

    fn state(&self, slot: &Slot) -> State {
        if slot.reference.as_ref().is_some_and(|reference| self.withdrawn.contains(reference)) {
            return State::Cancelled;
        }
        if let Some((key, number)) = &slot.names[Side::Booked as usize] {
            let live = self.counts[Side::Booked as usize].get(key).map_or(0, Counts::live);
            return if *number <= live { State::Booked } else { State::Cancelled };
        }
        let covers =
            |day: NaiveDate| self.covered.iter().any(|(first, last)| (*first..=*last).contains(&day));
        match (slot.day.is_some_and(covers), slot.pending) {
            (true, _) => State::Cancelled,
            (false, true) => State::Pending,
            (false, false) => State::Booked,
        }
    }
}

fn id(key: &str, number: usize) -> String {
    format!("{key}-{number}")
}

fn side_of(statement: &Statement, entry: &Entry) -> Side {
    match (statement.kind, &entry.status) {
        (StatementKind::Final | StatementKind::Export, EntryStatus::Booked) => Side::Booked,
        _ => Side::Expected,
    }
}

fn day(entry: &Entry) -> Option<NaiveDate> {
    entry.booked_on.as_ref().or(entry.value_on.as_ref()).map(|stated| stated.date)
}

fn same_reference(slot: &Slot, movement: &Movement<'_>) -> bool {
    movement.reference.is_some() && slot.reference.as_deref() == movement.reference
}

fn same_day(slot: &Slot, movement: &Movement<'_>) -> bool {
    !other_reference(slot, movement) && slot.day == day(movement.entry)
}

fn near_day(slot: &Slot, movement: &Movement<'_>) -> bool {
    let days = slot.day.zip(day(movement.entry));
    !other_reference(slot, movement) && days.is_some_and(|(a, b)| (a - b).num_days().abs() <= 1)
}

fn other_reference(slot: &Slot, movement: &Movement<'_>) -> bool {
    slot.reference.is_some()
        && movement.reference.is_some()
        && slot.reference.as_deref() != movement.reference
}
