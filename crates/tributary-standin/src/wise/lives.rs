//! What happens at Wise.
//!
//! ```text
//! transfer: incoming_payment_waiting ──> processing [──> funds_converted] ──> outgoing_payment_sent
//!                  └──> cancelled            └──> funds_refunded <── bounced_back <──┘
//! ```
//! Everything else is a line of a statement that is there from the start, and stays.

use crate::kit::{Kind, Move, Twin, TwinAccount, Way, rarely, soon};

/// What lists of transfers have.
pub const TRANSFERS: &[&str] = &["transfer", "drafted"];

/// In which the money has left the balance.
const PAID: &[&str] = &["processing", "funds_converted", "outgoing_payment_sent", "bounced_back"];
const LINE: &[(&str, u32)] = &[("booked", 1)];

const TRANSFER: &[Move] = &[
    soon("incoming_payment_waiting", "processing", 85),
    soon("incoming_payment_waiting", "cancelled", 15),
    soon("processing", "outgoing_payment_sent", 70),
    soon("processing", "funds_converted", 20),
    soon("processing", "cancelled", 5),
    soon("processing", "funds_refunded", 5),
    soon("funds_converted", "outgoing_payment_sent", 95),
    soon("funds_converted", "funds_refunded", 5),
    rarely("outgoing_payment_sent", "bounced_back", 1),
    soon("bounced_back", "funds_refunded", 1),
];
/// One that was drafted through the API waits until it is funded there.
const DRAFTED: &[Move] = &[
    soon("incoming_payment_waiting", "processing", 0),
    soon("processing", "outgoing_payment_sent", 70),
    soon("processing", "funds_converted", 20),
    soon("processing", "funds_refunded", 10),
    soon("funds_converted", "outgoing_payment_sent", 1),
    rarely("outgoing_payment_sent", "bounced_back", 1),
    soon("bounced_back", "funds_refunded", 1),
];

pub static KINDS: &[Kind] = &[
    Kind {
        booked: PAID,
        ..kind(
            "transfer",
            35,
            Way::Out,
            (1_000, 400_000),
            &[("processing", 7), ("incoming_payment_waiting", 3)],
            TRANSFER,
        )
    },
    Kind {
        booked: PAID,
        ..kind("drafted", 0, Way::Out, (1, 1), &[("incoming_payment_waiting", 1)], DRAFTED)
    },
    kind("deposit", 20, Way::In, (10_000, 900_000), LINE, &[]),
    kind("card", 25, Way::Out, (99, 60_000), LINE, &[]),
    kind("card_refund", 3, Way::In, (99, 6_000), LINE, &[]),
    Kind {
        twin: Some(Twin { kind: "conversion_in", to: TwinAccount::AnotherCurrency }),
        ..kind("conversion", 12, Way::Out, (1_000, 300_000), LINE, &[])
    },
    kind("conversion_in", 0, Way::In, (1, 1), LINE, &[]),
    kind("interest", 5, Way::In, (1, 500), LINE, &[]),
];

const fn kind(
    name: &'static str,
    weight: u32,
    way: Way,
    amounts_minor: (i64, i64),
    born: &'static [(&'static str, u32)],
    moves: &'static [Move],
) -> Kind {
    Kind { name, weight, way, amounts_minor, born, moves, booked: &["booked"], children: &[], twin: None }
}
