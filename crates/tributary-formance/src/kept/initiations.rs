//! Payment initiations: the payouts and transfers that a person orders, and looks
//! at.
//!
//! An initiation has statuses of its own. Formance writes some of them itself,
//! dated by its own clock, and derives the others from the rows of the payment,
//! dated by their `createdAt`. The latest date wins, so a row that is dated before
//! the moment at which Formance stored the reply never shows.

use std::collections::HashMap;

use super::moment::stored;
use super::payments::PaymentKey;
use crate::gotime::GoTime;
use crate::row::{PaymentStatus, Row};

/// Where an initiation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitiationStatus {
    /// Sent, not decided yet.
    Processing,
    /// Done.
    Processed,
    /// Did not happen; the person can press Retry.
    Failed,
    /// Done and given back.
    Reversed,
    /// Could not be given back.
    ReverseFailed,
    /// Formance does not know what to make of the payment's status.
    Unknown,
}

impl InitiationStatus {
    /// What a row of the list of transactions makes of an initiation whose payment it is, `None` if
    /// nothing.
    pub fn of_row(status: PaymentStatus) -> Option<Self> {
        of_row(status)
    }

    /// The word by which Formance's API calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "PROCESSING",
            Self::Processed => "PROCESSED",
            Self::Failed => "FAILED",
            Self::Reversed => "REVERSED",
            Self::ReverseFailed => "REVERSE_FAILED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A payout or transfer that a person ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptInitiation {
    /// What became the idempotency key.
    pub reference: String,
    /// The payments that replies made of it; more than one only if a retry was
    /// answered with another payment.
    pub payments: Vec<PaymentKey>,
    /// Its statuses and their dates, in the order in which they were stored.
    pub statuses: Vec<(InitiationStatus, GoTime)>,
}

impl KeptInitiation {
    /// The status that the person sees: that of the latest date, among equal ones
    /// of the one stored last. (Of several rows of one call with equal dates,
    /// Formance stores any one last.)
    pub fn status(&self) -> InitiationStatus {
        let latest = self.statuses.iter().max_by_key(|(_, at)| stored(*at));
        latest.expect("an initiation begins with a status").0
    }

    fn add(&mut self, status: InitiationStatus, at: GoTime) {
        let is_same = |(other, date): &(InitiationStatus, GoTime)| {
            *other == status && date.to_string() == at.to_string()
        };
        if !self.statuses.iter().any(is_same) {
            self.statuses.push((status, at));
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Initiations {
    by_reference: HashMap<String, KeptInitiation>,
    by_payment: HashMap<PaymentKey, Vec<String>>,
}

impl Initiations {
    pub(super) fn begin(&mut self, reference: &str, at: GoTime) -> bool {
        let initiation = self.by_reference.entry(reference.to_owned()).or_insert_with(|| KeptInitiation {
            reference: reference.to_owned(),
            payments: Vec::new(),
            statuses: Vec::new(),
        });
        let is_sent = initiation.statuses.is_empty() || initiation.status() == InitiationStatus::Failed;
        if is_sent {
            initiation.add(InitiationStatus::Processing, at);
        }
        is_sent
    }

    pub(super) fn answered(&mut self, reference: &str, reply: &Row, at: GoTime) {
        let key = PaymentKey::of(reply);
        let initiation = self.begun(reference);
        initiation.add(of_reply(reply.payment().status), at);
        if !initiation.payments.contains(&key) {
            initiation.payments.push(key.clone());
            self.by_payment.entry(key).or_default().push(reference.to_owned());
        }
    }

    pub(super) fn refused(&mut self, reference: &str, at: GoTime) {
        self.begun(reference).add(InitiationStatus::Failed, at);
    }

    /// Takes a row of the list of transactions, of whatever payment.
    pub(super) fn take(&mut self, row: &Row) {
        let Some(status) = of_row(row.payment().status) else { return };
        let references = self.by_payment.get(&PaymentKey::of(row)).into_iter().flatten();
        for reference in references {
            if let Some(initiation) = self.by_reference.get_mut(reference) {
                initiation.add(status, row.created_at);
            }
        }
    }

    pub(super) fn get(&self, reference: &str) -> Option<&KeptInitiation> {
        self.by_reference.get(reference)
    }

    fn begun(&mut self, reference: &str) -> &mut KeptInitiation {
        self.by_reference.get_mut(reference).expect("an initiation that has begun")
    }
}

/// What a reply's status makes of the initiation.
fn of_reply(status: PaymentStatus) -> InitiationStatus {
    use PaymentStatus::*;
    match status {
        Pending | Authorisation => InitiationStatus::Processing,
        Succeeded | Capture | RefundReversed => InitiationStatus::Processed,
        Failed | Cancelled | Expired | CaptureFailed => InitiationStatus::Failed,
        Refunded => InitiationStatus::Reversed,
        RefundedFailure => InitiationStatus::ReverseFailed,
        Dispute | DisputeWon | DisputeLost | Other => InitiationStatus::Unknown,
    }
}

/// What a row's status makes of the initiation, `None` if nothing. A row decides
/// more of the disputes than a reply does, and nothing where a reply says
/// `Unknown` for `Other`.
fn of_row(status: PaymentStatus) -> Option<InitiationStatus> {
    match status {
        PaymentStatus::Other => None,
        PaymentStatus::DisputeWon => Some(InitiationStatus::Processed),
        PaymentStatus::DisputeLost => Some(InitiationStatus::Failed),
        decided => Some(of_reply(decided)),
    }
}

#[cfg(test)]
#[path = "initiations_tests.rs"]
mod tests;
