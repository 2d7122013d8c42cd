//! What happens at Revolut.
//!
//! ```text
//! [created ──>] pending ──> completed ──> reverted
//!                   └──> declined | failed | reverted
//! ```
//! A movement between own accounts is completed at once and stays so.

use crate::kit::{Child, Kind, Move, Twin, TwinAccount, Way, rarely, soon};

const COMPLETED: &[(&str, u32)] = &[("completed", 1)];

const PAYMENT: &[Move] = &[
    soon("created", "pending", 1),
    soon("pending", "completed", 85),
    soon("pending", "declined", 8),
    soon("pending", "failed", 7),
    rarely("completed", "reverted", 1),
];
const TOPUP: &[Move] = &[
    soon("pending", "completed", 90),
    soon("pending", "failed", 6),
    soon("pending", "declined", 4),
    rarely("completed", "reverted", 1),
];
const CARD: &[Move] =
    &[soon("pending", "completed", 85), soon("pending", "declined", 8), soon("pending", "reverted", 7)];

pub static KINDS: &[Kind] = &[
    kind("topup", 25, Way::In, (1_000, 900_000), &[("completed", 6), ("pending", 4)], TOPUP),
    kind("payment", 25, Way::Out, (500, 400_000), &[("created", 3), ("pending", 7)], PAYMENT),
    Kind {
        children: &[Child {
            kind: "card_refund",
            of: &["completed"],
            weight: 1,
            whole: false,
            touches_parent: false,
        }],
        ..kind("card_payment", 30, Way::Out, (99, 60_000), &[("pending", 9), ("completed", 1)], CARD)
    },
    kind("card_refund", 0, Way::In, (1, 1), COMPLETED, &[]),
    Kind {
        twin: Some(Twin { kind: "transfer_in", to: TwinAccount::SameCurrency }),
        ..kind("transfer", 8, Way::Out, (1_000, 300_000), COMPLETED, &[])
    },
    kind("transfer_in", 0, Way::In, (1, 1), COMPLETED, &[]),
    Kind {
        twin: Some(Twin { kind: "exchange_in", to: TwinAccount::AnotherCurrency }),
        ..kind("exchange", 12, Way::Out, (1_000, 300_000), COMPLETED, &[])
    },
    kind("exchange_in", 0, Way::In, (1, 1), COMPLETED, &[]),
];

const fn kind(
    name: &'static str,
    weight: u32,
    way: Way,
    amounts_minor: (i64, i64),
    born: &'static [(&'static str, u32)],
    moves: &'static [Move],
) -> Kind {
    Kind { name, weight, way, amounts_minor, born, moves, booked: &["completed"], children: &[], twin: None }
}
