//! `tributary demo`: a stand-in of Starling Bank, the adapter pulling from it, an API key, and links to the console
//! for who runs it and for the two persons who approve its payments.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
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
use crate::payments::PaymentSecret;
use crate::service::{Listeners, Service};
use crate::store;
use crate::store::feed::{self, Start};
use crate::sync::{Instance, Retention, SyncProgress};
use crate::verbs::{Declared, OfFile, On, keys, operators, perform};
use tributary_domain::{FeedName, KeyName, ProviderName, Role, Scope};
use tributary_manifest::Period;
use tributary_standin::kit;

const MANIFEST: &str = include_str!("../../providers/starling.yaml");
/// As the manifest names it.
const PROVIDER: &str = "starling";
const TOKEN: &str = "demo";
/// What may be paid: two persons have to approve what is above ten pounds.
const LIMITS: &str = "\npay:\n  limits: [{ asset: GBP/2, per_day: \"1000000\", require_approval_above: \"1000\", approvals: 2 }]\n";
/// Who approves.
const APPROVERS: [&str; 2] = ["ann", "ben"];

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
    /// What signs in at the console, once: of who runs it, and of each who approves.
    links: Vec<(KeyName, String)>,
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
    let mut links = Vec::new();
    let approvers = APPROVERS.map(|name| name.parse().map(|name: KeyName| (name, Role::Approver)));
    for (name, role) in
        [Ok((name, Role::Admin))].into_iter().chain(approvers).collect::<Result<Vec<_>, _>>()?
    {
        // the keys are in nobody's hand: the links sign in
        perform(&operators::Create { name: name.clone(), role, expires: None }, on, &actor).await?;
        let link = perform(&operators::Link { name: name.clone() }, on, &actor).await?.path;
        links.push((name, format!("http://{operator}{link}")));
    }
    Ok(TryWith { key, links })
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
    let secret = PaymentSecret::parse(&PaymentSecret::generate())?;
    let server = Service::new(pool, vec![provider], Some(secret), &instance, retention, Trusted::default())?;
    let (progress, runs) = server.progress().ok_or("the manifest of the demo is not pulled")?;
    let running = server.start(listeners, ConnectionLimits::default())?;
    // not before they lead somewhere
    print_links(try_with);
    stop.run_until_cancelled(watch_first_sync(&progress, runs, args.bank.items())).await;
    if !stop.is_cancelled() {
        print_how_to_try(addresses, &upstream_url, &try_with.key);
        if let Some(payment) = payment(pool).await? {
            print_payment(addresses[0], &try_with.key, &payment);
        }
        println!("\nCtrl-C stops it.");
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
    let mut provider = Provider::parse(&MANIFEST.replacen("\npay:\n", LIMITS, 1), &lookup)?;
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

fn print_links(try_with: &TryWith) {
    println!("\nThe console, by links that sign in once, within 10 minutes:");
    for (name, link) in &try_with.links {
        let who = if APPROVERS.contains(&name.as_str()) { "approves payments" } else { "runs the rest" };
        println!("  {link}  {name}, who {who}");
    }
    println!();
}

/// A payment that Formance could order, as JSON. None where the feeds have not come so far within a few seconds.
async fn payment(pool: &PgPool) -> Result<Option<Value>, Box<dyn std::error::Error + Send + Sync>> {
    for _ in 0..100 {
        let (accounts, payees) =
            (rows(pool, FeedName::Accounts).await?, rows(pool, FeedName::Beneficiaries).await?);
        // a space pays nobody
        let pays = |row: &&Value| {
            row["metadata"]["currency"] == "GBP" && row["metadata"]["defaultCategory"].is_string()
        };
        if let (Some(account), Some(payee)) = (accounts.iter().find(pays), payees.first()) {
            return Ok(Some(json!({
                "idempotencyKey": "invoice-17", "amount": "2500", "currency": "GBP/2",
                "sourceAccountId": account["id"], "destinationAccountId": payee["id"],
            })));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(None)
}

/// The first entries of a feed, read past the API: whoever polls that is listed as a consumer.
async fn rows(pool: &PgPool, of: FeedName) -> Result<Vec<Value>, Box<dyn std::error::Error + Send + Sync>> {
    let mut connection = pool.acquire().await?;
    let start = Start::From { from: None, skip: 0 };
    let slice = feed::slice(&mut connection, &PROVIDER.parse()?, of, start, 100, None).await?;
    Ok(slice.map(|slice| serde_json::from_slice(&slice.array)).transpose()?.unwrap_or_default())
}

fn print_how_to_try([address, operator]: [SocketAddr; 2], upstream_url: &str, key: &str) {
    let recent = (chrono::Utc::now() - chrono::TimeDelta::minutes(1))
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    println!(
        "
Tributary:  http://{address}
Operators:  http://{operator} (the console, /metrics, /readyz, the admin API)
Key:        {key}
Upstream:   {upstream_url} (a stand-in of Starling Bank, which goes on changing)

Try:
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/accounts'
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/transactions?pageSize=3&sort=updatedAt:asc'
  curl -s -H 'Authorization: Bearer {key}' 'http://{address}/transactions?sort=updatedAt:asc&updatedAtFrom={recent}'"
    );
}

fn print_payment(address: SocketAddr, key: &str, payment: &Value) {
    println!(
        "
A payment, which waits until ann and ben have approved it at the console:
  curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{payment}' 'http://{address}/payouts'"
    );
}
