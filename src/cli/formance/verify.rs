//! `tributary formance verify`.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::super::serve::stop_on_signal;
use super::super::table::{self, Column, Output, OutputArgs, words};
use super::{Error, KEY, secret};
use crate::config;
use tributary_conformance::verify::formance::{Access, Formance};
use tributary_conformance::verify::{Difference, Feed, Report, Verifier};
use tributary_manifest::Period;

/// Something differs.
const DIFFERENT: u8 = 1;
/// A side could not be read.
const COULD_NOT_READ: u8 = 2;

#[derive(Args)]
#[command(after_help = "Environment:
  FORMANCE_TOKEN             a bearer token for Formance's API, or
  FORMANCE_CLIENT_ID, FORMANCE_CLIENT_SECRET
                             a client's credentials, which are exchanged for tokens
  TRIBUTARY_CONNECTOR_KEY    the API key that Formance's connector has, where Formance does not say it

Examples:
  tributary formance verify --url https://stack.example/api/payments
  tributary formance verify --url http://payments:8080 --provider acme --endpoint http://127.0.0.1:8080
  tributary formance verify --url https://stack.example/api/payments --watch 5m --output json

Our side is read over HTTP, as Formance reads it: with the address and the key of its own connector, which whoever may
read the connector has at hand. So it needs no database, runs anywhere, and compares with what Formance was really told.

It only reads. What Formance will have after its next poll is listed as waiting, and is no difference.
Exit code: 0 nothing differs, 1 something does, 2 a side could not be read.")]
pub struct VerifyArgs {
    /// Formance's API for payments: https://HOST/api/payments of a stack, or the address of a payments server.
    #[arg(long, env = "FORMANCE_URL", value_name = "URL")]
    url: String,
    /// The provider: the connector that is called so in Formance, or has this id. Needed where several of the generic
    /// kind are installed.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Tributary's address [default: the endpoint that the connector has].
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where tokens are exchanged for credentials [default: …/api/auth/oauth/token of a stack].
    #[arg(long, env = "FORMANCE_TOKEN_URL", value_name = "URL")]
    token_url: Option<String>,
    /// Compare again and again, this long apart, and print what changed: 1m, 1h.
    #[arg(long, num_args = 0..=1, default_missing_value = "1m", value_name = "TIME", value_parser = length_of_time)]
    watch: Option<Duration>,
    /// How many differences are printed at most.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    form: OutputArgs,
}

fn length_of_time(text: &str) -> Result<Duration, String> {
    Period::try_from(text.to_owned()).map(Period::as_duration)
}

/// Runs the command; the exit code says what was found last.
pub async fn run(args: VerifyArgs) -> ExitCode {
    let ended = match args.watch {
        None => once(&args).await,
        Some(pause) => watch(&args, pause).await,
    };
    ended.unwrap_or_else(|error| {
        eprintln!("tributary: {error}");
        ExitCode::from(COULD_NOT_READ)
    })
}

async fn verifier(args: &VerifyArgs) -> Result<Verifier, Error> {
    let formance = Formance::new(&args.url, access(args)?)?;
    let feed = Feed { endpoint: args.endpoint.clone(), api_key: secret(KEY) };
    Ok(Verifier::new(formance, args.provider.as_deref(), feed).await?)
}

fn access(args: &VerifyArgs) -> Result<Access, Error> {
    if let Some(token) = secret("FORMANCE_TOKEN") {
        return Ok(Access::Token(token));
    }
    let id = config::environment("FORMANCE_CLIENT_ID").filter(|id| !id.is_empty());
    match (id, secret("FORMANCE_CLIENT_SECRET")) {
        (Some(id), Some(secret)) => {
            let token_url = args.token_url.clone().or_else(|| of_stack(&args.url));
            let token_url = token_url.ok_or(
                "where are tokens exchanged for credentials? Give --token-url: the address of a payments server alone \
                 does not say it",
            )?;
            Ok(Access::Client { id, secret, token_url })
        }
        (None, None) => Ok(Access::Open),
        _ => Err("FORMANCE_CLIENT_ID and FORMANCE_CLIENT_SECRET go together: set both".into()),
    }
}

/// Where a stack exchanges tokens.
fn of_stack(url: &str) -> Option<String> {
    let (stack, _) = url.split_once("/api/payments")?;
    Some(format!("{stack}/api/auth/oauth/token"))
}

async fn once(args: &VerifyArgs) -> Result<ExitCode, Error> {
    let report = verifier(args).await?.compare(args.limit).await?;
    match args.form.output {
        Output::Json => table::json(&report),
        Output::Table => {
            if !report.differences.is_empty() {
                table::print(&DIFFERENCES, report.differences.iter().map(row));
            }
            println!("{}", summary(&report));
        }
    }
    Ok(code(&report))
}

fn code(report: &Report) -> ExitCode {
    if report.has_differences() { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS }
}

/// Compares until it is told to stop. A look that fails is told, and the next one may succeed.
async fn watch(args: &VerifyArgs, pause: Duration) -> Result<ExitCode, Error> {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let mut verifier = verifier(args).await?;
    let (mut known, mut last) = (Vec::new(), ExitCode::SUCCESS);
    loop {
        let compared = tokio::select! {
            compared = verifier.compare(usize::MAX) => compared,
            () = stop.cancelled() => return Ok(last),
        };
        match compared {
            Ok(mut report) => {
                last = code(&report);
                let differences = std::mem::take(&mut report.differences);
                print_changes(args, &report, &known, &differences);
                known = differences;
            }
            Err(error) => {
                eprintln!("tributary: {error}");
                last = ExitCode::from(COULD_NOT_READ);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return Ok(last),
        }
    }
}

/// Prints what came and what went since the look before: of JSON, one line for each look.
fn print_changes(args: &VerifyArgs, report: &Report, before: &[Difference], now: &[Difference]) {
    let new = lacking(now, before);
    let gone = lacking(before, now);
    match args.form.output {
        Output::Json => {
            let (new, gone) = (&new[..new.len().min(args.limit)], &gone[..gone.len().min(args.limit)]);
            println!(
                "{}",
                json!({"at": report.at, "compared": report.compared, "different": report.different,
                    "waiting": report.waiting, "new": new, "gone": gone})
            );
        }
        Output::Table => {
            let marked = |mark: &str, differences: &[&Difference]| {
                let rows = differences.iter().take(args.limit).map(|difference| {
                    let mut cells = row(difference);
                    cells[0] = format!("{mark} {}", cells[0]);
                    cells
                });
                rows.collect::<Vec<_>>()
            };
            let rows: Vec<_> = [marked("+", &new), marked("-", &gone)].concat();
            if !rows.is_empty() {
                table::print(&DIFFERENCES, rows);
            }
            println!("{} {}", report.at, summary(report));
        }
    }
}

/// Those of `some` that are not among `others`, or wait there and do not here.
fn lacking<'a>(some: &'a [Difference], others: &[Difference]) -> Vec<&'a Difference> {
    let others: HashSet<_> = others.iter().map(|one| (one.key(), one.waiting)).collect();
    some.iter().filter(|one| !others.contains(&(one.key(), one.waiting))).collect()
}

const DIFFERENCES: [Column; 8] = [
    words("SUBJECT"),
    words("IS"),
    words("ID"),
    words("TYPE"),
    words("FIELD"),
    words("EXPECTED"),
    words("FORMANCE"),
    words("WHY"),
];

fn row(difference: &Difference) -> [String; 8] {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let what = if difference.waiting { "waiting" } else { difference.what.as_str() };
    [
        difference.of.as_str().to_owned(),
        what.to_owned(),
        difference.id.clone(),
        or_dash(difference.kind.as_deref()),
        or_dash(difference.field),
        or_dash(difference.expected.as_deref()),
        or_dash(difference.formance.as_deref()),
        or_dash(difference.reason.as_deref()),
    ]
}

fn summary(report: &Report) -> String {
    let compared = report.compared;
    let count = |count: u64, one: &str, several: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {several}"),
    };
    let found = match report.different {
        0 => "nothing differs".to_owned(),
        different => count(different, "difference", "differences"),
    };
    let waiting = match report.waiting {
        0 => String::new(),
        waiting => format!("; {}", count(waiting, "waits for the next poll", "wait for the next poll")),
    };
    format!(
        "{} of {}: compared {}, {}, {} and {}: {found}{waiting}",
        report.connector,
        report.url,
        count(compared.payments, "payment", "payments"),
        count(compared.accounts, "account", "accounts"),
        count(compared.balances, "balance", "balances"),
        count(compared.initiations, "initiation", "initiations"),
    )
}
