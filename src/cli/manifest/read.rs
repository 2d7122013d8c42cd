//! `tributary manifest read` and `record`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;

use super::seen::Seen;
use super::trial::described;
use super::{Error, FAILED, sample};
use crate::cli::Common;
use crate::cli::table::{Output, OutputArgs};
use tributary_domain::ProviderName;
use tributary_manifest::{CompiledProvider, EachPage, Exchanged, Most, Recorder, Selection, Tap, Wanted};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest read acme                            two pages of every stream
  tributary manifest read acme --stream payments --limit-pages 1 --rows 100
  tributary manifest read acme --answer-chars 100000      answers in full

Shows each request, its answer without secrets, the rows that were made of it, why a row was not mapped, and
from where the walk would go on. Where the API is asked by time, it begins with the newest window (of the last
30 days, if windows have no length); --oldest begins where the first run does. Ends with a table of what was
read. Stores nothing. Exit code: 0 everything could be read and mapped, 1 something could not, 2 it could not be tried.")]
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
    /// Begin with the oldest window, as the first run does.
    #[arg(long)]
    oldest: bool,
    /// `json`: no requests and answers, but one document with what was read.
    #[command(flatten)]
    form: OutputArgs,
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
    /// Begins with the newest of the last `newest`, if that is given.
    fn most(&self, newest: Option<TimeDelta>) -> Most {
        Most { partitions: self.limit_partitions, pages: self.limit_pages, newest }
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

/// Shows nothing of what passes.
struct Silent;

impl Tap for Silent {
    fn exchanged(&self, _: &Exchanged, _: Duration) {}

    fn asked_for_token(&self, _: &str, _: u16) {}
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}... (--answer-chars shows more)", &text[..at]),
        None => text.to_owned(),
    }
}

/// How far back a look goes where windows have no length of their own.
const RECENT: TimeDelta = TimeDelta::days(30);

pub async fn run(common: &Common, args: &ReadArgs) -> Result<ExitCode, Error> {
    let file = described(common, &args.provider)?.node;
    let mut seen = Seen {
        file: &file,
        rows_shown: args.rows,
        oldest: args.oldest,
        output: args.form.output,
        tallies: Vec::new(),
        rows: Vec::new(),
    };
    let tap: Arc<dyn Tap> = match args.form.output {
        Output::Table => Arc::new(Printer { answer_chars: args.answer_chars }),
        Output::Json => Arc::new(Silent),
    };
    let rows = &mut EachPage(|page| seen.take(&page));
    let select = |compiled: &CompiledProvider| args.most.selection(compiled);
    let most = args.most.most((!args.oldest).then_some(RECENT));
    let report = sample(common, &args.provider, tap, select, most, rows).await?;
    seen.print_end(&report);
    let well = report.failures.is_empty() && seen.not_mapped() == 0;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

pub async fn record(common: &Common, args: &RecordArgs) -> Result<ExitCode, Error> {
    let recorder = Arc::new(Recorder::default());
    let tap = Arc::clone(&recorder) as Arc<dyn Tap>;
    let select = |compiled: &CompiledProvider| args.most.selection(compiled);
    let sink = &mut EachPage(|_| {});
    let report = sample(common, &args.provider, tap, select, args.most.most(None), sink).await?;
    let cassette = recorder.cassette(args.provider.as_str());
    std::fs::write(&args.to, serde_json::to_string_pretty(&cassette)? + "\n")
        .map_err(|error| format!("cannot write {}: {error}", args.to.display()))?;
    println!(
        "{} answers are in {}, of {} requests",
        cassette.exchanges.len(),
        args.to.display(),
        report.requests
    );
    for failure in &report.failures {
        println!("not read: {failure}");
    }
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
