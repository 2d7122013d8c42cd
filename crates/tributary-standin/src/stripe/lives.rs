//! What happens at Stripe.
//!
//! ```text
//! balance transaction: pending ──> available
//! refund of a charge:  pending ──> succeeded ──> failed
//!                         └──> failed | canceled
//! payout:  pending ──> in_transit ──> paid ──> paid, and reversed by another
//!             └──> canceled  └──> failed
//! ```

use crate::kit::{Child, Kind, Way, rarely, soon};

/// A payout that was paid, and that another one took back.
pub const REVERSED: &str = "paid, reversed";
/// What is in the list of balance transactions as itself.
pub const LINES: &[&str] = &["charge", "topup", "stripe_fee"];

const CHARGE: Kind = Kind {
    name: "charge",
    weight: 62,
    way: Way::In,
    amounts_minor: (100, 120_000),
    born: &[("pending", 1)],
    moves: &[soon("pending", "available", 1)],
    booked: &["available"],
    children: &[Child { kind: "refund", of: &["available"], weight: 4, whole: false, touches_parent: false }],
    twin: None,
};

const REFUND: Kind = Kind {
    name: "refund",
    weight: 0,
    way: Way::Out,
    amounts_minor: (1, 1),
    born: &[("succeeded", 6), ("pending", 4)],
    moves: &[
        soon("pending", "succeeded", 8),
        soon("pending", "failed", 1),
        soon("pending", "canceled", 1),
        rarely("succeeded", "failed", 1),
    ],
    booked: &["pending", "succeeded"],
    children: &[],
    twin: None,
};

const PAYOUT: Kind = Kind {
    name: "payout",
    weight: 26,
    way: Way::Out,
    amounts_minor: (1_000, 400_000),
    born: &[("pending", 8), ("in_transit", 2)],
    moves: &[
        soon("pending", "in_transit", 9),
        soon("pending", "canceled", 1),
        soon("in_transit", "paid", 9),
        soon("in_transit", "failed", 1),
        rarely("paid", REVERSED, 1),
    ],
    booked: &["pending", "in_transit", "paid"],
    children: &[],
    twin: None,
};

const TOPUP: Kind = Kind { name: "topup", weight: 4, children: &[], ..CHARGE };

const FEE: Kind = Kind {
    name: "stripe_fee",
    weight: 8,
    way: Way::Out,
    amounts_minor: (50, 1_500),
    born: &[("available", 1)],
    moves: &[],
    booked: &["available"],
    children: &[],
    twin: None,
};

pub static KINDS: &[Kind] = &[CHARGE, REFUND, PAYOUT, TOPUP, FEE];
