//! From the books to the bodies of the API.

use std::convert::Infallible;
use std::num::NonZeroI64;
use std::sync::Arc;
use std::vec;

use axum::body::Bytes;
use uuid::Uuid;

use super::Starling;
use super::directory::{Account, Directory, Goal};
use super::lives::Kind;
use super::money::{self, Currency};
use super::people::{self, Merchant};
use super::state::{Item, Shown, Sums};
use super::types::{Balance, CounterParty, FeedItem, Millis, Money, SavingsGoal};
use super::uids::{self, Domain};

/// Items rendered at a time: large enough to be quick, small enough for an answer of a million
/// items to need no memory for its text.
const ITEMS_PER_CHUNK: usize = 256;

/// The text of a list of feed items, piece by piece.
pub(super) struct FeedItemsBody {
    starling: Arc<Starling>,
    items: vec::IntoIter<Shown>,
    started: bool,
    ended: bool,
}

impl FeedItemsBody {
    pub fn new(starling: Arc<Starling>, items: Vec<Shown>) -> Self {
        Self { starling, items: items.into_iter(), started: false, ended: false }
    }
}

impl Iterator for FeedItemsBody {
    type Item = Result<Bytes, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut text = Vec::new();
        if !self.started {
            text.extend_from_slice(b"{\"feedItems\":[");
        }
        for shown in self.items.by_ref().take(ITEMS_PER_CHUNK) {
            if self.started {
                text.push(b',');
            }
            self.started = true;
            let given = self.starling.reference(shown.index);
            let item = feed_item(&self.starling.directory, shown.index, &shown.item, given);
            serde_json::to_writer(&mut text, &item).expect("plain data can be written to memory");
        }
        if self.items.len() == 0 {
            self.ended = true;
            text.extend_from_slice(b"]}");
        }
        Some(Ok(Bytes::from(text)))
    }
}

/// A feed item's body.
pub(super) fn feed_item<'a>(
    directory: &'a Directory,
    index: u32,
    item: &Item,
    given_reference: Option<String>,
) -> FeedItem<'a> {
    let traits = uids::hash(directory.seed, Domain::ItemTraits, u64::from(index));
    let account = directory.owner(item.category);
    let side = OtherSide::of(directory, item);
    let amount = Money::new(account.currency, i64::from(item.amount_minor));
    FeedItem {
        feed_item_uid: uids::item_uid(directory.seed, index),
        category_uid: directory.categories[usize::from(item.category)].uid,
        amount,
        source_amount: side.charged_in.map_or(amount, |currency| {
            let minor = money::convert(u64::from(item.amount_minor), account.currency, currency);
            Money::new(currency, minor as i64)
        }),
        direction: item.kind.direction(),
        updated_at: Millis(item.updated_at_ms),
        transaction_time: Millis(item.transaction_time_ms),
        settlement_time: item.settled_at_ms.map(NonZeroI64::get).map(Millis),
        source: item.kind.source(),
        source_sub_type: (item.kind == Kind::Card)
            .then(|| CARD_USES[(traits % CARD_USES.len() as u64) as usize]),
        status: item.status,
        counter_party: side.counter_party,
        reference: given_reference.or_else(|| reference(item, traits >> 8)),
        country: side.country,
        spending_category: side.spending_category,
        user_note: (traits >> 16).is_multiple_of(24).then_some("To be claimed back \u{2013} ask \"Ann\""),
    }
}

static CARD_USES: [&str; 5] = ["ONLINE", "CONTACTLESS", "CHIP_AND_PIN", "APPLE_PAY", "ANDROID_PAY"];

fn reference(item: &Item, traits: u64) -> Option<String> {
    match item.kind {
        Kind::Card => {
            let Merchant { name, place, country, .. } = people::MERCHANTS[item.counterparty as usize];
            Some(format!("{name:<22}\\{place:<13} {country}"))
        }
        Kind::IntoGoal | Kind::FromAccount => None,
        _ => Some(format!("INV {:06}", traits % 1_000_000)),
    }
}

/// What an item says about whom the money went to or came from.
struct OtherSide<'a> {
    counter_party: CounterParty<'a>,
    country: &'static str,
    spending_category: &'static str,
    /// The currency that a card payment was asked for in.
    charged_in: Option<&'static Currency>,
}

impl<'a> OtherSide<'a> {
    fn of(directory: &'a Directory, item: &Item) -> Self {
        let number = item.counterparty as usize;
        match item.kind {
            Kind::Card | Kind::DirectDebit => Self::merchant(directory.seed, number, item.kind),
            Kind::PaymentOut => Self::payee(directory, number),
            Kind::PaymentIn => Self::sender(directory.seed, number, "INCOME"),
            Kind::DirectCredit => Self::sender(directory.seed, number, "SALARY"),
            Kind::IntoGoal | Kind::FromAccount => Self::category(directory, number),
        }
    }

    fn merchant(seed: u64, number: usize, kind: Kind) -> Self {
        let merchant = &people::MERCHANTS[number];
        let uid = uids::uid(seed, Domain::Merchant, number as u64);
        let mut counter_party = plain("MERCHANT", uid, merchant.name);
        counter_party.sub_uid = Some(uids::uid(seed, Domain::Outlet, number as u64));
        let is_card = kind == Kind::Card;
        Self {
            counter_party,
            // A direct debit is collected at home, in the account's currency.
            country: if is_card { merchant.country } else { "GB" },
            spending_category: merchant.spending_category,
            charged_in: is_card.then_some(merchant.currency),
        }
    }

    fn payee(directory: &'a Directory, number: usize) -> Self {
        let payee = &directory.payees[number];
        let account = &payee.accounts[0];
        let counter_party = CounterParty {
            sub_uid: Some(account.payee_account_uid),
            sub_name: Some(&account.description),
            sub_identifier: Some(&account.bank_identifier),
            sub_sub_identifier: Some(&account.account_identifier),
            ..plain("PAYEE", payee.payee_uid, &payee.payee_name)
        };
        Self { counter_party, country: account.country_code, spending_category: "PAYMENTS", charged_in: None }
    }

    fn sender(seed: u64, number: usize, spending_category: &'static str) -> Self {
        let (name, account, account_number, sort_code) = people::SENDERS[number];
        let counter_party = CounterParty {
            sub_uid: Some(uids::uid(seed, Domain::SenderAccount, number as u64)),
            sub_name: Some(account),
            sub_identifier: Some(sort_code),
            sub_sub_identifier: Some(account_number),
            ..plain("SENDER", uids::uid(seed, Domain::Sender, number as u64), name)
        };
        Self { counter_party, country: "GB", spending_category, charged_in: None }
    }

    fn category(directory: &'a Directory, number: usize) -> Self {
        let category = &directory.categories[number];
        let name = category.goal.as_ref().map_or("Main account", |goal| goal.name);
        Self {
            counter_party: plain("CATEGORY", category.uid, name),
            country: "GB",
            spending_category: "SAVING",
            charged_in: None,
        }
    }
}

fn plain<'a>(kind: &'static str, uid: Uuid, name: &'a str) -> CounterParty<'a> {
    CounterParty {
        kind,
        uid,
        name,
        sub_uid: None,
        sub_name: None,
        sub_identifier: None,
        sub_sub_identifier: None,
    }
}

/// The balance of an account's own category; savings goals are not in it.
pub(super) fn balance(account: &Account, sums: Sums) -> Balance {
    let money = |minor| Money::new(account.currency, minor);
    let effective_minor = sums.cleared_minor - sums.pending_out_minor;
    Balance {
        cleared_balance: money(sums.cleared_minor),
        effective_balance: money(effective_minor),
        pending_transactions: money(sums.pending_out_minor),
        accepted_overdraft: money(account.overdraft_minor),
        amount: money(effective_minor + account.overdraft_minor),
    }
}

/// A savings goal with what is in it.
pub(super) fn savings_goal(uid: Uuid, goal: &Goal, currency: &Currency, sums: Sums) -> SavingsGoal {
    let saved_minor = sums.cleared_minor;
    SavingsGoal {
        savings_goal_uid: uid,
        name: goal.name,
        target: goal.target_minor.map(|minor| Money::new(currency, minor)),
        total_saved: Money::new(currency, saved_minor),
        saved_percentage: goal.target_minor.map(|target| (saved_minor * 100 / target).min(100)),
    }
}
