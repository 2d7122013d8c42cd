//! Who this process is among those that share the work.

use std::time::Duration;

/// What other instances know of this one.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Says which process on which machine holds a lease.
    pub name: String,
    /// For how long a lease holds without a sign of life.
    pub lease_time: Duration,
}

impl Instance {
    /// For how long a lease holds unless one says otherwise.
    pub const LEASE_TIME: Duration = Duration::from_secs(30);

    /// This process.
    pub fn new(lease_time: Duration) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "host" } else { host.trim() };
        Self { name: format!("{host}, process {}", std::process::id()), lease_time }
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self::new(Self::LEASE_TIME)
    }
}
