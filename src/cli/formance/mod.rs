//! `tributary formance`: the other side of the connector, seen from this one.

mod install;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;
use secrecy::SecretString;

use crate::config;
use install::InstallArgs;
use verify::VerifyArgs;

/// The variable that holds the API key of the connector.
const KEY: &str = "TRIBUTARY_CONNECTOR_KEY";

#[derive(Subcommand)]
pub enum FormanceCommand {
    /// Compare what Formance holds with what the feed told it: payments, accounts, balances, initiations.
    Verify(VerifyArgs),
    /// Print the configuration with which Formance's connector is installed, after a check that it works.
    InstallConfig(InstallArgs),
}

/// Runs the command; the exit code says what was found.
pub async fn run(command: FormanceCommand) -> ExitCode {
    match command {
        FormanceCommand::Verify(args) => verify::run(args).await,
        FormanceCommand::InstallConfig(args) => install::run(args).await,
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A variable of the environment that holds a secret; `None` where it is not set, or empty.
fn secret(name: &str) -> Option<SecretString> {
    config::environment(name).filter(|value| !value.is_empty()).map(SecretString::from)
}
