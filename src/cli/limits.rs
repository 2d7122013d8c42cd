//! `tributary limits`.

use clap::Subcommand;

use super::database::{Database, Login};
use super::table::{self, Column, Output, OutputArgs, time, words};
use super::{CommandResult, Common};
use crate::store::request_log::{self, ClosedLane};
use tributary_domain::ProviderName;

#[derive(Subcommand)]
#[command(after_help = "Examples:
  tributary limits list
  tributary limits lift acme                                  ask again at once, after the provider said that one may
  tributary limits lift acme --requests records/payments/acc_1   only the requests for one partition of a stream

A provider that answers with Retry-After, or with no requests remaining, closes the requests that
`limits.scope` of its file says: those for a partition of a stream, for a stream, or all that read. Payments and
requests for tokens are closed by themselves.")]
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
    },
}

pub async fn run(common: &Common, command: LimitsCommand) -> CommandResult {
    let database = Database::open_migrated(common, Login::Service, 2).await?;
    let result = match command {
        LimitsCommand::List { provider, form } => list(&database, provider.as_ref(), form).await,
        LimitsCommand::Lift { provider, requests } => lift(&database, &provider, requests.as_deref()).await,
    };
    database.close().await;
    result
}

const CLOSED: [Column; 3] = [words("PROVIDER"), words("REQUESTS"), words("UNTIL")];

async fn list(database: &Database, provider: Option<&ProviderName>, form: OutputArgs) -> CommandResult {
    let closed = request_log::closed(&database.pool, provider).await?;
    let row = |closed: &ClosedLane| [closed.provider.clone(), closed.lane.clone(), time(closed.closed_until)];
    match form.output {
        Output::Json => table::json(&closed),
        Output::Table => table::print(&CLOSED, closed.iter().map(row)),
    }
    Ok(())
}

async fn lift(database: &Database, provider: &ProviderName, requests: Option<&str>) -> CommandResult {
    let opened = request_log::open(&database.pool, provider, requests).await?;
    if opened.is_empty() {
        return Err(format!(
            "nothing is closed of {provider} that could be lifted; see `tributary limits list`"
        )
        .into());
    }
    for requests in opened {
        println!("{provider}: {} are sent again", table::printable(&requests));
    }
    Ok(())
}
