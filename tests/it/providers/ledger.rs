//! What Formance holds, against the provider's own ledger.

use std::fmt;

use tributary_domain::Status;
use tributary_formance::PaymentType;
use tributary_formance::kept::Kept;
use tributary_standin::kit::{Expected, Truth};

use super::shipped::Shipped;
use crate::support::TestApp;

/// Where the two are not the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The provider's id of the record, where it has one that lasts.
    pub id: String,
    /// The ids of what belongs to it: its parent, its children.
    pub family: Vec<String>,
    pub what: String,
}

impl Difference {
    fn new(id: &str, what: impl Into<String>) -> Self {
        Self { id: id.to_owned(), family: Vec::new(), what: what.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.what)
    }
}

/// All differences: of accounts, beneficiaries, payments and balances.
pub async fn differences(shipped: &Shipped, truth: &Truth, kept: &Kept, app: &TestApp) -> Vec<Difference> {
    let mut found = match shipped.id {
        Some(id) => of_payments(shipped, truth, kept, id),
        None => of_nameless_payments(truth, kept),
    };
    let beneficiaries = truth.beneficiaries.keys().filter(|_| shipped.has_beneficiaries);
    for id in truth.accounts.keys().chain(beneficiaries) {
        if kept.account(id).is_none() {
            found.push(Difference::new(id, "the account or beneficiary is missing"));
        }
    }
    for account in kept.accounts() {
        let id = &account.reference;
        if !truth.accounts.contains_key(id) && !truth.beneficiaries.contains_key(id) {
            found.push(Difference::new(id, "the ledger has no such account"));
        }
    }
    if shipped.has_balances {
        // what a space holds is not pulled
        for (id, account) in truth.accounts.iter().filter(|(_, account)| account.within.is_none()) {
            let (_, body) = app.get(&format!("/accounts/{id}/balances")).await;
            let amount = body["balances"][0]["amount"].as_str().unwrap_or("absent").to_owned();
            if amount != account.balance_minor.to_string() {
                found.push(Difference::new(
                    id,
                    format!("balance {amount} instead of {}", account.balance_minor),
                ));
            }
        }
    }
    found
}

/// Every payment of the ledger, and what Formance keeps of it.
fn of_payments(
    shipped: &Shipped,
    truth: &Truth,
    kept: &Kept,
    id_of: fn(&str, &Expected) -> String,
) -> Vec<Difference> {
    let (mut found, mut payments) = (Vec::new(), Vec::new());
    for (id, expected) in truth.transactions.iter().filter(|(_, expected)| expected.parent.is_none()) {
        let children: Vec<_> =
            truth.transactions.iter().filter(|(_, child)| child.parent.as_deref() == Some(id)).collect();
        let family = children.iter().map(|(id, _)| (*id).clone()).collect();
        let differs = |what| found.push(Difference { id: id.clone(), family, what });
        let kind = PaymentType::from_wire(expected.kind.as_str()).unwrap();
        let reference = id_of(id, expected);
        let payment = kept.payment(&reference, kind);
        payments.push(reference);
        let Some(payment) = payment else {
            differs(format!("{kind} is missing"));
            continue;
        };
        let refunded = children.iter().filter(|(_, child)| child.status == Status::Refunded);
        let back: i64 = refunded.map(|(_, child)| child.amount_minor).sum();
        let own = if expected.status == Status::Refunded { 0 } else { expected.amount_minor };
        let shown = (shipped.shown)(expected.status);
        let amount = (own - back).to_string();
        let status_differs = children.is_empty() && payment.status().as_wire() != shown.as_str();
        if payment.amount.to_string() != amount || status_differs {
            differs(format!("not {amount} {shown:?}: {expected:?} {payment:?}"));
        }
    }
    for payment in kept.payments() {
        let key = &payment.key;
        let known = payments.contains(&key.identity)
            && truth.transactions.iter().any(|(id, expected)| {
                id_of(id, expected) == key.identity && expected.kind.as_str() == key.kind.as_wire()
            });
        if !known {
            found.push(Difference::new(&key.identity, format!("the ledger has no such {}", key.kind)));
        }
    }
    found
}

/// As [`of_payments`], where a payment that is booked may go on under another id: each of the ledger is
/// there once, and what else is there is cancelled.
fn of_nameless_payments(truth: &Truth, kept: &Kept) -> Vec<Difference> {
    let alive = truth.transactions.values().filter(|expected| expected.status != Status::Cancelled);
    let mut missing: Vec<String> = alive
        .map(|one| {
            let kind = PaymentType::from_wire(one.kind.as_str()).unwrap();
            format!("{kind} {} {} {}", one.status.as_str(), one.asset, one.amount_minor)
        })
        .collect();
    let mut found = Vec::new();
    for payment in kept.payments().iter().filter(|payment| payment.status().as_wire() != "CANCELLED") {
        let status = payment.status().as_wire();
        let is = format!("{} {status} {} {}", payment.key.kind, payment.asset, payment.amount);
        match missing.iter().position(|missing| *missing == is) {
            Some(place) => drop(missing.swap_remove(place)),
            None => found.push(Difference::new(&payment.key.identity, format!("the ledger has no {is}"))),
        }
    }
    found.extend(missing.into_iter().map(|one| Difference::new("", format!("{one} is missing"))));
    found
}
