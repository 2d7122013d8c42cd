//! `tributary keys`.

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use uuid::Uuid;

use super::database::{Database, Login};
use super::table::{self, Column, Output, OutputArgs, time, words};
use super::{CommandResult, Common};
use crate::config;
use crate::http::new_api_key;
use crate::store::api_keys::{self, ApiKey};
use tributary_domain::{ApiKeyDigest, ProviderName, Scope};

#[derive(Subcommand)]
#[command(after_help = "Example:
  tributary keys create --provider acme --scope connector   prints the API key, and nothing else, on standard output")]
pub enum KeysCommand {
    /// Make an API key and print it. It is shown this once: only its digest is kept.
    Create {
        /// The provider that the API key is for.
        #[arg(long)]
        provider: ProviderName,
        /// What the API key may do.
        #[arg(long, value_parser = scope_parser())]
        scope: Scope,
    },
    /// List API keys, without their secrets.
    List {
        /// Only the API keys of this provider.
        #[arg(long)]
        provider: Option<ProviderName>,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Revoke an API key. It opens nothing from then on.
    Revoke {
        /// The key's id, as `keys list` shows it.
        id: Uuid,
    },
}

fn scope_parser() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|name| name.parse())
}

pub async fn run(common: &Common, command: KeysCommand) -> CommandResult {
    if let KeysCommand::Create { provider, .. } = &command {
        require_provider(common, provider)?;
    }
    let database = Database::open_migrated(common, Login::Owner, 2).await?;
    let result = run_on(&database, command).await;
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
         `provider: {provider}` and `source: push`, or name another folder with --providers"
    )
    .into())
}

async fn run_on(database: &Database, command: KeysCommand) -> CommandResult {
    match command {
        KeysCommand::Create { provider, scope } => {
            let (id, key) = new_api_key();
            let digest = ApiKeyDigest::of(&key);
            api_keys::create(&database.pool, id, &provider, scope.as_str(), digest.as_bytes()).await?;
            println!("{key}");
        }
        KeysCommand::List { provider, form } => {
            let keys = api_keys::list(&database.pool, provider.as_ref()).await?;
            match form.output {
                Output::Json => table::json(&keys.iter().map(described).collect::<Vec<_>>()),
                Output::Table => table::print(&KEYS, keys.iter().map(row)),
            }
        }
        KeysCommand::Revoke { id } => {
            if !api_keys::revoke(&database.pool, id).await? {
                return Err(format!(
                    "there is no valid API key {id}; `tributary keys list` shows what there is"
                )
                .into());
            }
        }
    }
    Ok(())
}

const KEYS: [Column; 5] =
    [words("ID"), words("PROVIDER"), words("SCOPE"), words("CREATED"), words("REVOKED")];

fn row(key: &ApiKey) -> [String; 5] {
    let revoked = key.revoked_at.map(time).unwrap_or_default();
    [key.id.to_string(), key.provider.clone(), key.scope.clone(), time(key.created_at), revoked]
}

/// All of a key but its digest.
fn described(key: &ApiKey) -> serde_json::Value {
    json!({"id": key.id, "provider": key.provider, "scope": key.scope, "created_at": key.created_at,
        "revoked_at": key.revoked_at})
}
