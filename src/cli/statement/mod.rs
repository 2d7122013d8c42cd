//! `tributary statement …`: statement files of a bank.

mod check;
mod import;

use std::process::ExitCode;

use clap::Subcommand;

use super::Common;

#[derive(Subcommand)]
pub enum StatementCommand {
    /// Say what is in statement files and whether they close, without a database.
    Check(check::CheckArgs),
    /// Take statement files of this machine: history of years in one go.
    Import(import::ImportArgs),
}

type Error = Box<dyn std::error::Error + Send + Sync>;

pub async fn run(common: &Common, command: StatementCommand) -> Result<ExitCode, Error> {
    match command {
        StatementCommand::Check(args) => check::run(&args),
        StatementCommand::Import(args) => Ok(import::run(common, args).await),
    }
}
