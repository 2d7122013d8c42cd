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

use super::limits::KnownKey;
use super::{ApiError, ServedProvider, SharedState};
use crate::feed::KeyPolls;
use crate::store::api_keys;
use crate::store::feed::Opener;
use tributary_domain::{ApiKeyDigest, ProviderName, Scope};

const PREFIX: &str = "trb_";
/// How the names of the keys begin that provider files bring.
const OF_A_FILE: &str = "file:";

/// A new API key: its id, and the secret text, of which only the digest is to be kept.
pub fn new_api_key() -> (Uuid, String) {
    new_key(PREFIX)
}

/// A new key of another kind, whose text begins with `prefix`.
pub fn new_key(prefix: &str) -> (Uuid, String) {
    let id = Uuid::new_v4();
    let mut secret = [0_u8; 32];
    OsRng.try_fill_bytes(&mut secret).expect("the operating system gives random bytes");
    (id, format!("{prefix}{}_{}", id.simple(), URL_SAFE_NO_PAD.encode(secret)))
}

/// The id within an API key that [`new_api_key`] made.
fn api_key_id(key: &str) -> Option<Uuid> {
    id_within(PREFIX, key)
}

/// The id within a key that [`new_key`] made.
pub fn id_within(prefix: &str, key: &str) -> Option<Uuid> {
    let (id, _) = key.strip_prefix(prefix)?.split_once('_')?;
    Uuid::try_parse(id).ok()
}

/// Whose API key it is.
#[derive(Debug, Clone)]
pub struct Caller {
    pub provider: ProviderName,
    pub served: Arc<ServedProvider>,
    pub scope: Scope,
    /// Which key it is: `file:acme/connector` of one that the provider's file brings, `key:NAME` of one
    /// in the database.
    pub key: Arc<str>,
}

/// A key that a request shows.
enum Shown {
    /// One that a provider's file brings.
    InFile(Arc<KnownKey>),
    /// One that the database may have; with what is known of it, if it was valid when it was last looked at.
    InDatabase { id: Uuid, digest: ApiKeyDigest, known: Option<Arc<KnownKey>> },
}

/// The key that the request shows, of whose bucket one request was taken, if it is known.
fn shown(parts: &Parts, state: &SharedState) -> Result<Shown, ApiError> {
    let Some(key) = bearer(parts) else { return Err(stranger(parts, state, "no key", None)) };
    let digest = ApiKeyDigest::of(key);
    let known =
        state.limits.known(&digest).or_else(|| Some(state.limits.learn(&digest, file_key(state, &digest)?)));
    if let Some(known) = &known {
        known.all.take()?;
    }
    match (known, api_key_id(key)) {
        (Some(known), _) if known.caller.is_of_a_file() => Ok(Shown::InFile(known)),
        (known, Some(id)) => Ok(Shown::InDatabase { id, digest, known }),
        (_, None) => Err(stranger(parts, state, "no valid key", None)),
    }
}

impl Caller {
    fn is_of_a_file(&self) -> bool {
        self.key.starts_with(OF_A_FILE)
    }
}

/// Whose key of the database it is, which is asked. Nobody can make the database work for keys that were
/// made up: only as often as the bucket of strangers allows.
async fn look_up(
    parts: &Parts,
    state: &SharedState,
    (id, digest): (Uuid, &ApiKeyDigest),
    known: Option<Arc<KnownKey>>,
) -> Result<Arc<KnownKey>, ApiError> {
    let limits = &state.limits;
    let expected = known.is_some() || limits.was_valid_at_the_start(digest, &state.pool).await?;
    let turn = match expected {
        true => None,
        false => {
            limits.unknown().take()?;
            Some(limits.lookup_turn().await?)
        }
    };
    let found = find(id, digest, state).await?;
    drop(turn);
    let Some(caller) = found else {
        limits.forget(digest);
        state.security.refused(parts, "no valid key", Some(id));
        // of one that was expected nothing was charged yet
        return Err(expected
            .then(|| limits.unknown().take().err())
            .flatten()
            .unwrap_or(ApiError::Unauthorized));
    };
    note_use(id, state);
    if let Some(known) = known.filter(|known| known.caller.is(&caller)) {
        return Ok(known);
    }
    let known = limits.learn(digest, caller);
    known.all.take()?;
    Ok(known)
}

impl Caller {
    /// Whether nothing of it has changed.
    pub fn is(&self, other: &Self) -> bool {
        self.provider == other.provider && self.scope == other.scope && self.key == other.key
    }
}

/// The answer to whoever shows no key of ours.
fn stranger(parts: &Parts, state: &SharedState, why: &str, id: Option<Uuid>) -> ApiError {
    state.security.refused(parts, why, id);
    state.limits.unknown().take().err().unwrap_or(ApiError::Unauthorized)
}

/// The API key that the request carries.
pub fn bearer(parts: &Parts) -> Option<&str> {
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
    let provider = stored.provider.parse().ok();
    let Some((provider, served)) = provider.and_then(|name| state.providers.get_key_value(&name)) else {
        let name = &stored.provider;
        return Err(unserved(format!(
            "the provider file of {name} is not loaded: put {name}.yaml back among the provider files, and restart"
        )));
    };
    let key = format!("key:{}", stored.name).into();
    Ok(Some(Caller { provider: provider.clone(), served: Arc::clone(served), scope, key }))
}

/// Notes that a key of the database was used. Nobody waits for it, and a replica does not take it.
fn note_use(id: Uuid, state: &SharedState) {
    if !state.limits.is_used_anew(id) {
        return;
    }
    let pool = state.pool.clone();
    tokio::spawn(async move {
        if let Err(error) = api_keys::used(&pool, id).await {
            tracing::debug!(%error, "that a key was used could not be noted");
        }
    });
}

/// The answer to whoever has a valid API key for what this instance does not serve. It opens nothing,
/// and is worth asking with again.
fn unserved(why: String) -> ApiError {
    tracing::error!(why, "a request with a valid API key cannot be served");
    ApiError::Unavailable(why)
}

/// Looks at every key, whether one matched already or not. Once for each that is known from then on.
fn file_key(state: &SharedState, digest: &ApiKeyDigest) -> Option<Caller> {
    let mut found = None;
    for (provider, served) in &state.providers {
        for key in &served.keys {
            if key.digest.is(digest.as_bytes()) {
                let (provider, served) = (provider.clone(), Arc::clone(served));
                let name = format!("{OF_A_FILE}{provider}/{}", key.name).into();
                found = Some(Caller { provider, served, scope: key.scope, key: name });
            }
        }
    }
    found
}

async fn authorize(parts: &Parts, state: &SharedState, needed: Scope) -> Result<Caller, ApiError> {
    let known = match shown(parts, state)? {
        Shown::InFile(known) => known,
        Shown::InDatabase { id, digest, known } => look_up(parts, state, (id, &digest), known).await?,
    };
    require(parts, state, &known, needed)?;
    if needed == Scope::Pay {
        known.payments.take()?;
    }
    Ok(known.caller.clone())
}

/// Refuses a key that does not open what is `needed`.
fn require(parts: &Parts, state: &SharedState, known: &KnownKey, needed: Scope) -> Result<(), ApiError> {
    tracing::Span::current().record("key", known.caller.key.as_ref());
    if known.caller.scope.opens(needed) {
        return Ok(());
    }
    state.security.refused(parts, "a key of another scope", None);
    Err(ApiError::Forbidden(needed))
}

/// Who reads a page. A key of the database that is known is proven by the statement that reads the page,
/// so that the page is one statement, and a key that was revoked opens no further one.
pub struct PageReader {
    known: Arc<KnownKey>,
    opener: Option<Opener>,
}

impl PageReader {
    /// Whoever may read, as [`Reader`], but for what [`PageReader::opener`] leaves to be proven.
    pub async fn of(parts: &Parts, state: &SharedState) -> Result<Self, ApiError> {
        let (known, opener) = match shown(parts, state)? {
            Shown::InFile(known) => (known, None),
            Shown::InDatabase { id, digest, known: Some(known) } if known.caller.scope.opens(Scope::Read) => {
                note_use(id, state);
                let scope = known.caller.scope;
                (known, Some(Opener { id, digest, scope }))
            }
            Shown::InDatabase { id, digest, known } => {
                (look_up(parts, state, (id, &digest), known).await?, None)
            }
        };
        require(parts, state, &known, Scope::Read)?;
        Ok(Self { known, opener })
    }

    /// The same caller after its `opener` opened nothing, if its key does after all, as one does whose scope is another
    /// one now.
    pub async fn again(self, parts: &Parts, state: &SharedState) -> Result<Self, ApiError> {
        let Self { known, opener } = self;
        let known = match opener {
            Some(Opener { id, digest, .. }) => look_up(parts, state, (id, &digest), Some(known)).await?,
            None => known,
        };
        require(parts, state, &known, Scope::Read)?;
        Ok(Self { known, opener: None })
    }

    /// Whose key it is, as far as it is proven.
    pub fn caller(&self) -> &Caller {
        &self.known.caller
    }

    /// Where it is noted what the key polls.
    pub fn polls(&self, state: &SharedState) -> &KeyPolls {
        let caller = &self.known.caller;
        self.known.polls.get_or_init(|| state.polls.of(&caller.provider, &caller.key))
    }

    /// What has to open the page that is read.
    pub fn opener(&self) -> Option<&Opener> {
        self.opener.as_ref()
    }
}

/// A caller with a key that opens what needs one scope.
macro_rules! extractor {
    ($name:ident, $scope:expr, $what:literal) => {
        #[doc = $what]
        pub struct $name(pub Caller);

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
