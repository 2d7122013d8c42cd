//! `tributary statement import`: files of years, in one go.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::cli::Common;
use crate::cli::database::{Database, Login};
use crate::cli::progress::Shown;
use crate::cli::serve::stop_on_signal;
use crate::cli::sync::{COULD_NOT_RUN, FAILED, WARNED, declared};
use crate::cli::table::{self, Column, Output, OutputArgs, numbers, words};
use crate::cli::way::typed;
use crate::config::Source;
use crate::sync::{Imported, ImportedAccount, Importer, files_in};
use crate::verbs::{self, Declared, On};
use tributary_domain::ProviderName;

/// As the table of verbs has it.
const NAME: &str = "statement import";

#[derive(Args)]
#[command(after_help = "Examples:
  tributary statement import mybank history                     all files in a folder and below, sorted by name
  tributary statement import mybank 2016 2017 --name '*.xml'
  tributary statement import mybank history --output json > imported.json

What is taken is marked as history. Bytes that were taken before are known, whatever the file was called: what was stopped
or could not be read is imported again with the same command.
Exit code: 0 all files were taken, 1 one could not be read or it was stopped, 2 it could not be tried, 4 all files were
taken, with statements that were put aside or warnings.")]
pub struct ImportArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// Files, and folders with all that is in them and below, sorted by name.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Of folders, only files whose names are of this form, with `*` for any part; may be given several times.
    #[arg(long = "name", value_name = "PATTERN")]
    names: Vec<String>,
    #[command(flatten)]
    form: OutputArgs,
}

pub async fn run(common: &Common, args: ImportArgs) -> ExitCode {
    match try_run(common, args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tributary: {error}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

async fn try_run(common: &Common, args: ImportArgs) -> Result<ExitCode, Error> {
    let provider = declared(common, &args.provider)?;
    provider.require_answers()?;
    let Some(files) = provider.files.clone() else {
        return Err(format!(
            "{}: its file has no `files`, which says how statements are read",
            provider.name
        )
        .into());
    };
    let paths = files_in(&args.paths, &args.names)?;
    if paths.is_empty() {
        return Err("there is no file of these names".into());
    }
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let database = Database::open_migrated(common, Login::Service, 4).await?;
    let (pool, decides) = (database.pool.clone(), matches!(provider.source, Source::Push));
    let importer = Importer { pool, provider: provider.name, files, decides };
    let result = import(&importer, paths, args.form, &stop).await;
    database.close().await;
    result
}

async fn import(
    importer: &Importer,
    paths: Vec<PathBuf>,
    form: OutputArgs,
    stop: &CancellationToken,
) -> Result<ExitCode, Error> {
    let declared = Declared::new();
    let on = On::to_the_end(&importer.pool, &declared);
    let details = json!({"files": paths.len()});
    verbs::note(on, &typed(), (NAME, importer.provider.as_str(), details)).await?;
    let (shown, all, begun) = (Shown::of("entries", None), paths.len(), Instant::now());
    let report = |done: &Imported| {
        let files = done.files + done.known + done.unread.len() as u64;
        let Imported { statements, put_aside, unread, .. } = done;
        let (aside, unread) = (put_aside.len(), unread.len());
        let more = format!(
            "{files} of {all} files, {statements} statements, {aside} put aside, {unread} files not read"
        );
        shown.at(done.entries, &more);
    };
    let (imported, ended) = importer.import(paths, stop, &report).await;
    shown.end();
    let stopped = ended.err().map(|stopped| stopped.to_string());
    match form.output {
        Output::Json => print_json(&imported, begun.elapsed(), stopped.as_deref()),
        Output::Table => print_table(&imported, begun.elapsed()),
    }
    for not in imported.unread.iter().chain(&imported.put_aside) {
        eprintln!("tributary: {}: {}", not.file, not.why);
    }
    for warning in imported.accounts.values().flat_map(|account| &account.warnings) {
        eprintln!("tributary: warning: {warning}");
    }
    if let Some(stopped) = &stopped {
        eprintln!("tributary: {stopped}");
    }
    let warned = imported.accounts.values().any(|account| !account.warnings.is_empty());
    Ok(match (stopped.is_some() || !imported.unread.is_empty(), warned || !imported.put_aside.is_empty()) {
        (true, _) => ExitCode::from(FAILED),
        (false, true) => ExitCode::from(WARNED),
        (false, false) => ExitCode::SUCCESS,
    })
}

fn per_second(imported: &Imported, took: Duration) -> f64 {
    imported.entries as f64 / took.as_secs_f64().max(0.001)
}

fn print_json(imported: &Imported, took: Duration, stopped: Option<&str>) {
    let mut document = json!(imported);
    document["seconds"] = json!(took.as_secs_f64());
    document["entriesPerSecond"] = json!(per_second(imported, took));
    document["stopped"] = json!(stopped);
    table::json(&document);
}

const ACCOUNTS: [Column; 7] = [
    words("ACCOUNT"),
    words("FROM"),
    words("TO"),
    numbers("STATEMENTS"),
    numbers("ENTRIES"),
    numbers("PUT ASIDE"),
    numbers("WAITING"),
];

fn print_table(imported: &Imported, took: Duration) {
    let Imported { files, known, statements, entries, tally, quarantined, bent, .. } = imported;
    if !imported.accounts.is_empty() {
        table::print(&ACCOUNTS, imported.accounts.iter().map(row));
    }
    let bent = if *bent == 0 { String::new() } else { format!(" ({bent} dates were bent to be read)") };
    println!(
        "{files} files taken, {known} known already, {} not read; {statements} statements, {entries} entries{bent}",
        imported.unread.len()
    );
    println!(
        "{} created, {} updated, {} unchanged, {quarantined} quarantined; {:.1} s, {:.0} entries/s",
        tally.created,
        tally.updated,
        tally.unchanged,
        took.as_secs_f64(),
        per_second(imported, took)
    );
}

fn row((name, account): (&String, &ImportedAccount)) -> [String; 7] {
    let day = |day: Option<chrono::NaiveDate>| day.map_or_else(|| "-".to_owned(), |day| day.to_string());
    [
        name.clone(),
        day(account.first_day),
        day(account.last_day),
        account.statements.to_string(),
        account.entries.to_string(),
        account.put_aside.to_string(),
        account.waiting.to_string(),
    ]
}
