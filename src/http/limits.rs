//! How often may be asked. Each API key has a bucket of its own, so that no consumer takes the place
//! of another, and another one for the payments that it orders; whoever shows no valid API key shares one
//! bucket with all the others who do not. Over
//! the limit the answer is 429, the one refusal that Formance takes for "later" and not for "no".
//! And how much may be in memory of what is being sent, by those with a key and by those without.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use metrics::counter;
use sqlx::PgPool;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::ApiError;
use super::auth::Caller;
use super::body::Room;
use crate::feed::KeyPolls;
use crate::store::{StoreError, api_keys};
use tributary_domain::{ApiKeyDigest, ProviderName, RequestLimit};

/// What all requests without a valid API key share.
const UNKNOWN: RequestLimit = RequestLimit {
    per_second: NonZeroU32::new(50).expect("it is not zero"),
    burst: NonZeroU32::new(100).expect("it is not zero"),
};
/// What the calls of one provider may be, proven or not.
const WEBHOOKS: RequestLimit = RequestLimit {
    per_second: NonZeroU32::new(50).expect("it is not zero"),
    burst: NonZeroU32::new(200).expect("it is not zero"),
};
/// How often anybody may try to sign in at the console. Of its own, as whoever floods the listener for everybody is
/// not to keep operators out.
const SIGN_INS: RequestLimit = RequestLimit {
    per_second: NonZeroU32::new(5).expect("it is not zero"),
    burst: NonZeroU32::new(20).expect("it is not zero"),
};
/// How often operators may ask by their keys, together: of its own for the same reason. Each asks the database.
const OPERATORS: RequestLimit = RequestLimit {
    per_second: NonZeroU32::new(50).expect("it is not zero"),
    burst: NonZeroU32::new(200).expect("it is not zero"),
};
/// How many keys that nobody knows are looked up at the same time: a flood of made up ones leaves the
/// other connections to the database alone.
const LOOKUPS: usize = 2;
/// And how many wait for that. Whoever comes then is told to come later.
const LOOKUPS_WAITING: usize = 32;
/// How often it is noted that a key was used.
const USED_EVERY: Duration = Duration::from_secs(60);
/// The bodies of pushes that are in memory at the same time: two of the largest, and many of the
/// usual size.
const PUSHES_BYTES: usize = 128 * 1024 * 1024;
/// The bodies of webhooks that are in memory at the same time. Anybody may send them.
const WEBHOOKS_BYTES: usize = 16 * 1024 * 1024;

/// What a bucket is for.
#[derive(Debug, Clone)]
enum For {
    /// All requests of a key of this provider.
    Key(ProviderName),
    /// Those of them that order payments.
    Payments(ProviderName),
    /// Calls of this provider.
    Webhooks(ProviderName),
    /// All who show no valid key.
    Strangers,
    /// All who sign in at the console.
    SignIns,
    /// All who show the key of an operator, or say so.
    Operators,
}

/// A bucket of requests.
pub struct Bucket {
    limit: RequestLimit,
    limiter: DefaultDirectRateLimiter,
    of: For,
}

impl Bucket {
    fn new(limit: RequestLimit, of: For) -> Self {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        Self { limit, limiter: RateLimiter::direct(quota), of }
    }

    /// Takes one request out, or says how long to wait.
    pub fn take(&self) -> Result<(), ApiError> {
        let Err(until) = self.limiter.check() else { return Ok(()) };
        let retry_after = until.wait_time_from(self.limiter.clock().now());
        let RequestLimit { per_second, burst } = self.limit;
        let detail = match &self.of {
            For::Key(_) => {
                format!("this API key may ask {per_second} times a second, and {burst} times at once")
            }
            For::Payments(_) => {
                format!("this API key may order {per_second} payments a second, and {burst} at once")
            }
            For::Webhooks(_) => {
                format!("a provider may call {per_second} times a second, and {burst} times at once")
            }
            For::Strangers => "too many requests without a valid API key".to_owned(),
            For::Operators => {
                format!("operators may ask {per_second} times a second together, and {burst} times at once")
            }
            For::SignIns => "too many try to sign in at once; try again".to_owned(),
        };
        match &self.of {
            For::Key(provider) | For::Payments(provider) | For::Webhooks(provider) => {
                counter!("tributary_rate_limited_total", "provider" => provider.to_string()).increment(1);
            }
            For::Strangers | For::SignIns | For::Operators => {
                counter!("tributary_rate_limited_total").increment(1)
            }
        }
        Err(ApiError::TooManyRequests { detail, retry_after })
    }
}

/// A key that was valid when it was last looked at, with its buckets.
pub struct KnownKey {
    pub caller: Caller,
    /// Of whatever it asks.
    pub all: Bucket,
    /// Of the payments that it orders.
    pub payments: Bucket,
    /// What it polls, once it does.
    pub polls: OnceLock<Arc<KeyPolls>>,
}

/// The buckets of one process.
pub struct RequestLimits {
    /// Of the keys that were found valid, by digest: nobody else can draw from them.
    keys: RwLock<HashMap<ApiKeyDigest, Arc<KnownKey>>>,
    /// The keys that were valid when the first unknown one came: they are no strangers, though they
    /// have not asked yet.
    at_the_start: OnceCell<RwLock<HashSet<Vec<u8>>>>,
    /// When it was last noted that a key was used.
    used: Mutex<HashMap<Uuid, Instant>>,
    unknown: Bucket,
    sign_ins: Bucket,
    operators: Bucket,
    lookups: Semaphore,
    lookups_waiting: Semaphore,
    /// Of calls, by provider.
    webhooks_of: RwLock<HashMap<ProviderName, Arc<Bucket>>>,
    /// Of pushes, in memory at the same time.
    pushes: Room,
    /// Of webhooks that are not proven yet.
    webhooks: Room,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            keys: RwLock::default(),
            at_the_start: OnceCell::new(),
            used: Mutex::default(),
            unknown: Bucket::new(UNKNOWN, For::Strangers),
            sign_ins: Bucket::new(SIGN_INS, For::SignIns),
            operators: Bucket::new(OPERATORS, For::Operators),
            lookups: Semaphore::new(LOOKUPS),
            lookups_waiting: Semaphore::new(LOOKUPS + LOOKUPS_WAITING),
            webhooks_of: RwLock::default(),
            pushes: Room::of(PUSHES_BYTES),
            webhooks: Room::of(WEBHOOKS_BYTES),
        }
    }
}

/// The turn to look a key up, until it is dropped.
pub struct Turn<'a>(#[expect(dead_code, reason = "held")] [SemaphorePermit<'a>; 2]);

impl RequestLimits {
    /// A key that was valid when it was last looked at.
    pub fn known(&self, key: &ApiKeyDigest) -> Option<Arc<KnownKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Keeps a valid key. Its buckets are made at first sight: for all that it asks, and for payments. They are new
    /// as well where it is another caller's now.
    pub fn learn(&self, key: &ApiKeyDigest, caller: Caller) -> Arc<KnownKey> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = keys.get(key).filter(|known| known.caller.is(&caller)) {
            return Arc::clone(known);
        }
        let known = Arc::new(KnownKey {
            all: Bucket::new(caller.served.limit, For::Key(caller.provider.clone())),
            payments: Bucket::new(caller.served.payment_limit.0, For::Payments(caller.provider.clone())),
            polls: OnceLock::new(),
            caller,
        });
        keys.insert(key.clone(), Arc::clone(&known));
        known
    }

    /// A key is no longer valid.
    pub fn forget(&self, key: &ApiKeyDigest) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(at_the_start) = self.at_the_start.get() {
            at_the_start.write().unwrap_or_else(PoisonError::into_inner).remove(key.as_bytes());
        }
    }

    /// Whether a key was valid when the first unknown one came, which is when the database is asked.
    pub async fn was_valid_at_the_start(&self, key: &ApiKeyDigest, pool: &PgPool) -> Result<bool, ApiError> {
        let read = async || {
            let digests = api_keys::valid_digests(pool).await?;
            Ok::<_, StoreError>(RwLock::new(digests.into_iter().collect()))
        };
        let at_the_start = self.at_the_start.get_or_try_init(read).await?;
        Ok(at_the_start.read().unwrap_or_else(PoisonError::into_inner).contains(key.as_bytes()))
    }

    /// Whether it has to be noted that a key is used now: once a minute.
    pub fn is_used_anew(&self, id: Uuid) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let anew = used.get(&id).is_none_or(|last| last.elapsed() >= USED_EVERY);
        if anew {
            used.insert(id, Instant::now());
        }
        anew
    }

    /// The bucket of everybody without a valid key.
    pub fn unknown(&self) -> &Bucket {
        &self.unknown
    }

    /// The bucket of everybody who signs in at the console.
    pub fn sign_ins(&self) -> &Bucket {
        &self.sign_ins
    }

    /// The bucket of everybody who asks the admin API by the key of an operator, known or not.
    pub fn operators(&self) -> &Bucket {
        &self.operators
    }

    /// The bucket of the calls of `provider`, which has to be one that is served.
    pub fn webhooks_of(&self, provider: &ProviderName) -> Arc<Bucket> {
        let there = self.webhooks_of.read().unwrap_or_else(PoisonError::into_inner).get(provider).cloned();
        there.unwrap_or_else(|| {
            let mut buckets = self.webhooks_of.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Bucket::new(WEBHOOKS, For::Webhooks(provider.clone())));
            Arc::clone(buckets.entry(provider.clone()).or_insert_with(new))
        })
    }

    /// The room for bodies of pushes.
    pub fn pushes(&self) -> &Room {
        &self.pushes
    }

    /// The room for bodies of webhooks.
    pub fn webhooks(&self) -> &Room {
        &self.webhooks
    }

    /// Waits for the turn to look a key up that nobody knows; refused where too many wait already.
    pub async fn lookup_turn(&self) -> Result<Turn<'_>, ApiError> {
        let full = || ApiError::TooManyRequests {
            detail: "too many requests without a valid API key".to_owned(),
            retry_after: Duration::from_secs(1),
        };
        let waiting = self.lookups_waiting.try_acquire().map_err(|_| full())?;
        let lookup = self.lookups.acquire().await.map_err(|_| full())?;
        Ok(Turn([waiting, lookup]))
    }
}

/// Whole seconds for `Retry-After`: after them, a request is let through.
pub fn retry_after_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_domain::{PaymentLimit, Scope};

    #[test]
    fn waits_are_told_in_whole_seconds_and_never_as_none() {
        for (wait, told) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(retry_after_seconds(Duration::from_millis(wait)), told, "{wait}");
        }
    }

    fn caller(provider: &str, limit: RequestLimit) -> Caller {
        let file = format!("provider: {provider}\npush: all\n");
        let mut served =
            super::super::ServedProvider::from(crate::config::Provider::parse(&file, &|_| None).unwrap());
        (served.limit, served.payment_limit) = (limit, PaymentLimit(limit));
        let key = format!("key:{provider}").into();
        Caller { provider: provider.parse().unwrap(), served: Arc::new(served), scope: Scope::Read, key }
    }

    #[test]
    fn each_key_has_its_own_bucket_until_it_is_forgotten() {
        let limits = RequestLimits::default();
        let one = NonZeroU32::MIN;
        let limit = RequestLimit { per_second: one, burst: one };
        let caller = || caller("acme", limit);
        let [a, b] = ["a", "b"].map(ApiKeyDigest::of);
        assert!(limits.learn(&a, caller()).all.take().is_ok());
        assert!(limits.known(&a).unwrap().all.take().is_err());
        assert!(limits.learn(&a, caller()).all.take().is_err(), "it is the same bucket");
        assert!(limits.learn(&a, caller()).payments.take().is_ok(), "payments have another one");
        assert!(limits.learn(&b, caller()).all.take().is_ok());
        limits.forget(&a);
        assert!(limits.known(&a).is_none() && limits.known(&b).is_some());
    }

    #[tokio::test]
    async fn whoever_comes_when_the_queue_is_full_is_told_so_at_once() {
        let limits = RequestLimits::default();
        let mut turns = Vec::new();
        for _ in 0..LOOKUPS {
            turns.push(limits.lookup_turn().await.unwrap());
        }
        let mut waiting: Vec<_> = (0..LOOKUPS_WAITING).map(|_| Box::pin(limits.lookup_turn())).collect();
        for turn in &mut waiting {
            assert!(futures::poll!(turn).is_pending());
        }
        assert!(limits.lookup_turn().await.is_err());
        turns.pop();
        assert!(futures::poll!(&mut waiting[0]).is_ready());
    }
}
