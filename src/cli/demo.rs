//! `tributary demo`: a stand-in of Starling Bank, the adapter pulling from it, and an API key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{Executor, PgPool};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::serve::{Service, stop_on_signal};
use super::standin::BankArgs;
use super::{CommandResult, Common};
use crate::config::Provider;
use crate::http::{ConnectionLimits, Listening, Patience, Stop, new_api_key};
use crate::store::{self, api_keys};
use crate::sync::{Instance, SyncProgress};
use tributary_domain::{ApiKeyDigest, Scope};
use tributary_manifest::Period;
use tributary_standin::kit;

const MANIFEST: &str = include_str!("../../providers/starling.yaml");
const TOKEN: &str = "demo";

#[derive(Args)]
#[command(after_help = "Example:
  tributary demo --items 100000 --listen 127.0.0.1:9000")]
pub struct DemoArgs {
    /// Address to listen on.
    #[arg(long, env = "TRIBUTARY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    #[command(flatten)]
    bank: BankArgs,
}

pub async fn run(common: &Common, args: DemoArgs) -> CommandResult {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    // never the database of somebody's service: the demo starts from nothing each time
    let own = Common { database_url: None, data: common.data.join("demo"), ..common.clone() };
    eprintln!("Starting a private PostgreSQL in {} …", own.data.display());
    let database = Database::open(&own, 16).await?;
    let result = show(&database.pool, args, stop).await;
    database.close().await;
    result
}

async fn show(pool: &PgPool, args: DemoArgs, stop: CancellationToken) -> CommandResult {
    pool.execute("drop schema public cascade; create schema public").await?;
    store::migrate(pool).await?;
    let upstream = TcpListener::bind("127.0.0.1:0").await?;
    let upstream_url = format!("http://{}", upstream.local_addr()?);
    let bank = args.bank.open(TOKEN)?;
    tokio::spawn(kit::serve(upstream, bank, stop.clone().cancelled_owned()));

    let provider = provider(&upstream_url)?;
    let (id, key) = new_api_key();
    let digest = ApiKeyDigest::of(&key);
    api_keys::create(pool, id, &provider.name, Scope::Connector.as_str(), digest.as_bytes()).await?;

    let listening = Listening::bind(args.listen)?;
    let address = listening.address()?;
    let server = Service::new(pool, vec![provider], None, &Instance::default())?;
    let (progress, runs) = server.progress().ok_or("the manifest of the demo is not pulled")?;
    let running = server.start(listening, ConnectionLimits::default())?;
    stop.run_until_cancelled(watch_first_sync(&progress, runs, args.bank.items())).await;
    if !stop.is_cancelled() {
        print_how_to_try(&address, &upstream_url, &key);
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

fn print_how_to_try(address: &SocketAddr, upstream_url: &str, key: &str) {
    let recent = (chrono::Utc::now() - chrono::TimeDelta::minutes(1))
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    println!(
        "
Tributary:  http://{address}
Key:        {key}
Upstream:   {upstream_url} (a stand-in of Starling Bank, which goes on changing)

Try:
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/accounts'
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/transactions?pageSize=3&sort=updatedAt:asc'
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/transactions?sort=updatedAt:asc&updatedAtFrom={recent}'

Ctrl-C stops it."
    );
}
