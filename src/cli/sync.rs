//! `tributary sync` and `tributary runs`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::database::{Database, Login};
use super::progress::{Shown, confirm};
use super::serve::{lease_time, stop_on_signal};
use super::table::{self, Column, Output, OutputArgs, numbers, time, words};
use super::way::{At, Way, typed};
use super::{CommandResult, Common, encryption};
use crate::config::{self, Source};
use crate::statements::Files;
use crate::store::Tally;
use crate::store::leases::Holder;
use crate::store::sync_runs::RunStream;
use crate::sync::{
    Busy, FILES, FileFetcher, FileSource, FilesRun, FilesRunOutcome, Instance, Puller, RunOutcome,
    SyncRequest, Synced, Warned, WarnedOf,
};
use crate::verbs::runs::{self, ShownRun};
use crate::verbs::{self, On, Verb as _};
use tributary_domain::ProviderName;
use tributary_manifest::{CompiledProvider, Manifest};

/// Something could not be read, or the command was stopped.
pub const FAILED: u8 = 1;
/// It could not be tried.
pub const COULD_NOT_RUN: u8 = 2;
/// Another instance is at it.
pub const BUSY: u8 = 3;
/// Everything was read but for what warnings tell.
pub const WARNED: u8 = 4;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary sync acme                       read now what there is, with progress
  tributary sync acme --stream payments     only this stream, with those above it
  tributary sync acme --full --yes          forget the cursors first: read everything that the API goes back to
  tributary sync acme --stream 'statement files'     only the files of a bank, from where its file says

What is read is the API and, where the provider's file has `files.from`, statement files.

Warnings (a partition that was skipped, a status that is not known, ...) are printed at the end; `tributary
runs` shows them later. Exit code: 0 everything was read, 1 something could not be, 2 it could not be tried, 3 another
instance is at it (--no-wait), 4 everything was read, with warnings.")]
pub struct SyncArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// Only this stream, with those above it.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Forget the cursors of the streams first.
    #[arg(long)]
    full: bool,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
    /// If another instance is reading it, exit with code 3 instead of waiting.
    #[arg(long)]
    no_wait: bool,
    /// How long a lease lasts that its instance does not renew: 30s, 5m. Then another takes over.
    #[arg(long, env = "TRIBUTARY_LEASE", default_value = "30s", value_name = "TIME", value_parser = lease_time)]
    lease: Duration,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
#[command(after_help = "Example:
  tributary runs --provider acme --last 5")]
pub struct RunsArgs {
    /// Only the runs of this provider.
    #[arg(long)]
    provider: Option<ProviderName>,
    /// How many runs, the newest first.
    #[arg(long, default_value_t = 20, value_name = "N")]
    last: u32,
    #[command(flatten)]
    form: OutputArgs,
    #[command(flatten)]
    at: At,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The manifest of a provider that is pulled, and what it is compiled to.
pub fn pulled(common: &Common, name: &ProviderName) -> Result<(Manifest, Arc<CompiledProvider>), Error> {
    source_of(&declared(common, name)?)
}

/// The provider of this name, as its file declares it.
pub fn declared(common: &Common, name: &ProviderName) -> Result<config::Provider, Error> {
    let providers = config::load_providers(&common.providers, &config::environment)?;
    let folder = common.providers.display();
    let provider = providers.into_iter().find(|provider| provider.name == *name);
    provider.ok_or_else(|| format!("no file in {folder} declares the provider {name}").into())
}

/// The manifest of a provider that is pulled, and what it is compiled to.
pub fn source_of(provider: &config::Provider) -> Result<(Manifest, Arc<CompiledProvider>), Error> {
    let name = &provider.name;
    match (&provider.source, provider.compiled()) {
        (Source::Pull(manifest), Some(compiled)) => Ok((Manifest::clone(manifest), Arc::clone(compiled))),
        (Source::Push, _) if provider.files.is_some() => {
            Err(format!("{name} is not pulled: its file has `files`, and no API").into())
        }
        (Source::Push, _) => Err(format!("{name} is not pulled: its file says `push: all`").into()),
        (Source::Unset | Source::Pull(_), _) => {
            Err(format!("{name}: {}", provider.warnings.join("; ")).into())
        }
    }
}

/// What pulls `name`, checked to have `stream`.
pub fn puller(
    common: &Common,
    database: &Database,
    name: &ProviderName,
    stream: Option<&str>,
    instance: Instance,
) -> Result<Puller, Error> {
    let provider = declared(common, name)?;
    provider.require_answers()?;
    let (manifest, compiled) = source_of(&provider)?;
    if manifest.refreshes() {
        encryption::require_key(name)?;
    }
    let puller = Puller::new(database.pool.clone(), compiled, instance);
    let streams: Vec<&str> =
        puller.groups().iter().flat_map(|group| &group.streams).map(String::as_str).collect();
    match stream {
        Some(stream) if !streams.contains(&stream) => {
            Err(format!("there is no stream {stream:?}; there are: {}", streams.join(", ")).into())
        }
        _ => Ok(puller),
    }
}

/// Says that another instance is reading a group, and who.
pub fn busy_message(group: &str, holder: &Holder) -> String {
    format!("{group} is being read by {} (its lease ends at {}): waiting", holder.name, time(holder.until))
}

pub async fn run(common: &Common, args: SyncArgs) -> ExitCode {
    match try_run(common, args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tributary: {error}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

async fn try_run(common: &Common, args: SyncArgs) -> Result<ExitCode, Error> {
    let wanted = match args.at.server {
        None => Wanted::of(&declared(common, &args.provider)?, args.stream.as_deref())?,
        Some(_) => Wanted { api: true, files: None },
    };
    let which = args.stream.as_deref().unwrap_or("all streams");
    let question = format!("Forget the cursors of {which} of {} and read everything again?", args.provider);
    if args.full && wanted.api && !confirm(&question, args.yes)? {
        return Ok(ExitCode::from(COULD_NOT_RUN));
    }
    if args.at.server.is_some() {
        return ask(common, args).await;
    }
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let database = Database::open_migrated(common, Login::Service, 4).await?;
    let result = sync(common, &database, (&args, wanted), &stop).await;
    database.close().await;
    result
}

/// What is read of a provider.
struct Wanted {
    /// Whether its API is.
    api: bool,
    /// How statement files are read, and where they are fetched from, if they are.
    files: Option<(Arc<Files>, FileSource)>,
}

impl Wanted {
    /// What `stream` names, or everything.
    fn of(provider: &config::Provider, stream: Option<&str>) -> Result<Self, Error> {
        let files = provider.files.clone().zip(provider.file_source.clone());
        if stream == Some(FILES) && files.is_none() {
            return Err(format!(
                "no statement files of {} are fetched: its file has no `files.from`, or a variable of it is not set",
                provider.name
            )
            .into());
        }
        let files = files.filter(|_| stream.is_none_or(|stream| stream == FILES));
        let api = stream != Some(FILES) && !(files.is_some() && matches!(provider.source, Source::Push));
        if api {
            source_of(provider)?;
        }
        Ok(Self { api, files })
    }
}

/// Has a server read it, in the background.
async fn ask(common: &Common, args: SyncArgs) -> Result<ExitCode, Error> {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let verb = verbs::sync::Sync { provider: args.provider, stream: args.stream, full: args.full };
    let asked = way.perform_and_close(&verb).await?;
    println!("{}: at the next opportunity, {} are read", verb.provider, asked.streams.join(", "));
    Ok(ExitCode::SUCCESS)
}

async fn sync(
    common: &Common,
    database: &Database,
    (args, wanted): (&SyncArgs, Wanted),
    stop: &CancellationToken,
) -> Result<ExitCode, Error> {
    let stream = args.stream.as_deref();
    let instance = Instance::new(args.lease);
    let puller = match wanted.api {
        true => Some(puller(common, database, &args.provider, stream, instance.clone())?),
        false => None,
    };
    let declared = verbs::Declared::new();
    let on = On::to_the_end(&database.pool, &declared);
    verbs::pauses::refuse_if_paused(on, &args.provider).await?;
    let details = serde_json::json!({"stream": stream, "full": args.full});
    verbs::note(on, &typed(), (verbs::sync::Sync::NAME, args.provider.as_str(), details)).await?;
    let mut code = 0;
    if let Some(puller) = &puller {
        code = report(&read_api(puller, args, stop).await?);
    }
    if let Some((files, source)) = wanted.files {
        let pool = database.pool.clone();
        let fetcher = FileFetcher::new(pool, args.provider.clone(), files, source, instance);
        code = worse(code, report_files(fetch_files(&fetcher, args, stop).await?));
    }
    Ok(ExitCode::from(code))
}

/// The exit code that tells of both.
pub fn worse(one: u8, other: u8) -> u8 {
    [FAILED, BUSY, WARNED].into_iter().find(|code| [one, other].contains(code)).unwrap_or(0)
}

async fn read_api(puller: &Puller, args: &SyncArgs, stop: &CancellationToken) -> Result<Synced, Error> {
    puller.register().await?;
    let shown = Shown::new(None);
    let wait = |group: &str, holder: &Holder| shown.say(&busy_message(group, holder));
    let busy = if args.no_wait { Busy::GiveUp } else { Busy::Wait(&wait) };
    let request = SyncRequest { stream: args.stream.as_deref(), forget: args.full, busy };
    let progress = puller.progress();
    let watch = async {
        loop {
            shown.at(progress.records(), &format!("{} requests", progress.requests()));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let synced = tokio::select! {
        synced = puller.sync_now(&request, stop) => synced,
        () = watch => unreachable!("it watches without end"),
    };
    shown.end();
    puller.drained().await;
    Ok(synced?)
}

async fn fetch_files(
    fetcher: &FileFetcher,
    args: &SyncArgs,
    stop: &CancellationToken,
) -> Result<Result<FilesRunOutcome, Holder>, Error> {
    let wait = |group: &str, holder: &Holder| eprintln!("tributary: {}", busy_message(group, holder));
    let busy = if args.no_wait { Busy::GiveUp } else { Busy::Wait(&wait) };
    Ok(fetcher.fetch(&busy, stop).await?)
}

fn report(synced: &Synced) -> u8 {
    match synced {
        Synced::Ran(RunOutcome::Succeeded { tally, quarantined, requests, warned }) => {
            println!("{}; {requests} requests{}", brought(*tally, *quarantined), counted(warned));
            print_warnings(warned);
            if warned.total() == 0 { 0 } else { WARNED }
        }
        Synced::Ran(RunOutcome::Failed { tally, quarantined, error, warned }) => {
            println!("{}{}", brought(*tally, *quarantined), counted(warned));
            print_warnings(warned);
            eprintln!("tributary: {error}");
            FAILED
        }
        Synced::Ran(RunOutcome::Interrupted) => interrupted(),
        Synced::Busy { group, holder } => is_busy(group, holder),
    }
}

fn report_files(fetched: Result<FilesRunOutcome, Holder>) -> u8 {
    let run = match fetched {
        Ok(FilesRunOutcome::Ended(run)) => run,
        Ok(FilesRunOutcome::Nothing | FilesRunOutcome::Interrupted) => return interrupted(),
        Err(holder) => return is_busy(FILES, &holder),
    };
    let FilesRun { files, tally, quarantined, warned, error } = &run;
    println!("{files} statement files taken: {}{}", brought(*tally, *quarantined), counted(warned));
    print_warnings(warned);
    match error {
        Some(error) => {
            eprintln!("tributary: {error}");
            FAILED
        }
        None if warned.total() > 0 => WARNED,
        None => 0,
    }
}

fn interrupted() -> u8 {
    eprintln!("tributary: interrupted; what was committed stands, and the next run goes on from there");
    FAILED
}

fn is_busy(group: &str, holder: &Holder) -> u8 {
    eprintln!(
        "tributary: {group} is being read by {}; its lease ends at {}",
        holder.name,
        time(holder.until)
    );
    BUSY
}

fn brought(tally: Tally, quarantined: u64) -> String {
    let Tally { created, updated, unchanged, of_orders, .. } = tally;
    let unchanged = unchanged - of_orders;
    let orders = if of_orders == 0 { String::new() } else { format!("{of_orders} news of orders, ") };
    format!("{created} created, {updated} updated, {orders}{unchanged} unchanged, {quarantined} quarantined")
}

fn counted(warned: &WarnedOf) -> String {
    match warned.total() {
        0 => String::new(),
        1 => "; 1 warning".to_owned(),
        total => format!("; {total} warnings"),
    }
}

fn print_warnings(warned: &WarnedOf) {
    for (stream, kind, Warned { times, text }) in warned.iter() {
        eprintln!("tributary: warning: {stream}: {}", in_words(kind, *times, text));
    }
}

/// A kind of warning, how often it occurred, and the first of them.
fn in_words(kind: &str, times: impl std::fmt::Display, text: &str) -> String {
    format!("{kind}, {times} times; the first: {text}")
}

/// Lists what ran.
pub async fn runs(common: &Common, args: RunsArgs) -> CommandResult {
    let way = Way::open(common, &args.at, Login::Service).await?;
    let list = runs::List { provider: args.provider, last: Some(args.last) };
    let listed = way.perform_and_close(&list).await?;
    match args.form.output {
        Output::Json => table::json(&listed),
        Output::Table => table::print(&RUNS, listed.iter().flat_map(rows)),
    }
    Ok(())
}

const RUNS: [Column; 12] = [
    words("BEGAN"),
    numbers("SECONDS"),
    words("PROVIDER"),
    words("STREAM"),
    words("STATUS"),
    numbers("REQUESTS"),
    numbers("CREATED"),
    numbers("UPDATED"),
    numbers("UNCHANGED"),
    numbers("QUARANTINED"),
    numbers("WARNINGS"),
    words("WHAT WAS ODD"),
];

/// The run, below it each of its streams, and below that each warning and error.
fn rows(listed: &ShownRun) -> Vec<Vec<String>> {
    let ShownRun { run, streams, what_was_odd } = listed;
    let seconds = run.finished_at.map(|end| (end - run.started_at).as_seconds_f64());
    let seconds = seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"));
    let head =
        [time(run.started_at), seconds, run.provider.clone(), run.stream_group.clone(), run.status.clone()];
    let counts = [run.requests, run.created, run.updated, run.unchanged, run.quarantined, run.warnings];
    let numbers = |counts: [i64; 6]| counts.map(|count| count.to_string());
    let error = |error: &Option<String>| [error.clone().unwrap_or_default()];
    let mut rows = vec![[&head[..], &numbers(counts), &error(&run.error)].concat()];
    for stream in streams {
        let RunStream { requests, created, updated, unchanged, quarantined, warnings, .. } = *stream;
        let head =
            [String::new(), String::new(), String::new(), format!("- {}", stream.stream), String::new()];
        let counts = numbers([requests, created, updated, unchanged, quarantined, warnings]);
        rows.push([&head[..], &counts, &error(&stream.error)].concat());
        for warning in what_was_odd.iter().filter(|warning| warning.stream == stream.stream) {
            let words = format!("warning: {}", in_words(&warning.kind, warning.times, &warning.text));
            rows.push([&vec![String::new(); RUNS.len() - 1][..], &[words]].concat());
        }
    }
    rows
}
