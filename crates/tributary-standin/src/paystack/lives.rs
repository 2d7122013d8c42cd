//! What happens at Paystack.
//!
//! ```text
//! transaction: pending | ongoing ──> success ──> reversed
//!                           └──> failed | abandoned
//! transfer:    [otp ──>] pending | received ──> success ──> reversed
//!                └──> abandoned      └──> failed | rejected | blocked
//! refund:      pending ──> processing ──> processed | failed
//! dispute:     awaiting-merchant-feedback ──> awaiting-bank-feedback ──> resolved
//! ```

use crate::kit::{Child, Kind, Way, rarely, soon};

/// A dispute that the merchant won: `resolved`, and `declined` as the resolution.
pub const DECLINED: &str = "resolved, declined";
/// A dispute that the merchant gave in to: `resolved`, and `merchant-accepted` as the resolution.
pub const ACCEPTED: &str = "resolved, merchant-accepted";

const TRANSACTION: Kind = Kind {
    name: "transaction",
    weight: 75,
    way: Way::In,
    amounts_minor: (10_000, 5_000_000),
    born: &[("success", 50), ("pending", 25), ("ongoing", 10), ("failed", 8), ("abandoned", 7)],
    moves: &[
        soon("pending", "success", 80),
        soon("pending", "failed", 10),
        soon("pending", "abandoned", 10),
        soon("ongoing", "success", 70),
        soon("ongoing", "failed", 10),
        soon("ongoing", "abandoned", 20),
        rarely("success", "reversed", 1),
    ],
    booked: &["success"],
    children: &[
        Child { kind: "refund", of: &["success"], weight: 4, whole: false, touches_parent: false },
        Child { kind: "dispute", of: &["success"], weight: 2, whole: true, touches_parent: false },
    ],
    twin: None,
};

const TRANSFER: Kind = Kind {
    name: "transfer",
    weight: 25,
    way: Way::Out,
    amounts_minor: (5_000, 3_000_000),
    born: &[("pending", 60), ("received", 25), ("otp", 15)],
    moves: &[
        soon("otp", "pending", 80),
        soon("otp", "abandoned", 20),
        soon("received", "pending", 1),
        soon("pending", "success", 82),
        soon("pending", "failed", 10),
        soon("pending", "rejected", 5),
        soon("pending", "blocked", 3),
        rarely("success", "reversed", 1),
    ],
    booked: &["success"],
    children: &[],
    twin: None,
};

const REFUND: Kind = Kind {
    name: "refund",
    weight: 0,
    way: Way::Out,
    amounts_minor: (1, 1),
    born: &[("pending", 1)],
    moves: &[
        soon("pending", "processing", 1),
        soon("processing", "processed", 9),
        soon("processing", "failed", 1),
    ],
    booked: &["processing", "processed"],
    children: &[],
    twin: None,
};

const DISPUTE: Kind = Kind {
    name: "dispute",
    weight: 0,
    way: Way::Out,
    amounts_minor: (1, 1),
    born: &[("awaiting-merchant-feedback", 1)],
    moves: &[
        soon("awaiting-merchant-feedback", "awaiting-bank-feedback", 3),
        soon("awaiting-merchant-feedback", ACCEPTED, 1),
        soon("awaiting-bank-feedback", DECLINED, 1),
        soon("awaiting-bank-feedback", ACCEPTED, 1),
    ],
    booked: &["awaiting-merchant-feedback", "awaiting-bank-feedback", ACCEPTED],
    children: &[],
    twin: None,
};

pub static KINDS: &[Kind] = &[TRANSACTION, TRANSFER, REFUND, DISPUTE];
