//! What happens at GoCardless.
//!
//! ```text
//! payment: pending_customer_approval ──> pending_submission ──> submitted ──> confirmed ──> paid_out ──> charged_back
//!             └──> customer_approval_denied   └──> cancelled      └──> failed
//! refund:  created ──> pending_submission ──> submitted ──> paid ──> bounced | funds_returned
//! sole refund (of a mandate): the same, up to paid
//! payout:  pending ──> paid | bounced
//! ```

use crate::kit::{Child, Kind, Way, rarely, soon};

const PAYMENT: Kind = Kind {
    name: "payment",
    weight: 86,
    way: Way::In,
    amounts_minor: (100, 120_000),
    born: &[("pending_submission", 8), ("pending_customer_approval", 2)],
    moves: &[
        soon("pending_customer_approval", "pending_submission", 8),
        soon("pending_customer_approval", "customer_approval_denied", 2),
        soon("pending_submission", "submitted", 93),
        soon("pending_submission", "cancelled", 7),
        soon("submitted", "confirmed", 92),
        soon("submitted", "failed", 8),
        soon("confirmed", "paid_out", 1),
        rarely("paid_out", "charged_back", 1),
    ],
    booked: &["confirmed", "paid_out"],
    children: &[Child {
        kind: "refund",
        of: &["confirmed", "paid_out"],
        weight: 4,
        whole: false,
        touches_parent: false,
    }],
    twin: None,
};

const REFUND: Kind = Kind {
    name: "refund",
    weight: 0,
    way: Way::Out,
    amounts_minor: (1, 1),
    born: &[("created", 1), ("pending_submission", 3)],
    moves: &[
        soon("created", "pending_submission", 1),
        soon("pending_submission", "submitted", 1),
        soon("submitted", "paid", 1),
        rarely("paid", "bounced", 1),
        rarely("paid", "funds_returned", 1),
    ],
    booked: &["submitted", "paid"],
    children: &[],
    twin: None,
};

const SOLE_REFUND: Kind = Kind {
    name: "sole_refund",
    weight: 3,
    way: Way::Out,
    amounts_minor: (100, 5_000),
    born: &[("pending_submission", 1)],
    moves: &[soon("pending_submission", "submitted", 1), soon("submitted", "paid", 1)],
    booked: &["submitted", "paid"],
    children: &[],
    twin: None,
};

const PAYOUT: Kind = Kind {
    name: "payout",
    weight: 11,
    way: Way::Out,
    amounts_minor: (1_000, 400_000),
    born: &[("pending", 1)],
    moves: &[soon("pending", "paid", 93), soon("pending", "bounced", 7)],
    booked: &["pending", "paid"],
    children: &[],
    twin: None,
};

pub static KINDS: &[Kind] = &[PAYMENT, REFUND, SOLE_REFUND, PAYOUT];
