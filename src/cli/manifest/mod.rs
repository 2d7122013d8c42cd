//! `tributary manifest …`: for whoever writes how a provider is connected.

mod check;
mod difference;
mod new;
mod read;
mod replay;
mod seen;
mod trial;
mod validate;

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::Common;
use super::database::{Database, Login};
use super::sync::pulled;
use crate::config;
use crate::sync::DatabaseShared;
use tributary_domain::ProviderName;
use tributary_manifest::{CompiledProvider, Most, PageSink, RunError, RunReport, Selection, Tap};

/// Something is wrong, or differs.
const FAILED: u8 = 1;
/// It could not be tried.
const COULD_NOT_RUN: u8 = 2;

#[derive(Subcommand)]
pub enum ManifestCommand {
    /// Begin a provider file, with everything that it needs and what may be left out.
    New(new::NewArgs),
    /// Check provider files, without any request.
    Validate(validate::ValidateArgs),
    /// Prove that the credentials work: asks once for each stream that stands alone.
    Check(check::CheckArgs),
    /// Read a few pages and show requests, answers and rows. Nothing is stored.
    Read(read::ReadArgs),
    /// Read, and keep the answers, without secrets, to be replayed.
    Record(read::RecordArgs),
    /// Map recorded answers, without any request, and compare the rows with a golden file.
    Replay(replay::ReplayArgs),
    /// Try a row, a filter, a payout or a webhook by hand, without a server.
    #[command(subcommand)]
    Try(trial::TryCommand),
    /// Print the JSON Schema of provider files, by which editors complete and check them.
    Schema {
        /// Print what it describes as a page of Markdown instead: every field and its meaning.
        #[arg(long)]
        reference: bool,
    },
}

type Error = Box<dyn std::error::Error + Send + Sync>;

pub async fn run(common: &Common, command: ManifestCommand) -> ExitCode {
    let result = match command {
        ManifestCommand::New(args) => new::run(common, &args),
        ManifestCommand::Validate(args) => validate::run(common, &args),
        ManifestCommand::Check(args) => check::run(common, &args).await,
        ManifestCommand::Read(args) => read::run(common, &args).await,
        ManifestCommand::Record(args) => read::record(common, &args).await,
        ManifestCommand::Replay(args) => replay::run(common, &args).await,
        ManifestCommand::Try(command) => trial::run(common, command).await,
        ManifestCommand::Schema { reference } => {
            if reference {
                print!("{}", config::reference());
            } else {
                println!("{:#}", config::schema());
            }
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("tributary: {error}");
        ExitCode::from(COULD_NOT_RUN)
    })
}

/// A provider to sample, with what it needs of the database while it is used.
struct Sampled {
    compiled: CompiledProvider,
    database: Option<Database>,
}

/// Reads what `select` names of `provider`, no more than `most` of it, into `sink`.
async fn sample<S: PageSink<Error = Infallible>>(
    common: &Common,
    provider: &ProviderName,
    tap: Arc<dyn Tap>,
    select: impl FnOnce(&CompiledProvider) -> Result<Selection, Error>,
    most: Most,
    sink: &mut S,
) -> Result<RunReport, Error> {
    let sampled = Sampled::open(common, provider, tap).await?;
    let report = match select(&sampled.compiled) {
        Ok(selection) => {
            Ok(sampled.compiled.sample(&selection, most, sink).await.unwrap_or_else(RunError::report))
        }
        Err(error) => Err(error),
    };
    sampled.close().await;
    report
}

impl Sampled {
    /// Connects to `provider` as its file says; `tap` sees what passes. A refresh token that can be
    /// used only once, and budgets, are kept in the database that the service itself uses.
    async fn open(common: &Common, provider: &ProviderName, tap: Arc<dyn Tap>) -> Result<Self, Error> {
        let (manifest, _) = pulled(common, provider)?;
        if !manifest.shares() {
            let compiled = CompiledProvider::new(provider, &manifest)?.tapped(tap);
            return Ok(Self { compiled, database: None });
        }
        let database = Database::open_migrated(common, Login::Service, 2).await?;
        let shared = Arc::new(DatabaseShared::new(database.pool.clone(), provider.clone()));
        let compiled = CompiledProvider::with_shared(provider, &manifest, shared)?.tapped(tap);
        Ok(Self { compiled, database: Some(database) })
    }

    /// Lets a token that is being exchanged be kept, and closes.
    async fn close(self) {
        self.compiled.drained().await;
        if let Some(database) = self.database {
            database.close().await;
        }
    }
}

/// The file that declares `provider`.
fn file_of(common: &Common, provider: &ProviderName) -> PathBuf {
    common.providers.join(format!("{provider}.yaml"))
}
