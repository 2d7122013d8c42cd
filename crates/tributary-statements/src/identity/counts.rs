//! How many equal movements there are, of all that was said of them. Each rule below gives the same number in
//! whatever order files come.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::{Facts, Interim};
use crate::StatementKind;

/// What a statement says of how many there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A numbered statement: its entries are its own, beside those of others.
    Numbered { number: String, page: String, day: Option<NaiveDate> },
    /// A statement of one day that the bank does not number: told from others of that day by its opening balance.
    Segment { day: NaiveDate, opening: Option<i128> },
    /// Days that may overlap those of other files: there are at least as many as in any one of them.
    Window,
    /// What is new since the one before: each counts, and each once.
    Delta { id: String, number: String, created: String },
}

impl Scope {
    /// The scope of what is booked in the statement of `facts` where `booked`, else of what it expects.
    pub fn of(facts: &Facts, booked: bool, interim: Interim) -> Self {
        let number = facts.number.clone().unwrap_or_default();
        let delta = || Self::Delta {
            id: facts.id.clone().unwrap_or_default(),
            number: number.clone(),
            created: facts.created.clone().unwrap_or_default(),
        };
        match (facts.kind, interim) {
            (StatementKind::Notification, _) | (StatementKind::Interim, Interim::Delta) => delta(),
            (StatementKind::Final, _) if booked && facts.number.is_some() => Self::Numbered {
                number,
                page: facts.page.clone().unwrap_or_default(),
                day: facts.closing_day,
            },
            (StatementKind::Final, _) if booked => match facts.only_day {
                Some(day) => Self::Segment { day, opening: facts.opening.map(|amount| amount.minor_units()) },
                None => Self::Window,
            },
            _ => Self::Window,
        }
    }
}

/// How many of one key each scope has.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<Scope, Count>);

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    /// The most that any revision of it had: so many ids there are.
    most: usize,
    /// What the newest revision has booked: so many of them still are.
    newest: usize,
}

impl Counts {
    /// Notes that `scope` has `count`, of which `booked` are, by its newest revision or an older one.
    pub fn note(&mut self, scope: &Scope, count: usize, booked: usize, newest: bool) {
        let there = self.0.entry(scope.clone()).or_default();
        there.most = there.most.max(count);
        match scope {
            Scope::Window | Scope::Segment { .. } => {
                there.newest = there.newest.max(booked * usize::from(newest))
            }
            _ if newest => there.newest = booked,
            _ => {}
        }
    }

    /// Notes that `scope` has none by its newest revision.
    pub fn clear(&mut self, scope: &Scope) {
        if let Some(there) = self.0.get_mut(scope) {
            there.newest = 0;
        }
    }

    /// Notes that no scope has any by its newest revision.
    pub fn clear_all(&mut self) {
        for count in self.0.values_mut() {
            count.newest = 0;
        }
    }

    /// How many ids there are.
    pub fn ids(&self) -> usize {
        self.total(|count| count.most)
    }

    /// How many of them still are, and are booked.
    pub fn live(&self) -> usize {
        self.total(|count| count.newest)
    }

    /// Disjoint scopes of a kind add up, and kinds are views of the same money: the largest counts.
    fn total(&self, of: impl Fn(&Count) -> usize) -> usize {
        let mut sums = [0_usize; 4];
        for (scope, count) in &self.0 {
            let kind = match scope {
                Scope::Numbered { .. } => 0,
                Scope::Segment { .. } => 1,
                Scope::Window => 2,
                Scope::Delta { .. } => 3,
            };
            sums[kind] += of(count);
        }
        sums.into_iter().max().unwrap_or(0)
    }
}
