//! `tributary operators`.

use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::database::Login;
use super::keys::period;
use super::table::{self, Column, Output, OutputArgs, time, words};
use super::way::{At, Way};
use super::{CommandResult, Common};
use crate::verbs::Verb as _;
use crate::verbs::operators::{self, ShownOperator, Trusted};
use tributary_domain::{KeyName, OperatorName, Role};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary operators create ann --role viewer       prints the key, and nothing else, on standard output
  tributary operators link ann                       prints a link that signs ann in once, within 10 minutes
  tributary operators revoke ann                     ends every session of ann, on all instances
  tributary operators trust https://login.example/realms/staff --roles viewer,operator
                                                     lets it say who signs in, with one of these roles")]
pub struct OperatorsArgs {
    #[command(subcommand)]
    command: OperatorsCommand,
    #[command(flatten)]
    at: At,
}

#[derive(Subcommand)]
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
        expires: Option<String>,
        #[command(flatten)]
        form: OutputArgs,
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
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Revoke an operator: the key, the links and every session. Whoever signs in by single sign-on stays out.
    Revoke {
        /// Whom, as `list` writes it.
        name: OperatorName,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Let a person sign in again by single sign-on who was revoked. By the owner of the database alone.
    Restore {
        /// Whom, as `list` writes it.
        name: OperatorName,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Trust an OpenID provider to say who signs in at the console, with one of these roles: the database cannot check
    /// that, so that whoever has the login of the service could say it, too. By the owner of the database alone.
    Trust {
        /// Its issuer, to the letter as in TRIBUTARY_OIDC_ISSUER.
        issuer: String,
        /// The roles that it may give, and no others: viewer,operator,approver,admin.
        #[arg(long, required = true, value_delimiter = ',', value_parser = role_parser())]
        roles: Vec<Role>,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Trust an OpenID provider no more: whoever signed in by it is out at once. By the owner of the database alone.
    Distrust {
        /// Its issuer.
        issuer: String,
        #[command(flatten)]
        form: OutputArgs,
    },
}

impl OperatorsCommand {
    /// The name of one that no server does.
    fn for_the_owner(&self) -> Option<&'static str> {
        match self {
            Self::Restore { .. } => Some(operators::Restore::NAME),
            Self::Trust { .. } => Some(operators::Trust::NAME),
            Self::Distrust { .. } => Some(operators::Distrust::NAME),
            Self::Create { .. } | Self::List { .. } | Self::Link { .. } | Self::Revoke { .. } => None,
        }
    }
}

fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|name| name.parse())
}

pub async fn run(common: &Common, args: OperatorsArgs) -> CommandResult {
    if let Some(name) = args.command.for_the_owner() {
        args.at.only_database(name)?;
    }
    let way = Way::open(common, &args.at, Login::Owner).await?;
    let result = run_by(&way, &args.at, args.command).await;
    way.close().await;
    result
}

async fn run_by(way: &Way, at: &At, command: OperatorsCommand) -> CommandResult {
    match command {
        OperatorsCommand::Create { name, role, expires, form } => {
            form.secret(&way.perform(&operators::Create { name, role, expires }).await?);
        }
        OperatorsCommand::List { form } => {
            let operators = way.perform(&operators::List {}).await?;
            match form.output {
                Output::Json => table::json(&operators),
                Output::Table => table::print(&OPERATORS, operators.iter().map(row)),
            }
        }
        OperatorsCommand::Link { name, operator_listen, form } => {
            let link = way.perform(&operators::Link { name }).await?;
            let server = at.server.as_deref().map(|server| server.trim_end_matches('/').to_owned());
            let address = server.unwrap_or_else(|| format!("http://{operator_listen}"));
            form.done(&link, &format!("{address}{}", link.path));
        }
        OperatorsCommand::Revoke { name, form } => {
            form.done(&way.perform(&operators::Revoke { name }).await?, "");
        }
        OperatorsCommand::Restore { name, form } => {
            form.done(&way.perform(&operators::Restore { name }).await?, "");
        }
        OperatorsCommand::Trust { issuer, roles, form } => {
            let trusted = way.perform(&operators::Trust { issuer, roles }).await?;
            form.done(&trusted, &told_of(&trusted));
        }
        OperatorsCommand::Distrust { issuer, form } => {
            form.done(&way.perform(&operators::Distrust { issuer }).await?, "");
        }
    }
    Ok(())
}

const OPERATORS: [Column; 7] = [
    words("NAME"),
    words("ROLE"),
    words("SIGNS IN BY"),
    words("CREATED"),
    words("LAST SIGNED IN"),
    words("EXPIRES"),
    words("STATE"),
];

fn row(operator: &ShownOperator) -> [String; 7] {
    let at = |moment: Option<DateTime<Utc>>| moment.map(time).unwrap_or_default();
    [
        operator.name.clone(),
        operator.role.clone(),
        signs_in_by(operator),
        time(operator.created_at),
        at(operator.last_used_at),
        at(operator.expires_at),
        operator.state.clone(),
    ]
}

/// What is said of approvers who may come to count twice.
fn told_of(trusted: &Trusted) -> String {
    match trusted.approvers_by_key.join(", ") {
        none if none.is_empty() => none,
        names => format!(
            "These approve by keys: {names}. Whoever of them signs in through the provider, too, counts as two persons: \
             revoke their keys (tributary operators revoke NAME)."
        ),
    }
}

/// Their key; or who names them, and how.
fn signs_in_by(operator: &ShownOperator) -> String {
    match (&operator.issuer, &operator.subject) {
        (Some(issuer), Some(subject)) => format!("{issuer} as {subject}"),
        _ => "key".to_owned(),
    }
}
