//! What happens to transactions at a bank of UK Open Banking.
//!
//! ```text
//! Pending ──> Booked
//!    └──> dropped
//! ```
//! A dropped one is not listed any more.

use crate::kit::{Kind, Move, Way, soon};

/// The status of what was pending and never came to be. No answer shows it.
pub const DROPPED: &str = "dropped";

const PENDING: &[(&str, u32)] = &[("Pending", 7), ("Booked", 3)];

const MOVES: &[Move] = &[soon("Pending", "Booked", 88), soon("Pending", DROPPED, 12)];

pub static KINDS: &[Kind] = &[
    kind("payment", 30, Way::Out, (500, 900_000), PENDING, MOVES),
    kind("card", 35, Way::Out, (99, 60_000), PENDING, MOVES),
    kind("receipt", 20, Way::In, (1_000, 900_000), PENDING, MOVES),
    // of a day, many are equal
    kind("fee", 15, Way::Out, (150, 151), &[("Booked", 1)], &[]),
];

const fn kind(
    name: &'static str,
    weight: u32,
    way: Way,
    amounts_minor: (i64, i64),
    born: &'static [(&'static str, u32)],
    moves: &'static [Move],
) -> Kind {
    Kind { name, weight, way, amounts_minor, born, moves, booked: &["Booked"], children: &[], twin: None }
}
