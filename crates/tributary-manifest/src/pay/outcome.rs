//! What became of an order, or of a lookup of a payment.

use tributary_domain::PaymentState;

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    /// The provider has the payment.
    Accepted(PaymentState),
    /// No money moves for this request.
    Refused(String),
    /// The provider did not look at it.
    Unsent(String),
    /// It may have moved money, or not.
    Unknown(String),
}

/// What became of a lookup of a payment.
#[derive(Debug, Clone, PartialEq)]
pub enum LookupOutcome {
    Found(PaymentState),
    /// More than one goes by the key.
    Several(usize),
    Missing,
    /// Nothing can be said.
    Failed(String),
}
