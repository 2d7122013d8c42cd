//! Orders one payment at a provider, or looks for one.

mod api;
mod compile;
pub mod examples;
mod frozen;
mod outcome;
mod plan;
mod probe;

pub use api::{PaymentApi, PaymentApis, Prepared};
pub use compile::PaymentPlans;
pub use outcome::{LookupOutcome, NotPrepared, Sent};

#[cfg(test)]
mod tests;
