//! From the fields of a manifest to what sends requests. Each error names its field, and repeats
//! nothing of what may be a secret.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Certificate, Identity, Url, redirect};
use tokio::sync::Semaphore;

use super::redact::Redactor;
use super::transport::{Transport, Wire, explain};
use crate::auth::{self, Authenticator, Surroundings};
use crate::cage::Cage;
use crate::clock::SystemClock;
use crate::manifest::{Manifest, RateLimit, Tls};
use crate::shared::{Budget, Shared};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read, unpacked, in bytes.
const LARGEST_ANSWER: usize = 64 << 20;
/// A request takes a moment from being counted here to being counted there, not always the same.
/// Budgets are therefore kept over a stretch that is a twentieth longer, but at most by this.
const MOST_SLACK: Duration = Duration::from_secs(2);

/// The way to the provider, with everything of `manifest` that holds for all requests.
pub fn transport(manifest: &Manifest, shared: Arc<dyn Shared>) -> Result<Transport, String> {
    let concurrency = match manifest.rate_limit.concurrency {
        None => Semaphore::MAX_PERMITS,
        Some(most @ 1..=1_000) => most as usize,
        Some(_) => return Err("rate_limit.concurrency: take 1 to 1000".to_owned()),
    };
    Ok(Transport {
        wire: Wire::Network {
            usual: http_client(&manifest.tls)?.build().map_err(|error| unusable(manifest, error))?,
            once: http_client(&manifest.tls)?
                .retry(reqwest::retry::never())
                // a kept connection may be closed by the other end just when it is used
                .pool_max_idle_per_host(0)
                .http1_only()
                .build()
                .map_err(|error| unusable(manifest, error))?,
        },
        tap: None,
        limiter: limiter(&manifest.rate_limit)?,
        under_way: Arc::new(Semaphore::new(concurrency)),
        budgets: budgets(&manifest.rate_limit)?,
        shared,
        clock: Arc::new(SystemClock),
        redactor: Redactor::new(manifest.headers.values().cloned().chain(auth::secrets(manifest))),
        largest_answer: LARGEST_ANSWER,
        sent: AtomicU64::new(0),
    })
}

/// What proves who sends the requests.
pub fn authenticator(
    manifest: &Manifest,
    base: &Url,
    headers: &HeaderMap,
    cage: &Arc<Cage>,
) -> Result<Authenticator, String> {
    let surroundings = Surroundings {
        base,
        headers,
        functions: &manifest.functions,
        attempts: manifest.retry.attempts,
        cage,
    };
    Authenticator::new(manifest, &surroundings)
}

/// What sends the requests: TLS by rustls with ring, no redirects.
fn http_client(tls: &Tls) -> Result<reqwest::ClientBuilder, String> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // another thread may install it first; either way there is one afterwards
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .gzip(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    if let Some(identity) = identity(tls)? {
        builder = builder.identity(identity);
    }
    if let Some(ca) = &tls.ca {
        let pem = auth::load_pem("tls.ca", ca)?;
        let roots = Certificate::from_pem_bundle(pem.expose().as_bytes()).ok();
        let roots = roots.filter(|roots| !roots.is_empty()).ok_or("tls.ca: holds no certificate")?;
        builder = builder.tls_certs_merge(roots);
    }
    Ok(builder)
}

fn unusable(manifest: &Manifest, error: reqwest::Error) -> String {
    let tls = &manifest.tls;
    match tls.identity.is_some() || tls.ca.is_some() {
        true => format!("tls: {}", explain(error)),
        false => explain(error),
    }
}

fn identity(tls: &Tls) -> Result<Option<Identity>, String> {
    let Some(identity) = &tls.identity else {
        return match tls.key {
            Some(_) => Err("tls.key: belongs to identity".to_owned()),
            None => Ok(None),
        };
    };
    let mut pem = auth::load_pem("tls.identity", identity)?.expose().to_owned();
    if let Some(key) = &tls.key {
        pem.push('\n');
        pem.push_str(auth::load_pem("tls.key", key)?.expose());
    }
    // reqwest would tell the contents of what it cannot read
    let identity = Identity::from_pem(pem.as_bytes())
        .map_err(|_| "tls.identity: has to hold a certificate and, there or in key, its private key")?;
    Ok(Some(identity))
}

/// Where the API is, checked to be a plain URL.
pub fn base_url(text: &str) -> Result<Url, String> {
    // the text is not repeated: somebody may have put a password into it
    let url = Url::parse(text).map_err(|error| format!("base_url: {error}"))?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err("base_url: has to begin with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("base_url: holds a user or password; secrets belong into auth or headers".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("base_url: has no place for ? and #".to_owned());
    }
    Ok(url)
}

/// The pace of the requests: evenly spaced, after a pause as many at once as a burst is.
fn limiter(rate_limit: &RateLimit) -> Result<DefaultDirectRateLimiter, String> {
    let per_second = NonZeroU32::new(rate_limit.per_second)
        .filter(|per_second| per_second.get() <= 1_000)
        .ok_or("rate_limit.per_second: take 1 to 1000")?;
    let burst = NonZeroU32::new(rate_limit.burst)
        .filter(|burst| burst.get() <= 1_000)
        .ok_or("rate_limit.burst: take 1 to 1000")?;
    let spacing = Quota::with_period(Duration::from_secs(1) / per_second.get())
        .expect("a thousandth of a second is not zero");
    Ok(RateLimiter::direct(spacing.allow_burst(burst)))
}

/// As many requests as anybody likes.
pub fn no_limit() -> DefaultDirectRateLimiter {
    RateLimiter::direct(Quota::per_second(NonZeroU32::MAX).allow_burst(NonZeroU32::MAX))
}

fn budgets(rate_limit: &RateLimit) -> Result<Vec<Budget>, String> {
    let budgets = rate_limit.budgets.iter().enumerate().map(|(index, budget)| {
        let per = budget.per.as_duration();
        if budget.requests == 0 {
            return Err(format!("rate_limit.budgets[{index}].requests: take at least 1"));
        }
        if per.is_zero() || per > Duration::from_secs(366 * 86_400) {
            return Err(format!("rate_limit.budgets[{index}].per: take 1s to 366d"));
        }
        Ok(Budget { requests: budget.requests, per: per + (per / 20).min(MOST_SLACK) })
    });
    budgets.collect()
}

/// The headers of every request.
pub fn headers(manifest: &Manifest) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    for (name, value) in &manifest.headers {
        let value = auth::header_value(&format!("headers.{name}"), value)?;
        headers.insert(auth::header_name("headers", name)?, value);
    }
    Ok(headers)
}
