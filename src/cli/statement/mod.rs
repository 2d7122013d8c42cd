//! `tributary statement …`: statement files of a bank.

mod check;
mod import;
mod list;

use std::process::ExitCode;

use clap::Subcommand;

use super::Common;

#[derive(Subcommand)]
pub enum StatementCommand {
    /// Say what is in statement files and whether they close, without a database.
    Check(check::CheckArgs),
    /// List accounts and statements: what closes, what was put aside, what is missing or late.
    List(list::ListArgs),
    /// List files, and what became of each.
    Files(list::FilesArgs),
    /// Show a statement and the transactions that it tells of.
    Show(list::ShowArgs),
    /// Take statement files of this machine: history of years in one go.
    Import(import::ImportArgs),
}

type Error = Box<dyn std::error::Error + Send + Sync>;

pub async fn run(common: &Common, command: StatementCommand) -> Result<ExitCode, Error> {
    match command {
        StatementCommand::Check(args) => check::run(&args),
        StatementCommand::List(args) => list::list(common, args).await.map(|()| ExitCode::SUCCESS),
        StatementCommand::Files(args) => list::files(common, args).await.map(|()| ExitCode::SUCCESS),
        StatementCommand::Show(args) => list::show(common, args).await.map(|()| ExitCode::SUCCESS),
        StatementCommand::Import(args) => Ok(import::run(common, args).await),
    }
}
