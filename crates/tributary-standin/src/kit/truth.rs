//! What an adapter that missed nothing holds in the end.

use std::collections::BTreeMap;

use serde::Serialize;

use super::books::{Books, Item};
use super::fsp::Fsp;
use tributary_domain::{Status, TransactionType};

/// The ledger's last word in the canonical model, also of what readers do not see yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The canonical transactions by id.
    pub transactions: BTreeMap<String, Expected>,
    /// The accounts and their spaces, by id.
    pub accounts: BTreeMap<String, ExpectedAccount>,
    /// The names of the beneficiaries, by id.
    pub beneficiaries: BTreeMap<String, String>,
}

/// A canonical transaction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expected {
    /// Its type. Never changes.
    #[serde(rename = "type")]
    pub kind: TransactionType,
    /// Its last status.
    pub status: Status,
    /// The asset, such as `EUR/2`.
    pub asset: String,
    /// The amount in minor units, 0 or more. Never changes.
    pub amount_minor: i64,
    /// The id of the payment that it belongs to.
    pub parent: Option<String>,
    /// All statuses that it went through, oldest first, no two equal ones in a row. An adapter
    /// that polls may have missed any but the last.
    pub passed: Vec<Status>,
    /// Ids that it bore before.
    pub earlier_ids: Vec<String>,
}

/// An account with what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectedAccount {
    pub name: String,
    /// The asset, such as `EUR/2`.
    pub asset: String,
    /// What has been booked, in minor units.
    pub balance_minor: i64,
    /// The id of the account that it is a space of.
    pub within: Option<String>,
}

impl Truth {
    pub(super) fn of(fsp: &dyn Fsp, books: &Books) -> Self {
        let accounts = books.accounts.iter().enumerate().map(|(number, account)| {
            let balance_minor = books.balance(number).booked_minor;
            let asset = account.currency.asset();
            let within = account.within.map(|within| books.accounts[within].id.clone());
            let name = account.name.clone();
            (account.id.clone(), ExpectedAccount { name, asset, balance_minor, within })
        });
        let beneficiaries = books.beneficiaries.iter().map(|one| (one.id.clone(), one.name.clone()));
        Self {
            transactions: books.items.iter().filter_map(|item| expected(fsp, books, item)).collect(),
            accounts: accounts.collect(),
            beneficiaries: beneficiaries.collect(),
        }
    }
}

fn expected(fsp: &dyn Fsp, books: &Books, item: &Item) -> Option<(String, Expected)> {
    let meanings: Vec<_> = (0..item.versions.len()).filter_map(|upto| fsp.meaning(item, upto)).collect();
    let &(kind, status) = meanings.last()?;
    let mut passed: Vec<Status> = meanings.iter().map(|&(_, status)| status).collect();
    passed.dedup();
    let expected = Expected {
        kind,
        status,
        asset: books.accounts[item.account].currency.asset(),
        amount_minor: item.amount_minor,
        parent: item.parent.map(|parent| books.items[parent].id().to_owned()),
        passed,
        earlier_ids: item.earlier_ids().to_vec(),
    };
    Some((item.id().to_owned(), expected))
}
