//! `tributary pause` and `resume`.

use clap::Args;

use super::database::Login;
use super::table::OutputArgs;
use super::way::{At, Way};
use super::{CommandResult, Common};
use crate::verbs::pauses::{Pause, Resume};
use tributary_domain::ProviderName;

/// Which provider, and why.
#[derive(Args)]
#[command(after_help = "Examples:
  tributary pause acme --why \"their API is being moved, until Monday\"
  tributary resume acme

What is being read stops with its page, on every instance, and goes on from there after `resume`. Nothing more is
written meanwhile but what is pushed; payments go on, and `tributary remap` works.")]
pub struct PauseArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// Why, in a few words: whoever looks sees it.
    #[arg(long)]
    why: String,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

/// Which provider.
#[derive(Args)]
#[command(after_help = "Examples:
  tributary resume acme                         what was due meanwhile is read at once")]
pub struct ResumeArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

pub async fn pause(common: &Common, args: PauseArgs) -> CommandResult {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let paused = way.perform_and_close(&Pause { provider: args.provider, why: args.why }).await?;
    let name = &paused.provider;
    args.form
        .done(&paused, &format!("{name} is paused: nothing of it is read until `tributary resume {name}`"));
    Ok(())
}

pub async fn resume(common: &Common, args: ResumeArgs) -> CommandResult {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let paused = way.perform_and_close(&Resume { provider: args.provider }).await?;
    args.form.done(&paused, &format!("{} is read again; what was due meanwhile, at once", paused.provider));
    Ok(())
}
