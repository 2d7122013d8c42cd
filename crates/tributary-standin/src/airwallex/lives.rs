//! What happens at Airwallex.
//!
//! ```text
//! transfer: SCHEDULED ──> PROCESSING ──> SENT ──> PAID
//!               └──────────────┴─────────> FAILED | CANCELLED
//! others:   PENDING ──> SETTLED | CANCELLED
//! ```

use crate::kit::{Kind, Move, Twin, TwinAccount, Way, soon};

/// What is in the list of financial transactions as itself.
pub const MOVEMENTS: &[&str] = &["DEPOSIT", "PAYMENT", "REFUND", "CONVERSION_SELL", "CONVERSION_BUY", "FEE"];

const SETTLED: &[(&str, u32)] = &[("SETTLED", 1)];
const SETTLES: &[Move] = &[soon("PENDING", "SETTLED", 92), soon("PENDING", "CANCELLED", 8)];
const BOOKED: &[&str] = &["SETTLED"];

const TRANSFER: Kind = Kind {
    name: "transfer",
    weight: 34,
    way: Way::Out,
    amounts_minor: (1_000, 900_000),
    born: &[("PROCESSING", 8), ("SCHEDULED", 2)],
    moves: &[
        soon("SCHEDULED", "PROCESSING", 85),
        soon("SCHEDULED", "CANCELLED", 15),
        soon("PROCESSING", "SENT", 90),
        soon("PROCESSING", "FAILED", 10),
        soon("SENT", "PAID", 95),
        soon("SENT", "FAILED", 5),
    ],
    booked: &["SENT", "PAID"],
    children: &[],
    twin: None,
};

pub static KINDS: &[Kind] = &[
    TRANSFER,
    kind("DEPOSIT", 24, Way::In, (10_000, 5_000_000), &[("PENDING", 7), ("SETTLED", 3)], SETTLES),
    kind("PAYMENT", 18, Way::In, (100, 120_000), &[("PENDING", 1)], SETTLES),
    kind("REFUND", 6, Way::Out, (100, 20_000), &[("PENDING", 1)], SETTLES),
    Kind {
        twin: Some(Twin { kind: "CONVERSION_BUY", to: TwinAccount::AnotherCurrency }),
        ..kind("CONVERSION_SELL", 10, Way::Out, (1_000, 400_000), SETTLED, &[])
    },
    kind("CONVERSION_BUY", 0, Way::In, (1, 1), SETTLED, &[]),
    kind("FEE", 8, Way::Out, (50, 1_500), SETTLED, &[]),
];

const fn kind(
    name: &'static str,
    weight: u32,
    way: Way,
    amounts_minor: (i64, i64),
    born: &'static [(&'static str, u32)],
    moves: &'static [Move],
) -> Kind {
    Kind { name, weight, way, amounts_minor, born, moves, booked: BOOKED, children: &[], twin: None }
}
