//! Commands: parse, call, print. Nothing here decides anything that another layer could.

#[macro_use]
mod output;

mod audit;
#[cfg(feature = "conformance")]
mod conformance;
mod consumers;
mod database;
#[cfg(feature = "standin")]
mod demo;
mod doctor;
mod encryption;
mod erase;
mod files;
#[cfg(feature = "conformance")]
mod formance;
mod handover;
mod health;
mod keys;
mod limits;
mod manifest;
mod migrate;
mod notifications;
mod notify;
mod openapi;
mod operators;
mod pauses;
mod payouts;
mod preview;
mod progress;
mod quarantine;
mod records;
mod remap;
mod secret;
mod serve;
mod shell;
mod signals;
#[cfg(feature = "standin")]
mod standin;
mod statement;
mod sync;
mod table;
mod way;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use futures::FutureExt as _;

use crate::config;
use crate::telemetry::{self, LogFormat, Traces};

/// Carries accounts, balances, transactions and beneficiaries from any financial service provider
/// through PostgreSQL to Formance's Generic Connector: nothing lost, exactly once, in order.
#[derive(Parser)]
#[command(name = "tributary", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  tributary demo                                        a bank's stand-in, the adapter and an API key to try it with
  tributary serve --listen 127.0.0.1:8080 --providers providers
  tributary manifest new acme                           begin the file that connects a provider
  tributary sync acme                                   read a provider now
  tributary doctor                                      what is wrong, and what to type
  tributary keys create --provider acme --name formance --scope connector
  tributary conformance http://127.0.0.1:8080 --api-key KEY   would Formance lose anything from this server?
  tributary formance verify --url URL                   does Formance hold what it was told?
  tributary migrate                                     before `serve` on a database of your own (DATABASE_URL)";

/// What every command takes. A flag goes before its variable.
#[derive(Args, Clone)]
pub struct Common {
    /// Folder of the private PostgreSQL that runs when DATABASE_URL is not set.
    #[arg(long, global = true, env = "TRIBUTARY_DATA", default_value = "data", value_name = "DIR")]
    pub data: PathBuf,
    /// Folder of the provider files.
    #[arg(long, global = true, env = "TRIBUTARY_PROVIDERS", default_value = "providers", value_name = "DIR")]
    pub providers: PathBuf,
    /// The database; without it, a private PostgreSQL runs in the data folder.
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// What is logged: a level, or with others for some targets: info,tributary=debug.
    #[arg(long, global = true, env = "TRIBUTARY_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// How log lines look [default: pretty on a terminal, else json].
    #[arg(long, global = true, env = "TRIBUTARY_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the connector API and the push API, pull from providers, publish changes.
    Serve(serve::ServeArgs),
    /// Bring the schema of the database up to this build.
    Migrate,
    /// Look after the keys with which tokens and records are encrypted.
    #[command(subcommand)]
    Encryption(encryption::EncryptionCommand),
    /// Make, list and revoke API keys.
    Keys(keys::KeysArgs),
    /// Write, check and try how a provider is connected.
    #[command(subcommand)]
    Manifest(manifest::ManifestCommand),
    /// Read a provider now, with progress.
    Sync(sync::SyncArgs),
    /// Read nothing of a provider until it is resumed; payments go on.
    Pause(pauses::PauseArgs),
    /// Have a provider read again that was paused.
    Resume(pauses::ResumeArgs),
    /// List what was read, when and how it went.
    Runs(sync::RunsArgs),
    /// List who polls, and how far behind they are.
    Consumers(consumers::ConsumersArgs),
    /// List what waited for a person, and whether that could be told.
    Notifications(notifications::NotificationsArgs),
    /// List what providers were asked too much of, and ask for it again.
    Limits(limits::LimitsArgs),
    /// Map the records that were kept once more, after a change to a mapping, without any request.
    Remap(remap::RemapArgs),
    /// List records in quarantine, try them again, discard them.
    Quarantine(quarantine::QuarantineArgs),
    /// Print the story of a record.
    Records(records::RecordsArgs),
    /// List what operators did, and check that the audit of payments is as it was written.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Erase the data of a person; positions, times and amounts stay.
    Erase(erase::EraseArgs),
    /// List payouts and transfers, approve or reject them, and resolve what waits for a person.
    Payouts(payouts::PayoutsArgs),
    #[cfg(feature = "standin")]
    /// Run everything against a stand-in of Starling Bank, with changes flowing.
    Demo(demo::DemoArgs),
    #[cfg(feature = "standin")]
    /// Run a stand-in of a provider's API alone.
    #[command(subcommand)]
    Standin(standin::StandinCommand),
    /// Look into statement files of a bank, and take those of years.
    #[command(subcommand)]
    Statement(statement::StatementCommand),
    /// Say what is wrong, from the files to Formance, and what to type.
    Doctor(doctor::DoctorArgs),
    /// Ask a running server whether it is up; exit code 0 if so.
    Health(health::HealthArgs),
    /// Make, list and revoke the keys of those who look at the console.
    Operators(operators::OperatorsArgs),
    /// Print the OpenAPI description of the API.
    Openapi,
    /// Print what completes these commands in a shell.
    Completions(shell::CompletionsArgs),
    /// Write man pages of all commands into a folder.
    Man(shell::ManArgs),
    #[cfg(feature = "conformance")]
    /// Look at the other side of the connector: compare what Formance holds, and install it.
    #[command(subcommand)]
    Formance(formance::FormanceCommand),
    #[cfg(feature = "conformance")]
    /// Check any server behind Formance's Generic Connector: what would Formance lose?
    Conformance(conformance::ConformanceArgs),
}

/// Every command with its arguments.
pub fn command() -> clap::Command {
    Cli::command()
}

/// What a command fails with: a sentence for the person who typed it.
pub type CommandResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let launch = handover::Launch::capture();
    let ready = files::leave_no_core().and_then(|()| read_env_file());
    if let Err(error) = ready {
        eprintln!("tributary: {error}");
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    let traces = match start_logs(&cli) {
        Ok(traces) => traces,
        Err(error) => {
            eprintln!("tributary: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tributary: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(traced(traces, run_to_the_end(cli, launch))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tributary: {error}");
            ExitCode::FAILURE
        }
    };
    match output::finish() {
        Ok(()) => code,
        Err(error) => {
            eprintln!("tributary: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts logging, and makes ready the traces of those commands whose work others go on with.
fn start_logs(cli: &Cli) -> Result<Option<Traces>, String> {
    let export = match cli.command {
        Command::Serve(_) | Command::Sync(_) => {
            config::traces(&config::environment).map_err(|error| error.to_string())?
        }
        _ => None,
    };
    let traces = export.as_ref().map(Traces::new).transpose()?;
    telemetry::start_logs(&cli.common.log, cli.common.log_format, traces.as_ref())?;
    Ok(traces)
}

/// Exports `traces`, if there are any, while `work` goes on, and what is left of them at its end.
async fn traced<T>(traces: Option<Traces>, work: impl Future<Output = T>) -> T {
    let exporting = traces.map(Traces::start);
    let done = work.await;
    if let Some(exporting) = exporting {
        exporting.finish().await;
    }
    done
}

/// Reads `.env` of the working folder, if there is one; the environment goes before it. Not those of the
/// folders above, which may be other people's.
fn read_env_file() -> Result<(), String> {
    match dotenvy::from_path(".env") {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(format!("cannot read .env of this folder: {error}")),
        // the line is not repeated: it may hold a secret
        Err(_) => {
            Err("a line of .env in this folder cannot be read; write NAME=value, with quotes around a value \
                       that holds blanks"
                .to_owned())
        }
    }
}

/// Runs the command, and stops a private PostgreSQL that it left open, however it ended.
async fn run_to_the_end(
    cli: Cli,
    launch: handover::Launch,
) -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    let ended = AssertUnwindSafe(async {
        tokio::select! {
            ended = run(cli, launch) => ended,
            error = database::until_silent() => Err(error),
        }
    });
    let ended = ended.catch_unwind().await;
    database::close_left_open().await;
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn run(
    cli: Cli,
    launch: handover::Launch,
) -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    let common = cli.common;
    let result = match cli.command {
        Command::Serve(args) => serve::run(&common, args, launch).await,
        Command::Migrate => migrate::run(&common).await,
        Command::Encryption(command) => encryption::run(&common, command).await,
        Command::Keys(args) => keys::run(&common, args).await,
        Command::Manifest(command) => return Ok(manifest::run(&common, command).await),
        Command::Sync(args) => return Ok(sync::run(&common, args).await),
        Command::Pause(args) => pauses::pause(&common, args).await,
        Command::Resume(args) => pauses::resume(&common, args).await,
        Command::Runs(args) => sync::runs(&common, args).await,
        Command::Consumers(args) => consumers::run(&common, args).await,
        Command::Notifications(args) => notifications::run(&common, args).await,
        Command::Limits(args) => limits::run(&common, args).await,
        Command::Remap(args) => return Ok(remap::run(&common, args).await),
        Command::Quarantine(args) => quarantine::run(&common, args).await,
        Command::Records(command) => records::run(&common, command).await,
        Command::Audit(command) => return Ok(audit::run(&common, command).await),
        Command::Erase(args) => erase::run(&common, args).await,
        Command::Payouts(args) => payouts::run(&common, args).await,
        #[cfg(feature = "standin")]
        Command::Demo(args) => demo::run(&common, args).await,
        #[cfg(feature = "standin")]
        Command::Standin(command) => standin::run(command).await,
        Command::Statement(command) => return statement::run(&common, command).await,
        Command::Doctor(args) => return doctor::run(&common, args).await,
        Command::Health(args) => health::run(args).await,
        Command::Operators(args) => operators::run(&common, args).await,
        Command::Openapi => openapi::run(),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
        #[cfg(feature = "conformance")]
        Command::Formance(command) => return Ok(formance::run(command).await),
        #[cfg(feature = "conformance")]
        Command::Conformance(args) => return Ok(conformance::run(args).await),
    };
    result.map(|()| ExitCode::SUCCESS)
}
