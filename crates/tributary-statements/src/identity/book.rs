//! What is known of one account.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::counts::{Counts, Scope};
use super::facts::Move;
use super::view::{Alone, Pass, Side, Slot, View};
use super::{Facts, Known, Rules, Standing, State};
use crate::{Purpose, StatementKind};

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
    /// Days that final statements and exports cover.
    covered: BTreeSet<(NaiveDate, NaiveDate)>,
    /// The last day that a final statement closed.
    closed: Option<NaiveDate>,
    /// What these themselves show as not booked yet, by key.
    open: BTreeMap<String, Open>,
    /// Days that were corrected or deleted as a whole.
    corrected: BTreeSet<NaiveDate>,
    /// Bank references that were replaced or deleted.
    withdrawn: BTreeSet<String>,
    /// Movements that may stand otherwise than when the book was last settled.
    touched: BTreeSet<usize>,
}

/// Until which day something was shown that is not booked yet.
#[derive(Debug)]
struct Open {
    until: NaiveDate,
    by_final: bool,
}

/// The newest content of a numbered statement.
#[derive(Debug)]
struct Revision {
    rank: (String, u64),
    keys: BTreeMap<String, usize>,
}

impl Book {
    /// Takes the facts of a statement, and gives the ids that are new. Tests have no effect.
    pub fn take(&mut self, facts: &Facts, rules: Rules) -> Vec<String> {
        self.arrivals += 1;
        if facts.purpose == Purpose::Test {
            return Vec::new();
        }
        self.cover(facts);
        self.withdraw(&facts.withdrawn);
        let mut ids = Vec::new();
        for side in [Side::Booked, Side::Expected] {
            let of_side: Vec<&Move> =
                facts.moves.iter().filter(|each| each.booked == (side == Side::Booked)).collect();
            ids.extend(self.take_side(facts, side, &of_side, rules));
        }
        ids
    }

    fn cover(&mut self, facts: &Facts) {
        if !matches!(facts.kind, StatementKind::Final | StatementKind::Export) {
            return;
        }
        let Some(last) = facts.closing_day else { return };
        let first = facts.from.into_iter().chain(facts.first_day).min().unwrap_or(last).min(last);
        self.covered.insert((first, last));
        let is_final = facts.kind == StatementKind::Final;
        if is_final {
            self.closed = self.closed.max(Some(last));
        }
        for each in facts.moves.iter().filter(|each| !each.booked) {
            let open = self.open.entry(each.key.clone()).or_insert(Open { until: last, by_final: is_final });
            open.until = open.until.max(last);
            open.by_final |= is_final;
        }
        // each of what is only expected may be decided by that
        self.touched.extend(self.alone[Side::Expected as usize].all());
    }

    fn withdraw(&mut self, references: &[String]) {
        if references.is_empty() {
            return;
        }
        self.withdrawn.extend(references.iter().cloned());
        let named = |slot: &Slot| {
            let mut of_views = slot.views.iter().flatten().filter_map(|view| view.reference.as_ref());
            of_views.any(|reference| references.contains(reference))
        };
        self.touched.extend((0..self.slots.len()).filter(|slot| named(&self.slots[*slot])));
    }

    /// Notes that fewer or more of a key may stand, as a side knows them.
    fn touch_key(&mut self, side: Side, key: &str) {
        // behind the dash of an id comes its number, and `.` behind that
        let ids = self.bound[side as usize].range(format!("{key}-")..format!("{key}."));
        self.touched.extend(ids.map(|(_, slot)| *slot));
    }

    fn take_side(&mut self, facts: &Facts, side: Side, moves: &[&Move], rules: Rules) -> Vec<String> {
        let scope = Scope::of(facts, side == Side::Booked, rules.interim);
        let mut by_key: BTreeMap<&str, Vec<&Move>> = BTreeMap::new();
        for each in moves {
            by_key.entry(&each.key).or_default().push(each);
        }
        let counts = by_key.iter().map(|(key, equal)| ((*key).to_owned(), equal.len())).collect();
        let newest = side == Side::Expected || self.revise(facts, &scope, counts);
        let mut new = Vec::new();
        for (key, equal) in by_key {
            let counts = self.counts[side as usize].entry(key.to_owned()).or_default();
            let (before, live) = (counts.ids(), counts.live());
            let booked = equal.iter().filter(|each| !each.pending).count();
            counts.note(&scope, equal.len(), booked, newest);
            let (ids, stay) = (counts.ids(), counts.live() == live);
            if !stay {
                self.touch_key(side, key);
            }
            for number in before + 1..=ids {
                // equal movements are interchangeable: which of them is the new one does not matter
                let each = equal[(number - 1) % equal.len()];
                let Some(amount) = each.amount else { continue };
                new.push(View {
                    key: key.to_owned(),
                    number,
                    amount,
                    day: each.day,
                    reference: each.reference.clone(),
                    told: (self.arrivals, each.place),
                });
            }
        }
        self.bind(side, new)
    }

    /// Whether this is the newest of a statement that came before. Then what only the older one had is gone.
    fn revise(&mut self, facts: &Facts, scope: &Scope, keys: BTreeMap<String, usize>) -> bool {
        let day = facts.closing_day;
        if matches!(facts.purpose, Purpose::Correction | Purpose::Deletion) {
            self.clear_day(day);
            self.corrected.extend(day);
            return facts.purpose == Purpose::Correction;
        }
        if day.is_some_and(|day| self.corrected.contains(&day)) {
            return false;
        }
        if !matches!(scope, Scope::Numbered { .. }) {
            return true;
        }
        let rank = (facts.created.clone().unwrap_or_default(), self.arrivals);
        if self.revisions.get(scope).is_some_and(|there| there.rank > rank) {
            return false;
        }
        if let Some(older) = self.revisions.insert(scope.clone(), Revision { rank, keys }) {
            for key in older.keys.keys() {
                if let Some(counts) = self.counts[Side::Booked as usize].get_mut(key) {
                    counts.clear(scope);
                }
                self.touch_key(Side::Booked, key);
            }
        }
        true
    }

    fn clear_day(&mut self, wanted: Option<NaiveDate>) {
        // by the day that it is booked on: it may have the place of what was expected on another
        let booked = self.slots.iter().filter_map(|slot| slot.views[Side::Booked as usize].as_ref());
        let of_day = booked.filter(|view| view.day == wanted);
        let keys: BTreeSet<String> = of_day.map(|view| view.key.clone()).collect();
        for key in keys {
            if let Some(counts) = self.counts[Side::Booked as usize].get_mut(&key) {
                counts.clear_all();
            }
            self.touch_key(Side::Booked, &key);
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
        let id = view.as_ref().map(View::id);
        let before = std::mem::replace(&mut self.slots[slot].views[side as usize], view);
        if let Some(before) = &before {
            self.bound[side as usize].remove(&before.id());
        }
        if let Some(id) = id {
            self.bound[side as usize].insert(id, slot);
        }
        self.list(slot, Alone::insert);
        self.touched.insert(slot);
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
        let (id, amount, day) = (view.id(), view.amount, view.day);
        self.slots.push(Slot { id, amount, day, views: [None, None] });
        slot
    }

    /// All movements, in the order in which they became known.
    pub fn known(&self) -> Vec<Known> {
        let known = |slot: &Slot| Known { id: slot.id.clone(), amount: slot.amount, state: self.state(slot) };
        self.slots.iter().map(known).collect()
    }

    /// All movements in the order in which they became known, which later statements only add to.
    pub fn standing(&self) -> impl Iterator<Item = Standing<'_>> {
        self.slots.iter().map(|slot| self.standing_of(slot))
    }

    /// Those that may stand otherwise than when the book was last settled, each with its place among all.
    pub fn touched(&self) -> impl Iterator<Item = (usize, Standing<'_>)> {
        self.touched.iter().map(|slot| (*slot, self.standing_of(&self.slots[*slot])))
    }

    /// Notes that everything is known as it stands.
    pub fn settle(&mut self) {
        self.touched.clear();
    }

    fn standing_of<'s>(&self, slot: &'s Slot) -> Standing<'s> {
        let [booked, expected] = &slot.views;
        let view = booked.as_ref().or(expected.as_ref());
        let told = view.map_or((0, 0), |view| view.told);
        Standing {
            id: &slot.id,
            amount: slot.amount,
            state: self.state(slot),
            day: view.map_or(slot.day, |view| view.day),
            is_final: booked.is_some(),
            arrival: told.0,
            place: told.1,
        }
    }

    /// How many statements were taken: the last one is of this arrival.
    pub fn arrivals(&self) -> u64 {
        self.arrivals
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
        let Some(view) = &slot.views[Side::Expected as usize] else { return State::Cancelled };
        let booked = self.counts[Side::Expected as usize].get(&view.key).map_or(0, Counts::live);
        match (self.was_to_be_booked(slot.day, &view.key), view.number <= booked) {
            (true, _) => State::Cancelled,
            (false, true) => State::Booked,
            (false, false) => State::Pending,
        }
    }

    /// Whether what is only expected of `day` would be booked by now: a final statement or an export covers the day, and
    /// does not show it as open. What one showed so is decided by those that close later.
    fn was_to_be_booked(&self, day: Option<NaiveDate>, key: &str) -> bool {
        let covers =
            |(first, last): &(NaiveDate, NaiveDate)| day.is_some_and(|day| (*first..=*last).contains(&day));
        let Some(open) = self.open.get(key) else { return self.covered.iter().any(covers) };
        let later = |span: &&(NaiveDate, NaiveDate)| span.1 > open.until;
        self.covered.iter().filter(later).any(covers) || open.by_final && self.closed > Some(open.until)
    }
}
