//! Random histories of payments, as a correct provider tells them, with the truth
//! that Formance has to end up with.
//!
//! A history is a list of canonical records in the order in which the provider
//! says them, many payments at a time. What a correct provider does: it gives
//! every refund, capture or dispute that stands for itself an id of its own, with
//! its parent's type and asset and a later `createdAt`; it never changes an id's
//! type, asset or `createdAt`; it tells every status that an id passes through, each once;
//! it never gives back or captures more than there is. It does say things again
//! now and then, word for word or with another note in the metadata.

mod lives;
mod provider;
#[cfg(test)]
mod tests;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde_json::Value;

pub use self::lives::Telling;
use self::provider::Provider;
use super::kept::Kept;
use super::row::{PaymentStatus, PaymentType};

/// A history and what it comes to.
#[derive(Clone, Debug)]
pub struct History {
    records: Vec<Value>,
    expected: Vec<Expected>,
}

/// What Formance has to show of a payment once it was told the whole history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The id of the payment itself, which its children name as their parent.
    pub identity: String,
    /// Its type, and that of its children.
    pub kind: PaymentType,
    /// In minor units of the asset: what was asked for or, after an authorisation,
    /// captured, less what was given back. A failure or a lost dispute takes
    /// nothing off, for Formance does not count that either.
    pub amount: i128,
    /// The status that was told last, of the payment or of a child.
    pub status: PaymentStatus,
}

impl History {
    /// The history of `payments` payments that belongs to `seed`: always the same.
    pub fn new(seed: u64, payments: usize, telling: Telling) -> Self {
        let mut provider = Provider::new(SmallRng::seed_from_u64(seed), payments, telling);
        let mut records = Vec::new();
        while provider.tell(&mut records) {}
        Self { records, expected: provider.expected() }
    }

    /// The transactions, as canonical records, in the provider's order.
    pub fn records(&self) -> &[Value] {
        &self.records
    }

    /// What the history comes to, payment by payment.
    pub fn expected(&self) -> &[Expected] {
        &self.expected
    }

    /// Where `kept` does not show what it has to, a sentence each; none if all is
    /// well. A payment that is not of this history is wrong too.
    pub fn disagreements(&self, kept: &Kept) -> Vec<String> {
        let mut found: Vec<_> =
            self.expected.iter().filter_map(|expected| expected.disagreement(kept)).collect();
        let (payments, expected) = (kept.payments().len(), self.expected.len());
        if payments != expected {
            found.push(format!("{payments} payments instead of {expected}"));
        }
        found
    }
}

impl Expected {
    fn disagreement(&self, kept: &Kept) -> Option<String> {
        let Self { identity, kind, amount, status } = self;
        let Some(payment) = kept.payment(identity, *kind) else {
            return Some(format!("{identity} {kind} is missing"));
        };
        let shown = (payment.amount.to_string(), payment.status());
        (shown != (amount.to_string(), *status))
            .then(|| format!("{identity} {kind} shows {} {} instead of {amount} {status}", shown.0, shown.1))
    }
}
