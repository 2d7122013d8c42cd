//! The security log: the target `tributary::security`. Strangers decide how often they are refused, so
//! that only some of it is written, and how much was left out.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::request::Parts;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use super::client::Client;

/// Refusals that are written a second in the long run, and at once after a pause.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(2).expect("it is not zero");
const BURST: NonZeroU32 = NonZeroU32::new(50).expect("it is not zero");

/// Writes the security log of a process.
pub struct SecurityLog {
    room: DefaultDirectRateLimiter,
    left_out: AtomicU64,
}

impl Default for SecurityLog {
    fn default() -> Self {
        let room = RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(BURST));
        Self { room, left_out: AtomicU64::new(0) }
    }
}

impl SecurityLog {
    /// Writes that somebody was refused, `why`, and by which key: its id, where it has one.
    pub fn refused(&self, parts: &Parts, why: &str, key_id: Option<Uuid>) {
        self.refused_from(parts.extensions.get::<Client>(), parts.uri.path(), why, key_id);
    }

    /// As [`SecurityLog::refused`], of a request for `path` by `client`.
    pub fn refused_from(&self, client: Option<&Client>, path: &str, why: &str, key_id: Option<Uuid>) {
        if self.room.check().is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        let client = client.and_then(|client| client.address).map(|address| address.to_string());
        let path: String = path.chars().take(100).collect();
        tracing::warn!(target: "tributary::security", why, client, path,
            key_id = key_id.map(tracing::field::display), left_out, "a request was refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_written() {
        let log = SecurityLog::default();
        for _ in 0..10_000 {
            log.refused_from(None, "/accounts", "no valid key", None);
        }
        assert!(log.left_out.load(Ordering::Relaxed) > 9_000);
    }
}
