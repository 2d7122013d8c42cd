//! Asks what the loops do not ask, and judges the answers.

pub mod answers;
pub mod balances;
pub mod errors;
pub mod from;
pub mod page_size;
