//! One look through Formance's lists, each entry held against our books.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures::stream::{self, TryStreamExt as _};

use super::books::{Books, Place, ToldPayment};
use super::formance::{self, Formance, payment_type, reference_of};
use super::report::{Compared, Difference, Subject, What};
use super::{Unreadable, gotime};
use tributary_formance::GoTime;
use tributary_formance::kept::{AccountType, InitiationStatus, PaymentKey, ShownPayment};

/// How many differences are held in detail; the others are only counted.
pub const MOST_HELD: usize = 10_000;
/// How many accounts are asked for their balances at once.
const AT_ONCE: usize = 8;

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
    fn of(payment: formance::Payment) -> Result<Self, Unreadable> {
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
    fn by(&mut self, place: Place) {
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
    fn add(&mut self, difference: Difference) {
        if self.differences.len() < MOST_HELD {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }

    fn differ(
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

    fn balances(
        &mut self,
        reference: &str,
        ours: &[tributary_formance::Balance],
        theirs: Vec<formance::Balance>,
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

/// A look in progress; its number tells what was seen in it from what was seen before.
pub struct Look<'a> {
    pub formance: &'a Formance,
    pub connector: &'a str,
    pub books: &'a mut Books,
    pub number: u32,
    pub found: Found,
}

impl Look<'_> {
    /// Goes through all lists.
    pub async fn run(mut self) -> Result<Found, Unreadable> {
        let internal = self.accounts().await?;
        self.payments().await?;
        self.initiations().await?;
        self.balances(internal).await?;
        self.missing();
        Ok(self.found)
    }

    /// Compares accounts and beneficiaries; gives reference and id of the accounts that both sides have.
    async fn accounts(&mut self) -> Result<Vec<(String, String)>, Unreadable> {
        let (formance, connector) = (self.formance, self.connector);
        let (mut internal, mut pages) = (Vec::new(), Pages::default());
        let list = formance.list("/v3/accounts", |page, accounts: Vec<formance::Account>| {
            for account in accounts.into_iter().filter(|account| account.connector == connector) {
                match pages.list(&account.id, page) {
                    Listed::Once => {
                        self.found.compared.accounts += 1;
                        internal.extend(self.account(&account));
                    }
                    Listed::Moved => {}
                    Listed::Twice => {
                        let of = subject_of(&account);
                        self.found.add(Difference::new(of, What::Duplicate, account.reference));
                    }
                }
            }
            Ok(())
        });
        list.await?;
        Ok(internal)
    }

    fn account(&mut self, account: &formance::Account) -> Option<(String, String)> {
        let Some(told) = self.books.accounts.get_mut(account.reference.as_str()) else {
            self.found.add(Difference::new(subject_of(account), What::Extra, &account.reference));
            return None;
        };
        told.seen = self.number;
        let (of, list, expected) = match told.kind {
            AccountType::Internal => (Subject::Account, 0, "INTERNAL"),
            AccountType::External => (Subject::Beneficiary, 1, "EXTERNAL"),
        };
        if account.kind == expected {
            self.found.reached[list].by(told.place);
        } else {
            let values = (expected.to_owned(), account.kind.clone());
            self.found.differ(of, &account.reference, None, "type", values);
        }
        (told.kind == AccountType::Internal).then(|| (account.reference.clone(), account.id.clone()))
    }

    async fn payments(&mut self) -> Result<(), Unreadable> {
        let (formance, connector, mut pages) = (self.formance, self.connector, Pages::default());
        let list = formance.list("/v3/payments", |page, payments: Vec<formance::Payment>| {
            for payment in payments.into_iter().filter(|payment| payment.connector == connector) {
                let identity = reference_of(&payment.id)?;
                match pages.list(&payment.id, page) {
                    Listed::Once => {
                        self.found.compared.payments += 1;
                        self.payment(identity, payment)?;
                    }
                    Listed::Moved => {}
                    Listed::Twice => self.found.add(twice(identity, payment.kind)),
                }
            }
            Ok(())
        });
        list.await
    }

    fn payment(&mut self, identity: String, payment: formance::Payment) -> Result<(), Unreadable> {
        let word = payment.kind.clone();
        let key = payment_type(&word).map(|kind| PaymentKey { identity: identity.clone(), kind });
        let told = key.as_ref().and_then(|key| self.books.payments.get_mut(key));
        let (Some(key), Some(told)) = (key.clone(), told) else {
            let extra = Difference::new(Subject::Payment, What::Extra, &identity);
            let shown = format!("{} {} {}", payment.amount.0, payment.asset, payment.status);
            self.found.add(Difference { kind: Some(word.clone()), formance: Some(shown), ..extra });
            if let Some(key) = key {
                self.found.keys.insert((identity, Some(word)), key);
            }
            return Ok(());
        };
        if told.seen == self.number {
            self.found.add(twice(identity, word));
            return Ok(());
        }
        told.seen = self.number;
        let theirs = Theirs::of(payment)?;
        let differing = theirs.differing(&told.shown);
        // an order became a payment with our answer to it: that it is there says nothing of what was read
        if !told.is_order {
            self.found.reached[2].by(told.first);
            if differing.is_empty() {
                self.found.reached[2].by(told.changed);
            }
        }
        if differing.is_empty() {
            return Ok(());
        }
        for (field, ours, value) in differing {
            self.found.differ(Subject::Payment, &identity, Some(&word), field, (ours, value));
        }
        self.found.theirs.insert(key.clone(), theirs);
        self.found.keys.insert((identity, Some(word)), key);
        Ok(())
    }

    async fn initiations(&mut self) -> Result<(), Unreadable> {
        let (formance, connector, mut pages) = (self.formance, self.connector, Pages::default());
        let list = formance.list("/v3/payment-initiations", |page, found: Vec<formance::Initiation>| {
            for initiation in found.into_iter().filter(|initiation| initiation.connector == connector) {
                match pages.list(&initiation.reference, page) {
                    Listed::Once => {
                        self.found.compared.initiations += 1;
                        self.initiation(initiation);
                    }
                    Listed::Moved => {}
                    Listed::Twice => {
                        let of = Subject::Initiation;
                        self.found.add(Difference::new(of, What::Duplicate, initiation.reference));
                    }
                }
            }
            Ok(())
        });
        list.await
    }

    fn initiation(&mut self, initiation: formance::Initiation) {
        let reference = initiation.reference;
        let key = payment_type(&initiation.kind).map(|kind| PaymentKey { identity: reference.clone(), kind });
        let told = key.as_ref().and_then(|key| self.books.payments.get_mut(key));
        let (Some(key), Some(told)) = (key, told) else {
            // what was refused, or not sent yet, is no payment of ours
            if !matches!(
                &*initiation.status,
                "FAILED" | "REJECTED" | "WAITING_FOR_VALIDATION" | "SCHEDULED_FOR_PROCESSING"
            ) {
                let extra = Difference::new(Subject::Initiation, What::Extra, &reference);
                let (kind, formance) = (Some(initiation.kind), Some(initiation.status));
                self.found.add(Difference { kind, formance, ..extra });
            }
            return;
        };
        told.initiation_seen = self.number;
        let expected = InitiationStatus::of_row(told.shown.status).map(InitiationStatus::as_str);
        let fields = [
            ("amount", told.shown.initial_amount.to_string(), initiation.amount.0.to_string()),
            ("asset", told.shown.asset.to_string(), initiation.asset),
            ("status", expected.unwrap_or(&initiation.status).to_owned(), initiation.status.clone()),
        ];
        for (field, ours, theirs) in fields {
            if ours != theirs {
                self.found.differ(
                    Subject::Initiation,
                    &reference,
                    Some(&initiation.kind),
                    field,
                    (ours, theirs),
                );
            }
        }
        self.found.keys.insert((reference, Some(initiation.kind)), key);
    }

    async fn balances(&mut self, internal: Vec<(String, String)>) -> Result<(), Unreadable> {
        let (formance, feed) = (self.formance, &self.books.feed);
        let asked = stream::iter(internal.into_iter().map(Ok)).map_ok(|(reference, id)| async move {
            // the newest first
            let mut theirs: Vec<formance::Balance> = Vec::new();
            let path = format!("/v3/accounts/{id}/balances");
            formance
                .list(&path, |_, page: Vec<formance::Balance>| {
                    for balance in page {
                        match theirs.iter_mut().find(|other| other.asset == balance.asset) {
                            None => theirs.push(balance),
                            Some(other) if other.created_at < balance.created_at => *other = balance,
                            Some(_) => {}
                        }
                    }
                    Ok(())
                })
                .await?;
            // ours last: what changes meanwhile is not polled yet, and not lost
            let ours = feed.balances(&reference).await;
            let ours = ours.map_err(|error| Unreadable::Balances { account: reference.clone(), error })?;
            Ok::<_, Unreadable>((reference, ours, theirs))
        });
        let mut asked = std::pin::pin!(asked.try_buffer_unordered(AT_ONCE));
        while let Some((reference, ours, theirs)) = asked.try_next().await? {
            self.found.balances(&reference, &ours, theirs);
        }
        Ok(())
    }

    /// What was told and not seen.
    fn missing(&mut self) {
        for (reference, told) in self.books.accounts.iter().filter(|(_, told)| told.seen != self.number) {
            let of = match told.kind {
                AccountType::Internal => Subject::Account,
                AccountType::External => Subject::Beneficiary,
            };
            self.found.add(Difference::new(of, What::Missing, &**reference));
        }
        for (key, told) in &self.books.payments {
            if told.seen != self.number {
                self.found.add(lacking(Subject::Payment, key, told));
                self.found.keys.insert((key.identity.clone(), Some(key.kind.to_string())), key.clone());
            }
            if told.is_order && told.initiation_seen != self.number {
                self.found.add(lacking(Subject::Initiation, key, told));
            }
        }
    }
}

fn subject_of(account: &formance::Account) -> Subject {
    if account.kind == "EXTERNAL" { Subject::Beneficiary } else { Subject::Account }
}

fn twice(identity: String, kind: String) -> Difference {
    Difference { kind: Some(kind), ..Difference::new(Subject::Payment, What::Duplicate, identity) }
}

fn lacking(of: Subject, key: &PaymentKey, told: &ToldPayment) -> Difference {
    let (shown, kind) = (&told.shown, Some(key.kind.to_string()));
    let expected = Some(format!("{} {} {}", shown.amount, shown.asset, shown.status));
    Difference { kind, expected, ..Difference::new(of, What::Missing, &key.identity) }
}

/// How often something was listed.
#[derive(PartialEq)]
enum Listed {
    Once,
    /// On the page before, too: what is inserted while a list is read moves others to the next page.
    Moved,
    /// As no list can be moved by what is inserted.
    Twice,
}

/// The pages on which ids were listed.
#[derive(Default)]
struct Pages(HashMap<u64, u64>);

impl Pages {
    fn list(&mut self, id: &str, page: u64) -> Listed {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        match self.0.insert(hasher.finish(), page) {
            None => Listed::Once,
            Some(before) if before < page => Listed::Moved,
            Some(_) => Listed::Twice,
        }
    }
}
