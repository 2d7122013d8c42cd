//! `tributary limits`.

use clap::{Args, Subcommand};

use super::database::Login;
use super::table::{self, Column, Output, OutputArgs, time, words};
use super::way::{At, Way};
use super::{CommandResult, Common};
use crate::store::request_log::ClosedLane;
use crate::verbs::limits;
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary limits list
  tributary limits lift acme                                  ask again at once, after the provider said that one may
  tributary limits lift acme --requests records/payments/acc_1   only the requests for one partition of a stream

A provider that answers with Retry-After, or with no requests remaining, closes the requests that
`limits.scope` of its file says: those for a partition of a stream, for a stream, or all that read. Payments and
requests for tokens are closed by themselves.")]
pub struct LimitsArgs {
    #[command(subcommand)]
    command: LimitsCommand,
    #[command(flatten)]
    at: At,
}

#[derive(Subcommand)]
pub enum LimitsCommand {
    /// List the requests that providers want none of for now.
    List {
        /// Only those to this provider.
        #[arg(long)]
        provider: Option<ProviderName>,
        #[command(flatten)]
        form: OutputArgs,
    },
    /// Send requests again before the time that the provider named.
    Lift {
        /// The provider, as its file names it.
        provider: ProviderName,
        /// Only these, as `limits list` shows them; without it, all.
        #[arg(long, value_name = "REQUESTS")]
        requests: Option<String>,
        #[command(flatten)]
        form: OutputArgs,
    },
}

pub async fn run(common: &Common, args: LimitsArgs) -> CommandResult {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let result = match args.command {
        LimitsCommand::List { provider, form } => list(&way, provider, form).await,
        LimitsCommand::Lift { provider, requests, form } => lift(&way, provider, requests, form).await,
    };
    way.close().await;
    result
}

const CLOSED: [Column; 3] = [words("PROVIDER"), words("REQUESTS"), words("UNTIL")];

async fn list(way: &Way, provider: Option<ProviderName>, form: OutputArgs) -> CommandResult {
    let closed = way.perform(&limits::List { provider }).await?;
    let row = |closed: &ClosedLane| [closed.provider.clone(), closed.lane.clone(), time(closed.closed_until)];
    match form.output {
        Output::Json => table::json(&closed),
        Output::Table => table::print(&CLOSED, closed.iter().map(row)),
    }
    Ok(())
}

async fn lift(
    way: &Way,
    provider: ProviderName,
    requests: Option<String>,
    form: OutputArgs,
) -> CommandResult {
    let lift = limits::Lift { provider, requests };
    let opened = way.perform(&lift).await?;
    let said = opened
        .iter()
        .map(|requests| format!("{}: {} are sent again", lift.provider, table::printable(requests)));
    form.done(&opened, &said.collect::<Vec<_>>().join("\n"));
    Ok(())
}
