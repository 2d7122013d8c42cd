//! What is known of one account.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::counts::{Counts, Scope};
use super::view::{Alone, Pass, Side, Slot, View};
use super::{Known, Rules, State, key};
use crate::{Correction, Entry, EntryStatus, Movement, Purpose, Statement, StatementKind, movements};

/// The movements of one account, by what each of its files said of them.
#[derive(Debug, Default)]
pub struct Book {
    slots: Vec<Slot>,
    by_id: BTreeMap<String, usize>,
    /// What each side alone knows.
    alone: [Alone; 2],
    counts: [BTreeMap<String, Counts>; 2],
    bound: [BTreeMap<String, usize>; 2],
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

impl Book {
    /// Takes a statement, and gives the ids that are new.
    pub fn take(&mut self, statement: &Statement, rules: Rules) -> Vec<String> {
        self.arrivals += 1;
        self.cover(statement);
        for entry in &statement.entries {
            if let Some(Correction::Replaces(id) | Correction::Deletes(id)) = &entry.correction {
                self.withdrawn.insert(id.clone());
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
                new.push(View {
                    key: key.clone(),
                    number,
                    amount: movement.amount,
                    day: day(movement.entry),
                    reference: movement.reference.map(str::to_owned),
                    pending: movement.entry.status != EntryStatus::Booked,
                });
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
            if let Some(view) = &slot.views[Side::Booked as usize]
                && let Some(counts) = self.counts[Side::Booked as usize].get_mut(&view.key)
            {
                counts.clear_all();
            }
        }
    }

    /// Finds for each new view the movement that the other side knows already, else makes one; gives the ids
    /// that were made. Equal keys belong together, and come before anything looser: whoever had a place by a
    /// looser match gives way.
    fn bind(&mut self, side: Side, new: Vec<View>) -> Vec<String> {
        let mut made = Vec::new();
        let (mut waiting, loose): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|view| self.by_id.contains_key(&view.id()));
        waiting.reverse();
        let mut loose = loose.into_iter();
        while let Some(view) = waiting.pop().or_else(|| loose.next()) {
            waiting.extend(self.place(side, view, &mut made));
        }
        made
    }

    /// Puts a view where it belongs, and gives the one that had its place.
    fn place(&mut self, side: Side, view: View, made: &mut Vec<String>) -> Option<View> {
        if let Some(slot) = self.by_id.get(&view.id()).copied() {
            return self.set(slot, side, Some(view));
        }
        let passes = [Pass::SameReference, Pass::SameDay, Pass::NextDay];
        if let Some(slot) = passes.into_iter().find_map(|pass| self.find(side, &view, pass)) {
            return self.set(slot, side, Some(view));
        }
        let (id, other) = (view.id(), side.other());
        let slot = self.mint(&view);
        self.set(slot, side, Some(view));
        // the other side's view of the same key had to make do with another movement
        if let Some(loose) = self.bound[other as usize].get(&id).copied() {
            let partner = self.set(loose, other, None);
            self.set(slot, other, partner);
        }
        made.push(id);
        None
    }

    /// The movement of the smallest id that the other side alone knows, and that fits.
    fn find(&self, side: Side, view: &View, pass: Pass) -> Option<usize> {
        let other = side.other();
        let fits = |slot: &usize| {
            self.slots[*slot].views[other as usize].as_ref().is_some_and(|theirs| pass.fits(view, theirs))
        };
        let near = self.alone[other as usize].near(view, pass).filter(fits);
        near.min_by(|a, b| self.slots[*a].id.cmp(&self.slots[*b].id))
    }

    /// Sets what a side knows a movement as, and gives what it was before.
    fn set(&mut self, slot: usize, side: Side, view: Option<View>) -> Option<View> {
        self.list(slot, Alone::remove);
        if let Some(view) = &view {
            self.bound[side as usize].insert(view.id(), slot);
        }
        let before = std::mem::replace(&mut self.slots[slot].views[side as usize], view);
        if let Some(before) = &before {
            self.bound[side as usize].remove(&before.id());
        }
        self.list(slot, Alone::insert);
        before
    }

    /// Changes the list of what one side alone knows, if the movement is one of those.
    fn list(&mut self, slot: usize, change: fn(&mut Alone, &View, usize)) {
        match &self.slots[slot].views {
            [Some(view), None] => change(&mut self.alone[Side::Booked as usize], view, slot),
            [None, Some(view)] => change(&mut self.alone[Side::Expected as usize], view, slot),
            _ => {}
        }
    }

    fn mint(&mut self, view: &View) -> usize {
        let slot = self.slots.len();
        self.by_id.insert(view.id(), slot);
        let (id, amount, day, pending) = (view.id(), view.amount, view.day, view.pending);
        self.slots.push(Slot { id, amount, day, views: [None, None], pending });
        slot
    }

    /// All movements, in the order in which they became known.
    pub fn known(&self) -> Vec<Known> {
        let known = |slot: &Slot| Known { id: slot.id.clone(), amount: slot.amount, state: self.state(slot) };
        self.slots.iter().map(known).collect()
    }

    fn state(&self, slot: &Slot) -> State {
        let withdrawn = |view: &View| view.reference.as_ref().is_some_and(|id| self.withdrawn.contains(id));
        if slot.views.iter().flatten().any(withdrawn) {
            return State::Cancelled;
        }
        if let Some(view) = &slot.views[Side::Booked as usize] {
            let live = self.counts[Side::Booked as usize].get(&view.key).map_or(0, Counts::live);
            return if view.number <= live { State::Booked } else { State::Cancelled };
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

fn side_of(statement: &Statement, entry: &Entry) -> Side {
    match (statement.kind, &entry.status) {
        (StatementKind::Final | StatementKind::Export, EntryStatus::Booked) => Side::Booked,
        _ => Side::Expected,
    }
}

fn day(entry: &Entry) -> Option<NaiveDate> {
    entry.booked_on.as_ref().or(entry.value_on.as_ref()).map(|stated| stated.date)
}
