//! The bank's books: feed items, the log of all their versions, and running balances. Kept
//! compact (about 40 bytes an item and 20 a version) so that a million items are no burden.

use std::collections::HashMap;
use std::num::NonZeroI64;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::births::Birth;
use super::lives::{Direction, Kind, Status};
use crate::kit::stamper::Stamper;

/// The latest version of a feed item.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub transaction_time_ms: i64,
    pub updated_at_ms: i64,
    /// When it first settled; kept when it is undone later.
    pub settled_at_ms: Option<NonZeroI64>,
    pub amount_minor: u32,
    pub counterparty: u32,
    pub category: u16,
    pub kind: Kind,
    pub status: Status,
}

/// One version of one item. The log of them all is in the order of `at_ms`.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub at_ms: i64,
    pub item: u32,
    pub status: Status,
}

/// An item as a reader gets to see it: the latest version, or an older one while that is late.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub index: u32,
    pub item: Item,
}

/// What a list request found.
pub(super) struct Listing {
    /// Newest transaction first.
    pub items: Vec<Shown>,
    /// How many versions belong into this answer and were kept back.
    pub kept_back: u64,
}

/// A version that readers do not see yet.
struct Hidden {
    /// The list request of this number, counted from 1 per feed, is the last that misses it.
    last_missing_request: u64,
    /// What readers see meanwhile: the version before, or nothing of a new item.
    before: Option<Item>,
}

/// One category's feed.
#[derive(Default)]
struct Feed {
    /// Positions in the bank's log, ascending.
    log: Vec<u32>,
    /// Items in the order of their transaction time, oldest first.
    by_time: Vec<u32>,
    hidden: HashMap<u32, Hidden>,
    list_requests: AtomicU64,
    sums: Sums,
}

/// What a category holds, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// What came in less what went out, settled items only.
    pub cleared_minor: i64,
    /// What pending items are about to take out.
    pub pending_out_minor: i64,
}

impl Sums {
    fn add(&mut self, item: &Item, sign: i64) {
        let amount = sign * i64::from(item.amount_minor);
        match (item.status, item.kind.direction()) {
            (Status::Settled, Direction::In) => self.cleared_minor += amount,
            (Status::Settled, Direction::Out) => self.cleared_minor -= amount,
            (Status::Pending, Direction::Out) => self.pending_out_minor += amount,
            _ => {}
        }
    }
}

/// When a change happened, and how readers get to know.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub at_ms: i64,
    /// By how much the business time (of the transaction, of the settlement) was earlier.
    pub lead_ms: i64,
    /// For how many list requests of its feed the version stays unseen.
    pub late_requests: Option<u32>,
}

/// The books. All methods keep the log ordered and the sums equal to the items.
pub(super) struct Bank {
    pub rng: SmallRng,
    pub stamper: Stamper,
    pub items: Vec<Item>,
    pub log: Vec<Change>,
    /// Items that are on their way to an outcome, in no particular order.
    pub open: Vec<u32>,
    feeds: Vec<Feed>,
}

impl Bank {
    pub fn new(seed: u64, categories: usize) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
            stamper: Stamper::new(),
            items: Vec::new(),
            log: Vec::new(),
            open: Vec::new(),
            feeds: std::iter::repeat_with(Feed::default).take(categories).collect(),
        }
    }

    /// Enters a new item and returns its number. `moment` must not be before the last change.
    pub fn born(&mut self, birth: &Birth, moment: Moment) -> u32 {
        let index = u32::try_from(self.items.len()).expect("memory ends before 32 bits do");
        let transaction_time_ms = moment.at_ms - moment.lead_ms;
        self.items.push(Item {
            transaction_time_ms,
            updated_at_ms: moment.at_ms,
            settled_at_ms: NonZeroI64::new(transaction_time_ms).filter(|_| birth.status == Status::Settled),
            amount_minor: birth.amount_minor,
            counterparty: birth.counterparty,
            category: birth.category,
            kind: birth.kind,
            status: birth.status,
        });
        let feed = &mut self.feeds[usize::from(birth.category)];
        let items = &self.items;
        let place =
            feed.by_time.partition_point(|&i| items[i as usize].transaction_time_ms <= transaction_time_ms);
        feed.by_time.insert(place, index);
        self.record(index, None, moment);
        index
    }

    /// Moves an item to its next status. `moment` must be after the item's previous version and
    /// not before the last change.
    pub fn moved(&mut self, index: u32, status: Status, moment: Moment) {
        let item = &mut self.items[index as usize];
        let before = *item;
        item.status = status;
        item.updated_at_ms = moment.at_ms;
        if status == Status::Settled {
            let settled_at_ms = (moment.at_ms - moment.lead_ms).max(item.transaction_time_ms);
            item.settled_at_ms = NonZeroI64::new(settled_at_ms);
        }
        self.record(index, Some(before), moment);
    }

    /// Shows readers everything.
    pub fn show_all(&mut self) {
        for feed in &mut self.feeds {
            feed.hidden.clear();
        }
    }

    /// What the category holds now.
    pub fn sums(&self, category: u16) -> Sums {
        self.feeds[usize::from(category)].sums
    }

    /// The items of a category that changed at or after `since_ms`. Counts as a list request.
    pub fn changes_since(&self, category: u16, since_ms: i64) -> Listing {
        let feed = &self.feeds[usize::from(category)];
        let first = feed.log.partition_point(|&at| self.log[at as usize].at_ms < since_ms);
        let latest = feed.log[first..].iter().filter_map(|&at| {
            let change = &self.log[at as usize];
            let is_latest = self.items[change.item as usize].updated_at_ms == change.at_ms;
            is_latest.then_some(change.item)
        });
        let mut listing = self.list(feed, latest, |item| item.updated_at_ms >= since_ms);
        listing
            .items
            .sort_unstable_by_key(|shown| std::cmp::Reverse((shown.item.transaction_time_ms, shown.index)));
        listing
    }

    /// The items of a category whose transaction time is from `min_ms` to `max_ms`, both
    /// included. Counts as a list request.
    pub fn transactions_between(&self, category: u16, min_ms: i64, max_ms: i64) -> Listing {
        let feed = &self.feeds[usize::from(category)];
        let time = |&index: &u32| self.items[index as usize].transaction_time_ms;
        let first = feed.by_time.partition_point(|index| time(index) < min_ms);
        let end = feed.by_time.partition_point(|index| time(index) <= max_ms).max(first);
        self.list(feed, feed.by_time[first..end].iter().rev().copied(), |_| true)
    }

    /// One item of a category, as readers see it; `None` if it is of another, or unseen yet.
    pub fn item(&self, category: u16, index: u32) -> Option<Item> {
        let item = self.items.get(index as usize).filter(|item| item.category == category)?;
        let feed = &self.feeds[usize::from(category)];
        let requests = feed.list_requests.load(Ordering::SeqCst);
        match feed.hidden.get(&index) {
            Some(hidden) if hidden.last_missing_request > requests => hidden.before,
            _ => Some(*item),
        }
    }

    fn list(&self, feed: &Feed, indexes: impl Iterator<Item = u32>, fits: impl Fn(&Item) -> bool) -> Listing {
        let request = feed.list_requests.fetch_add(1, Ordering::SeqCst) + 1;
        let mut listing = Listing { items: Vec::new(), kept_back: 0 };
        for index in indexes {
            let hidden = feed.hidden.get(&index).filter(|hidden| hidden.last_missing_request >= request);
            let seen = match hidden {
                None => Some(self.items[index as usize]),
                Some(hidden) => {
                    listing.kept_back += 1;
                    hidden.before.filter(&fits)
                }
            };
            listing.items.extend(seen.map(|item| Shown { index, item }));
        }
        listing
    }

    /// Logs the version that an item now is, and brings sums, open items and lateness in line.
    fn record(&mut self, index: u32, before: Option<Item>, moment: Moment) {
        let item = self.items[index as usize];
        let feed = &mut self.feeds[usize::from(item.category)];
        feed.log.push(u32::try_from(self.log.len()).expect("memory ends before 32 bits do"));
        self.log.push(Change { at_ms: moment.at_ms, item: index, status: item.status });
        if let Some(before) = &before {
            feed.sums.add(before, -1);
        }
        feed.sums.add(&item, 1);
        feed.hide(index, before, moment.late_requests);
        if before.is_none() && item.status.is_open() {
            self.open.push(index);
        }
    }
}

impl Feed {
    /// Keeps the version just recorded from readers for `late_requests` list requests; without
    /// that it is seen at once, even if the version before was not.
    fn hide(&mut self, index: u32, before: Option<Item>, late_requests: Option<u32>) {
        let requests = *self.list_requests.get_mut();
        // What readers saw until now: not the version before, if that is still kept back itself.
        let seen = match self.hidden.remove(&index) {
            Some(hidden) if hidden.last_missing_request > requests => hidden.before,
            _ => before,
        };
        if let Some(late_requests) = late_requests {
            let last_missing_request = requests + u64::from(late_requests);
            self.hidden.insert(index, Hidden { last_missing_request, before: seen });
        }
    }
}
