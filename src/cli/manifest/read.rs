//! `tributary manifest read` and `record`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{Error, FAILED, sample};
use crate::cli::Common;
use tributary_domain::ProviderName;
use tributary_manifest::{
    CompiledProvider, EachPage, Exchanged, MappedRecord, Most, RecordPage, Recorder, RunReport, Selection,
    Tap, Wanted,
};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest read acme                            two pages of every stream
  tributary manifest read acme --stream payments --limit-pages 1 --rows 100
  tributary manifest read acme --answer-chars 100000      answers in full

Shows each request, its answer without secrets, the rows that were made of it, and from where the
next run would go on. Reads from the beginning and stores nothing. Exit code: 0 everything could be
read and mapped, 1 something could not, 2 it could not be tried.")]
pub struct ReadArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    #[command(flatten)]
    most: MostArgs,
    /// How many of a page's rows are shown.
    #[arg(long, default_value_t = 3, value_name = "N")]
    rows: usize,
    /// How much of an answer is shown, in characters.
    #[arg(long, default_value_t = 800, value_name = "N")]
    answer_chars: usize,
}

#[derive(Args)]
#[command(after_help = "Example:
  tributary manifest record acme --to acme.cassette.json --limit-pages 3

Answers hold what the provider says of its customers: use a test account, or remove personal data. The
secrets of the configuration are not in it.")]
pub struct RecordArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// The file that is written.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    most: MostArgs,
}

/// How much is read.
#[derive(Args)]
struct MostArgs {
    /// Only this stream, with those above it.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// The most pages of each partition.
    #[arg(long, default_value_t = 2, value_name = "N")]
    limit_pages: usize,
    /// The most partitions (accounts, ...) of each stream.
    #[arg(long, default_value_t = 2, value_name = "N")]
    limit_partitions: usize,
}

impl MostArgs {
    fn most(&self) -> Most {
        Most { partitions: self.limit_partitions, pages: self.limit_pages }
    }

    fn selection(&self, compiled: &CompiledProvider) -> Result<Selection, Error> {
        let groups = compiled.groups();
        let names: Vec<&str> = groups.iter().flat_map(|group| &group.streams).map(String::as_str).collect();
        let wanted: Vec<&str> = match &self.stream {
            None => names,
            Some(stream) if names.contains(&stream.as_str()) => vec![stream],
            Some(stream) => {
                return Err(format!("there is no stream {stream:?}; there are: {}", names.join(", ")).into());
            }
        };
        Ok(compiled.select(wanted.into_iter().map(|name| (name.to_owned(), Wanted::Whole))))
    }
}

/// Prints what passes.
struct Printer {
    answer_chars: usize,
}

impl Tap for Printer {
    fn exchanged(&self, exchanged: &Exchanged, took: Duration) {
        let Exchanged { method, url, body, answer, .. } = exchanged;
        println!("\n> {method} {url}");
        if let Some(body) = body {
            println!("> {}", cut(body, self.answer_chars));
        }
        println!("< {} in {} ms, {} bytes", answer.status, took.as_millis(), answer.body.len());
        println!("{}", cut(&answer.body, self.answer_chars));
    }

    fn asked_for_token(&self, url: &str, status: u16) {
        println!("\n> a token of {url}\n< {status}; its answer is not shown");
    }
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}... (--answer-chars shows more)", &text[..at]),
        None => text.to_owned(),
    }
}

/// Prints what is made of `page`, up to `shown` of its rows; gives how many records cannot be mapped.
fn print(page: &RecordPage, shown: usize) -> u64 {
    let partition = if page.partition.is_empty() { String::new() } else { format!(" of {}", page.partition) };
    println!("= {}{partition}: {} {}", page.stream, page.records.len(), page.resource.as_str());
    for record in page.records.iter().take(shown) {
        match record {
            MappedRecord::Canonical(record) => println!("  {}", record.to_json()),
            MappedRecord::Unmappable { origin, reason } => {
                println!("  CANNOT BE MAPPED: {reason}\n    {}", String::from_utf8_lossy(&origin.record));
            }
            MappedRecord::Refused { record, reason } => {
                println!("  REFUSED: {reason}\n    {}", record.to_json())
            }
        }
    }
    if page.records.len() > shown {
        println!("  and {} more (--rows shows more)", page.records.len() - shown);
    }
    for (warning, count) in &page.warnings {
        println!("  warning, {count} times: {warning}");
    }
    if let Some(cursor) = &page.cursor {
        println!("  goes on from {cursor}");
    }
    let refused = |record: &&MappedRecord| !matches!(record, MappedRecord::Canonical(_));
    page.records.iter().filter(refused).count() as u64
}

pub async fn run(common: &Common, args: &ReadArgs) -> Result<ExitCode, Error> {
    let printer = Arc::new(Printer { answer_chars: args.answer_chars });
    let mut unmappable = 0;
    let rows = &mut EachPage(|page| unmappable += print(&page, args.rows));
    let select = |compiled: &CompiledProvider| args.most.selection(compiled);
    let report = sample(common, &args.provider, printer, select, args.most.most(), rows).await?;
    Ok(print_end(&report, unmappable))
}

/// Says how it ended.
fn print_end(report: &RunReport, unmappable: u64) -> ExitCode {
    println!("\n{} requests, {} rows, {unmappable} that cannot be mapped", report.requests, report.records);
    for (warning, count) in &report.warnings {
        println!("warning, {count} times: {warning}");
    }
    for failure in &report.failures {
        println!("not read: {failure}");
    }
    let well = report.failures.is_empty() && unmappable == 0;
    if well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

pub async fn record(common: &Common, args: &RecordArgs) -> Result<ExitCode, Error> {
    let recorder = Arc::new(Recorder::default());
    let tap = Arc::clone(&recorder) as Arc<dyn Tap>;
    let select = |compiled: &CompiledProvider| args.most.selection(compiled);
    let sink = &mut EachPage(|_| {});
    let report = sample(common, &args.provider, tap, select, args.most.most(), sink).await?;
    let cassette = recorder.cassette(args.provider.as_str());
    std::fs::write(&args.to, serde_json::to_string_pretty(&cassette)? + "\n")
        .map_err(|error| format!("cannot write {}: {error}", args.to.display()))?;
    println!("{} answers are in {}", cassette.exchanges.len(), args.to.display());
    Ok(print_end(&report, 0))
}
