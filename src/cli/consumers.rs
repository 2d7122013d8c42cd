//! `tributary consumers`.

use clap::{Args, Subcommand};

use super::database::Login;
use super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::way::{At, Way};
use super::{CommandResult, Common};
use crate::store::consumers::Consumer;
use crate::verbs::consumers;
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  tributary consumers                          who polls, and how far behind they are
  tributary consumers --output json
  tributary consumers forget acme key:old      one that is not to come back; revoking its key does so as well

A consumer that was silent for two of its periods may be a schedule that Formance has paused: nothing but an update of the
connector's configuration resumes it, with the same content as before:
  fctl payments connectors update-config generic acme.json --connector-id ID"
)]
pub struct ConsumersArgs {
    #[command(subcommand)]
    command: Option<ConsumersCommand>,
    /// Only those of this provider.
    #[arg(long)]
    provider: Option<ProviderName>,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

#[derive(Subcommand)]
enum ConsumersCommand {
    /// Forget a consumer that is not to come back, so that nobody waits for it.
    Forget {
        /// The provider, as its file names it.
        provider: ProviderName,
        /// The key, as the list shows it.
        key: String,
        #[command(flatten)]
        form: OutputArgs,
    },
}

pub async fn run(common: &Common, args: ConsumersArgs) -> CommandResult {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let result = match args.command {
        None => list(&way, args.provider, args.form).await,
        Some(ConsumersCommand::Forget { provider, key, form }) => forget(&way, provider, key, form).await,
    };
    way.close().await;
    result
}

const CONSUMERS: [Column; 9] = [
    words("PROVIDER"),
    words("FEED"),
    words("KEY"),
    words("LAST POLL"),
    numbers("PERIOD"),
    numbers("POSITION"),
    numbers("BEHIND"),
    numbers("FOR"),
    words("STATE"),
];

async fn list(way: &Way, provider: Option<ProviderName>, form: OutputArgs) -> CommandResult {
    let consumers = way.perform(&consumers::List { provider }).await?;
    match form.output {
        Output::Json => table::json(&consumers),
        Output::Table => table::print(&CONSUMERS, consumers.iter().map(row)),
    }
    Ok(())
}

fn row(consumer: &Consumer) -> [String; 9] {
    [
        consumer.provider.clone(),
        consumer.feed.clone(),
        consumer.key.clone(),
        time(consumer.polled_at),
        consumer.period_seconds.map_or_else(|| "-".to_owned(), length),
        consumer.position.to_string(),
        consumer.lag_entries.to_string(),
        if consumer.lag_entries == 0 { "-".to_owned() } else { length(consumer.lag_seconds) },
        consumer.state().to_owned(),
    ]
}

/// A length of time, to the second below two minutes and to the minute above.
fn length(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        _ => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
    }
}

async fn forget(way: &Way, provider: ProviderName, key: String, form: OutputArgs) -> CommandResult {
    let said = format!("{provider}: {} is forgotten until it polls again", table::printable(&key));
    form.done(&way.perform(&consumers::Forget { provider, key }).await?, &said);
    Ok(())
}
