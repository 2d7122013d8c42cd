//! `tributary manifest try …`: pieces of a provider file, tried by hand and without a server.

mod payout;
mod row;
mod scenario;
mod stand_in;
mod webhook;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

pub use row::with_place;

use super::{Error, file_of};
use crate::cli::Common;
use crate::config::{self, Described};
use crate::workshop;
use tributary_domain::ProviderName;

#[derive(Subcommand)]
pub enum TryCommand {
    /// What a row of a stream becomes.
    Row(row::RowArgs),
    /// What a filter of jq yields, with the functions of the file.
    Filter(row::FilterArgs),
    /// What is sent for a payout, and what is concluded where the provider loses answers, fails, or answers twice.
    Payout(payout::PayoutArgs),
    /// The same for a transfer.
    Transfer(payout::PayoutArgs),
    /// Whether a call of the provider proves itself, and what it has read.
    Webhook(webhook::WebhookArgs),
    /// Answer one request of the service that runs: the process in which it tries files.
    #[command(hide = true)]
    Workshop,
}

pub async fn run(common: &Common, command: TryCommand) -> Result<ExitCode, Error> {
    match command {
        TryCommand::Row(args) => row::run(common, &args),
        TryCommand::Filter(args) => row::filter(common, &args),
        TryCommand::Payout(args) => payout::run(common, tributary_domain::PaymentKind::Payout, &args).await,
        TryCommand::Transfer(args) => {
            payout::run(common, tributary_domain::PaymentKind::Transfer, &args).await
        }
        TryCommand::Webhook(args) => webhook::run(common, &args).await,
        TryCommand::Workshop => Ok(workshop::run_inside().await.map(|()| ExitCode::SUCCESS)?),
    }
}

/// What the file of `provider` says of its API; no variable has to be set.
pub fn described(common: &Common, provider: &ProviderName) -> Result<Described, Error> {
    let path = file_of(common, provider);
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let beside = |name: &str| config::beside(&common.providers, name);
    config::described(&text, &beside).map_err(|why| format!("{}: {why}", path.display()).into())
}

/// The text of `file`, or of standard input where there is none, or where it is `-`.
fn given(file: Option<&Path>) -> Result<Vec<u8>, Error> {
    let file = file.filter(|file| *file != Path::new("-"));
    let Some(file) = file else {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot read standard input: {error}"))?;
        return Ok(bytes);
    };
    std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

/// As [`given`], of a file that holds a text.
fn given_text(file: &Option<PathBuf>) -> Result<String, Error> {
    String::from_utf8(given(file.as_deref())?).map_err(|_| "what is given is no text".into())
}
