//! What happens at PayPal: each kind of record is called by its event code.
//!
//! ```text
//! P (pending) ──> S (success) ──> V (reversed)
//!      └──> D (denied)
//! ```

use crate::kit::{Child, Kind, Move, Twin, TwinAccount, Way, rarely, soon};

/// A payment of a customer.
pub const PAYMENT: &str = "T0006";
/// A payment to somebody.
pub const PAID_OUT: &str = "T0001";
/// The refund of a payment.
pub const REFUND: &str = "T1107";
/// A withdrawal to the bank.
pub const WITHDRAWAL: &str = "T0403";
/// A fee of its own.
pub const FEE: &str = "T0107";
/// Both sides of a conversion. They have one code at PayPal.
pub const SOLD: &str = "T0200";
pub const BOUGHT: &str = "T0200 bought";

/// All that the search lists.
pub const ALL: &[&str] = &[PAYMENT, PAID_OUT, REFUND, WITHDRAWAL, FEE, SOLD, BOUGHT];

const PENDING: &[(&str, u32)] = &[("P", 3), ("S", 7)];
const DONE: &[(&str, u32)] = &[("S", 1)];
const DECIDED: &[Move] = &[soon("P", "S", 9), soon("P", "D", 1)];
const REVERSIBLE: &[Move] = &[soon("P", "S", 9), soon("P", "D", 1), rarely("S", "V", 1)];

pub static KINDS: &[Kind] = &[
    Kind {
        children: &[Child { kind: REFUND, of: &["S"], weight: 4, whole: false, touches_parent: false }],
        ..kind(PAYMENT, 58, Way::In, (100, 120_000), PENDING, REVERSIBLE)
    },
    kind(PAID_OUT, 14, Way::Out, (100, 60_000), PENDING, REVERSIBLE),
    kind(REFUND, 0, Way::Out, (1, 1), PENDING, DECIDED),
    kind(WITHDRAWAL, 10, Way::Out, (10_000, 900_000), &[("P", 1)], DECIDED),
    kind(FEE, 8, Way::Out, (50, 1_500), DONE, &[]),
    Kind {
        twin: Some(Twin { kind: BOUGHT, to: TwinAccount::AnotherCurrency }),
        ..kind(SOLD, 10, Way::Out, (1_000, 400_000), DONE, &[])
    },
    kind(BOUGHT, 0, Way::In, (1, 1), DONE, &[]),
];

const fn kind(
    name: &'static str,
    weight: u32,
    way: Way,
    amounts_minor: (i64, i64),
    born: &'static [(&'static str, u32)],
    moves: &'static [Move],
) -> Kind {
    Kind { name, weight, way, amounts_minor, born, moves, booked: &["S"], children: &[], twin: None }
}
