//! What happens at Square.
//!
//! ```text
//! payment: APPROVED ──> COMPLETED | CANCELED      PENDING ──> COMPLETED | FAILED
//! refund:  PENDING ──> COMPLETED | REJECTED | FAILED
//! dispute: [INQUIRY_EVIDENCE_REQUIRED ──> INQUIRY_PROCESSING ──> INQUIRY_CLOSED, or]
//!          EVIDENCE_REQUIRED ──> PROCESSING ──> WON | LOST
//!             └──> ACCEPTED
//! payout:  SENT ──> PAID | FAILED
//! ```

use crate::kit::{Child, Kind, Way, soon};

const PAYMENT: Kind = Kind {
    name: "payment",
    weight: 88,
    way: Way::In,
    amounts_minor: (100, 60_000),
    born: &[("COMPLETED", 55), ("APPROVED", 25), ("PENDING", 15), ("FAILED", 5)],
    moves: &[
        soon("APPROVED", "COMPLETED", 80),
        soon("APPROVED", "CANCELED", 20),
        soon("PENDING", "COMPLETED", 85),
        soon("PENDING", "FAILED", 15),
    ],
    booked: &["COMPLETED"],
    children: &[
        Child { kind: "refund", of: &["COMPLETED"], weight: 4, whole: false, touches_parent: true },
        Child { kind: "dispute", of: &["COMPLETED"], weight: 1, whole: false, touches_parent: false },
    ],
    twin: None,
};

const REFUND: Kind = Kind {
    name: "refund",
    weight: 0,
    way: Way::Out,
    amounts_minor: (1, 1),
    born: &[("PENDING", 1)],
    moves: &[soon("PENDING", "COMPLETED", 88), soon("PENDING", "REJECTED", 6), soon("PENDING", "FAILED", 6)],
    booked: &["COMPLETED"],
    children: &[],
    twin: None,
};

const DISPUTE: Kind = Kind {
    name: "dispute",
    weight: 0,
    way: Way::Out,
    amounts_minor: (1, 1),
    born: &[("EVIDENCE_REQUIRED", 3), ("INQUIRY_EVIDENCE_REQUIRED", 1)],
    moves: &[
        soon("INQUIRY_EVIDENCE_REQUIRED", "INQUIRY_PROCESSING", 1),
        soon("INQUIRY_PROCESSING", "INQUIRY_CLOSED", 1),
        soon("INQUIRY_PROCESSING", "EVIDENCE_REQUIRED", 1),
        soon("EVIDENCE_REQUIRED", "PROCESSING", 3),
        soon("EVIDENCE_REQUIRED", "ACCEPTED", 1),
        soon("PROCESSING", "WON", 1),
        soon("PROCESSING", "LOST", 1),
    ],
    booked: &["EVIDENCE_REQUIRED", "PROCESSING", "LOST", "ACCEPTED"],
    children: &[],
    twin: None,
};

const PAYOUT: Kind = Kind {
    name: "payout",
    weight: 12,
    way: Way::Out,
    amounts_minor: (1_000, 400_000),
    born: &[("SENT", 1)],
    moves: &[soon("SENT", "PAID", 92), soon("SENT", "FAILED", 8)],
    booked: &["SENT", "PAID"],
    children: &[],
    twin: None,
};

pub static KINDS: &[Kind] = &[PAYMENT, REFUND, DISPUTE, PAYOUT];
