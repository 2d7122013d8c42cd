//! `tributary conformance`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::serve::stop_on_signal;
use tributary_conformance::naive::{self, Defect};
use tributary_conformance::{Options, Progress, Report, Verdict, run as check};
use tributary_manifest::Period;

/// A check found something that loses or stops.
const FAILED: u8 = 1;
/// The check could not be made.
const COULD_NOT_RUN: u8 = 2;

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "tributary conformance [OPTIONS] --api-key <KEY> <URL>
       tributary conformance serve-naive --defect <NAME>",
    after_help = "Examples:
  tributary conformance https://adapter.example.com --api-key \"$CONNECTOR_KEY\"
  tributary conformance http://127.0.0.1:8080 --watch 10m        key: TRIBUTARY_CONFORMANCE_KEY
  tributary conformance http://127.0.0.1:8080 --format json | jq .verdict
  tributary conformance serve-naive --defect late-commit         a wrong server to try it on

It only reads. Exit code: 0 nothing failed, 1 something failed, 2 it could not run."
)]
pub struct ConformanceArgs {
    /// Address of the server, with its path prefix if it has one.
    #[arg(required = true)]
    url: Option<String>,
    /// The API key that Formance would use.
    #[arg(
        long,
        required = true,
        env = "TRIBUTARY_CONFORMANCE_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    api_key: Option<SecretString>,
    /// Go on polling for so long, to see what late and moving rows do: 30s, 10m, 1h.
    #[arg(long, value_name = "TIME", value_parser = length_of_time)]
    watch: Option<Duration>,
    /// The pause between two polls while watching.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = length_of_time)]
    poll_every: Duration,
    /// How the report looks.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Ask for the balances of this account, instead of a sample of all; repeatable.
    #[arg(long, value_name = "ID")]
    account: Vec<String>,
    /// The most rows to read of each list.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = at_least_one_page)]
    max_rows: usize,
    #[command(subcommand)]
    naive: Option<ConformanceCommand>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs; the keys are stable.
    Json,
}

#[derive(Subcommand)]
enum ConformanceCommand {
    /// Serve a few hundred rows wrongly, to see what the check says of it.
    ServeNaive(NaiveArgs),
}

#[derive(Args)]
#[command(after_help = "Example:
  tributary conformance serve-naive --defect moving-rows &
  tributary conformance http://127.0.0.1:8099 --api-key naive")]
struct NaiveArgs {
    /// What is wrong.
    #[arg(long, required_unless_present = "list", value_name = "NAME")]
    defect: Option<Defect>,
    /// List what can be wrong.
    #[arg(long)]
    list: bool,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8099", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The API key that clients have to send.
    #[arg(long, default_value = "naive", value_name = "KEY")]
    api_key: String,
    /// How long a slow page takes (slow-pages).
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = length_of_time)]
    delay: Duration,
}

fn length_of_time(text: &str) -> Result<Duration, String> {
    Period::try_from(text.to_owned()).map(Period::as_duration)
}

fn at_least_one_page(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|rows| *rows >= 100).ok_or_else(|| "it is a number from 100 on".into())
}

/// Runs the command; the exit code says what was found.
pub async fn run(args: ConformanceArgs) -> ExitCode {
    let result = match args.naive {
        Some(ConformanceCommand::ServeNaive(args)) => serve_naive(args).await.map(|()| ExitCode::SUCCESS),
        None => check_and_print(args).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("tributary: {error}");
        ExitCode::from(COULD_NOT_RUN)
    })
}

type CommandError = Box<dyn std::error::Error + Send + Sync>;

async fn check_and_print(args: ConformanceArgs) -> Result<ExitCode, CommandError> {
    let (Some(url), Some(key)) = (args.url, args.api_key) else {
        return Err("a URL and a key are needed".into());
    };
    let options = Options {
        max_rows: args.max_rows,
        watch: args.watch.unwrap_or_default(),
        poll_every: args.poll_every,
        accounts: args.account,
        ..Options::default()
    };
    let shown = CheckShown::new();
    let report = check(&url, key.expose_secret(), &options, &shown).await;
    shown.bar.finish_and_clear();
    let report = report?;
    print(&report, args.format);
    Ok(match report.verdict {
        Verdict::Fail => ExitCode::from(FAILED),
        _ => ExitCode::SUCCESS,
    })
}

fn print(report: &Report, format: Format) {
    let text = match format {
        Format::Table => report.to_table(),
        Format::Json => format!("{:#}\n", report.to_json()),
    };
    print!("{text}");
}

/// Progress on standard error: a line that moves on a terminal, else one line for each part.
struct CheckShown {
    bar: ProgressBar,
    terminal: bool,
}

impl CheckShown {
    fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {elapsed} {pos} requests  {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, terminal }
    }
}

impl Progress for CheckShown {
    fn phase(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        if !self.terminal {
            eprintln!("{what}");
        }
    }

    fn requests(&self, count: u64) {
        self.bar.set_position(count);
    }
}

async fn serve_naive(args: NaiveArgs) -> Result<(), CommandError> {
    let Some(defect) = args.defect.filter(|_| !args.list) else {
        for defect in Defect::ALL {
            println!("{:22} {}", defect.name(), defect.about());
        }
        return Ok(());
    };
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        format!("cannot listen on {}: {error}; choose another with --listen", args.listen)
    })?;
    let address = listener.local_addr()?;
    println!("{}: {}", defect.name(), defect.about());
    println!("try: tributary conformance http://{address} --api-key {}", args.api_key);
    let config = naive::Config { defect, key: args.api_key, delay: args.delay };
    naive::serve(listener, config, stop.cancelled_owned()).await?;
    Ok(())
}
