//! `tributary remap`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::database::{Database, Login};
use super::progress::Shown;
use super::serve::{lease_time, stop_on_signal};
use super::sync::{BUSY, COULD_NOT_RUN, FAILED, busy_message, pulled, puller};
use super::table::{OutputArgs, time};
use super::way::{At, Way, typed};
use super::{Common, preview};
use crate::store::leases::Holder;
use crate::sync::{Busy, Instance, RemapOutcome, RemapRequest, Remapped};
use crate::verbs::remap::{DryRun, NOTHING_KEPT, Remap};
use crate::verbs::{self, Declared, On, Verb as _};
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary remap acme --stream payments    after a change to its fields, without any request
  tributary remap acme --dry-run            what that would change in what is published; nothing is written
  tributary remap acme --dry-run --file acme-new.yaml    the same of a file that does not run yet

Needs `keep_raw` in the provider's file, set before the records came. Exit code as of `tributary sync`.")]
pub struct RemapArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// Only this stream.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Show what would change, field by field, and what would be in quarantine. Nothing is written.
    #[arg(long)]
    dry_run: bool,
    /// The provider file to try instead of the one that runs. No variable has to be set.
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    file: Option<PathBuf>,
    #[command(flatten)]
    form: OutputArgs,
    /// If another instance is reading it, exit with code 3 instead of waiting.
    #[arg(long)]
    no_wait: bool,
    /// How long a lease lasts that its instance does not renew: 30s, 5m. Then another takes over.
    #[arg(long, env = "TRIBUTARY_LEASE", default_value = "30s", value_name = "TIME", value_parser = lease_time)]
    lease: Duration,
    #[command(flatten)]
    at: At,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

pub async fn run(common: &Common, args: RemapArgs) -> ExitCode {
    match try_run(common, args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tributary: {error}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

async fn try_run(common: &Common, args: RemapArgs) -> Result<ExitCode, Error> {
    if args.dry_run {
        return dry_run(common, &args).await;
    }
    if args.at.server.is_some() {
        return ask(common, &args).await;
    }
    pulled(common, &args.provider)?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let database = Database::open_migrated(common, Login::Service, 4).await?;
    let result = remap(common, &database, &args, &stop).await;
    database.close().await;
    result
}

async fn dry_run(common: &Common, args: &RemapArgs) -> Result<ExitCode, Error> {
    let (file, folder) = preview::given(common, args.file.as_deref())?;
    let way = match file {
        Some(_) => Way::open(common, &args.at, Login::Service).await?,
        None => Way::open_with_texts(common, &args.at, Login::Service).await?,
    };
    let (provider, stream) = (args.provider.clone(), args.stream.clone());
    let previewed = way.perform_and_close(&DryRun { provider, stream, file, folder }).await?;
    preview::print(&previewed, args.form.output);
    Ok(ExitCode::SUCCESS)
}

/// Has a server map them again, in the background.
async fn ask(common: &Common, args: &RemapArgs) -> Result<ExitCode, Error> {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let verb = Remap { provider: args.provider.clone(), stream: args.stream.clone() };
    let begun = way.perform_and_close(&verb).await?;
    args.form.done(
        &begun,
        &format!("{}: {} records are mapped again in the background", verb.provider, begun.records),
    );
    Ok(ExitCode::SUCCESS)
}

async fn remap(
    common: &Common,
    database: &Database,
    args: &RemapArgs,
    stop: &CancellationToken,
) -> Result<ExitCode, Error> {
    let stream = args.stream.as_deref();
    let puller = puller(common, database, &args.provider, stream, Instance::new(args.lease))?;
    let kept = puller.kept(stream).await?;
    if kept == 0 {
        return Err(NOTHING_KEPT.into());
    }
    let declared = Declared::new();
    let on = On::to_the_end(&database.pool, &declared);
    let verb = Remap { provider: args.provider.clone(), stream: args.stream.clone() };
    verbs::note(on, &typed(), (Remap::NAME, args.provider.as_str(), verb.details())).await?;
    let shown = Shown::new(Some(kept));
    let wait = |group: &str, holder: &Holder| shown.say(&busy_message(group, holder));
    let busy = if args.no_wait { Busy::GiveUp } else { Busy::Wait(&wait) };
    let report = |done: &Remapped| shown.at(done.read, &format!("{} changed", changed(done)));
    let outcome = puller.remap(&RemapRequest { stream, busy, report: &report }, stop).await;
    shown.end();
    Ok(match outcome? {
        RemapOutcome::Done(done) => {
            print(&done);
            ExitCode::SUCCESS
        }
        RemapOutcome::Interrupted(done) => {
            print(&done);
            eprintln!("tributary: interrupted; run it again for the rest");
            ExitCode::from(FAILED)
        }
        RemapOutcome::Busy { group, holder } => {
            let until = time(holder.until);
            eprintln!("tributary: {group} is being read by {}; its lease ends at {until}", holder.name);
            ExitCode::from(BUSY)
        }
    })
}

fn changed(done: &Remapped) -> u64 {
    done.tally.created + done.tally.updated
}

fn print(done: &Remapped) {
    println!(
        "{} records mapped: {} created, {} updated, {} unchanged, {} superseded; {} in quarantine, {} freed from it",
        done.read,
        done.tally.created,
        done.tally.updated,
        done.tally.unchanged,
        done.superseded,
        done.quarantined,
        done.freed
    );
}
