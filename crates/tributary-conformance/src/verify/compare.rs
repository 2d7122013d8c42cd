//! One look through Formance's lists, each entry held against our books.

use futures::stream::{self, TryStreamExt as _};

use super::Unreadable;
use super::books::{Books, ToldPayment};
use super::formance::Formance;
use super::found::{Found, Listed, Pages, Theirs};
use super::report::{Difference, Subject, What};
use super::shown::{self, payment_type, reference_of};
use tributary_formance::kept::{AccountType, InitiationStatus, PaymentKey};

/// How many accounts are asked for their balances at once.
const AT_ONCE: usize = 8;

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
        let list = formance.list("/v3/accounts", |page, accounts: Vec<shown::Account>| {
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

    fn account(&mut self, account: &shown::Account) -> Option<(String, String)> {
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
        let list = formance.list("/v3/payments", |page, payments: Vec<shown::Payment>| {
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

    fn payment(&mut self, identity: String, payment: shown::Payment) -> Result<(), Unreadable> {
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
        let list = formance.list("/v3/payment-initiations", |page, found: Vec<shown::Initiation>| {
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

    fn initiation(&mut self, initiation: shown::Initiation) {
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
            let mut theirs: Vec<shown::Balance> = Vec::new();
            let path = format!("/v3/accounts/{id}/balances");
            formance
                .list(&path, |_, page: Vec<shown::Balance>| {
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

fn subject_of(account: &shown::Account) -> Subject {
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
