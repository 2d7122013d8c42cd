//! Payments and their adjustments.
//!
//! A payment is inserted with its first row and keeps what that row said. Every
//! row is an adjustment of it too, and only an adjustment that Formance did not
//! have yet moves the amount.

use std::collections::HashMap;

use super::moment::stored;
use super::sum;
use crate::gojson::assign::TextMap;
use crate::gotime::GoTime;
use crate::integer::Integer;
use crate::row::{PaymentStatus, PaymentType, Row};

/// What tells one payment from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PaymentKey {
    /// The related transaction's id if there is one, else the row's own; for a
    /// payout or transfer the idempotency key.
    pub identity: String,
    /// The type: the same identity under two types is two payments.
    pub kind: PaymentType,
}

impl PaymentKey {
    /// The payment that `row` belongs to.
    ///
    /// # Panics
    /// If the row is no transaction.
    pub fn of(row: &Row) -> Self {
        Self { identity: row.payment_reference().to_owned(), kind: row.payment().kind }
    }
}

/// A payment. All but `amount` and `adjustments` is as its first row said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPayment {
    /// Identity and type.
    pub key: PaymentKey,
    /// The first row's amount, in minor units of the asset.
    pub initial_amount: Integer,
    /// What is left, or was taken, of it; may fall below zero.
    pub amount: Integer,
    /// As in `USD/2`.
    pub asset: String,
    /// The first row's `createdAt`, in UTC to the microsecond.
    pub created_at: GoTime,
    /// The account that pays.
    pub source: Option<String>,
    /// The account that is paid.
    pub destination: Option<String>,
    /// Anything else about it.
    pub metadata: TextMap,
    /// In the order in which they were stored; never empty.
    pub adjustments: Vec<Adjustment>,
}

/// One thing that happened to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The row's own id.
    pub reference: String,
    /// The row's `createdAt`, in the offset in which it was served.
    pub created_at: GoTime,
    /// The row's status.
    pub status: PaymentStatus,
    /// The row's amount, in minor units of the asset.
    pub amount: Integer,
}

impl Adjustment {
    fn of(row: &Row) -> Self {
        let payment = row.payment();
        Self {
            reference: row.reference.clone(),
            created_at: row.created_at,
            status: payment.status,
            amount: payment.amount.clone(),
        }
    }

    /// Whether Formance takes both for the same. The time counts as it is written:
    /// the same moment in another offset is another adjustment.
    fn is_same(&self, other: &Self) -> bool {
        self.reference == other.reference
            && self.status == other.status
            && self.created_at.to_string() == other.created_at.to_string()
    }
}

impl KeptPayment {
    /// The status that Formance shows: that of the latest `createdAt`, among equal
    /// ones of the one stored last.
    pub fn status(&self) -> PaymentStatus {
        let latest = self.adjustments.iter().max_by_key(|adjustment| stored(adjustment.created_at));
        latest.expect("a payment is inserted with an adjustment").status
    }

    /// The payment that a first row makes, before its adjustment is stored.
    fn first(row: &Row) -> Self {
        let payment = row.payment();
        let amount = first_amount(payment.status, &payment.amount);
        Self {
            key: PaymentKey::of(row),
            initial_amount: payment.amount.clone(),
            amount,
            asset: payment.asset.clone(),
            created_at: stored(row.created_at),
            source: payment.source.clone(),
            destination: payment.destination.clone(),
            metadata: row.metadata.clone(),
            adjustments: Vec::new(),
        }
    }

    fn adjust(&mut self, adjustment: Adjustment) {
        if self.adjustments.iter().any(|stored| stored.is_same(&adjustment)) {
            return;
        }
        if let Some(moved) = moved(&self.amount, adjustment.status, &adjustment.amount) {
            self.amount = moved;
        }
        self.adjustments.push(adjustment);
    }
}

/// What a payment amounts to before its first adjustment is stored. What is only authorised has not
/// moved yet: captures add to nothing.
pub(super) fn first_amount(status: PaymentStatus, amount: &Integer) -> Integer {
    if status == PaymentStatus::Authorisation { sum::zero() } else { amount.clone() }
}

/// What becomes of a payment's amount `total` by a new adjustment of this status and amount; `None` if
/// nothing.
pub(super) fn moved(total: &Integer, status: PaymentStatus, amount: &Integer) -> Option<Integer> {
    match status {
        PaymentStatus::Refunded => Some(sum::subtract(total, amount)),
        PaymentStatus::Capture | PaymentStatus::RefundReversed => Some(sum::add(total, amount)),
        _ => None,
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Payments {
    list: Vec<KeptPayment>,
    places: HashMap<PaymentKey, usize>,
}

impl Payments {
    pub(super) fn take(&mut self, row: &Row) {
        let place = *self.places.entry(PaymentKey::of(row)).or_insert_with(|| {
            self.list.push(KeptPayment::first(row));
            self.list.len() - 1
        });
        self.list[place].adjust(Adjustment::of(row));
    }

    pub(super) fn get(&self, key: &PaymentKey) -> Option<&KeptPayment> {
        self.places.get(key).map(|&place| &self.list[place])
    }

    pub(super) fn all(&self) -> &[KeptPayment] {
        &self.list
    }
}

#[cfg(test)]
#[path = "payments_tests.rs"]
mod tests;
