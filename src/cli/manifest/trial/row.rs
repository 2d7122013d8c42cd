//! `tributary manifest try row` and `try filter`.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde_json::Value;

use super::super::{Error, FAILED};
use super::{described, given_text};
use crate::cli::Common;
use tributary_domain::ProviderName;
use tributary_manifest::language::{self, Node};
use tributary_manifest::trial::{self, Row};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest try row acme transactions row.json
  curl … | jq '.items[0]' | tributary manifest try row acme transactions
  tributary manifest try row acme balances row.json --parent account.json

The file holds one row, or a list of rows, as the provider sends them. Asks nobody, and no variable has to be
set. Exit code: 0 all of them became records, 1 one did not, 2 it could not be tried.")]
pub struct RowArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// The stream, as its file names it: a resource, or a name below one.
    stream: String,
    /// The row, as JSON; standard input without it.
    file: Option<PathBuf>,
    /// The record of `each` that the row was read for, as JSON.
    #[arg(long, value_name = "FILE")]
    parent: Option<PathBuf>,
    /// When the row was asked for (`$now`); now, if not given.
    #[arg(long, value_name = "TIME")]
    now: Option<DateTime<Utc>>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest try filter acme '.amount | minor_units(\"GBP\")' row.json
  echo '\"2026-03-01 12:00\"' | tributary manifest try filter acme parse_time

Prints each value on a line. Exit code: 0, or 1 where the filter fails.")]
pub struct FilterArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// jq, which can call what the file can.
    filter: String,
    /// What it is tried on, as JSON; standard input without it.
    file: Option<PathBuf>,
}

pub fn run(common: &Common, args: &RowArgs) -> Result<ExitCode, Error> {
    let api = described(common, &args.provider)?;
    let parent = match &args.parent {
        Some(_) => given_text(&args.parent)?,
        None => "null".to_owned(),
    };
    let now = args.now.unwrap_or_else(Utc::now).to_rfc3339_opts(SecondsFormat::Micros, true);
    let text = given_text(&args.file)?;
    let mut all_well = true;
    for row in rows(&text)? {
        let row = Row { row: row.get().to_owned(), parent: parent.clone(), now: now.clone() };
        let mapped = trial::map_row(&api.manifest, &args.stream, row)?;
        all_well &= print(&api.node, &args.stream, &mapped);
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The rows in `text`: one, or a list, each in the digits that it is written in.
fn rows(text: &str) -> Result<Vec<&serde_json::value::RawValue>, Error> {
    let parse = |error: serde_json::Error| format!("the row is no JSON: {error}");
    if text.trim_start().starts_with('[') {
        return Ok(serde_json::from_str(text).map_err(parse)?);
    }
    Ok(vec![serde_json::from_str(text).map_err(parse)?])
}

/// Prints what a row became; gives whether all of it is a record.
fn print(file: &Node, stream: &str, mapped: &[Result<Value, String>]) -> bool {
    if mapped.is_empty() {
        println!("no record: `where` leaves it out, or `split` finds no part");
    }
    for record in mapped {
        match record {
            Ok(record) => println!("{record:#}"),
            Err(reason) => println!("QUARANTINE: {}", with_place(file, stream, reason)),
        }
    }
    mapped.iter().all(Result::is_ok)
}

/// A reason, with the line of the file that it is about, where that is known.
pub fn with_place(file: &Node, stream: &str, reason: &str) -> String {
    match language::blamed(file, stream, reason) {
        Some((field, at)) => format!("{reason}\n  {field} is in line {} of the file", at.line),
        None => reason.to_owned(),
    }
}

pub fn filter(common: &Common, args: &FilterArgs) -> Result<ExitCode, Error> {
    let api = described(common, &args.provider)?;
    match trial::run_filter(&api.manifest, &args.filter, &given_text(&args.file)?) {
        Ok(values) => {
            values.iter().for_each(|value| println!("{value}"));
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            println!("FAILS: {why}");
            Ok(ExitCode::from(FAILED))
        }
    }
}
