//! From the fields of a manifest to what sends requests. Each error names its field, and repeats
//! nothing of what may be a secret.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Url, redirect};

use super::explain;
use crate::provider::manifest::{Auth, Manifest, RateLimit};
use crate::provider::secret::Secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What sends the requests: TLS by rustls with ring, no redirects, the headers of `manifest` on
/// each of them.
pub fn http_client(manifest: &Manifest) -> Result<reqwest::Client, String> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // another thread may install it first; either way there is one afterwards
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    reqwest::Client::builder()
        .default_headers(headers(manifest)?)
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .gzip(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .build()
        .map_err(explain)
}

fn sensitive(field: &str, secret: &Secret) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(secret.expose())
        .map_err(|_| format!("{field}: holds a character that no header can carry, such as a line break"))?;
    value.set_sensitive(true);
    Ok(value)
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

/// The pace of the requests: evenly spaced, without bursts.
pub fn limiter(rate_limit: RateLimit) -> Result<DefaultDirectRateLimiter, String> {
    let per_second = NonZeroU32::new(rate_limit.per_second)
        .filter(|per_second| per_second.get() <= 1_000)
        .ok_or("rate_limit.per_second: take 1 to 1000")?;
    let spacing = Quota::with_period(Duration::from_secs(1) / per_second.get())
        .expect("a thousandth of a second is not zero");
    Ok(RateLimiter::direct(spacing))
}

/// Everything of `manifest` that must never be shown.
pub fn secrets(manifest: &Manifest) -> Vec<Secret> {
    let Auth::Bearer(token) = &manifest.auth;
    manifest.headers.values().chain([token]).cloned().collect()
}

fn headers(manifest: &Manifest) -> Result<HeaderMap, String> {
    let Auth::Bearer(token) = &manifest.auth;
    if token.expose().is_empty() {
        return Err("auth.bearer: is empty".to_owned());
    }
    let bearer = Secret::from(format!("Bearer {}", token.expose()));
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    headers.insert(AUTHORIZATION, sensitive("auth.bearer", &bearer)?);
    for (name, value) in &manifest.headers {
        let named = HeaderName::try_from(name.as_str());
        let named = named.map_err(|_| format!("headers: {name:?} is no header name"))?;
        headers.insert(named, sensitive(&format!("headers.{name}"), value)?);
    }
    Ok(headers)
}
