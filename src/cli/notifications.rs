//! `tributary notifications`.

use clap::Args;

use super::database::Login;
use super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::way::{At, Way};
use super::{CommandResult, Common};
use crate::store::notifications::Notification;
use crate::verbs::notifications;
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary notifications                  what waited for a person, and whether that could be told
  tributary notifications --output json

`serve` tells the address of TRIBUTARY_NOTIFY_URL, signed with TRIBUTARY_NOTIFY_SECRET (docs/operations.md).")]
pub struct NotificationsArgs {
    /// Only those of this provider.
    #[arg(long)]
    provider: Option<ProviderName>,
    /// How many at most, newest first.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

const NOTIFICATIONS: [Column; 7] = [
    words("BEGUN"),
    words("KIND"),
    words("PROVIDER"),
    words("WHAT"),
    words("ENDED"),
    numbers("ATTEMPTS"),
    words("TOLD"),
];

pub async fn run(common: &Common, args: NotificationsArgs) -> CommandResult {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let list = notifications::List { provider: args.provider, limit: Some(args.limit) };
    let listed = way.perform_and_close(&list).await?;
    match args.form.output {
        Output::Json => table::json(&listed),
        Output::Table => table::print(&NOTIFICATIONS, listed.iter().map(row)),
    }
    Ok(())
}

fn row(told: &Notification) -> [String; 7] {
    [
        time(told.begun_at),
        told.kind.clone(),
        told.provider.clone(),
        told.subject.clone(),
        told.ended_at.map_or_else(|| "-".to_owned(), time),
        told.attempts.to_string(),
        state(told),
    ]
}

fn state(told: &Notification) -> String {
    let error = told.last_error.as_deref().unwrap_or("not sent");
    match (told.delivered_at, told.next_at) {
        (Some(at), _) => time(at),
        (None, Some(next)) => format!("{error}; again at {}", time(next)),
        (None, None) => format!("no: {error}"),
    }
}
