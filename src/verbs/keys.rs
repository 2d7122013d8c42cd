//! API keys: who may read, push and pay.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Actor, Failure, On, Verb, begin, commit, from_now, period};
use crate::http::new_api_key;
use crate::store::api_keys::{self, ApiKey, NewKey};
use tributary_domain::{ApiKeyDigest, KeyName, ProviderName, Scope};

/// A key, all but its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownKey {
    pub id: Uuid,
    pub provider: String,
    pub name: String,
    pub scope: String,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub replaced_by: Option<Uuid>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether it opens anything now, in a word.
    pub state: String,
}

impl From<ApiKey> for ShownKey {
    fn from(key: ApiKey) -> Self {
        let state = key.state().to_owned();
        let ApiKey { id, provider, name, scope, created_at, last_used_at, expires_at, .. } = key;
        let (replaced_by, revoked_at) = (key.replaced_by, key.revoked_at);
        Self {
            id,
            provider,
            name,
            scope,
            created_at,
            last_used_at,
            expires_at,
            replaced_by,
            revoked_at,
            state,
        }
    }
}

/// A secret that is shown this once: only its digest is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewSecret {
    pub key: String,
}

/// Lists API keys, without their secrets.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only those of this provider.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
}

impl Verb for List {
    const NAME: &'static str = "keys list";
    type Answer = Vec<ShownKey>;

    async fn run(&self, on: On<'_>, _: &Actor) -> Result<Vec<ShownKey>, Failure> {
        let keys = api_keys::list(on.pool, self.provider.as_ref()).await?;
        Ok(keys.into_iter().map(ShownKey::from).collect())
    }
}

/// Makes an API key.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The provider that it is for.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: ProviderName,
    /// What it is called: who has it, or what for. One valid key of a provider has a name.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub name: KeyName,
    /// What it may do: connector, read, pay, ingest.
    #[schema(value_type = String, pattern = "^(connector|read|pay|ingest)$")]
    pub scope: Scope,
    /// After how long it opens nothing any more: 90d. Never, if not given.
    #[schema(pattern = "^[0-9]{1,4}(s|m|h|d)$")]
    pub expires: Option<String>,
}

impl Verb for Create {
    const NAME: &'static str = "keys create";
    type Answer = NewSecret;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<NewSecret, Failure> {
        let Self { provider, name, scope, expires } = self;
        if !on.declared.contains_key(provider) {
            return Err(Failure::NotFound(format!(
                "no provider file declares the provider {provider}: write {provider}.yaml with the two lines \
                 `provider: {provider}` and `push: all` into the folder of provider files (--providers), and restart \
                 what serves"
            )));
        }
        let expires_at = expires.as_deref().map(period).transpose()?.map(from_now);
        let (id, key) = new_api_key();
        let digest = ApiKeyDigest::of(&key);
        let new = NewKey { id, provider, name, scope: *scope, digest: &digest, expires_at };
        let mut transaction = begin(on, actor).await?;
        if !api_keys::create(&mut transaction, new).await? {
            return Err(Failure::Refused(format!(
                "there is a key of {provider} that is called {name}: take another name, or `tributary keys rotate {name}`"
            )));
        }
        let details = json!({"id": id, "scope": scope.as_str(), "expires_at": expires_at});
        commit(transaction, actor, (Self::NAME, &format!("{provider}/{name}"), details)).await?;
        Ok(NewSecret { key })
    }

    fn secret(new: &NewSecret) -> Option<&str> {
        Some(&new.key)
    }
}

/// Makes a successor of a key, with its name and scope. The key goes on for a while.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// The key's name.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub name: KeyName,
    /// Its provider, where several have a key of this name.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
    /// For how long both open the same: 24h, if not given.
    #[schema(pattern = "^[0-9]{1,4}(s|m|h|d)$")]
    pub overlap: Option<String>,
    /// After how long the successor expires; if not given, it lasts as long as the key was made for.
    #[schema(pattern = "^[0-9]{1,4}(s|m|h|d)$")]
    pub expires: Option<String>,
}

impl Verb for Rotate {
    const NAME: &'static str = "keys rotate";
    type Answer = NewSecret;

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<NewSecret, Failure> {
        let name = &self.name;
        let provider = &provider_of(on, name, self.provider.as_ref()).await?;
        let overlap = period(self.overlap.as_deref().unwrap_or("24h"))?;
        let expires = self.expires.as_deref().map(period).transpose()?.map(from_now);
        let mut transaction = begin(on, actor).await?;
        let old = api_keys::lock_named(&mut transaction, provider, name).await?;
        let old = old.ok_or_else(|| no_such_key(name.as_str()))?;
        let same = old.expires_at.and_then(|end| Utc::now().checked_add_signed(end - old.created_at));
        let (id, key) = new_api_key();
        let digest = ApiKeyDigest::of(&key);
        let scope = old.scope.parse().map_err(Failure::Refused)?;
        let new = NewKey { id, provider, name, scope, digest: &digest, expires_at: expires.or(same) };
        api_keys::replace(&mut transaction, old.id, id, overlap).await?;
        api_keys::create(&mut transaction, new).await?;
        let details = json!({"id": id, "replaces": old.id, "overlap_seconds": overlap.as_secs()});
        commit(transaction, actor, (Self::NAME, &format!("{provider}/{name}"), details)).await?;
        Ok(NewSecret { key })
    }

    fn secret(new: &NewSecret) -> Option<&str> {
        Some(&new.key)
    }
}

/// Revokes a key, and with its name all that it replaced. It opens nothing from then on.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The key's name or its id.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub key: String,
    /// Its provider, where several have a key of this name.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    pub provider: Option<ProviderName>,
}

impl Verb for Revoke {
    const NAME: &'static str = "keys revoke";
    type Answer = ();

    async fn run(&self, on: On<'_>, actor: &Actor) -> Result<(), Failure> {
        let key = &self.key;
        let mut transaction;
        let (revoked, subject) = match Uuid::try_parse(key) {
            Ok(id) => {
                transaction = begin(on, actor).await?;
                (api_keys::revoke(&mut *transaction, id).await?, id.to_string())
            }
            Err(_) => {
                let name: KeyName = key.parse().map_err(Failure::Invalid)?;
                let provider = provider_of(on, &name, self.provider.as_ref()).await?;
                transaction = begin(on, actor).await?;
                let revoked = api_keys::revoke_named(&mut *transaction, &provider, &name).await?;
                (revoked > 0, format!("{provider}/{name}"))
            }
        };
        if !revoked {
            return Err(no_such_key(key));
        }
        commit(transaction, actor, (Self::NAME, &subject, json!({}))).await
    }
}

fn no_such_key(key: &str) -> Failure {
    Failure::NotFound(format!("there is no valid API key {key}; `tributary keys list` shows what there is"))
}

/// The provider that has a key called `name`: the one that is `wanted`, or else the only one.
async fn provider_of(
    on: On<'_>,
    name: &KeyName,
    wanted: Option<&ProviderName>,
) -> Result<ProviderName, Failure> {
    if let Some(wanted) = wanted {
        return Ok(wanted.clone());
    }
    let keys = api_keys::list(on.pool, None).await?;
    let named = keys.iter().filter(|key| key.name == name.as_str() && key.revoked_at.is_none());
    let mut providers: Vec<&str> = named.map(|key| key.provider.as_str()).collect();
    providers.dedup();
    match providers[..] {
        [] => Err(no_such_key(name.as_str())),
        [provider] => provider.parse().map_err(Failure::Refused),
        _ => Err(Failure::Refused(format!(
            "{} have a key called {name}: say which with --provider",
            providers.join(", ")
        ))),
    }
}
