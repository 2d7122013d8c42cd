//! Who banks here: accounts, their categories, and payees. Fixed when the bank opens, so it is
//! read without a lock.

use std::collections::HashMap;

use uuid::Uuid;

use super::config::StarlingConfig;
use super::money::{self, Currency};
use super::people;
use super::types::Payee;
use super::uids::{self, Domain};

/// An account. Its own feed is that of its default category.
pub(super) struct Account {
    pub uid: Uuid,
    pub default_category: u16,
    pub goals: Vec<u16>,
    pub currency: &'static Currency,
    pub created_at_ms: i64,
    pub overdraft_minor: i64,
}

/// A category: the account's own, or one of its savings goals. Each has a feed.
pub(super) struct Category {
    pub uid: Uuid,
    pub account: usize,
    pub goal: Option<Goal>,
}

/// What a savings goal is called and what it is to reach.
pub(super) struct Goal {
    pub name: &'static str,
    pub target_minor: Option<i64>,
}

/// Everything that never changes. Categories are referred to by their position.
pub(super) struct Directory {
    pub seed: u64,
    pub accounts: Vec<Account>,
    pub categories: Vec<Category>,
    pub payees: Vec<Payee>,
    account_by_uid: HashMap<Uuid, usize>,
    category_by_uid: HashMap<Uuid, u16>,
}

impl Directory {
    /// The directory that `config` (validated) describes, as it opens at `now_ms`.
    pub fn new(config: &StarlingConfig, now_ms: i64) -> Self {
        let mut directory = Self {
            seed: config.seed,
            accounts: Vec::with_capacity(config.accounts),
            categories: Vec::new(),
            payees: (0..config.payees).map(|number| people::payee(config.seed, number)).collect(),
            account_by_uid: HashMap::new(),
            category_by_uid: HashMap::new(),
        };
        let first_item_ms = now_ms - i64::from(config.history_days) * DAY_MS;
        for number in 0..config.accounts {
            directory.open_account(number, config.goals_per_account, first_item_ms);
        }
        directory
    }

    /// The account with this id.
    pub fn account(&self, uid: Uuid) -> Option<&Account> {
        self.account_by_uid.get(&uid).map(|&number| &self.accounts[number])
    }

    /// The category with this id, if it belongs to that account.
    pub fn category(&self, account: Uuid, uid: Uuid) -> Option<u16> {
        let owner = *self.account_by_uid.get(&account)?;
        let category = *self.category_by_uid.get(&uid)?;
        (self.categories[usize::from(category)].account == owner).then_some(category)
    }

    /// The account that a category belongs to.
    pub fn owner(&self, category: u16) -> &Account {
        &self.accounts[self.categories[usize::from(category)].account]
    }

    fn open_account(&mut self, number: usize, goals: usize, first_item_ms: i64) {
        let currency = money::of_account(number);
        let uid = uids::uid(self.seed, Domain::Account, number as u64);
        let age_days = uids::hash(self.seed, Domain::Account, !(number as u64)) % 1_000 + 1;
        let default_category = self.add_category(number, None);
        let goals = (0..goals).map(|which| self.add_category(number, Some(goal(which, currency)))).collect();
        self.account_by_uid.insert(uid, number);
        self.accounts.push(Account {
            uid,
            default_category,
            goals,
            currency,
            // Not in the order of the list: a client must not take the list's order for age.
            created_at_ms: first_item_ms - age_days as i64 * DAY_MS,
            overdraft_minor: if number == 0 { 100_000 } else { 0 },
        });
    }

    fn add_category(&mut self, account: usize, goal: Option<Goal>) -> u16 {
        let position = u16::try_from(self.categories.len()).expect("the configuration allows no more");
        let uid = uids::uid(self.seed, Domain::Category, u64::from(position));
        self.category_by_uid.insert(uid, position);
        self.categories.push(Category { uid, account, goal });
        position
    }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Every second goal has no target, as the API allows.
fn goal(which: usize, currency: &Currency) -> Goal {
    let target_pence = 50_000 * (which as u64 + 1);
    Goal {
        name: people::GOAL_NAMES[which % people::GOAL_NAMES.len()],
        target_minor: which
            .is_multiple_of(2)
            .then(|| money::convert(target_pence, &money::GBP, currency) as i64),
    }
}
