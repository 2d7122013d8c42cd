//! `tributary statement check`: what is in the statement files of a bank.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::config::{self, Provider};
use crate::statements::{Files, preview, put_aside};
use tributary_statements::{Statement, checks, read};

/// A file does not close, or cannot be read.
const FAILED: u8 = 1;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary statement check statement.xml
  tributary statement check *.sta --provider providers/mybank.yaml --records

Exit code: 0 all would be published, 1 one would be put aside or cannot be read, 2 it could not be tried.")]
pub struct CheckArgs {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The provider file whose `files` says how they are read; CSV needs one.
    #[arg(long, value_name = "FILE")]
    provider: Option<PathBuf>,
    /// Print the transactions that they would become, one a line, as if nothing were there yet.
    #[arg(long)]
    records: bool,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command.
pub fn run(args: &CheckArgs) -> Result<ExitCode, Error> {
    let files = match &args.provider {
        Some(path) => of_provider(path)?,
        None => {
            let usual = Provider::parse("provider: any\nfiles: {}\n", &config::environment)?;
            usual.files.ok_or("the usual settings cannot be read")?
        }
    };
    let (mut all, mut wrong) = (Vec::new(), 0);
    for path in &args.files {
        let bytes =
            std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        match read(&bytes, &files.settings) {
            Ok(statements) => {
                println!("{}", path.display());
                wrong += statements.iter().filter(|statement| !print(statement)).count();
                all.extend(statements);
            }
            Err(error) => {
                wrong += 1;
                println!("{}: {error}", path.display());
            }
        }
    }
    for finding in checks::chain(&all) {
        println!("note: {finding}");
    }
    if args.records {
        for record in preview(&files, &all) {
            println!("{record}");
        }
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn of_provider(path: &Path) -> Result<std::sync::Arc<Files>, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let provider = Provider::parse(&text, &config::environment)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    provider.files.ok_or_else(|| format!("{} has no `files`", path.display()).into())
}

/// Prints a statement; gives whether it would be published.
fn print(statement: &Statement) -> bool {
    let money = |balance: Option<&tributary_statements::Balance>| {
        balance.map_or_else(|| "none".to_owned(), |balance| balance.amount.to_string())
    };
    let day = statement.closing_day().map_or_else(|| "no day".to_owned(), |day| day.to_string());
    let number = statement.number.as_deref().unwrap_or("without a number");
    println!(
        "  {}/{}: statement {number} of {day}, {} entries, opening {}, closing {} (minor units)",
        statement.account.id,
        statement.account.currency,
        statement.entries.len(),
        money(statement.opening()),
        money(statement.closing())
    );
    for warning in &statement.warnings {
        println!("    note: {warning}");
    }
    let findings = put_aside(statement);
    for finding in &findings {
        println!("    put aside: {finding}");
    }
    findings.is_empty()
}
