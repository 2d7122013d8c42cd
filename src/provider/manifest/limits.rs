//! `rate_limit:` and `retry:`: how often requests may be sent.

use serde::Deserialize;

/// How fast requests may follow each other.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second, evenly spaced.
    pub per_second: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 5 }
    }
}

/// How often a request that failed for a passing reason is sent.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often a request is sent at most, the first time included.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6 }
    }
}
