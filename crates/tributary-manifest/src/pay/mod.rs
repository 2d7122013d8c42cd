//! Orders one payment at a provider, or looks for one.

mod api;
mod compile;
pub mod examples;
mod frozen;
mod keyed;
mod outcome;
mod places;
mod plan;
mod probe;
mod steps;

pub use api::{PaymentApi, PaymentApis, Prepared};
pub use compile::PaymentPlans;
pub use outcome::{LookupOutcome, NotPrepared, Sent};
pub use places::{Given, readable};
pub use plan::PaymentPlan;
pub use steps::StepOutcome;

#[cfg(test)]
mod tests;
