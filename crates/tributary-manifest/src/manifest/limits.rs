//! `rate_limit:`, `retry:` and `answers:`: how often requests may be sent, and how much comes back.

use schemars::JsonSchema;
use serde::Deserialize;

use super::WaitUnit;
use crate::period::Period;

/// How fast requests may follow each other.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Requests a second of each instance, evenly spaced, 1 to 1000.
    pub per_second: u32,
    /// How many requests may go at once after a pause, 1 to 1000.
    pub burst: u32,
    /// How many requests may be under way at the same time, 1 to 1000; no limit if not given.
    pub concurrency: Option<u32>,
    /// How many requests fit into a length of time, counted over all instances and restarts. All
    /// budgets hold together.
    pub budgets: Vec<BudgetManifest>,
    /// Which requests have to wait where an answer says that there were enough of them.
    pub scope: LimitScope,
    /// What headers of answers count in that say how long to wait.
    pub waits: WaitUnit,
    /// Headers of answers that are not looked at, though they say how many requests are left or how long
    /// to wait.
    pub ignore: Vec<String>,
}

/// Which requests a limit is about that an answer tells of. Payments and tokens have their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// Those for the same partition of the same stream.
    #[default]
    Partition,
    /// Those for the same stream.
    Endpoint,
    /// All that read.
    Provider,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            per_second: 5,
            burst: 1,
            concurrency: None,
            budgets: Vec::new(),
            scope: LimitScope::default(),
            waits: WaitUnit::default(),
            ignore: Vec::new(),
        }
    }
}

/// How many requests fit into any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetManifest {
    /// How many requests, at least 1.
    pub requests: u32,
    /// The length of time, 1s to 366d.
    pub per: Period,
}

/// How often a request that failed for a passing reason is sent.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often a request is sent at most, the first time included, 1 to 20; 6 if not given.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6 }
    }
}

/// How much one answer may hold.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The largest answer that is read, unpacked, in MiB, 1 to 256; 16 if not given. For each of them it
    /// may hold 131072 texts, numbers, lists and objects: as many as of 8 bytes each.
    pub max_mib: u16,
}

impl Default for Answers {
    fn default() -> Self {
        Self { max_mib: 16 }
    }
}

impl Answers {
    /// The largest answer, in bytes.
    pub fn bytes(self) -> usize {
        usize::from(self.max_mib) << 20
    }

    /// How many values it may hold.
    pub fn values(self) -> usize {
        self.bytes() / 8
    }
}
