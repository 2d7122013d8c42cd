//! `tributary remap`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::database::{Database, Login};
use super::progress::Shown;
use super::serve::{lease_time, stop_on_signal};
use super::sync::{BUSY, COULD_NOT_RUN, FAILED, WARNED, busy_message, declared, puller, source_of, worse};
use super::table::{OutputArgs, time};
use super::way::{At, Way, typed};
use super::{Common, preview};
use crate::config::{self, Source};
use crate::statements::Files;
use crate::store::leases::Holder;
use crate::sync::{
    Busy, FILES, FilesAgain, Instance, Puller, RemapOutcome, RemapRequest, Remapped, RereadOutcome, Rereader,
};
use crate::verbs::remap::{DryRun, NOTHING_KEPT, Remap};
use crate::verbs::{self, Declared, On, Verb as _};
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary remap acme --stream payments    after a change to its fields, without any request
  tributary remap acme --dry-run            what that would change in what is published; nothing is written
  tributary remap acme --dry-run --file acme-new.yaml    the same of a file that does not run yet

  tributary remap mybank                    bank statement files are read again, with the file as it is now

Records of an API need `keep_raw` in the provider's file, set before they came; statement files are always kept. Of those,
texts of movements are put right, and what was put aside and closes now is published; what would give the same money
another id is refused before anything is written. Exit code as of `tributary sync`.")]
pub struct RemapArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// Only this stream; 'statement files' for the files alone.
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
    let wanted = Wanted::of(&declared(common, &args.provider)?, args.stream.as_deref())?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let database = Database::open_migrated(common, Login::Service, 4).await?;
    let result = remap(common, &database, (&args, wanted), &stop).await;
    database.close().await;
    result
}

/// What is mapped or read again.
struct Wanted {
    /// Whether records of an API are, and whether there is one.
    api: bool,
    has_api: bool,
    /// How statement files are read, if they are.
    files: Option<Arc<Files>>,
}

impl Wanted {
    fn of(provider: &config::Provider, stream: Option<&str>) -> Result<Self, Error> {
        if stream == Some(FILES) && provider.files.is_none() {
            return Err(format!("{}: its file has no `files`", provider.name).into());
        }
        let files = provider.files.clone().filter(|_| stream.is_none_or(|stream| stream == FILES));
        let has_api = !matches!(provider.source, Source::Push);
        let api = stream != Some(FILES) && (has_api || files.is_none());
        if api {
            source_of(provider)?;
        }
        Ok(Self { api, has_api, files })
    }
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
        &format!(
            "{}: {} records are mapped again, and {} statement files read, in the background",
            verb.provider, begun.records, begun.files
        ),
    );
    Ok(ExitCode::SUCCESS)
}

async fn remap(
    common: &Common,
    database: &Database,
    (args, wanted): (&RemapArgs, Wanted),
    stop: &CancellationToken,
) -> Result<ExitCode, Error> {
    let stream = args.stream.as_deref();
    let puller = match wanted.api {
        true => Some(puller(common, database, &args.provider, stream, Instance::new(args.lease))?),
        false => None,
    };
    let (pool, provider) = (database.pool.clone(), args.provider.clone());
    let rereader = wanted.files.map(|files| Rereader { pool, provider, files, pulled: wanted.has_api });
    let records = match &puller {
        Some(puller) => puller.kept(stream).await?,
        None => 0,
    };
    let files = match &rereader {
        Some(rereader) => rereader.kept().await?,
        None => 0,
    };
    if records + files == 0 {
        return Err(NOTHING_KEPT.into());
    }
    let declared = Declared::new();
    let on = On::to_the_end(&database.pool, &declared);
    let verb = Remap { provider: args.provider.clone(), stream: args.stream.clone() };
    verbs::note(on, &typed(), (Remap::NAME, args.provider.as_str(), verb.details())).await?;
    let mut code = 0;
    if let Some(puller) = puller.filter(|_| records > 0) {
        code = map_again(&puller, args, records, stop).await?;
    }
    if let Some(rereader) = rereader.filter(|_| files > 0) {
        code = worse(code, read_again(&rereader, files, stop).await?);
    }
    Ok(ExitCode::from(code))
}

async fn map_again(
    puller: &Puller,
    args: &RemapArgs,
    kept: u64,
    stop: &CancellationToken,
) -> Result<u8, Error> {
    let shown = Shown::new(Some(kept));
    let wait = |group: &str, holder: &Holder| shown.say(&busy_message(group, holder));
    let busy = if args.no_wait { Busy::GiveUp } else { Busy::Wait(&wait) };
    let report = |done: &Remapped| shown.at(done.read, &format!("{} changed", changed(done)));
    let request = RemapRequest { stream: args.stream.as_deref(), busy, report: &report };
    let outcome = puller.remap(&request, stop).await;
    shown.end();
    Ok(match outcome? {
        RemapOutcome::Done(done) => {
            print(&done);
            0
        }
        RemapOutcome::Interrupted(done) => {
            print(&done);
            eprintln!("tributary: interrupted; run it again for the rest");
            FAILED
        }
        RemapOutcome::Busy { group, holder } => {
            let until = time(holder.until);
            eprintln!("tributary: {group} is being read by {}; its lease ends at {until}", holder.name);
            BUSY
        }
    })
}

async fn read_again(rereader: &Rereader, kept: u64, stop: &CancellationToken) -> Result<u8, Error> {
    let shown = Shown::of("files", Some(kept));
    let report = |done: &FilesAgain| {
        shown.at(done.files, &format!("{} updated, {} statements published", done.updated, done.published));
    };
    let outcome = rereader.reread(stop, &report).await;
    shown.end();
    let (done, code) = match outcome? {
        RereadOutcome::Done(done) if done.stays.is_empty() => (done, 0),
        RereadOutcome::Done(done) => (done, WARNED),
        RereadOutcome::Refused(done) => {
            for why in &done.refused {
                eprintln!("tributary: {why}");
            }
            eprintln!(
                "tributary: no statement file was read again, as the same money would get other ids: set `files` of the \
                 provider's file back in what these say"
            );
            return Ok(FAILED);
        }
        RereadOutcome::Interrupted(done) => {
            eprintln!("tributary: interrupted; run it again for the rest");
            (done, FAILED)
        }
    };
    println!("{}", preview::of_files(&done));
    for stays in &done.stays {
        eprintln!("tributary: warning: {stays}");
    }
    Ok(code)
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
