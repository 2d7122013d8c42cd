//! The books as readers see them at one moment.

use std::ops::Deref;
use std::sync::RwLockReadGuard;

use super::Standin;
use super::books::{Account, Books, Item, Version};
use super::desk::Note;

/// The books at one moment. What was made late is not in its lists; balances are never late.
pub struct View<'a> {
    standin: &'a Standin,
    books: RwLockReadGuard<'a, Books>,
    now_us: i64,
}

/// A record as readers see it: up to some version.
#[derive(Clone, Copy)]
pub struct Visible<'a> {
    /// The record.
    pub item: &'a Item,
    /// The position of the visible version.
    pub upto: usize,
    account: &'a Account,
}

/// A movement of a balance: a record became booked, or was undone.
#[derive(Clone, Copy, Debug)]
pub struct Booking {
    /// A number of its own, from which an id can follow.
    pub number: u64,
    /// When, in microseconds.
    pub at_us: i64,
    /// What the balance changed by, in minor units.
    pub signed_minor: i64,
    /// Whether it takes an earlier one back.
    pub is_undone: bool,
}

impl Standin {
    /// The books as readers see them now. Nothing changes while the view is held.
    pub fn view(&self) -> View<'_> {
        View { standin: self, books: self.read(), now_us: self.now_us() }
    }
}

impl Deref for View<'_> {
    type Target = Books;

    fn deref(&self) -> &Books {
        &self.books
    }
}

impl View<'_> {
    /// When the view was taken, in microseconds.
    pub fn now_us(&self) -> i64 {
        self.now_us
    }

    /// The records of these kinds that readers see, oldest first.
    pub fn records(&self, kinds: &[&str]) -> Vec<Visible<'_>> {
        self.records_where(|item| kinds.contains(&item.kind.name))
    }

    /// The records of an account (by position) that readers see, oldest first.
    pub fn records_of(&self, account: usize) -> Vec<Visible<'_>> {
        self.records_where(|item| item.account == account)
    }

    fn records_where(&self, is_asked_for: impl Fn(&Item) -> bool) -> Vec<Visible<'_>> {
        let mut missed = 0;
        let asked_for = self.books.items.iter().filter(|item| is_asked_for(item));
        let visible = asked_for.filter_map(|item| {
            let visible = self.visible(item);
            missed += u64::from(visible.is_none_or(|visible| visible.upto + 1 < item.versions.len()));
            visible
        });
        let records = visible.collect();
        if missed > 0 {
            self.standin.faults.count_shown_late(missed);
        }
        records
    }

    /// The record with this current id, if it is of one of these kinds and readers see it.
    pub fn record(&self, kinds: &[&str], id: &str) -> Option<Visible<'_>> {
        self.record_where(id, |item| kinds.contains(&item.kind.name))
    }

    /// The record with this current id, if it is of this account (by position) and readers see it.
    pub fn record_of(&self, account: usize, id: &str) -> Option<Visible<'_>> {
        self.record_where(id, |item| item.account == account)
    }

    fn record_where(&self, id: &str, is_asked_for: impl Fn(&Item) -> bool) -> Option<Visible<'_>> {
        let item = self.books.find(id).filter(|item| is_asked_for(item))?;
        self.visible(item).filter(|visible| visible.id() == id)
    }

    /// What the client wrote of a record that was ordered.
    pub(crate) fn note(&self, item: &Item) -> Option<Note> {
        self.standin.desk.note(item.number)
    }

    /// The record at this position, as the one who ordered it is told of it.
    pub(crate) fn ordered(&self, record: usize) -> Visible<'_> {
        let item = &self.books.items[record];
        Visible { item, upto: item.versions.len() - 1, account: &self.books.accounts[item.account] }
    }

    fn visible<'s>(&'s self, item: &'s Item) -> Option<Visible<'s>> {
        let changes = self.books.log.len() as u64;
        let is_shown =
            |version: &Version| version.shown.from_us <= self.now_us && version.shown.from_change <= changes;
        let upto = item.versions.iter().rposition(is_shown)?;
        Some(Visible { item, upto, account: &self.books.accounts[item.account] })
    }
}

impl<'a> Visible<'a> {
    /// The id at this version.
    pub fn id(&self) -> &'a str {
        &self.item.ids[self.version().id]
    }

    /// The status at this version.
    pub fn status(&self) -> &'static str {
        self.version().status
    }

    /// When it was created, in microseconds.
    pub fn created_at_us(&self) -> i64 {
        self.item.created_at_us()
    }

    /// When it came to this version, in microseconds.
    pub fn updated_at_us(&self) -> i64 {
        self.version().at_us
    }

    /// When it first came to one of these statuses, in microseconds.
    pub fn reached_at_us(&self, statuses: &[&str]) -> Option<i64> {
        let versions = &self.item.versions[..=self.upto];
        versions.iter().find(|version| statuses.contains(&version.status)).map(|version| version.at_us)
    }

    /// The versions at which the money moved, there or back, oldest first.
    pub fn bookings(&self) -> Vec<Booking> {
        let mut was_booked = false;
        let mut bookings = Vec::new();
        for (upto, version) in self.item.versions[..=self.upto].iter().enumerate() {
            let is_booked = self.item.kind.is_booked(version.status);
            if is_booked != was_booked {
                let sign = if is_booked { 1 } else { -1 };
                let number = (upto as u64) << 40 | self.item.number as u64;
                let signed_minor = sign * self.item.signed_minor();
                bookings.push(Booking { number, at_us: version.at_us, signed_minor, is_undone: !is_booked });
            }
            was_booked = is_booked;
        }
        bookings
    }

    pub fn account(&self) -> &'a Account {
        self.account
    }

    fn version(&self) -> &'a Version {
        &self.item.versions[self.upto]
    }
}
