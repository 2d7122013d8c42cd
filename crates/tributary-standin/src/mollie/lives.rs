//! What happens at Mollie.
//!
//! ```text
//! payment:    open ──> pending ──> paid ──> (refunds, chargebacks)
//!               ├──> authorized ──> paid | canceled | expired
//!               └──> canceled | expired | failed
//! refund:     queued ──> pending ──> processing ──> refunded | failed
//! chargeback: there ──> reversed
//! payout:     requested ──> initiated ──> processing-at-bank ──> completed | failed
//!               └──> canceled
//! ```

use crate::kit::{Child, Kind, Way, rarely, soon};

const PAYMENT: Kind = Kind {
    name: "payment",
    weight: 90,
    way: Way::In,
    amounts_minor: (100, 90_000),
    born: &[("open", 1)],
    moves: &[
        soon("open", "paid", 50),
        soon("open", "pending", 12),
        soon("open", "authorized", 14),
        soon("open", "canceled", 8),
        soon("open", "expired", 10),
        soon("open", "failed", 6),
        soon("pending", "paid", 85),
        soon("pending", "failed", 15),
        soon("authorized", "paid", 70),
        soon("authorized", "canceled", 15),
        soon("authorized", "expired", 15),
    ],
    booked: &["paid"],
    children: &[
        Child { kind: "refund", of: &["paid"], weight: 4, whole: false, touches_parent: false },
        Child { kind: "chargeback", of: &["paid"], weight: 1, whole: true, touches_parent: false },
    ],
    twin: None,
};

const REFUND: Kind = Kind {
    name: "refund",
    weight: 0,
    way: Way::Out,
    amounts_minor: (1, 1),
    born: &[("queued", 1), ("pending", 4)],
    moves: &[
        soon("queued", "pending", 1),
        soon("pending", "processing", 1),
        soon("processing", "refunded", 9),
        soon("processing", "failed", 1),
    ],
    booked: &["pending", "processing", "refunded"],
    children: &[],
    twin: None,
};

const CHARGEBACK: Kind = Kind {
    name: "chargeback",
    weight: 0,
    way: Way::Out,
    amounts_minor: (1, 1),
    born: &[("charged-back", 1)],
    moves: &[rarely("charged-back", "reversed", 1)],
    booked: &["charged-back"],
    children: &[],
    twin: None,
};

const PAYOUT: Kind = Kind {
    name: "payout",
    weight: 10,
    way: Way::Out,
    amounts_minor: (10_000, 300_000),
    born: &[("requested", 1)],
    moves: &[
        soon("requested", "initiated", 9),
        soon("requested", "canceled", 1),
        soon("initiated", "processing-at-bank", 1),
        soon("processing-at-bank", "completed", 9),
        soon("processing-at-bank", "failed", 1),
    ],
    booked: &["processing-at-bank", "completed"],
    children: &[],
    twin: None,
};

pub static KINDS: &[Kind] = &[PAYMENT, REFUND, CHARGEBACK, PAYOUT];
