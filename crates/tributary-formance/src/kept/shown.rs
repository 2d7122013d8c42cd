//! What Formance's API shows of a payment, worked out row by row in little memory.
//!
//! [`Kept`](super::Kept) has all that Formance's tables have. Of a million payments that is too much to
//! hold, and whoever compares needs only what is shown.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::moment::stored;
use super::payments::{first_amount, moved};
use crate::gotime::GoTime;
use crate::integer::Integer;
use crate::row::{PaymentStatus, Row};

/// Texts that many rows have in common (assets, accounts), each held once.
#[derive(Debug, Default)]
pub struct Names(HashSet<Arc<str>>);

impl Names {
    /// The one copy of `text`.
    pub fn one(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

/// A payment as it is shown.
#[derive(Clone, Debug)]
pub struct ShownPayment {
    /// The first row's amount, in minor units of the asset.
    pub initial_amount: Integer,
    /// What is left, or was taken, of it; may fall below zero.
    pub amount: Integer,
    /// As in `USD/2`.
    pub asset: Arc<str>,
    /// The account that pays; `None` also where the row names it with an empty text.
    pub source: Option<Arc<str>>,
    /// The account that is paid; `None` also where the row names it with an empty text.
    pub destination: Option<Arc<str>>,
    /// That of the latest `createdAt`, among equal ones of the one stored last.
    pub status: PaymentStatus,
    /// The `createdAt` of that status, as a column holds it.
    pub status_at: GoTime,
    /// One number for each adjustment, so that one that comes again is known; most have but one.
    first: u64,
    later: Vec<u64>,
}

impl ShownPayment {
    /// The payment that a first row makes.
    ///
    /// # Panics
    /// If the row is no transaction.
    pub fn first(row: &Row, names: &mut Names) -> Self {
        let payment = row.payment();
        let mut named = |account: &Option<String>| {
            let account = account.as_deref().filter(|account| !account.is_empty());
            account.map(|account| names.one(account))
        };
        let (source, destination) = (named(&payment.source), named(&payment.destination));
        let amount = first_amount(payment.status, &payment.amount);
        Self {
            initial_amount: payment.amount.clone(),
            // what it says as an adjustment counts, too
            amount: moved(&amount, payment.status, &payment.amount).unwrap_or(amount),
            asset: names.one(&payment.asset),
            source,
            destination,
            status: payment.status,
            status_at: stored(row.created_at),
            first: number_of(row),
            later: Vec::new(),
        }
    }

    /// Takes another row of the payment. Gives whether amount or status are others than before.
    ///
    /// # Panics
    /// If the row is no transaction.
    pub fn take(&mut self, row: &Row) -> bool {
        let number = number_of(row);
        if self.first == number || self.later.contains(&number) {
            return false;
        }
        self.later.push(number);
        let (payment, before) = (row.payment(), self.status);
        let at = stored(row.created_at);
        if at >= self.status_at {
            (self.status, self.status_at) = (payment.status, at);
        }
        let moved = moved(&self.amount, payment.status, &payment.amount);
        let amount_changed = moved.as_ref().is_some_and(|moved| *moved != self.amount);
        if let Some(moved) = moved {
            self.amount = moved;
        }
        amount_changed || self.status != before
    }
}

/// What tells an adjustment from the others of its payment: `Adjustment::is_same`, as a number. Two of the
/// few that a payment has share one with a chance of one in 10^18.
fn number_of(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&row.reference, row.payment().status, row.created_at.to_string()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::value::RawValue;

    use super::*;
    use crate::kept::fixtures::{kept, rows};
    use crate::kept::{KeptPayment, PaymentKey};

    fn described(payment: &KeptPayment) -> String {
        let (source, destination) = (&payment.source, &payment.destination);
        format!(
            "{} {} {} {} {source:?} {destination:?}",
            payment.initial_amount,
            payment.amount,
            payment.asset,
            payment.status()
        )
    }

    #[test]
    fn it_is_what_the_tables_show_of_the_recorded_selection_after_every_row() {
        #[derive(serde::Deserialize)]
        struct Recording {
            rows: Box<RawValue>,
        }
        let text = include_str!("../../tests/fixtures/storage-selection.json");
        let rows = rows(serde_json::from_str::<Recording>(text).unwrap().rows.get());
        let (mut names, mut shown) = (Names::default(), HashMap::<PaymentKey, ShownPayment>::new());
        let mut changes = 0;
        for row in &rows {
            match shown.get_mut(&PaymentKey::of(row)) {
                Some(payment) => changes += usize::from(payment.take(row)),
                None => drop(shown.insert(PaymentKey::of(row), ShownPayment::first(row, &mut names))),
            }
        }
        let kept = kept(&rows);
        assert_eq!(kept.payments().len(), shown.len());
        for payment in kept.payments() {
            let own = &shown[&payment.key];
            let (source, destination) = (&own.source, &own.destination);
            let text = format!(
                "{} {} {} {} {source:?} {destination:?}",
                own.initial_amount, own.amount, own.asset, own.status
            );
            assert_eq!(text, described(payment), "{:?}", payment.key);
            assert_eq!(1 + own.later.len(), payment.adjustments.len(), "{:?}", payment.key);
        }
        assert!(changes > 100, "{changes}");
    }
}
