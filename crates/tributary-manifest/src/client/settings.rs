//! From the fields of a manifest to what sends requests. Each error names its field, and repeats
//! nothing of what may be a secret.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Certificate, Identity, Url, redirect};
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::Verifier;

use crate::auth::{self, Authenticator, Surroundings};
use crate::cage::Cage;
use crate::manifest::{Manifest, Tls};
use crate::wire::{Network, Pace, Redactor, Shared, Told, Transport, explain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The way to the provider, with everything of `manifest` that holds for all requests.
pub fn transport(manifest: &Manifest, shared: Arc<dyn Shared>) -> Result<Transport, String> {
    if !(1..=256).contains(&manifest.answers.max_mib) {
        return Err("answers.max_mib: take 1 to 256".to_owned());
    }
    let pace = Pace::new(&manifest.rate_limit, shared)?;
    let usual = http_client(&manifest.tls, &[b"h2", b"http/1.1"])?;
    let once = http_client(&manifest.tls, &[b"http/1.1"])?;
    let network =
        Network::new(usual, once, manifest.answers.bytes()).map_err(|error| unusable(manifest, error))?;
    let network = network.telling(manifest.traceparent);
    let hidden = manifest.headers.values().cloned().chain(auth::secrets(manifest));
    let told = Told::new(&manifest.rate_limit)?;
    Ok(Transport::new(network, pace, told, Redactor::new(hidden)))
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

/// What sends the requests: TLS by rustls with ring, no redirects. `protocols` are offered to the
/// server, in this order.
fn http_client(tls: &Tls, protocols: &[&[u8]]) -> Result<reqwest::ClientBuilder, String> {
    if CryptoProvider::get_default().is_none() {
        // another thread may install it first; either way there is one afterwards
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .gzip(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    let identity = identity(tls)?;
    if tls.ca.is_none() && identity.is_none() {
        let mut config = system_tls()?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        return Ok(builder.tls_backend_preconfigured(config));
    }
    if let Some(identity) = identity {
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

/// TLS with the roots that the system trusts. They are read once and shared by all providers that
/// bring nothing of their own: reading them takes longer than all else of a provider.
fn system_tls() -> Result<ClientConfig, String> {
    static SYSTEM: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(config) = SYSTEM.get() {
        return Ok(config.clone());
    }
    let unusable = |error: rustls::Error| {
        format!("the certificates that this system trusts: {error}; install ca-certificates")
    };
    let provider = CryptoProvider::get_default().ok_or("TLS has no cryptography")?;
    let verifier = Verifier::new(Arc::clone(provider)).map_err(unusable)?;
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(SYSTEM.get_or_init(|| config).clone())
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
    // reqwest would repeat the contents of what it cannot read
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
        return Err("base_url: must not contain ? or #".to_owned());
    }
    Ok(url)
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
