//! What happens at Xendit.
//!
//! ```text
//! PENDING ──> SUCCESS ──> REVERSED
//!    └──> FAILED | VOIDED
//! ```

use crate::kit::{Kind, Move, Way, rarely, soon};

/// All that readers can list.
pub const ALL: &[&str] =
    &["PAYMENT", "DISBURSEMENT", "REFUND", "TRANSFER_OUT", "TRANSFER_IN", "TOPUP", "WITHDRAWAL"];

const PENDING: &[(&str, u32)] = &[("PENDING", 9), ("SUCCESS", 1)];
const DONE: &[(&str, u32)] = &[("SUCCESS", 1)];

const PAYMENT: &[Move] = &[
    soon("PENDING", "SUCCESS", 85),
    soon("PENDING", "FAILED", 8),
    soon("PENDING", "VOIDED", 7),
    rarely("SUCCESS", "REVERSED", 1),
];
const SLOW: &[Move] = &[soon("PENDING", "SUCCESS", 90), soon("PENDING", "FAILED", 10)];

pub static KINDS: &[Kind] = &[
    kind("PAYMENT", 40, Way::In, (10_000, 900_000), PENDING, PAYMENT),
    kind("DISBURSEMENT", 30, Way::Out, (1_000, 400_000), PENDING, PAYMENT),
    kind("REFUND", 5, Way::Out, (1_000, 50_000), PENDING, SLOW),
    kind("TRANSFER_OUT", 5, Way::Out, (1_000, 300_000), DONE, &[]),
    kind("TRANSFER_IN", 5, Way::In, (1_000, 300_000), DONE, &[]),
    kind("TOPUP", 5, Way::In, (100_000, 900_000), DONE, &[]),
    kind("WITHDRAWAL", 10, Way::Out, (100_000, 900_000), PENDING, SLOW),
];

const fn kind(
    name: &'static str,
    weight: u32,
    way: Way,
    amounts_minor: (i64, i64),
    born: &'static [(&'static str, u32)],
    moves: &'static [Move],
) -> Kind {
    Kind { name, weight, way, amounts_minor, born, moves, booked: &["SUCCESS"], children: &[], twin: None }
}
