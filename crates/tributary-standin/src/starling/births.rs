//! What a new feed item is, before it has a time.

use rand::Rng;
use rand::rngs::SmallRng;

use super::directory::Directory;
use super::lives::{self, Kind, Status};
use super::money;
use super::people;

/// A feed item about to be born.
#[derive(Clone, Copy)]
pub(super) struct Birth {
    pub category: u16,
    pub kind: Kind,
    /// A position in the list that the kind's other side is in: merchants, payees, senders, or
    /// categories.
    pub counterparty: u32,
    pub amount_minor: u32,
    pub status: Status,
}

/// Draws what happens next on a random account, in at most `room` items (1 or more): one item,
/// or the account's side and the goal's side of a movement, which happen together.
pub(super) fn draw(directory: &Directory, rng: &mut SmallRng, room: usize) -> (Birth, Option<Birth>) {
    let account = &directory.accounts[rng.random_range(0..directory.accounts.len())];
    let kind = match kind_by_weight(rng) {
        Kind::IntoGoal if room < 2 || account.goals.is_empty() => Kind::Card,
        Kind::PaymentOut if directory.payees.is_empty() => Kind::Card,
        kind => kind,
    };
    let (least, most) = kind.pence();
    let amount = money::convert(rng.random_range(least..=most), &money::GBP, account.currency);
    let mut one = Birth {
        category: account.default_category,
        kind,
        counterparty: 0,
        amount_minor: u32::try_from(amount).expect("the largest amount of any kind fits"),
        status: lives::first(kind, rng),
    };
    let others = match kind {
        Kind::Card | Kind::DirectDebit => people::MERCHANTS.len(),
        Kind::PaymentOut => directory.payees.len(),
        Kind::PaymentIn | Kind::DirectCredit => people::SENDERS.len(),
        Kind::IntoGoal | Kind::FromAccount => account.goals.len(),
    };
    let other = rng.random_range(0..others);
    if kind == Kind::IntoGoal {
        let goal = account.goals[other];
        one.counterparty = u32::from(goal);
        let counterparty = u32::from(account.default_category);
        return (one, Some(Birth { category: goal, kind: Kind::FromAccount, counterparty, ..one }));
    }
    one.counterparty = u32::try_from(other).expect("the configuration allows no more payees");
    (one, None)
}

/// More comes in than goes out on the whole, so that balances tend to grow.
fn kind_by_weight(rng: &mut SmallRng) -> Kind {
    match rng.random_range(0..100) {
        0..50 => Kind::Card,
        50..62 => Kind::PaymentOut,
        62..76 => Kind::PaymentIn,
        76..84 => Kind::DirectDebit,
        84..90 => Kind::DirectCredit,
        _ => Kind::IntoGoal,
    }
}
