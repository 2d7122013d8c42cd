//! `tributary formance install-config`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{Error, KEY, secret};
use tributary_conformance::verify::connect::first_calls;
use tributary_domain::ProviderName;
use tributary_manifest::Period;

/// The shortest period that Formance takes unless it is told otherwise.
const SHORTEST: Duration = Duration::from_secs(20 * 60);
/// How many characters Formance's names of connectors have.
const NAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=500;

#[derive(Args)]
#[command(
    after_help = "The API key, of the scope connector, is read from TRIBUTARY_CONNECTOR_KEY. It is printed only with
--show-key; without it, $TRIBUTARY_CONNECTOR_KEY stands in its place, for envsubst. -o writes it to a file of mode 600.

Examples:
  tributary formance install-config --provider acme --endpoint https://tributary.example -o acme.json
  fctl payments connectors install generic acme.json
  tributary formance install-config --provider acme --endpoint https://tributary.example | envsubst |
    fctl payments connectors install generic -

Formance polls every 20 minutes at most. CONNECTOR_POLLING_PERIOD_MINIMUM (such as 1m), in the environment of its payments
server and of its payments worker, lowers that; say it here, too, with --minimum:
  operator   as a variable of both containers, the server's and the worker's, with a Settings resource of the operator
  chart      in the extra environment of both deployments
  compose    under `environment:` of both services"
)]
pub struct InstallArgs {
    /// The provider. The connector is called so, too, unless --name says otherwise.
    #[arg(long)]
    provider: ProviderName,
    /// Tributary's address as Formance reaches it, with the path prefix if it has one.
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// What the connector is called in Formance: 3 to 500 characters.
    #[arg(long)]
    name: Option<String>,
    /// How often Formance polls: 30m, 1h.
    #[arg(long, default_value = "30m", value_name = "TIME", value_parser = length_of_time)]
    period: Duration,
    /// The shortest period that this Formance takes, where that was changed.
    #[arg(long, default_value = "20m", value_name = "TIME", value_parser = length_of_time)]
    minimum: Duration,
    /// How many records Formance 3.0 asks for at once. Later ones ask for 100, whatever is given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    page_size: Option<u32>,
    /// Print the API key.
    #[arg(long, conflicts_with = "out")]
    show_key: bool,
    /// Write it, with the key, to this new file instead, which only you may read.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do not try address and key, which takes a way to them from here.
    #[arg(long)]
    no_check: bool,
}

fn length_of_time(text: &str) -> Result<Duration, String> {
    Period::try_from(text.to_owned()).map(Period::as_duration)
}

/// The file that `fctl payments connectors install generic` takes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectorConfig<'a> {
    name: &'a str,
    endpoint: &'a str,
    api_key: &'a str,
    polling_period: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_size: Option<u32>,
}

/// Runs the command.
pub async fn run(args: InstallArgs) -> ExitCode {
    match install_config(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tributary: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn install_config(args: &InstallArgs) -> Result<(), Error> {
    let name = args.name.as_deref().unwrap_or(args.provider.as_str());
    if !NAME_LENGTH.contains(&name.chars().count()) {
        return Err(format!(
            "Formance wants a name of 3 to 500 characters, and {name:?} is none: give --name"
        )
        .into());
    }
    let minimum = args.minimum;
    if args.period < minimum {
        let lowered = if minimum == SHORTEST {
            "; or lower that there (see --help), and say so with --minimum"
        } else {
            ""
        };
        let (period, minimum) = (go_duration(args.period), go_duration(minimum));
        return Err(format!(
            "Formance refuses a polling period of {period}: give --period {minimum} or more{lowered}"
        )
        .into());
    }
    let key = secret(KEY);
    if !args.no_check {
        check(args, key.as_ref()).await?;
    }
    let with_key = args.show_key || args.out.is_some();
    let key = match &key {
        Some(key) if with_key => key.expose_secret(),
        None if with_key => return Err(no_key().into()),
        _ => "$TRIBUTARY_CONNECTOR_KEY",
    };
    let config = ConnectorConfig {
        name,
        endpoint: args.endpoint.trim_end_matches('/'),
        api_key: key,
        polling_period: go_duration(args.period),
        page_size: args.page_size,
    };
    let json = serde_json::to_string_pretty(&config)?;
    match &args.out {
        None => println!("{json}"),
        Some(path) => {
            write(path, &json)?;
            eprintln!("written. Next: fctl payments connectors install generic {}", path.display());
        }
    }
    Ok(())
}

fn no_key() -> String {
    format!("{KEY} is not set: give it the API key that `tributary keys create --scope connector` printed")
}

/// Makes the connector's first calls; says what they brought.
async fn check(args: &InstallArgs, key: Option<&SecretString>) -> Result<(), Error> {
    let key = key.ok_or_else(|| format!("{}. --no-check leaves the check out", no_key()))?;
    let first = first_calls(&args.endpoint, key).await?;
    eprintln!(
        "{} takes the key; the first calls bring {} accounts, {} beneficiaries and {} transactions",
        args.endpoint, first.accounts, first.beneficiaries, first.transactions
    );
    Ok(())
}

/// As Go reads durations; in whole units where there are any.
fn go_duration(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        seconds if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

fn write(path: &Path, json: &str) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("{} is there already: remove it, or name another file", path.display())
        }
        _ => format!("cannot make {}: {error}", path.display()),
    })?;
    writeln!(file, "{json}").and_then(|()| file.sync_all()).map_err(|error| {
        std::fs::remove_file(path).ok();
        format!("cannot write {}: {error}", path.display())
    })?;
    Ok(())
}
