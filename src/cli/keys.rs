//! `tributary keys`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::database::{Database, Login};
use super::table::{self, Column, Output, OutputArgs, time, words};
use super::{CommandResult, Common};
use crate::config;
use crate::http::new_api_key;
use crate::store;
use crate::store::api_keys::{self, ApiKey, NewKey};
use tributary_domain::{ApiKeyDigest, KeyName, ProviderName, Scope};
use tributary_manifest::Period;

#[derive(Subcommand)]
#[command(after_help = "Examples:
  tributary keys create --provider acme --name formance --scope connector   prints the key, and nothing else, on standard output
  tributary keys rotate formance --overlap 24h                              prints its successor; it goes on for a day itself")]
pub enum KeysCommand {
    /// Make an API key and print it. It is shown this once: only its digest is kept.
    Create {
        /// The provider that the API key is for.
        #[arg(long)]
        provider: ProviderName,
        /// What it is called: who has it, or what for. One valid key of a provider has a name.
        #[arg(long)]
        name: KeyName,
        /// What the key may do: connector is read and pay.
        #[arg(long, value_parser = scope_parser())]
        scope: Scope,
        /// After how long it opens nothing any more: 90d. Never, if not given.
        #[arg(long, value_parser = period, value_name = "TIME")]
        expires: Option<Duration>,
    },
    /// List API keys, without their secrets.
    List {
        /// Only the API keys of this provider.
        #[arg(long)]
        provider: Option<ProviderName>,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Make a successor of a key, with its name and scope, and print it. The key goes on for a while.
    Rotate {
        /// The key's name.
        name: KeyName,
        /// Its provider, where several have a key of this name.
        #[arg(long)]
        provider: Option<ProviderName>,
        /// For how long both open the same.
        #[arg(long, value_parser = period, default_value = "24h", value_name = "TIME")]
        overlap: Duration,
        /// After how long the successor expires; if not given, it lasts as long as the key was made for.
        #[arg(long, value_parser = period, value_name = "TIME")]
        expires: Option<Duration>,
    },
    /// Revoke a key, and with its name all that it replaced. It opens nothing from then on.
    Revoke {
        /// The key's name or its id, as `keys list` shows them.
        key: String,
        /// Its provider, where several have a key of this name.
        #[arg(long)]
        provider: Option<ProviderName>,
    },
}

fn scope_parser() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|name| name.parse())
}

pub fn period(text: &str) -> Result<Duration, String> {
    Ok(Period::try_from(text.to_owned())?.as_duration())
}

pub async fn run(common: &Common, command: KeysCommand) -> CommandResult {
    if let KeysCommand::Create { provider, .. } = &command {
        require_provider(common, provider)?;
    }
    let database = Database::open_migrated(common, Login::Owner, 2).await?;
    let result = run_on(&database.pool, command).await;
    database.close().await;
    result
}

fn require_provider(common: &Common, provider: &ProviderName) -> CommandResult {
    let providers = config::load_providers(&common.providers, &config::environment)?;
    if providers.iter().any(|declared| declared.name == *provider) {
        return Ok(());
    }
    let folder = common.providers.display();
    Err(format!(
        "no file in {folder} declares the provider {provider}: write {folder}/{provider}.yaml with the two lines \
         `provider: {provider}` and `push: all`, or name another folder with --providers"
    )
    .into())
}

async fn run_on(pool: &PgPool, command: KeysCommand) -> CommandResult {
    match command {
        KeysCommand::Create { provider, name, scope, expires } => {
            println!("{}", create(pool, &provider, &name, scope, expires.map(from_now)).await?);
        }
        KeysCommand::List { provider, form } => {
            let keys = api_keys::list(pool, provider.as_ref()).await?;
            match form.output {
                Output::Json => table::json(&keys.iter().map(described).collect::<Vec<_>>()),
                Output::Table => table::print(&KEYS, keys.iter().map(row)),
            }
        }
        KeysCommand::Rotate { name, provider, overlap, expires } => {
            let provider = provider_of(pool, &name, provider).await?;
            println!("{}", rotate(pool, &provider, &name, overlap, expires).await?);
        }
        KeysCommand::Revoke { key, provider } => revoke(pool, &key, provider).await?,
    }
    Ok(())
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes a key and gives its secret text.
pub async fn create(
    pool: &PgPool,
    provider: &ProviderName,
    name: &KeyName,
    scope: Scope,
    expires_at: Option<DateTime<Utc>>,
) -> Result<String, Error> {
    let (id, key) = new_api_key();
    let digest = ApiKeyDigest::of(&key);
    let new = NewKey { id, provider, name, scope, digest: &digest, expires_at };
    let mut connection = pool.acquire().await?;
    if !api_keys::create(&mut connection, new).await? {
        return Err(format!(
            "there is a key of {provider} that is called {name}: take another name, or `tributary keys rotate {name}`"
        )
        .into());
    }
    Ok(key)
}

async fn rotate(
    pool: &PgPool,
    provider: &ProviderName,
    name: &KeyName,
    overlap: Duration,
    expires: Option<Duration>,
) -> Result<String, Error> {
    let mut transaction = store::begin(pool).await?;
    let old = api_keys::lock_named(&mut transaction, provider, name).await?;
    let old = old.ok_or_else(|| no_such_key(name.as_str()))?;
    let same = old.expires_at.and_then(|end| Utc::now().checked_add_signed(end - old.created_at));
    let (id, key) = new_api_key();
    let digest = ApiKeyDigest::of(&key);
    let expires_at = expires.map(from_now).or(same);
    let new = NewKey { id, provider, name, scope: old.scope.parse()?, digest: &digest, expires_at };
    api_keys::replace(&mut transaction, old.id, id, overlap).await?;
    api_keys::create(&mut transaction, new).await?;
    transaction.commit().await?;
    Ok(key)
}

async fn revoke(pool: &PgPool, key: &str, provider: Option<ProviderName>) -> CommandResult {
    let revoked = match Uuid::try_parse(key) {
        Ok(id) => api_keys::revoke(pool, id).await?,
        Err(_) => {
            let name: KeyName = key.parse()?;
            let provider = provider_of(pool, &name, provider).await?;
            api_keys::revoke_named(pool, &provider, &name).await? > 0
        }
    };
    if revoked { Ok(()) } else { Err(no_such_key(key).into()) }
}

fn no_such_key(key: &str) -> String {
    format!("there is no valid API key {key}; `tributary keys list` shows what there is")
}

/// The provider that has a key called `name`: the one that is `wanted`, or else the only one.
async fn provider_of(
    pool: &PgPool,
    name: &KeyName,
    wanted: Option<ProviderName>,
) -> Result<ProviderName, Error> {
    if let Some(wanted) = wanted {
        return Ok(wanted);
    }
    let keys = api_keys::list(pool, None).await?;
    let named = keys.iter().filter(|key| key.name == name.as_str() && key.revoked_at.is_none());
    let mut providers: Vec<&str> = named.map(|key| key.provider.as_str()).collect();
    providers.dedup();
    match providers[..] {
        [] => Err(no_such_key(name.as_str()).into()),
        [provider] => Ok(provider.parse()?),
        _ => {
            Err(format!("{} have a key called {name}: say which with --provider", providers.join(", "))
                .into())
        }
    }
}

pub fn from_now(time: Duration) -> DateTime<Utc> {
    let time = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
    Utc::now().checked_add_signed(time).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

const KEYS: [Column; 8] = [
    words("ID"),
    words("PROVIDER"),
    words("NAME"),
    words("SCOPE"),
    words("CREATED"),
    words("LAST USED"),
    words("EXPIRES"),
    words("STATE"),
];

fn row(key: &ApiKey) -> [String; 8] {
    let at = |moment: Option<DateTime<Utc>>| moment.map(time).unwrap_or_default();
    [
        key.id.to_string(),
        key.provider.clone(),
        key.name.clone(),
        key.scope.clone(),
        time(key.created_at),
        at(key.last_used_at),
        at(key.expires_at),
        key.state().to_owned(),
    ]
}

/// All of a key but its digest.
fn described(key: &ApiKey) -> serde_json::Value {
    json!({"id": key.id, "provider": key.provider, "name": key.name, "scope": key.scope,
        "created_at": key.created_at, "last_used_at": key.last_used_at, "expires_at": key.expires_at,
        "replaced_by": key.replaced_by, "revoked_at": key.revoked_at, "state": key.state()})
}
