//! The bank's own books, for oracles.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Starling;
use super::directory::{Account, Directory};
use super::lives::{Direction, Status};
use super::state::{Bank, Item};
use super::uids;

/// The whole truth at one moment, whatever faults are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// In the order of `/accounts`.
    pub accounts: Vec<LedgerAccount>,
    /// In the order of `/payees`.
    pub payees: Vec<LedgerPayee>,
    /// Every feed item of every category, in the order in which they were made.
    pub items: Vec<LedgerItem>,
}

/// An account and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAccount {
    /// `accountUid`.
    pub uid: Uuid,
    /// The category whose feed is the account's own.
    pub default_category: Uuid,
    /// ISO 4217 code.
    pub currency: &'static str,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// Of the default category only; goals hold their own.
    pub balances: Balances,
    /// In the order of `/savings-goals`.
    pub goals: Vec<LedgerGoal>,
}

/// An account's balances, in minor units of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balances {
    /// Settled items in, less settled items out.
    pub cleared_minor: i64,
    /// What pending items are about to take out.
    pub pending_out_minor: i64,
    /// Cleared less pending; pending items in do not count before they settle.
    pub effective_minor: i64,
    /// How far the account may go below zero.
    pub overdraft_minor: i64,
}

/// A savings goal, which is a category of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerGoal {
    /// `savingsGoalUid`, which is its `categoryUid` too.
    pub uid: Uuid,
    /// What it is called.
    pub name: &'static str,
    /// What is in it, in minor units of the account's currency.
    pub saved_minor: i64,
}

/// Somebody whom payments go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerPayee {
    /// `payeeUid`.
    pub uid: Uuid,
    /// `payeeName`.
    pub name: String,
}

/// A feed item with all its past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerItem {
    /// `feedItemUid`.
    pub uid: Uuid,
    /// The account whose feed it is in.
    pub account: Uuid,
    /// The category whose feed it is in.
    pub category: Uuid,
    /// The latest status.
    pub status: Status,
    /// In minor units, never negative; the same in every version.
    pub amount_minor: i64,
    /// The account's currency.
    pub currency: &'static str,
    /// The same in every version.
    pub direction: Direction,
    /// `transactionTime`, the same in every version.
    pub transaction_time: DateTime<Utc>,
    /// `updatedAt` of the latest version.
    pub updated_at: DateTime<Utc>,
    /// `settlementTime`, from the version that settled it on.
    pub settled_at: Option<DateTime<Utc>>,
    /// All versions, oldest first, `updated_at` ascending; the last is the current one.
    pub versions: Vec<Version>,
}

/// A state that a feed item went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The status from this version on.
    pub status: Status,
    /// The version's `updatedAt`.
    pub updated_at: DateTime<Utc>,
}

impl Starling {
    /// A snapshot of the books. Copies everything: for a million items that is some 250 MB.
    pub fn ledger(&self) -> Ledger {
        let bank = self.read();
        let mut items: Vec<LedgerItem> =
            (0..).zip(&bank.items).map(|(index, item)| ledger_item(&self.directory, index, item)).collect();
        for change in &bank.log {
            let version = Version { status: change.status, updated_at: utc(change.at_ms) };
            items[change.item as usize].versions.push(version);
        }
        Ledger {
            accounts: self
                .directory
                .accounts
                .iter()
                .map(|account| self.ledger_account(&bank, account))
                .collect(),
            payees: self
                .directory
                .payees
                .iter()
                .map(|payee| LedgerPayee { uid: payee.payee_uid, name: payee.payee_name.clone() })
                .collect(),
            items,
        }
    }

    fn ledger_account(&self, bank: &Bank, account: &Account) -> LedgerAccount {
        let sums = bank.sums(account.default_category);
        let goal = |&category: &u16| {
            let entry = &self.directory.categories[usize::from(category)];
            let name = entry.goal.as_ref()?.name;
            Some(LedgerGoal { uid: entry.uid, name, saved_minor: bank.sums(category).cleared_minor })
        };
        LedgerAccount {
            uid: account.uid,
            default_category: self.directory.categories[usize::from(account.default_category)].uid,
            currency: account.currency.code,
            created_at: utc(account.created_at_ms),
            balances: Balances {
                cleared_minor: sums.cleared_minor,
                pending_out_minor: sums.pending_out_minor,
                effective_minor: sums.cleared_minor - sums.pending_out_minor,
                overdraft_minor: account.overdraft_minor,
            },
            goals: account.goals.iter().filter_map(goal).collect(),
        }
    }
}

fn ledger_item(directory: &Directory, index: u32, item: &Item) -> LedgerItem {
    let account = directory.owner(item.category);
    LedgerItem {
        uid: uids::item_uid(directory.seed, index),
        account: account.uid,
        category: directory.categories[usize::from(item.category)].uid,
        status: item.status,
        amount_minor: i64::from(item.amount_minor),
        currency: account.currency.code,
        direction: item.kind.direction(),
        transaction_time: utc(item.transaction_time_ms),
        updated_at: utc(item.updated_at_ms),
        settled_at: item.settled_at_ms.map(|at| utc(at.get())),
        versions: Vec::with_capacity(2),
    }
}

fn utc(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
