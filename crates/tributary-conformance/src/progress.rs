//! What a check tells while it runs.

/// Hears how far a check has come.
pub trait Progress: Sync {
    /// A new part of the check begins.
    fn phase(&self, what: &str);

    /// That many requests have been sent since the start.
    fn requests(&self, count: u64);
}

/// Says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&self, _what: &str) {}

    fn requests(&self, _count: u64) {}
}
