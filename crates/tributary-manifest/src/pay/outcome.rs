//! What became of an order, or of a lookup of a payment.

use tributary_domain::PaymentState;

/// Why there is no request for an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPrepared {
    /// There is none for such an order.
    #[error("{0}")]
    Refused(String),
    /// The filters did not get to say: the same order later may have one.
    #[error("{0}")]
    Busy(String),
}

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
