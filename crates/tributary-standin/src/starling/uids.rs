//! Ids that follow from the seed.
//!
//! A feed item's id carries the item's number, scrambled, so that a million items need no map
//! from id to item.

use uuid::{Builder, Uuid};

use crate::kit::ids::mix;

/// What an id or a random trait belongs to, so that equal numbers of two kinds do not collide.
#[derive(Clone, Copy)]
pub(super) enum Domain {
    Account = 1,
    Category,
    Payee,
    PayeeAccount,
    Merchant,
    Outlet,
    Sender,
    SenderAccount,
    Item,
    ItemTraits,
    Scramble,
    Person,
    PaymentOrder,
}

/// 64 bits that look random and are the same for the same arguments.
pub(super) fn hash(seed: u64, domain: Domain, n: u64) -> u64 {
    mix(mix(seed.wrapping_add((domain as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))) ^ n)
}

/// The id of the `n`th thing of a domain.
pub(super) fn uid(seed: u64, domain: Domain, n: u64) -> Uuid {
    let high = hash(seed, domain, n.wrapping_mul(2));
    let low = hash(seed, domain, n.wrapping_mul(2).wrapping_add(1));
    from_halves(high, low)
}

/// The id of the feed item with this number.
pub(super) fn item_uid(seed: u64, index: u32) -> Uuid {
    let tail = hash(seed, Domain::Item, u64::from(index).wrapping_mul(2)) & 0xFFFF_FFFF;
    let low = hash(seed, Domain::Item, u64::from(index).wrapping_mul(2).wrapping_add(1));
    from_halves(u64::from(scramble(seed, index)) << 32 | tail, low)
}

/// The number of the feed item with this id, or `None` if no number gives that id.
pub(super) fn item_index(seed: u64, uid: Uuid) -> Option<u32> {
    let (first_four_bytes, _, _, _) = uid.as_fields();
    let index = unscramble(seed, first_four_bytes);
    (item_uid(seed, index) == uid).then_some(index)
}

fn from_halves(high: u64, low: u64) -> Uuid {
    let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    Builder::from_random_bytes(bytes).into_uuid()
}

const ROUNDS: u32 = 4;

/// A Feistel network over two halves of 16 bits: one to one, and undone by running it backwards.
fn scramble(seed: u64, n: u32) -> u32 {
    let (mut left, mut right) = (n >> 16, n & 0xFFFF);
    for round in 0..ROUNDS {
        (left, right) = (right, left ^ round_value(seed, round, right));
    }
    left << 16 | right
}

fn unscramble(seed: u64, n: u32) -> u32 {
    let (mut left, mut right) = (n >> 16, n & 0xFFFF);
    for round in (0..ROUNDS).rev() {
        (left, right) = (right ^ round_value(seed, round, left), left);
    }
    left << 16 | right
}

fn round_value(seed: u64, round: u32, half: u32) -> u32 {
    (hash(seed, Domain::Scramble, u64::from(round << 16 | half)) & 0xFFFF) as u32
}
