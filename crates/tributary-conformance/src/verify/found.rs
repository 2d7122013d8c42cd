//! What a look has found so far.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::books::Place;
use super::report::{Compared, Difference, Subject, What};
use super::shown::{self, reference_of};
use super::{Unreadable, gotime};
use tributary_formance::GoTime;
use tributary_formance::kept::{PaymentKey, ShownPayment};

/// How many differences are held in detail; the others are only counted.
pub const MOST_HELD: usize = 10_000;
/// A payment as Formance shows it.
#[derive(Clone, Debug)]
pub struct Theirs {
    initial_amount: String,
    amount: String,
    asset: String,
    status: String,
    source: Option<String>,
    destination: Option<String>,
}

impl Theirs {
    /// What the API shows of a payment.
    pub fn of(payment: shown::Payment) -> Result<Self, Unreadable> {
        let account = |id: Option<String>| {
            let reference = id.as_deref().filter(|id| !id.is_empty()).map(reference_of).transpose()?;
            Ok(reference.filter(|reference| !reference.is_empty()))
        };
        Ok(Self {
            initial_amount: payment.initial_amount.0.to_string(),
            amount: payment.amount.0.to_string(),
            asset: payment.asset,
            status: payment.status,
            source: account(payment.source)?,
            destination: account(payment.destination)?,
        })
    }

    /// Whether its first row had this amount, in minor units.
    pub fn begins_with(&self, amount: &str) -> bool {
        self.initial_amount == amount
    }

    /// The fields that are others than `ours`: name, ours, theirs.
    pub fn differing(&self, ours: &ShownPayment) -> Vec<(&'static str, String, String)> {
        let account = |account: Option<&str>| account.unwrap_or("none").to_owned();
        [
            ("amount", ours.amount.to_string(), self.amount.clone()),
            ("initial_amount", ours.initial_amount.to_string(), self.initial_amount.clone()),
            ("asset", ours.asset.to_string(), self.asset.clone()),
            ("status", ours.status.to_string(), self.status.clone()),
            ("source", account(ours.source.as_deref()), account(self.source.as_deref())),
            ("destination", account(ours.destination.as_deref()), account(self.destination.as_deref())),
        ]
        .into_iter()
        .filter(|(_, ours, theirs)| ours != theirs)
        .collect()
    }
}

/// How far Formance is known to have read a list: between the first and the last entry that it has something
/// of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    pub least: Option<Place>,
    pub most: Option<Place>,
}

impl Reached {
    /// Notes that something of the entry is there.
    pub fn by(&mut self, place: Place) {
        if self.least.is_none_or(|least| place.number < least.number) {
            self.least = Some(place);
        }
        if self.most.is_none_or(|most| place.number > most.number) {
            self.most = Some(place);
        }
    }

    /// Whether an entry lies behind all that Formance is known to have read.
    pub fn is_before(&self, place: Place) -> bool {
        self.most.is_none_or(|most| place.number > most.number)
    }
}

/// What a look found.
#[derive(Default)]
pub struct Found {
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub more: u64,
    pub compared: Compared,
    /// By kind of list: accounts, beneficiaries, transactions.
    pub reached: [Reached; 3],
    /// Formance's side of the payments that differ.
    pub theirs: HashMap<PaymentKey, Theirs>,
    /// The payment of each difference of one.
    pub keys: HashMap<(String, Option<String>), PaymentKey>,
    /// The `at` of our balances that differ, by the id of the difference.
    pub balance_times: HashMap<String, GoTime>,
}

impl Found {
    /// Holds a difference, or counts it where there are very many.
    pub fn add(&mut self, difference: Difference) {
        if self.differences.len() < MOST_HELD {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }

    /// Holds that a field is another one: what is expected, and what Formance has.
    pub fn differ(
        &mut self,
        of: Subject,
        id: &str,
        kind: Option<&str>,
        field: &'static str,
        values: (String, String),
    ) {
        let (expected, formance) = (Some(values.0), Some(values.1));
        let kind = kind.map(str::to_owned);
        self.add(Difference {
            kind,
            field: Some(field),
            expected,
            formance,
            ..Difference::new(of, What::Different, id)
        });
    }

    /// Holds in what the balances of an account differ.
    pub fn balances(
        &mut self,
        reference: &str,
        ours: &[tributary_formance::Balance],
        theirs: Vec<shown::Balance>,
    ) {
        for own in ours {
            self.compared.balances += 1;
            let id = format!("{reference} {}", own.asset);
            match theirs.iter().find(|balance| balance.asset == own.asset) {
                Some(balance) if balance.balance.0 == own.amount => continue,
                Some(balance) => {
                    let values = (own.amount.to_string(), balance.balance.0.to_string());
                    self.differ(Subject::Balance, &id, None, "amount", values);
                    if own.at == gotime(balance.last_updated_at) {
                        // of the very same confirmation: no poll will mend it
                        continue;
                    }
                }
                None => {
                    let missing = Difference::new(Subject::Balance, What::Missing, &id);
                    self.add(Difference { expected: Some(own.amount.to_string()), ..missing });
                }
            }
            self.balance_times.insert(id, own.at);
        }
        for balance in theirs.into_iter().filter(|balance| ours.iter().all(|own| own.asset != balance.asset))
        {
            let extra =
                Difference::new(Subject::Balance, What::Extra, format!("{reference} {}", balance.asset));
            self.add(Difference { formance: Some(balance.balance.0.to_string()), ..extra });
        }
    }
}

/// How often something was listed.
#[derive(PartialEq)]
pub enum Listed {
    Once,
    /// On the page before, too: what is inserted while a list is read moves others to the next page.
    Moved,
    /// As no list can be moved by what is inserted.
    Twice,
}

/// The pages on which ids were listed.
#[derive(Default)]
pub struct Pages(HashMap<u64, u64>);

impl Pages {
    /// Notes that `id` is on a page; gives how that is to be taken.
    pub fn list(&mut self, id: &str, page: u64) -> Listed {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        match self.0.insert(hasher.finish(), page) {
            None => Listed::Once,
            Some(before) if before < page => Listed::Moved,
            Some(_) => Listed::Twice,
        }
    }
}
