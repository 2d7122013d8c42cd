//! API keys, sent as bearer tokens. An API key belongs to one provider and one scope, and only its digest is kept. The
//! key itself says where its digest is, so that comparing is done once, in constant time.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use uuid::Uuid;

use super::limits::Buckets;
use super::{ApiError, ServedProvider, SharedState};
use crate::store::api_keys;
use tributary_domain::{ApiKeyDigest, ProviderName, Scope};

const PREFIX: &str = "trb_";

/// A new API key: its id, and the secret text, of which only the digest is to be kept.
pub fn new_api_key() -> (Uuid, String) {
    let id = Uuid::new_v4();
    let mut secret = [0_u8; 32];
    OsRng.try_fill_bytes(&mut secret).expect("the operating system gives random bytes");
    (id, format!("{PREFIX}{}_{}", id.simple(), URL_SAFE_NO_PAD.encode(secret)))
}

/// The id within an API key that [`new_api_key`] made.
fn api_key_id(key: &str) -> Option<Uuid> {
    let (id, _) = key.strip_prefix(PREFIX)?.split_once('_')?;
    Uuid::try_parse(id).ok()
}

/// Who calls, as its API key says.
#[derive(Debug, Clone)]
struct Caller {
    provider: ProviderName,
    scope: Scope,
    /// `file:acme/connector`, or `key:NAME` of one in the database.
    key: String,
}

/// Who calls, with the buckets of its key, of which one request was taken. Nobody can make the
/// database work for keys that were made up: only as often as the bucket of strangers allows.
async fn caller(parts: &Parts, state: &SharedState) -> Result<(Caller, Arc<Buckets>), ApiError> {
    let Some(key) = bearer(parts) else { return Err(stranger(parts, state, "no key", None)) };
    let digest = ApiKeyDigest::of(key);
    if let Some(caller) = file_key(state, &digest) {
        let buckets = buckets(state, &digest, &caller);
        buckets.all.take()?;
        return Ok((caller, buckets));
    }
    let Some(id) = api_key_id(key) else { return Err(stranger(parts, state, "no valid key", None)) };
    let limits = &state.limits;
    let known = limits.known(&digest);
    if let Some(buckets) = &known {
        buckets.all.take()?;
    }
    let expected = known.is_some() || limits.was_valid_at_the_start(&digest, &state.pool).await?;
    let turn = match expected {
        true => None,
        false => {
            limits.unknown().take()?;
            Some(limits.lookup_turn().await?)
        }
    };
    let found = find(id, &digest, state).await?;
    drop(turn);
    let Some(caller) = found else {
        limits.forget(&digest);
        state.security.refused(parts, "no valid key", Some(id));
        // of one that was expected nothing was charged yet
        return Err(expected
            .then(|| limits.unknown().take().err())
            .flatten()
            .unwrap_or(ApiError::Unauthorized));
    };
    let buckets = match known {
        Some(buckets) => buckets,
        None => {
            let buckets = buckets(state, &digest, &caller);
            buckets.all.take()?;
            buckets
        }
    };
    Ok((caller, buckets))
}

/// The answer to whoever shows no key of ours.
fn stranger(parts: &Parts, state: &SharedState, why: &str, id: Option<Uuid>) -> ApiError {
    state.security.refused(parts, why, id);
    state.limits.unknown().take().err().unwrap_or(ApiError::Unauthorized)
}

/// The buckets of a valid key.
fn buckets(state: &SharedState, digest: &ApiKeyDigest, caller: &Caller) -> Arc<Buckets> {
    let served = state.providers.get(&caller.provider);
    let limits = served.map(|served| (served.limit, served.payment_limit)).unwrap_or_default();
    state.limits.learn(digest, &caller.provider, limits)
}

/// The API key that the request carries.
fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, key) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// Whose key it is that the database has; `None` for one that opens nothing.
async fn find(id: Uuid, digest: &ApiKeyDigest, state: &SharedState) -> Result<Option<Caller>, ApiError> {
    let stored = api_keys::find_valid(&state.pool, id).await?;
    let Some(stored) = stored.filter(|stored| digest.is(&stored.digest)) else { return Ok(None) };
    // the API key is right, so that a 401 would blame its holder for a trouble of ours, for good
    let Ok(scope) = stored.scope.parse::<Scope>() else {
        return Err(unserved(format!(
            "this release does not know the scope {:?} of this API key",
            stored.scope
        )));
    };
    let provider = stored.provider.parse().ok().filter(|provider| state.providers.contains_key(provider));
    let Some(provider) = provider else {
        let name = &stored.provider;
        return Err(unserved(format!(
            "the provider file of {name} is not loaded: put {name}.yaml back among the provider files, and restart"
        )));
    };
    if state.limits.is_used_anew(id) {
        let pool = state.pool.clone();
        // nobody waits for it, and a replica does not take it
        tokio::spawn(async move {
            if let Err(error) = api_keys::used(&pool, id).await {
                tracing::debug!(%error, "that a key was used could not be noted");
            }
        });
    }
    Ok(Some(Caller { provider, scope, key: format!("key:{}", stored.name) }))
}

/// The answer to whoever has a valid API key for what this instance does not serve. It opens nothing,
/// and is worth asking with again.
fn unserved(why: String) -> ApiError {
    tracing::error!(why, "a request with a valid API key cannot be served");
    ApiError::Unavailable(why)
}

/// Looks at every key, whether one matched already or not.
fn file_key(state: &SharedState, digest: &ApiKeyDigest) -> Option<Caller> {
    let mut found = None;
    for (provider, served) in &state.providers {
        for key in &served.keys {
            if key.digest.is(digest.as_bytes()) {
                let name = format!("file:{provider}/{}", key.name);
                found = Some(Caller { provider: provider.clone(), scope: key.scope, key: name });
            }
        }
    }
    found
}

/// The provider that an API key of one scope is for.
#[derive(Debug, Clone)]
pub struct Authorized {
    pub provider: ProviderName,
    pub served: ServedProvider,
    /// Which key it is: `file:acme/connector` of one that the provider's file brings, `key:NAME` of one
    /// in the database.
    pub key: String,
}

async fn authorize(parts: &Parts, state: &SharedState, needed: Scope) -> Result<Authorized, ApiError> {
    let (caller, buckets) = caller(parts, state).await?;
    tracing::Span::current().record("key", &caller.key);
    if !caller.scope.opens(needed) {
        state.security.refused(parts, "a key of another scope", None);
        return Err(ApiError::Forbidden(needed));
    }
    if needed == Scope::Pay {
        buckets.payments.take()?;
    }
    let served = state.providers.get(&caller.provider).cloned().ok_or(ApiError::Unauthorized)?;
    Ok(Authorized { provider: caller.provider, served, key: caller.key })
}

/// A caller with a key that opens what needs one scope.
macro_rules! extractor {
    ($name:ident, $scope:expr, $what:literal) => {
        #[doc = $what]
        pub struct $name(pub Authorized);

        impl FromRequestParts<SharedState> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, ApiError> {
                authorize(parts, state, $scope).await.map(Self)
            }
        }
    };
}

extractor!(Reader, Scope::Read, "A caller that may read: scope `connector` or `read`.");
extractor!(Orderer, Scope::Pay, "A caller that may order payments: scope `connector` or `pay`.");
extractor!(Ingest, Scope::Ingest, "A caller with a key of scope `ingest`.");
extractor!(Admin, Scope::Admin, "A caller with a key of scope `admin`.");
