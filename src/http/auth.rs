//! API keys, sent as bearer tokens. An API key belongs to one provider and one scope, and only its digest is kept. The
//! key itself says where its digest is, so that comparing is done once, in constant time.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use uuid::Uuid;

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
}

async fn caller(parts: &Parts, state: &SharedState) -> Result<Caller, ApiError> {
    let limits = &state.limits;
    let stranger = || limits.unknown().take().err().unwrap_or(ApiError::Unauthorized);
    let key = bearer(parts).ok_or_else(stranger)?;
    let digest = ApiKeyDigest::of(key);
    if let Some(bucket) = limits.known(&digest) {
        // before the database is asked, so that whoever asks too much costs it nothing
        bucket.take()?;
        return find(key, &digest, state).await?.ok_or_else(|| {
            limits.forget(&digest);
            stranger()
        });
    }
    let turn = limits.lookup_turn().await;
    let caller = find(key, &digest, state).await?.ok_or_else(stranger)?;
    drop(turn);
    let limit = state.providers.get(&caller.provider).map(|served| served.limit).unwrap_or_default();
    limits.learn(&digest, &caller.provider, limit).take()?;
    Ok(caller)
}

/// The API key that the request carries.
fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, key) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// Whose key it is; `None` for one that opens nothing.
async fn find(key: &str, digest: &ApiKeyDigest, state: &SharedState) -> Result<Option<Caller>, ApiError> {
    if let Some(caller) = file_key(state, digest) {
        return Ok(Some(caller));
    }
    let Some(id) = api_key_id(key) else { return Ok(None) };
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
    let missing = || {
        let name = &stored.provider;
        unserved(format!(
            "the provider file of {name} is not loaded: put {name}.yaml back among the provider files, and restart"
        ))
    };
    Ok(Some(Caller { provider: provider.ok_or_else(missing)?, scope }))
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
        for (scope, key) in &served.keys {
            if key.is(digest.as_bytes()) {
                found = Some(Caller { provider: provider.clone(), scope: *scope });
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
}

async fn authorize(parts: &Parts, state: &SharedState, needed: Scope) -> Result<Authorized, ApiError> {
    let caller = caller(parts, state).await?;
    if caller.scope != needed {
        return Err(ApiError::Forbidden(needed.as_str()));
    }
    let served = state.providers.get(&caller.provider).cloned();
    let served = served.ok_or_else(|| unserved(format!("provider {} is not served", caller.provider)))?;
    Ok(Authorized { provider: caller.provider, served })
}

/// A caller with an API key of scope `connector`.
pub struct Connector(pub Authorized);

/// A caller with an API key of scope `ingest`.
pub struct Ingest(pub Authorized);

/// A caller with an API key of scope `admin`.
pub struct Admin(pub Authorized);

impl FromRequestParts<SharedState> for Connector {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, ApiError> {
        authorize(parts, state, Scope::Connector).await.map(Self)
    }
}

impl FromRequestParts<SharedState> for Ingest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, ApiError> {
        authorize(parts, state, Scope::Ingest).await.map(Self)
    }
}

impl FromRequestParts<SharedState> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, ApiError> {
        authorize(parts, state, Scope::Admin).await.map(Self)
    }
}
