//! Payouts and transfers: each idempotency key moves money once.
//!
//! An order is durable before the first byte of its request leaves, and every step it takes is a
//! short transaction of its own, with none open while a request is under way. A request whose
//! answer proves neither that the provider has the payment nor that no money moves leaves the
//! order unknown: it is looked up, repeated only while the provider still knows its provider key, and
//! else parked. Only a definite refusal fails an order. What is sent is the request that
//! was kept when the order was recorded, and only within the limits of the day on which it goes.

pub mod audit;
mod elapsed;
mod executor;
mod follow;
mod intake;
mod order;
mod placed;
mod points;
mod policy;
mod provider_key;
mod secret;
mod send;
mod steps;
pub mod told;
mod view;
mod worker;

pub use executor::{Payer, Settings};
pub use intake::Payments;
pub use order::{Invalid, OrderRequest};
pub use placed::{Placed, RefusedOrder};
pub use points::Point;
pub use policy::{AssetLimit, Policy};
pub use provider_key::derive as provider_key;
pub use secret::PaymentSecret;
pub use worker::Worker;
