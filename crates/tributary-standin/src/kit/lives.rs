//! What can happen to a record of a provider, as tables that each provider fills in.

use rand::Rng;
use rand::rngs::SmallRng;

/// A kind of record with a life: a payment, a transfer, a refund, a dispute, a payout.
#[derive(Debug)]
pub struct Kind {
    /// What the provider's module calls it; ids follow from it, too.
    pub name: &'static str,
    /// How often, among all kinds, such a record is born of itself; 0 for what only comes as the
    /// child or twin of another.
    pub weight: u32,
    /// Which way the money goes, from the point of view of the account.
    pub way: Way,
    /// The smallest and the largest amount in minor units, both above 0; a child gets a part of
    /// its parent's.
    pub amounts_minor: (i64, i64),
    /// The statuses it may start with, and how often each.
    pub born: &'static [(&'static str, u32)],
    /// How it goes on.
    pub moves: &'static [Move],
    /// The statuses in which the money has moved and the balance shows it.
    pub booked: &'static [&'static str],
    /// What may come of it.
    pub children: &'static [Child],
    /// The other side, in another account, that is born with it.
    pub twin: Option<Twin>,
}

/// The other side of a movement between two accounts.
#[derive(Debug)]
pub struct Twin {
    pub kind: &'static str,
    pub to: TwinAccount,
}

/// Which account the other side of a movement is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinAccount {
    /// Another account of the same currency.
    SameCurrency,
    /// An account of another currency.
    AnotherCurrency,
    /// A space of the same account.
    Space,
}

/// Which way the money goes, from the point of view of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into the account.
    In,
    /// Out of the account.
    Out,
}

/// A step from one status to the next.
#[derive(Debug)]
pub struct Move {
    /// From this status ...
    pub from: &'static str,
    pub to: &'static str,
    /// How often, among all moves from there of the same pace.
    pub weight: u32,
    /// Whether it is the expected way on, or something that happens to a few long afterwards.
    pub pace: Pace,
}

/// How soon a move comes, and to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The expected way on.
    Soon,
    /// What happens to a few, long afterwards: a reversal, a chargeback.
    Rarely,
}

/// A move that is the expected way on.
pub const fn soon(from: &'static str, to: &'static str, weight: u32) -> Move {
    Move { from, to, weight, pace: Pace::Soon }
}

/// A move that happens to a few, long afterwards.
pub const fn rarely(from: &'static str, to: &'static str, weight: u32) -> Move {
    Move { from, to, weight, pace: Pace::Rarely }
}

/// What may come of a record: a refund or a dispute of a payment.
#[derive(Debug)]
pub struct Child {
    /// The kind of the child.
    pub kind: &'static str,
    /// The statuses of the parent in which it may come.
    pub of: &'static [&'static str],
    /// How often, among all that may happen to the parent afterwards.
    pub weight: u32,
    /// Whether it takes all that is left of the parent's amount, or any part of it.
    pub whole: bool,
    /// Whether it counts as a change of the parent, too, whose time of update then moves.
    pub touches_parent: bool,
}

impl Kind {
    /// The status a new record starts with.
    pub(super) fn first(&self, rng: &mut SmallRng) -> &'static str {
        pick(rng, self.born.iter().map(|&(status, weight)| (status, weight))).unwrap_or("")
    }

    /// The status after `from`, or `None` where nothing of this pace follows.
    pub(super) fn next(&self, from: &str, pace: Pace, rng: &mut SmallRng) -> Option<&'static str> {
        let moves = self.moves.iter().filter(|step| step.from == from && step.pace == pace);
        pick(rng, moves.map(|step| (step.to, step.weight)))
    }

    /// Whether a record in this status is on its way to another.
    pub fn is_open(&self, status: &str) -> bool {
        self.moves.iter().any(|step| step.from == status && step.pace == Pace::Soon)
    }

    /// Whether the money has moved in this status.
    pub fn is_booked(&self, status: &str) -> bool {
        self.booked.contains(&status)
    }
}

/// One of the choices by weight; `None` where there is none.
pub(super) fn pick<T>(rng: &mut SmallRng, choices: impl Iterator<Item = (T, u32)> + Clone) -> Option<T> {
    let all: u32 = choices.clone().map(|(_, weight)| weight).sum();
    let mut left = if all == 0 { return None } else { rng.random_range(0..all) };
    for (choice, weight) in choices {
        if left < weight {
            return Some(choice);
        }
        left -= weight;
    }
    None
}
