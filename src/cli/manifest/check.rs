//! `tributary manifest check`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{Error, FAILED, sample};
use crate::cli::Common;
use tributary_domain::ProviderName;
use tributary_manifest::{CompiledProvider, EachPage, Exchanged, Failure, Most, Tap, Wanted};

#[derive(Args)]
#[command(after_help = "Example:
  tributary manifest check acme

Sends one request for each stream that stands alone (and what it takes to get a token), with the
credentials of the environment. Nothing is stored. Exit code: 0 all were answered, 1 one was not,
2 it could not be tried.")]
pub struct CheckArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
}

/// Tells of each exchange in a line.
struct Lines;

impl Tap for Lines {
    fn exchanged(&self, exchanged: &Exchanged, took: Duration) {
        let Exchanged { method, url, answer, .. } = exchanged;
        println!("{method} {url}: {}, {} bytes, {} ms", answer.status, answer.body.len(), took.as_millis());
    }

    fn asked_for_token(&self, url: &str, status: u16) {
        println!("token of {url}: {status}");
    }
}

pub async fn run(common: &Common, args: &CheckArgs) -> Result<ExitCode, Error> {
    let roots = |compiled: &CompiledProvider| {
        let roots = compiled.groups().into_iter().map(|group| (group.name, Wanted::Whole));
        Ok(compiled.select(roots))
    };
    let sink = &mut EachPage(|_| {});
    let failures = sample(common, &args.provider, Arc::new(Lines), roots, ONE_PAGE, sink).await?.failures;
    for failure in &failures {
        println!("{failure}{}", advice(failure));
    }
    if failures.is_empty() {
        println!("The credentials work.");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(FAILED))
}

/// What to do about a failure, where that is known.
fn advice(failure: &Failure) -> &'static str {
    match failure.refusal() {
        Some(401) => "\n  the provider does not know these credentials: see the variables of `auth`",
        Some(403) => {
            "\n  the credentials are known but may not read this: see what they were given rights to"
        }
        Some(404) => "\n  there is nothing at this address: see `api` and the `get` of the stream",
        _ => "",
    }
}

/// No more than one page of one partition.
const ONE_PAGE: Most = Most { partitions: 1, pages: 1, newest: None };
