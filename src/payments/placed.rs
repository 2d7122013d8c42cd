//! What becomes of a request to pay.

use crate::store::StoreError;
use crate::store::payment_orders::Order;

/// What a request to pay is answered with.
#[derive(Debug)]
pub enum Placed {
    Order(Box<Order>),
    /// Another request is waiting for the outcome of the same order.
    Busy,
    Refused(RefusedOrder),
    /// Nothing was recorded, for want of something that will be there again; says of what.
    Unavailable(String),
}

/// Why nothing is paid: nothing was sent for this request, and nothing will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedOrder {
    /// Of HTTP.
    pub status: u16,
    pub title: &'static str,
    pub detail: String,
}

/// What ends the taking of an order early.
#[derive(Debug)]
pub(super) enum NotPlaced {
    Refused(RefusedOrder),
    Unavailable(String),
    Store(StoreError),
}

impl From<StoreError> for NotPlaced {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl NotPlaced {
    pub(super) fn invalid(detail: String) -> Self {
        Self::Refused(RefusedOrder { status: 400, title: "Invalid request", detail })
    }

    pub(super) fn not_found(detail: String) -> Self {
        Self::Refused(RefusedOrder { status: 404, title: "Not found", detail })
    }

    pub(super) fn too_much(sum: &str) -> Self {
        Self::invalid(format!("pay.limits: with {sum} ordered today already, it exceeds the limit of a day"))
    }
}
