//! The ledger: accounts, and records with every version they went through.

use std::collections::HashMap;
use std::ops::Range;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::fsp::Fsp;
use super::ids;
use super::lives::{Kind, Way};
use super::money::Currency;
use super::names;
use super::open::OpenRecords;
use super::stamper::Stamper;
use super::times::DAY_US;

/// An account, or what the provider has in its place.
#[derive(Debug)]
pub struct Account {
    /// The provider's id.
    pub id: String,
    pub name: String,
    /// What it is kept in.
    pub currency: &'static Currency,
    /// When it was opened, in microseconds.
    pub opened_at_us: i64,
    /// What was on it before the first record.
    pub opening_minor: i64,
    /// The position of the account that it is a space of.
    pub within: Option<usize>,
}

/// Somebody who can be paid.
#[derive(Debug)]
pub struct Beneficiary {
    /// The provider's id.
    pub id: String,
    pub name: String,
    /// When it was entered, in microseconds.
    pub created_at_us: i64,
}

/// A state that a record went through.
#[derive(Clone, Debug)]
pub struct Version {
    /// The provider's word for it.
    pub status: &'static str,
    /// When, in microseconds.
    pub at_us: i64,
    /// Which of the record's ids it bore from then on.
    pub(super) id: usize,
    pub(super) shown: Shown,
}

/// From when on readers get to see a version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub from_us: i64,
    pub from_change: u64,
}

impl Shown {
    pub const AT_ONCE: Self = Self { from_us: i64::MIN, from_change: 0 };
    /// Until somebody shows it.
    pub const NEVER: Self = Self { from_us: i64::MAX, from_change: u64::MAX };
}

/// A record: a payment, a transfer, a refund, a dispute, a payout.
#[derive(Debug)]
pub struct Item {
    /// Its position in the ledger: later records have higher ones.
    pub number: usize,
    pub kind: &'static Kind,
    /// The position of its account.
    pub account: usize,
    /// The amount in minor units, above 0. Never changes.
    pub amount_minor: i64,
    /// The position of the record that it came of.
    pub parent: Option<usize>,
    /// The position of its other side, where it was born with one.
    pub twin: Option<usize>,
    /// All versions, oldest first, times ascending; the last is the current one.
    pub versions: Vec<Version>,
    /// What became of the amount through children.
    pub taken_minor: i64,
    /// A number from which details follow that nobody compares: names, references.
    pub traits: u64,
    pub(super) ids: Vec<String>,
}

impl Item {
    /// The current id.
    pub fn id(&self) -> &str {
        &self.ids[self.current().id]
    }

    /// Ids that it bore before.
    pub fn earlier_ids(&self) -> &[String] {
        &self.ids[..self.current().id]
    }

    pub fn current(&self) -> &Version {
        self.versions.last().expect("a record is born with a version")
    }

    /// When it was created, in microseconds.
    pub fn created_at_us(&self) -> i64 {
        self.versions[0].at_us
    }

    /// Whether it was in this status at version `upto` or before.
    pub fn was(&self, status: &str, upto: usize) -> bool {
        self.versions[..=upto].iter().any(|version| version.status == status)
    }

    /// The amount with the sign that it has in the account.
    pub fn signed_minor(&self) -> i64 {
        match self.kind.way {
            Way::In => self.amount_minor,
            Way::Out => -self.amount_minor,
        }
    }
}

/// What an account holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What has been booked, in minor units.
    pub booked_minor: i64,
    /// What is on its way out, in minor units, 0 or more.
    pub reserved_minor: i64,
}

/// The books of a stand-in.
pub struct Books {
    /// The accounts, and after them their spaces, those of one account in a row.
    pub accounts: Vec<Account>,
    /// The beneficiaries, oldest first.
    pub beneficiaries: Vec<Beneficiary>,
    /// The records, oldest first.
    pub items: Vec<Item>,
    pub(super) seed: u64,
    pub(super) rng: SmallRng,
    pub(super) stamper: Stamper,
    /// The records that are on their way.
    pub(super) open: OpenRecords,
    /// The record of each change, in order.
    pub(super) log: Vec<usize>,
    by_id: HashMap<String, usize>,
}

impl Books {
    pub(super) fn new(fsp: &dyn Fsp, config: &super::StandinConfig, now_us: i64) -> Self {
        let seed = config.seed;
        let start_us = now_us - i64::from(config.history_days) * DAY_US;
        let beneficiary = |n: usize| Beneficiary {
            id: fsp.id("beneficiary", seed, n as u64),
            name: names::person(ids::hash(seed, "person", fsp.owner(n) as u64)),
            created_at_us: start_us - (config.beneficiaries - n) as i64 * DAY_US / 4,
        };
        Self {
            accounts: open_accounts(fsp, config, start_us),
            beneficiaries: (0..config.beneficiaries).map(beneficiary).collect(),
            items: Vec::with_capacity(config.items),
            seed,
            rng: SmallRng::seed_from_u64(seed),
            stamper: Stamper::new(),
            open: OpenRecords::default(),
            log: Vec::new(),
            by_id: HashMap::new(),
        }
    }

    /// From which the ids follow.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The record that bears this id now or bore it before.
    pub fn find(&self, id: &str) -> Option<&Item> {
        self.by_id.get(id).map(|&number| &self.items[number])
    }

    /// The positions of the accounts that are no spaces.
    pub fn main_accounts(&self) -> Range<usize> {
        0..self.accounts.partition_point(|account| account.within.is_none())
    }

    /// The positions of the spaces of an account, by position.
    pub fn spaces(&self, account: usize) -> Range<usize> {
        let start = self.accounts.partition_point(|one| one.within.is_none_or(|within| within < account));
        let end = self.accounts.partition_point(|one| one.within.is_none_or(|within| within <= account));
        start..end
    }

    /// The position of the account with this id.
    pub fn find_account(&self, id: &str) -> Option<usize> {
        self.accounts.iter().position(|account| account.id == id)
    }

    /// What an account holds, by position.
    pub fn balance(&self, account: usize) -> Balance {
        let opening_minor = self.accounts[account].opening_minor;
        let mut balance = Balance { booked_minor: opening_minor, reserved_minor: 0 };
        for item in self.items.iter().filter(|item| item.account == account) {
            let status = item.current().status;
            if item.kind.is_booked(status) {
                balance.booked_minor += item.signed_minor();
            } else if item.kind.way == Way::Out && item.kind.is_open(status) {
                balance.reserved_minor += item.amount_minor;
            }
        }
        balance
    }

    /// Enters a record that does not exist yet.
    pub(super) fn enter(&mut self, mut item: Item, id: String, version: Version) -> usize {
        let number = self.items.len();
        self.by_id.insert(id.clone(), number);
        item.ids.push(id);
        self.items.push(Item { number, ..item });
        self.add_version(number, version);
        number
    }

    /// Gives a record another id, borne from the next version on.
    pub(super) fn rename(&mut self, number: usize, id: String) {
        self.by_id.insert(id.clone(), number);
        self.items[number].ids.push(id);
    }

    /// Takes a record to its next version.
    pub(super) fn add_version(&mut self, number: usize, version: Version) {
        let item = &mut self.items[number];
        let was_open = item.versions.last().is_some_and(|last| item.kind.is_open(last.status));
        let is_open = item.kind.is_open(version.status);
        item.versions.push(version);
        self.log.push(number);
        if is_open && !was_open {
            self.open.insert(number);
        } else if was_open && !is_open {
            self.open.remove(number);
        }
    }
}

/// The accounts, and their spaces if the provider has such; the history starts at `start_us`.
fn open_accounts(fsp: &dyn Fsp, config: &super::StandinConfig, start_us: i64) -> Vec<Account> {
    let (profile, seed) = (fsp.profile(), config.seed);
    let account = |n: usize| Account {
        id: fsp.id("account", seed, n as u64),
        name: names::account(n),
        currency: profile.currencies[n % profile.currencies.len()],
        // Not in the order of the list: a client must not take the list's order for age.
        opened_at_us: start_us - (ids::hash(seed, "age", n as u64) % 500 + 1) as i64 * DAY_US,
        opening_minor: profile.opening_minor,
        within: None,
    };
    let mut accounts: Vec<_> = (0..config.accounts.min(profile.most_accounts)).map(account).collect();
    let spaces = if profile.has_spaces() { config.spaces } else { 0 };
    for n in 0..accounts.len() * spaces {
        let within = &accounts[n / spaces];
        accounts.push(Account {
            id: fsp.id("space", seed, n as u64),
            name: names::space(n % spaces),
            opening_minor: 0,
            within: Some(n / spaces),
            ..*within
        });
    }
    accounts
}
