//! `tributary manifest new`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::{Error, file_of};
use crate::cli::Common;
use tributary_domain::ProviderName;

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest new acme                 writes providers/acme.yaml, which validates as it is
  tributary manifest new acme --print         prints it instead

Then fill it in, and: tributary manifest validate, check acme, read acme.")]
pub struct NewArgs {
    /// The provider's name: lower-case letters, digits, - and _.
    provider: ProviderName,
    /// Print it instead of writing it.
    #[arg(long)]
    print: bool,
}

pub fn run(common: &Common, args: &NewArgs) -> Result<ExitCode, Error> {
    let text = template(&args.provider);
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

/// A provider file to begin with.
fn template(provider: &ProviderName) -> String {
    let variable = provider.as_str().to_uppercase().replace('-', "_");
    include_str!("template.yaml").replace("acme", provider.as_str()).replace("ACME", &variable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Provider, Source};

    #[test]
    fn a_new_file_is_valid_as_it_is() {
        let name: ProviderName = "my-bank".parse().unwrap();
        let text = template(&name);
        let lookup = |name: &str| (name == "MY_BANK_TOKEN").then(|| "a token".to_owned());
        let provider = Provider::parse(&text, &lookup).unwrap();
        assert!(matches!(provider.source, Source::Pull(manifest) if manifest.streams.len() == 3));
        assert_eq!(provider.name, name);
    }
}
