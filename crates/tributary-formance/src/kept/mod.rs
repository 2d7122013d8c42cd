//! What Formance keeps of the rows that its connector hands over.
//!
//! Formance inserts and hardly ever updates: what came first stays, what comes
//! again is ignored, and what a person sees is worked out from the dates that
//! the rows carry, not from the order in which they came. [`Kept`] stands for
//! its tables. It is fed what [`client`](super::client) brings, and answers what
//! Formance's own API would show. A recording of a whole Formance proves the
//! payments; initiations and balances follow what was measured of them.
//!
//! The parts: [`payments`], [`accounts`], [`balances`] and [`initiations`] are
//! the tables; `sum` and `moment` are how the tables hold amounts and times.
//! [`shown`] is what its API shows of a payment, for whoever has to hold many of them.

pub mod accounts;
pub mod balances;
pub mod initiations;
mod moment;
pub mod payments;
pub mod shown;
mod sum;

pub use accounts::{AccountType, KeptAccount};
pub use balances::{BalanceCollision, KeptBalance};
pub use initiations::{InitiationStatus, KeptInitiation};
pub use payments::{Adjustment, KeptPayment, PaymentKey};
pub use shown::ShownPayment;

use self::accounts::Accounts;
use self::balances::Balances;
use self::initiations::Initiations;
use self::payments::Payments;
use super::error::CallError;
use super::gotime::GoTime;
use super::integer::Integer;
use super::message::Kind;
use super::row::{Balance, PaymentType, Row};

/// Formance's tables, empty at first.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    accounts: Accounts,
    payments: Payments,
    balances: Balances,
    initiations: Initiations,
}

impl Kept {
    /// Stores the rows that a poll of `kind` brought, in their order. How they
    /// are cut into calls makes no difference.
    ///
    /// # Panics
    /// If `kind` is transactions and a row is none.
    pub fn take(&mut self, kind: Kind, rows: &[Row]) {
        for row in rows {
            match kind {
                Kind::Accounts => self.accounts.take(row, AccountType::Internal),
                Kind::Beneficiaries => self.accounts.take(row, AccountType::External),
                Kind::Transactions => {
                    self.payments.take(row);
                    self.initiations.take(row);
                }
            }
        }
    }

    /// Stores the balances of one reply: all of them or, if one collides, none.
    pub fn take_balances(&mut self, balances: &[Balance]) -> Result<(), BalanceCollision> {
        self.balances.take(balances)
    }

    /// A person orders a payout or transfer, or presses Retry on one: `reference`
    /// is what becomes the idempotency key. Gives whether Formance sends it, which
    /// it does the first time and while the initiation is FAILED.
    pub fn initiate(&mut self, reference: &str, at: GoTime) -> bool {
        self.initiations.begin(reference, at)
    }

    /// Stores how one request for the initiation ended, at the moment `at` of
    /// Formance's clock. A reply becomes a payment; a final failure makes the
    /// initiation FAILED; any other failure changes nothing, for the request comes
    /// again.
    ///
    /// # Panics
    /// If there is no such initiation.
    pub fn conclude(&mut self, reference: &str, outcome: &Result<Row, CallError>, at: GoTime) {
        match outcome {
            Ok(reply) => {
                self.payments.take(reply);
                self.initiations.answered(reference, reply, at);
            }
            Err(error) if error.class().is_final() => self.initiations.refused(reference, at),
            Err(_) => {}
        }
    }

    /// The payment with this identity (the parent's id if it has one, or the
    /// idempotency key) and type.
    pub fn payment(&self, identity: &str, kind: PaymentType) -> Option<&KeptPayment> {
        self.payments.get(&PaymentKey { identity: identity.to_owned(), kind })
    }

    /// All payments, in the order of their first rows.
    pub fn payments(&self) -> &[KeptPayment] {
        self.payments.all()
    }

    /// The account or beneficiary with this id.
    pub fn account(&self, reference: &str) -> Option<&KeptAccount> {
        self.accounts.get(reference)
    }

    /// All accounts and beneficiaries, in the order of arrival.
    pub fn accounts(&self) -> &[KeptAccount] {
        self.accounts.all()
    }

    /// Every amount that the account has had in this asset, oldest first; the last
    /// one is what Formance shows.
    pub fn balances(&self, account_reference: &str, asset: &str) -> &[KeptBalance] {
        self.balances.get(account_reference, asset)
    }

    /// What a pool or a reconciliation that asks for the time `at` is told that the account holds;
    /// `None` where no stored amount holds then, which Formance counts as 0.
    pub fn balance_at(&self, account_reference: &str, asset: &str, at: GoTime) -> Option<&Integer> {
        self.balances.at(account_reference, asset, at)
    }

    /// The payout or transfer that was ordered under this reference.
    pub fn initiation(&self, reference: &str) -> Option<&KeptInitiation> {
        self.initiations.get(reference)
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod replay_tests;
