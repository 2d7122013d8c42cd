//! What happens to feed items at Starling.
//!
//! ```text
//! UPCOMING ──> PENDING ──> SETTLED ──> REFUNDED | REVERSED
//!     └──> DECLINED <──┘└──> REVERSED (a card authorisation that was given back)
//! ```
//! A card payment may be born DECLINED; a movement between an account and its savings goal is
//! born SETTLED and never changes.

use crate::kit::{Kind, Move, Twin, TwinAccount, Way, rarely, soon};

/// The account's side of a movement into a savings goal.
pub const INTO_GOAL: &str = "INTERNAL_TRANSFER";
/// The goal's side of it.
pub const FROM_ACCOUNT: &str = "INTERNAL_TRANSFER from the account";

const SETTLED: &[(&str, u32)] = &[("SETTLED", 1)];

const CARD: &[Move] = &[
    soon("PENDING", "SETTLED", 84),
    soon("PENDING", "REVERSED", 8),
    soon("PENDING", "DECLINED", 8),
    rarely("SETTLED", "REFUNDED", 1),
];
const PAYMENT_IN: &[Move] = &[
    soon("PENDING", "SETTLED", 92),
    soon("PENDING", "DECLINED", 8),
    rarely("SETTLED", "REVERSED", 1),
    rarely("SETTLED", "REFUNDED", 1),
];
const ANNOUNCED: &[Move] = &[
    soon("UPCOMING", "PENDING", 90),
    soon("UPCOMING", "DECLINED", 10),
    soon("PENDING", "SETTLED", 92),
    soon("PENDING", "DECLINED", 8),
    rarely("SETTLED", "REVERSED", 1),
    rarely("SETTLED", "REFUNDED", 1),
];
const COLLECTED: &[Move] = &[
    soon("UPCOMING", "PENDING", 90),
    soon("UPCOMING", "DECLINED", 10),
    soon("PENDING", "SETTLED", 92),
    soon("PENDING", "DECLINED", 8),
    rarely("SETTLED", "REFUNDED", 1),
];

/// By the API's `source`. More comes in than goes out on the whole, so that balances tend to grow.
pub static KINDS: &[Kind] = &[
    kind("MASTER_CARD", 50, Way::Out, (100, 12_000), &[("PENDING", 93), ("DECLINED", 7)], CARD),
    kind("FASTER_PAYMENTS_OUT", 12, Way::Out, (1_000, 80_000), &[("PENDING", 8), ("UPCOMING", 2)], ANNOUNCED),
    kind("FASTER_PAYMENTS_IN", 14, Way::In, (1_000, 120_000), &[("PENDING", 1)], PAYMENT_IN),
    kind("DIRECT_DEBIT", 8, Way::Out, (500, 15_000), &[("UPCOMING", 7), ("PENDING", 3)], COLLECTED),
    kind("DIRECT_CREDIT", 6, Way::In, (50_000, 350_000), &[("UPCOMING", 1), ("PENDING", 1)], ANNOUNCED),
    Kind {
        twin: Some(Twin { kind: FROM_ACCOUNT, to: TwinAccount::Space }),
        ..kind(INTO_GOAL, 10, Way::Out, (100, 20_000), SETTLED, &[])
    },
    kind(FROM_ACCOUNT, 0, Way::In, (1, 1), SETTLED, &[]),
];

const fn kind(
    name: &'static str,
    weight: u32,
    way: Way,
    amounts_minor: (i64, i64),
    born: &'static [(&'static str, u32)],
    moves: &'static [Move],
) -> Kind {
    Kind { name, weight, way, amounts_minor, born, moves, booked: &["SETTLED"], children: &[], twin: None }
}
