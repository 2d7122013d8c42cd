//! `tributary manifest new`.

mod draft;
mod fields;
mod openapi;
mod pages;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Error, file_of};
use crate::cli::Common;
use openapi::Description;
use tributary_domain::ProviderName;
use tributary_manifest::language::Node;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest new acme                              writes providers/acme.yaml, which validates as it is
  tributary manifest new acme --template payouts,webhook   with what those need
  tributary manifest new acme --from openapi.yaml          drafts what the API's own description tells
  tributary manifest new mybank --from bank-camt           for a bank that sends files: as the one that ships
  tributary manifest new acme --print                      prints it instead

What a description does not tell is a QUESTION in the draft, which `tributary manifest validate` names until
it is answered. Then fill it in, and: tributary manifest validate, check acme, read acme.")]
pub struct NewArgs {
    /// The provider's name: lower-case letters, digits, - and _.
    provider: ProviderName,
    /// What the file has beside accounts, balances and transactions.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART", conflicts_with = "from")]
    template: Vec<Part>,
    /// The OpenAPI description of the API, as JSON or YAML (3, or Swagger 2); or `bank-camt`, `bank-mt940`, `bank-bai2` or
    /// `bank-csv`, for a bank that sends such files.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Print it instead of writing it.
    #[arg(long)]
    print: bool,
}

/// What a new file can have.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// How payouts are ordered, and found again.
    Payouts,
    /// How the provider's calls are checked, and what they have read.
    Webhook,
    /// Transactions by their time of creation, with what may still change asked for again.
    Refresh,
}

pub fn run(common: &Common, args: &NewArgs) -> Result<ExitCode, Error> {
    let text = match &args.from {
        Some(from) => match bank(from) {
            Some((shipped, text)) => of_bank(&args.provider, shipped, text),
            None => drafted(&args.provider, from)?,
        },
        None => template(&args.provider, &args.template),
    };
    if args.print {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    let path = file_of(common, &args.provider);
    std::fs::create_dir_all(&common.providers)?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{} exists already; --print prints a new one", path.display())
        }
        _ => format!("cannot write {}: {error}", path.display()),
    })?;
    file.write_all(text.as_bytes())?;
    println!("{} was written. Fill it in, then: tributary manifest validate", path.display());
    Ok(ExitCode::SUCCESS)
}

/// What begins the names of the variables of `provider`.
fn variable(provider: &ProviderName) -> String {
    provider.as_str().to_uppercase().replace('-', "_")
}

/// A provider file to begin with.
fn template(provider: &ProviderName, parts: &[Part]) -> String {
    let mut text = include_str!("templates/basic.yaml").to_owned();
    if parts.contains(&Part::Refresh) {
        let begin = text.find("    # Without one of `changes`").unwrap_or(text.len());
        let end = text.find("    id: .id\n    created: .created_at\n    updated").unwrap_or(text.len());
        text.replace_range(begin..end, include_str!("templates/refresh.yaml"));
    }
    if parts.contains(&Part::Payouts) {
        text += include_str!("templates/payouts.yaml");
    }
    if parts.contains(&Part::Webhook) {
        text += include_str!("templates/webhook.yaml");
    }
    text += include_str!("templates/examples.yaml");
    // `Acme-Signature` is a header of theirs
    let name: String = provider.as_str().to_owned();
    text.replace("acme", &name).replace("ACME", &variable(provider))
}

/// The files that ship for banks without an API.
const BANKS: [(&str, &str); 4] = [
    ("bank-camt", include_str!("../../../../providers/bank-camt.yaml")),
    ("bank-mt940", include_str!("../../../../providers/bank-mt940.yaml")),
    ("bank-bai2", include_str!("../../../../providers/bank-bai2.yaml")),
    ("bank-csv", include_str!("../../../../providers/bank-csv.yaml")),
];

/// The file that ships under the name `from`, unless there is a file of that name.
fn bank(from: &Path) -> Option<(&'static str, &'static str)> {
    let name = from.to_str().filter(|_| !from.exists())?;
    BANKS.into_iter().find(|(shipped, _)| *shipped == name)
}

/// The file `shipped` as one of `provider`.
fn of_bank(provider: &ProviderName, shipped: &str, text: &str) -> String {
    let folder = shipped.to_uppercase().replace('-', "_");
    text.replace(&format!("provider: {shipped}"), &format!("provider: {provider}"))
        .replace(&format!("${{{folder}_FOLDER}}"), &format!("${{{}_FOLDER}}", variable(provider)))
}

/// A draft of what the description in the file `from` tells.
fn drafted(provider: &ProviderName, from: &Path) -> Result<String, Error> {
    let text =
        std::fs::read_to_string(from).map_err(|error| format!("cannot read {}: {error}", from.display()))?;
    let description = match serde_json::from_str(&text) {
        Ok(json) => json,
        Err(_) => {
            let node = Node::parse(&text).map_err(|why| format!("{}: {why}", from.display()))?;
            serde_json::from_str(&node.to_json())?
        }
    };
    let draft = draft::draft(&Description(description), provider, &variable(provider));
    Ok(draft.map_err(|why| format!("{}: {why}", from.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Provider, Source};

    #[test]
    fn a_new_file_of_a_bank_is_that_which_ships_under_its_own_name_and_variable() {
        let name: ProviderName = "my-bank".parse().unwrap();
        for (shipped, text) in BANKS {
            let text = of_bank(&name, shipped, text);
            let folder = |name: &str| (name == "MY_BANK_FOLDER").then(|| "/srv/my-bank".to_owned());
            let provider = Provider::parse(&text, &folder).unwrap();
            assert_eq!((provider.name.as_str(), &provider.warnings), ("my-bank", &vec![]));
            assert!(provider.files.is_some() && provider.file_source.is_some());
            let unset = Provider::parse(&text, &|_| None).unwrap();
            assert!(
                unset.file_source.is_none() && unset.warnings[0].contains("MY_BANK_FOLDER"),
                "{:?}",
                unset.warnings
            );
        }
        assert!(bank(Path::new("openapi.yaml")).is_none());
    }

    #[test]
    fn a_new_file_is_valid_as_it_is_whatever_it_has() {
        let name: ProviderName = "my-bank".parse().unwrap();
        let lookup = |name: &str| {
            matches!(name, "MY_BANK_TOKEN" | "MY_BANK_WEBHOOK_SECRET").then(|| "a token".to_owned())
        };
        use Part::{Payouts, Refresh, Webhook};
        for parts in [&[][..], &[Payouts], &[Webhook], &[Refresh], &[Payouts, Webhook, Refresh]] {
            let text = template(&name, parts);
            let provider = Provider::parse(&text, &lookup).unwrap();
            let Source::Pull(manifest) = provider.source else { panic!("{text}") };
            assert_eq!((manifest.streams.len(), provider.name), (3, name.clone()));
            assert_eq!(manifest.payouts.is_some(), parts.contains(&Payouts));
            assert_eq!(manifest.webhook.is_some(), parts.contains(&Webhook));
            assert_eq!(
                manifest.streams.iter().any(|stream| stream.refresh.is_some()),
                parts.contains(&Refresh)
            );
            assert!(provider.warnings.is_empty(), "{:?}", provider.warnings);
            // its examples come out once they are no comments any more
            let (before, examples) = text.split_once("# examples:").unwrap();
            let examples: Vec<&str> = examples.lines().map(|line| line.trim_start_matches("# ")).collect();
            let text = format!("{before}examples:{}", examples.join("\n"));
            assert_eq!(crate::config::try_examples(&text, &|_| None), Ok(2), "{text}");
        }
    }
}
