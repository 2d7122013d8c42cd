//! `tributary operators`.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use sqlx::PgPool;

use super::database::{Database, Login};
use super::keys::{from_now, period};
use super::table::{self, Column, Output, OutputArgs, time, words};
use super::{CommandResult, Common};
use crate::console;
use crate::store::operators::{self, NewOperator, Operator};
use tributary_domain::{ApiKeyDigest, KeyName, Role};

/// For how long a link opens a session.
const LINK_LASTS: Duration = Duration::from_secs(600);

#[derive(Subcommand)]
#[command(after_help = "Examples:
  tributary operators create ann --role viewer       prints the key, and nothing else, on standard output
  tributary operators link ann                       prints a link that signs ann in once, within 10 minutes
  tributary operators revoke ann                     ends every session of ann, on all instances")]
pub enum OperatorsCommand {
    /// Make an operator and print the key to sign in with. It is shown this once: only its digest is kept.
    Create {
        /// Who it is. One valid key has a name.
        name: KeyName,
        /// What they may do.
        #[arg(long, value_parser = role_parser())]
        role: Role,
        /// After how long the key opens nothing any more: 90d. Never, if not given.
        #[arg(long, value_parser = period, value_name = "TIME")]
        expires: Option<Duration>,
    },
    /// List operators, without the secrets of their keys.
    List {
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Print a link that signs an operator in once, within 10 minutes.
    Link {
        /// Whom.
        name: KeyName,
        /// Address at which this machine reaches operators' listener.
        #[arg(
            long,
            env = "TRIBUTARY_OPERATOR_LISTEN",
            default_value = "127.0.0.1:8081",
            value_name = "ADDRESS"
        )]
        operator_listen: SocketAddr,
    },
    /// Revoke the key of an operator. Their sessions and links end with it.
    Revoke {
        /// Whose.
        name: KeyName,
    },
}

fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|name| name.parse())
}

pub async fn run(common: &Common, command: OperatorsCommand) -> CommandResult {
    let database = Database::open_migrated(common, Login::Owner, 2).await?;
    let result = run_on(&database.pool, command).await;
    database.close().await;
    result
}

async fn run_on(pool: &PgPool, command: OperatorsCommand) -> CommandResult {
    match command {
        OperatorsCommand::Create { name, role, expires } => {
            println!("{}", create(pool, &name, role, expires.map(from_now)).await?);
        }
        OperatorsCommand::List { form } => {
            let operators = operators::list(pool).await?;
            match form.output {
                Output::Json => table::json(&operators.iter().map(described).collect::<Vec<_>>()),
                Output::Table => table::print(&OPERATORS, operators.iter().map(row)),
            }
        }
        OperatorsCommand::Link { name, operator_listen } => {
            println!("{}", link(pool, &name, operator_listen).await?);
        }
        OperatorsCommand::Revoke { name } => {
            if !operators::revoke(pool, &name).await? {
                return Err(no_such(&name).into());
            }
        }
    }
    Ok(())
}

type Error = Box<dyn std::error::Error + Send + Sync>;

fn no_such(name: &KeyName) -> String {
    format!("there is no operator {name} with a valid key; `tributary operators list` shows who there is")
}

/// Makes an operator; gives the text of the key.
pub async fn create(
    pool: &PgPool,
    name: &KeyName,
    role: Role,
    expires_at: Option<DateTime<Utc>>,
) -> Result<String, Error> {
    let (id, key) = console::new_operator_key();
    let digest = ApiKeyDigest::of(&key);
    if operators::create(pool, NewOperator { id, name, role, digest: &digest, expires_at }).await? {
        return Ok(key);
    }
    Err(format!(
        "there is an operator {name}: take another name, or first `tributary operators revoke {name}`"
    )
    .into())
}

/// Makes a link that signs the operator in once, at the operators' address of a server.
pub async fn link(pool: &PgPool, name: &KeyName, address: SocketAddr) -> Result<String, Error> {
    let token = console::new_link();
    if operators::make_link(pool, &ApiKeyDigest::of(&token), name, LINK_LASTS).await? {
        return Ok(format!("http://{address}{}", console::link_path(&token)));
    }
    Err(no_such(name).into())
}

const OPERATORS: [Column; 6] = [
    words("NAME"),
    words("ROLE"),
    words("CREATED"),
    words("LAST SIGNED IN"),
    words("EXPIRES"),
    words("STATE"),
];

fn row(operator: &Operator) -> [String; 6] {
    let at = |moment: Option<DateTime<Utc>>| moment.map(time).unwrap_or_default();
    [
        operator.name.clone(),
        operator.role.clone(),
        time(operator.created_at),
        at(operator.last_used_at),
        at(operator.expires_at),
        operator.state().to_owned(),
    ]
}

/// All of an operator but the digest.
fn described(operator: &Operator) -> serde_json::Value {
    json!({"id": operator.id, "name": operator.name, "role": operator.role, "created_at": operator.created_at,
        "last_used_at": operator.last_used_at, "expires_at": operator.expires_at,
        "revoked_at": operator.revoked_at, "state": operator.state()})
}
