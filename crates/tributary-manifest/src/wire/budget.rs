//! How much may be asked of a provider, and why nothing may be asked just now.

use std::time::Duration;

/// How many requests fit into any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub requests: u32,
    pub per: Duration,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may, now, and is counted.
    Go,
    /// It may not, and is not counted. May be asked again after `wait`.
    Wait { wait: Duration, why: Closed },
}

/// Why no request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("the provider asked for a pause (`tributary limits` lists such, and ends them)")]
    ByProvider,
    #[error("the budget of requests is used up")]
    ByBudget,
}

/// What is shared cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database, where instances share budgets and tokens, is not available: {0}")]
pub struct SharedError(pub String);
