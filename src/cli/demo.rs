//! `tributary demo`: a stand-in of Starling Bank, the adapter pulling from it, and an API key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{Executor, PgPool};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::database::{Database, Login};
use super::serve::stop_on_signal;
use super::standin::BankArgs;
use super::way::typed;
use super::{CommandResult, Common};
use crate::config::Provider;
use crate::http::{ConnectionLimits, Listening, Patience, Stop, Trusted};
use crate::service::{Listeners, Service};
use crate::store;
use crate::sync::{Instance, Retention, SyncProgress};
use crate::verbs::{Declared, OfFile, On, keys, operators, perform};
use tributary_domain::{KeyName, ProviderName, Role, Scope};
use tributary_manifest::Period;
use tributary_standin::kit;

const MANIFEST: &str = include_str!("../../providers/starling.yaml");
/// As the manifest names it.
const PROVIDER: &str = "starling";
const TOKEN: &str = "demo";

#[derive(Args)]
#[command(after_help = "Example:
  tributary demo --items 100000 --listen 127.0.0.1:9000")]
pub struct DemoArgs {
    /// Address to listen on.
    #[arg(long, env = "TRIBUTARY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Address to listen on for operators: metrics, readiness, the admin API.
    #[arg(long, env = "TRIBUTARY_OPERATOR_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    operator_listen: SocketAddr,
    #[command(flatten)]
    bank: BankArgs,
}

pub async fn run(common: &Common, args: DemoArgs) -> CommandResult {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    // never the database of somebody's service: the demo starts from nothing each time
    let own = Common { database_url: None, data: common.data.join("demo"), ..common.clone() };
    eprintln!("Starting a private PostgreSQL in {} …", own.data.display());
    let owner = Database::open(&own, Login::Owner, 2).await?;
    // whatever becomes of it: the private PostgreSQL stops with the last of the two
    let begun = begin_anew(&owner.pool, args.operator_listen).await;
    let result = match begun {
        Ok(try_with) => {
            let database = Database::open(&own, Login::Service, 16).await?;
            let result = show(&database.pool, args, &try_with, stop).await;
            database.close().await;
            result
        }
        Err(error) => Err(error),
    };
    owner.close().await;
    result
}

/// What to try the demo with.
struct TryWith {
    /// An API key.
    key: String,
    /// What signs in at the console, once.
    link: String,
}

/// Forgets the last demo; gives what to try this one with.
async fn begin_anew(
    owner: &PgPool,
    operator: SocketAddr,
) -> Result<TryWith, Box<dyn std::error::Error + Send + Sync>> {
    owner.execute("drop schema public cascade; create schema public").await?;
    store::migrate(owner).await?;
    let name: KeyName = "demo".parse()?;
    let provider: ProviderName = PROVIDER.parse()?;
    let declared = Declared::from([(provider.clone(), OfFile::default())]);
    let (on, actor) = (On::to_the_end(owner, &declared), typed());
    let create = keys::Create { provider, name: name.clone(), scope: Scope::Connector, expires: None };
    let key = perform(&create, on, &actor).await?.key;
    // the key is in nobody's hand: the link signs in
    let create = operators::Create { name: name.clone(), role: Role::Operator, expires: None };
    perform(&create, on, &actor).await?;
    let link = perform(&operators::Link { name }, on, &actor).await?.path;
    Ok(TryWith { key, link: format!("http://{operator}{link}") })
}

async fn show(pool: &PgPool, args: DemoArgs, try_with: &TryWith, stop: CancellationToken) -> CommandResult {
    let upstream = TcpListener::bind("127.0.0.1:0").await?;
    let upstream_url = format!("http://{}", upstream.local_addr()?);
    let bank = args.bank.open(TOKEN)?;
    tokio::spawn(kit::serve(upstream, bank, stop.clone().cancelled_owned()));

    let provider = provider(&upstream_url)?;
    let listeners =
        Listeners { public: Listening::bind(args.listen)?, operator: Listening::bind(args.operator_listen)? };
    let addresses = [listeners.public.address()?, listeners.operator.address()?];
    let (instance, retention) = (Instance::default(), Retention::default());
    // it pays nobody
    let server = Service::new(pool, vec![provider], None, &instance, retention, Trusted::default())?;
    let (progress, runs) = server.progress().ok_or("the manifest of the demo is not pulled")?;
    let running = server.start(listeners, ConnectionLimits::default())?;
    stop.run_until_cancelled(watch_first_sync(&progress, runs, args.bank.items())).await;
    if !stop.is_cancelled() {
        print_how_to_try(addresses, &upstream_url, try_with);
    }
    stop.cancelled().await;
    let patience = Patience { lame_duck: Duration::ZERO, drain: Duration::from_secs(5) };
    running.stop(Stop::Prompt, patience, std::future::ready(())).await;
    Ok(())
}

fn provider(upstream_url: &str) -> Result<Provider, String> {
    let lookup = |name: &str| match name {
        "STARLING_URL" => Some(upstream_url.to_owned()),
        "STARLING_TOKEN" => Some(TOKEN.to_owned()),
        _ => None,
    };
    let mut provider = Provider::parse(MANIFEST, &lookup)?;
    let changed = provider.change_manifest(|manifest| {
        manifest.every = Period::from_seconds(3);
        // as often as that is too much for the real bank, and not for its stand-in
        manifest.rate_limit.budgets.clear();
    });
    changed.map_err(|error| error.to_string())?;
    Ok(provider)
}

async fn watch_first_sync(progress: &Arc<SyncProgress>, runs: u64, expected: usize) {
    let bar = ProgressBar::new(expected as u64);
    let style = "First sync {bar:40} {pos}/{len} records  {per_sec}  {eta} left";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    while progress.runs() < runs {
        bar.set_position(progress.records().min(expected as u64));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.set_length(progress.records());
    bar.set_position(progress.records());
    bar.finish();
}

fn print_how_to_try(
    [address, operator]: [SocketAddr; 2],
    upstream_url: &str,
    TryWith { key, link }: &TryWith,
) {
    let recent = (chrono::Utc::now() - chrono::TimeDelta::minutes(1))
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    println!(
        "
Tributary:  http://{address}
Console:    {link} (once, within 10 minutes)
Operators:  http://{operator} (/metrics, /readyz, the admin API)
Key:        {key}
Upstream:   {upstream_url} (a stand-in of Starling Bank, which goes on changing)

Try:
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/accounts'
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/transactions?pageSize=3&sort=updatedAt:asc'
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/transactions?sort=updatedAt:asc&updatedAtFrom={recent}'

Ctrl-C stops it."
    );
}
