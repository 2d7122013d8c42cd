//! What happens to transactions at Mercury.
//!
//! ```text
//! pending ──> sent ──> reversed
//!    └──> failed | cancelled | blocked
//! ```

use crate::kit::{Kind, Move, Twin, TwinAccount, Way, rarely, soon};

/// All that readers can list.
pub const ALL: &[&str] = &[
    "externalTransfer",
    "debitCardTransaction",
    "incomingDomesticWire",
    "checkDeposit",
    "internalTransfer",
    "internalTransferIn",
    "treasuryTransfer",
    "wireFee",
];

const SENT: &[(&str, u32)] = &[("sent", 1)];
const PENDING: &[(&str, u32)] = &[("pending", 9), ("sent", 1)];
const BOOKED: &[&str] = &["sent"];

const PAYMENT: &[Move] = &[
    soon("pending", "sent", 85),
    soon("pending", "failed", 6),
    soon("pending", "cancelled", 6),
    soon("pending", "blocked", 3),
    rarely("sent", "reversed", 1),
];
const CARD: &[Move] = &[
    soon("pending", "sent", 90),
    soon("pending", "cancelled", 7),
    soon("pending", "failed", 3),
    rarely("sent", "reversed", 1),
];
const SLOW: &[Move] = &[soon("pending", "sent", 90), soon("pending", "failed", 10)];

pub static KINDS: &[Kind] = &[
    kind("externalTransfer", 25, Way::Out, (1_000, 900_000), PENDING, PAYMENT),
    kind("debitCardTransaction", 30, Way::Out, (99, 60_000), PENDING, CARD),
    kind("incomingDomesticWire", 18, Way::In, (10_000, 5_000_000), PENDING, PAYMENT),
    kind("checkDeposit", 8, Way::In, (1_000, 300_000), &[("pending", 1)], PAYMENT),
    Kind {
        twin: Some(Twin { kind: "internalTransferIn", to: TwinAccount::SameCurrency }),
        ..kind("internalTransfer", 8, Way::Out, (1_000, 400_000), SENT, &[])
    },
    kind("internalTransferIn", 0, Way::In, (1, 1), SENT, &[]),
    kind("treasuryTransfer", 4, Way::Out, (100_000, 900_000), PENDING, SLOW),
    kind("wireFee", 7, Way::Out, (500, 3_500), SENT, &[]),
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
