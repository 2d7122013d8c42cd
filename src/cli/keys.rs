//! `tributary keys`.

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::database::Login;
use super::table::{self, Column, Output, OutputArgs, time, words};
use super::way::{At, Way};
use super::{CommandResult, Common};
use crate::verbs::keys::{self, ShownKey};
use tributary_domain::{KeyName, ProviderName, Scope};
use tributary_manifest::Period;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary keys create --provider acme --name formance --scope connector   prints the key, and nothing else, on standard output
  tributary keys rotate formance --overlap 24h                              prints its successor; it goes on for a day itself")]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
    #[command(flatten)]
    at: At,
}

#[derive(Subcommand)]
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
        expires: Option<String>,
        #[command(flatten)]
        form: OutputArgs,
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
        overlap: String,
        /// After how long the successor expires; if not given, it lasts as long as the key was made for.
        #[arg(long, value_parser = period, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Revoke a key, and with its name all that it replaced. It opens nothing from then on.
    Revoke {
        /// The key's name or its id, as `keys list` shows them.
        key: String,
        /// Its provider, where several have a key of this name.
        #[arg(long)]
        provider: Option<ProviderName>,
        #[command(flatten)]
        form: OutputArgs,
    },
}

fn scope_parser() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|name| name.parse())
}

/// A length of time, checked and left as it was typed.
pub fn period(text: &str) -> Result<String, String> {
    Period::try_from(text.to_owned())?;
    Ok(text.to_owned())
}

pub async fn run(common: &Common, args: KeysArgs) -> CommandResult {
    let way = match args.command {
        KeysCommand::Create { .. } => Way::open_with_files(common, &args.at, Login::Owner).await?,
        _ => Way::open(common, &args.at, Login::Owner).await?,
    };
    let result = run_by(&way, args.command).await;
    way.close().await;
    result
}

async fn run_by(way: &Way, command: KeysCommand) -> CommandResult {
    match command {
        KeysCommand::Create { provider, name, scope, expires, form } => {
            form.secret(&way.perform(&keys::Create { provider, name, scope, expires }).await?);
        }
        KeysCommand::List { provider, form } => {
            let keys = way.perform(&keys::List { provider }).await?;
            match form.output {
                Output::Json => table::json(&keys),
                Output::Table => table::print(&KEYS, keys.iter().map(row)),
            }
        }
        KeysCommand::Rotate { name, provider, overlap, expires, form } => {
            let rotate = keys::Rotate { name, provider, overlap: Some(overlap), expires };
            form.secret(&way.perform(&rotate).await?);
        }
        KeysCommand::Revoke { key, provider, form } => {
            form.done(&way.perform(&keys::Revoke { key, provider }).await?, "");
        }
    }
    Ok(())
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

fn row(key: &ShownKey) -> [String; 8] {
    let at = |moment: Option<DateTime<Utc>>| moment.map(time).unwrap_or_default();
    [
        key.id.to_string(),
        key.provider.clone(),
        key.name.clone(),
        key.scope.clone(),
        time(key.created_at),
        at(key.last_used_at),
        at(key.expires_at),
        key.state.clone(),
    ]
}
