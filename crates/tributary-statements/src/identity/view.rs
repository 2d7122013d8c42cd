//! A movement as one side tells of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use tributary_domain::Amount;

/// Which of two views of an account a movement was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Booked = 0,
    /// Reports during the day, notifications, and what is expected.
    Expected = 1,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::Booked => Self::Expected,
            Self::Expected => Self::Booked,
        }
    }
}

/// A movement under the id that it got first.
#[derive(Debug)]
pub struct Slot {
    pub id: String,
    pub amount: Amount,
    pub day: Option<NaiveDate>,
    /// What each side knows it as.
    pub views: [Option<View>; 2],
}

/// A movement as one side tells of it: the `number`th of its key.
#[derive(Debug, Clone)]
pub struct View {
    pub key: String,
    pub number: usize,
    pub amount: Amount,
    pub day: Option<NaiveDate>,
    pub reference: Option<String>,
    /// By which arrival it was told, and its place among the movements there.
    pub told: (u64, usize),
}

impl View {
    /// The id that it has where nothing else was known of it before.
    pub fn id(&self) -> String {
        format!("{}-{}", self.key, self.number)
    }

    pub fn has_other_reference(&self, other: &View) -> bool {
        self.reference.is_some() && other.reference.is_some() && self.reference != other.reference
    }

    pub fn days_apart(&self, other: &View) -> Option<i64> {
        self.day.zip(other.day).map(|(a, b)| (a - b).num_days().abs())
    }
}

/// How two views may be one movement, though their keys differ; the first that fits is taken.
#[derive(Debug, Clone, Copy)]
pub enum Pass {
    SameReference,
    SameDay,
    NextDay,
}

impl Pass {
    pub fn fits(self, a: &View, b: &View) -> bool {
        match self {
            Self::SameReference => a.reference.is_some() && a.reference == b.reference,
            Self::SameDay => !a.has_other_reference(b) && a.day == b.day,
            Self::NextDay => !a.has_other_reference(b) && a.days_apart(b) == Some(1),
        }
    }
}

/// The movements that one side knows and the other does not, by amount and day and by amount and reference.
#[derive(Debug, Default)]
pub struct Alone {
    by_day: BTreeMap<(i128, Option<NaiveDate>), BTreeSet<usize>>,
    by_reference: BTreeMap<(i128, String), BTreeSet<usize>>,
}

impl Alone {
    pub fn insert(&mut self, view: &View, slot: usize) {
        let units = view.amount.minor_units();
        self.by_day.entry((units, view.day)).or_default().insert(slot);
        if let Some(reference) = &view.reference {
            self.by_reference.entry((units, reference.clone())).or_default().insert(slot);
        }
    }

    pub fn remove(&mut self, view: &View, slot: usize) {
        let units = view.amount.minor_units();
        remove(&mut self.by_day, &(units, view.day), slot);
        if let Some(reference) = &view.reference {
            remove(&mut self.by_reference, &(units, reference.clone()), slot);
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = usize> {
        self.by_day.values().flatten().copied()
    }

    /// Those that may be `view` by this pass.
    pub fn near(&self, view: &View, pass: Pass) -> impl Iterator<Item = usize> {
        let units = view.amount.minor_units();
        let on = |day: Option<NaiveDate>| self.by_day.get(&(units, Some(day?)));
        let found = match pass {
            Pass::SameReference => {
                [self.by_reference.get(&(units, view.reference.clone().unwrap_or_default())), None]
            }
            Pass::SameDay => [self.by_day.get(&(units, view.day)), None],
            Pass::NextDay => {
                [on(view.day.and_then(|day| day.pred_opt())), on(view.day.and_then(|day| day.succ_opt()))]
            }
        };
        found.into_iter().flatten().flatten().copied()
    }
}

/// Takes a movement out of a list, and the list away with its last one.
fn remove<K: Ord>(lists: &mut BTreeMap<K, BTreeSet<usize>>, key: &K, slot: usize) {
    if let Some(slots) = lists.get_mut(key) {
        slots.remove(&slot);
        if slots.is_empty() {
            lists.remove(key);
        }
    }
}
