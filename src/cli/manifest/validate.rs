//! `tributary manifest validate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Error, FAILED};
use crate::cli::Common;
use crate::config::{self, Provider, Source};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest validate                       every file of the providers folder
  tributary manifest validate providers/acme.yaml

What depends on a variable that is not set (addresses, credentials) is not checked, and the output says so.
Exit code: 0 all are right, 1 one is not, 2 it could not be tried.")]
pub struct ValidateArgs {
    /// The files; without any, all of the providers folder.
    files: Vec<PathBuf>,
}

pub fn run(common: &Common, args: &ValidateArgs) -> Result<ExitCode, Error> {
    let files =
        if args.files.is_empty() { config::provider_files(&common.providers)? } else { args.files.clone() };
    let mut wrong = 0;
    for file in &files {
        match validate(file) {
            Ok(found) => println!("{}: {found}", file.display()),
            Err(error) => {
                wrong += 1;
                println!("{}: {error}", file.display());
            }
        }
    }
    if args.files.is_empty() && wrong == 0 {
        // what no file shows alone: a provider that two of them declare
        config::load_providers(&common.providers, &config::environment)?;
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn validate(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let beside = |name: &str| config::beside(folder, name);
    let provider = Provider::parse_beside(&text, &config::environment, &beside)?;
    let examples = config::try_examples(&text, &beside)?;
    let found = found(&provider);
    let tried = match examples {
        0 => String::new(),
        1 => "; its example comes out".to_owned(),
        many => format!("; its {many} examples come out"),
    };
    let found = found + &tried;
    let notes = provider.warnings.iter().map(|warning| format!("\n  note: {warning}"));
    let open = provider.questions.iter();
    let open = open.map(|(line, question)| format!("\n  open question, line {line}: {question}"));
    Ok(notes.chain(open).fold(found, |found, note| found + &note))
}

/// What a provider's file says of where its records come from.
fn found(provider: &Provider) -> String {
    let files = match (&provider.files, &provider.file_source) {
        (Some(_), Some(source)) => Some(format!(
            "statement files are fetched from {}, every {} s, and taken as they are posted",
            source.place.name(),
            source.every.as_duration().as_secs()
        )),
        (Some(_), None) => Some("statement files are taken as they are posted".to_owned()),
        (None, _) => None,
    };
    let api = match &provider.source {
        Source::Pull(manifest) => {
            let names: Vec<&str> = manifest.streams.iter().map(|stream| stream.name.as_str()).collect();
            format!("valid; it pulls {}", names.join(", "))
        }
        Source::Push if files.is_some() => "valid".to_owned(),
        Source::Push => "valid; records are pushed".to_owned(),
        Source::Unset => "valid as far as it can be checked".to_owned(),
    };
    [Some(api), files].into_iter().flatten().collect::<Vec<_>>().join("; ")
}
