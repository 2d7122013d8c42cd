//! What a feed item is and which statuses it passes through.
//!
//! ```text
//! UPCOMING ──> PENDING ──> SETTLED ──> REFUNDED | REVERSED
//!     └──> DECLINED <──┘└──> REVERSED (a card authorisation that was given back)
//! ```
//! A card payment may be born DECLINED; a movement between an account and its savings goal is
//! born SETTLED and never changes.

use rand::Rng;
use rand::rngs::SmallRng;
use serde::Serialize;

/// The status of a feed item, as the API spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Announced, no money reserved yet.
    Upcoming,
    /// Under way; what goes out is reserved.
    Pending,
    /// Done; the cleared balance has moved.
    Settled,
    /// Refused; no money moved.
    Declined,
    /// Undone by the bank or the scheme.
    Reversed,
    /// Given back by the other side.
    Refunded,
}

impl Status {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upcoming => "UPCOMING",
            Self::Pending => "PENDING",
            Self::Settled => "SETTLED",
            Self::Declined => "DECLINED",
            Self::Reversed => "REVERSED",
            Self::Refunded => "REFUNDED",
        }
    }

    /// Whether the item is still on its way to an outcome.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Upcoming | Self::Pending)
    }
}

/// Which way the money goes, seen from the item's category. Never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Direction {
    /// Into the category.
    In,
    /// Out of the category.
    Out,
}

/// What kind of movement an item is. Decides its direction, its source and its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Card,
    PaymentOut,
    PaymentIn,
    DirectDebit,
    DirectCredit,
    /// The account's side of a movement into a savings goal.
    IntoGoal,
    /// The goal's side of the same movement.
    FromAccount,
}

impl Kind {
    pub fn direction(self) -> Direction {
        match self {
            Self::Card | Self::PaymentOut | Self::DirectDebit | Self::IntoGoal => Direction::Out,
            Self::PaymentIn | Self::DirectCredit | Self::FromAccount => Direction::In,
        }
    }

    /// The API's `source`.
    pub fn source(self) -> &'static str {
        match self {
            Self::Card => "MASTER_CARD",
            Self::PaymentOut => "FASTER_PAYMENTS_OUT",
            Self::PaymentIn => "FASTER_PAYMENTS_IN",
            Self::DirectDebit => "DIRECT_DEBIT",
            Self::DirectCredit => "DIRECT_CREDIT",
            Self::IntoGoal | Self::FromAccount => "INTERNAL_TRANSFER",
        }
    }

    /// The smallest and largest amount of this kind, in pence.
    pub fn pence(self) -> (u64, u64) {
        match self {
            Self::Card => (100, 12_000),
            Self::PaymentOut => (1_000, 80_000),
            Self::PaymentIn => (1_000, 120_000),
            Self::DirectDebit => (500, 15_000),
            Self::DirectCredit => (50_000, 350_000),
            Self::IntoGoal | Self::FromAccount => (100, 20_000),
        }
    }
}

/// The status a new item of this kind starts with.
pub(super) fn first(kind: Kind, rng: &mut SmallRng) -> Status {
    let roll = rng.random_range(0..100);
    match kind {
        Kind::Card if roll < 7 => Status::Declined,
        Kind::PaymentOut if roll < 20 => Status::Upcoming,
        Kind::DirectDebit if roll < 70 => Status::Upcoming,
        Kind::DirectCredit if roll < 50 => Status::Upcoming,
        Kind::IntoGoal | Kind::FromAccount => Status::Settled,
        _ => Status::Pending,
    }
}

/// The status that follows an open one; a closed one stays what it is.
pub(super) fn next_of_open(kind: Kind, status: Status, rng: &mut SmallRng) -> Status {
    let roll = rng.random_range(0..100);
    match (status, kind) {
        (Status::Upcoming, _) if roll < 90 => Status::Pending,
        (Status::Upcoming, _) => Status::Declined,
        (Status::Pending, Kind::Card) if roll < 8 => Status::Reversed,
        (Status::Pending, _) if roll < 92 => Status::Settled,
        (Status::Pending, _) => Status::Declined,
        (closed, _) => closed,
    }
}

/// How a settled item of this kind is undone, or `None` where that never happens.
pub(super) fn undone(kind: Kind, rng: &mut SmallRng) -> Option<Status> {
    match kind {
        Kind::Card | Kind::DirectDebit => Some(Status::Refunded),
        Kind::IntoGoal | Kind::FromAccount => None,
        Kind::PaymentOut | Kind::PaymentIn | Kind::DirectCredit => {
            Some(if rng.random_range(0..2) == 0 { Status::Reversed } else { Status::Refunded })
        }
    }
}
