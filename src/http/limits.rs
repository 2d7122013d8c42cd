//! How often may be asked. Each API key has a bucket of its own, so that no consumer takes the place
//! of another; whoever shows no valid API key shares one bucket with all the others who do not. Over
//! the limit the answer is 429, the one refusal that Formance takes for "later" and not for "no".
//! And how much may be in memory of what is being sent, by those with a key and by those without.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use metrics::counter;
use tokio::sync::Semaphore;

use super::ApiError;
use super::body::Room;
use tributary_domain::{ApiKeyDigest, ProviderName, RequestLimit};

/// What all requests without a valid API key share.
const UNKNOWN: RequestLimit = RequestLimit {
    per_second: NonZeroU32::new(50).expect("it is not zero"),
    burst: NonZeroU32::new(100).expect("it is not zero"),
};
/// How many keys that have not been seen before are looked up at the same time: a flood of made
/// up ones waits in line for these and leaves the other connections to the database alone.
const LOOKUPS: usize = 2;
/// The bodies of pushes that are in memory at the same time: two of the largest, and many of the
/// usual size.
const PUSHES_BYTES: usize = 128 * 1024 * 1024;
/// The bodies of webhooks that are in memory at the same time. Anybody may send them.
const WEBHOOKS_BYTES: usize = 16 * 1024 * 1024;

/// The bucket of one API key, or of all who have none.
pub struct Bucket {
    limit: RequestLimit,
    limiter: DefaultDirectRateLimiter,
    /// Whose key it is; `None` for those without.
    provider: Option<ProviderName>,
}

impl Bucket {
    fn new(limit: RequestLimit, provider: Option<ProviderName>) -> Self {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        Self { limit, limiter: RateLimiter::direct(quota), provider }
    }

    /// Takes one request out, or says how long to wait.
    pub fn take(&self) -> Result<(), ApiError> {
        let Err(until) = self.limiter.check() else { return Ok(()) };
        let retry_after = until.wait_time_from(self.limiter.clock().now());
        let RequestLimit { per_second, burst } = self.limit;
        let detail = match &self.provider {
            Some(provider) => {
                counter!("tributary_rate_limited_total", "provider" => provider.to_string()).increment(1);
                format!("this API key may ask {per_second} times a second, and {burst} times at once")
            }
            None => {
                counter!("tributary_rate_limited_total").increment(1);
                "too many requests without a valid API key".to_owned()
            }
        };
        Err(ApiError::TooManyRequests { detail, retry_after })
    }
}

/// The buckets of one process.
pub struct RequestLimits {
    /// Of the keys that were found valid, by digest: nobody else can draw from them.
    keys: RwLock<HashMap<ApiKeyDigest, Arc<Bucket>>>,
    unknown: Bucket,
    lookups: Semaphore,
    /// Of pushes, in memory at the same time.
    pushes: Room,
    /// Of webhooks that are not proven yet.
    webhooks: Room,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            keys: RwLock::default(),
            unknown: Bucket::new(UNKNOWN, None),
            lookups: Semaphore::new(LOOKUPS),
            pushes: Room::of(PUSHES_BYTES),
            webhooks: Room::of(WEBHOOKS_BYTES),
        }
    }
}

impl RequestLimits {
    /// The bucket of a key that was valid when it was last looked at.
    pub fn known(&self, key: &ApiKeyDigest) -> Option<Arc<Bucket>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The bucket of a valid key, made at first sight.
    pub fn learn(&self, key: &ApiKeyDigest, provider: &ProviderName, limit: RequestLimit) -> Arc<Bucket> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let bucket =
            keys.entry(key.clone()).or_insert_with(|| Arc::new(Bucket::new(limit, Some(provider.clone()))));
        Arc::clone(bucket)
    }

    /// A key is no longer valid.
    pub fn forget(&self, key: &ApiKeyDigest) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// The bucket of everybody without a valid key.
    pub fn unknown(&self) -> &Bucket {
        &self.unknown
    }

    /// The room for bodies of pushes.
    pub fn pushes(&self) -> &Room {
        &self.pushes
    }

    /// The room for bodies of webhooks.
    pub fn webhooks(&self) -> &Room {
        &self.webhooks
    }

    /// Waits for the turn to look a key up that was not seen before; it lasts until dropped.
    pub async fn lookup_turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // it is never closed; if it were, nothing would be worse than before there was one
        self.lookups.acquire().await.ok()
    }
}

/// Whole seconds for `Retry-After`: after them, a request is let through.
pub fn retry_after_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_in_whole_seconds_and_never_as_none() {
        for (wait, told) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(retry_after_seconds(Duration::from_millis(wait)), told, "{wait}");
        }
    }

    #[test]
    fn each_key_has_its_own_bucket_until_it_is_forgotten() {
        let limits = RequestLimits::default();
        let (provider, one) = ("acme".parse().unwrap(), NonZeroU32::MIN);
        let limit = RequestLimit { per_second: one, burst: one };
        let [a, b] = ["a", "b"].map(ApiKeyDigest::of);
        assert!(limits.learn(&a, &provider, limit).take().is_ok());
        assert!(limits.known(&a).unwrap().take().is_err());
        assert!(limits.learn(&a, &provider, limit).take().is_err(), "it is the same bucket");
        assert!(limits.learn(&b, &provider, limit).take().is_ok());
        limits.forget(&a);
        assert!(limits.known(&a).is_none() && limits.known(&b).is_some());
    }
}
