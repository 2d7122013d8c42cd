//! `tributary serve`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::database::{Database, Login};
use super::handover::Launch;
use super::signals::Signals;
use super::{CommandResult, Common, encryption, files, notify, secret};
use crate::config::{self, Notify, Provider, SingleSignOn};
use crate::http::{ConnectionLimits, ForwardedHeader, Handed, Listening, Patience, Stop, Trusted};
use crate::service::{Listeners, Service};
use crate::sync::{Instance, Retention};
use tributary_manifest::Period;

#[derive(Args)]
#[command(after_help = "Signals:
  SIGTERM   stop: traffic is served for --lame-duck more while it is asked to go elsewhere (/readyz says 503),
            then requests in flight are finished; a second one ends the first part
  SIGINT    the same without the lame duck's time
  SIGUSR2   upgrade in place: the program as it is now on disk takes the sockets over, then this process stops

Where a provider file allows payouts, every instance needs the same TRIBUTARY_PAYMENT_SECRET (`openssl rand -base64 32`
makes one); with the private PostgreSQL the file payment.secret of its data folder is made at the first start.

People sign in at the console through the OpenID provider of TRIBUTARY_OIDC_ISSUER, if there is one: docs/console.md.

What waits for a person is told to the address of TRIBUTARY_NOTIFY_URL, signed with TRIBUTARY_NOTIFY_SECRET.

A socket that is handed over (systemd: LISTEN_FDS) is used instead of --listen; one that is called
operator (LISTEN_FDNAMES) instead of --operator-listen.

Example:
  DATABASE_URL=postgres://tributary@db/tributary tributary serve --listen 0.0.0.0:8080 --providers /etc/tributary/providers")]
pub struct ServeArgs {
    /// Address to listen on: the connector, push and webhook APIs.
    #[arg(long, env = "TRIBUTARY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Address to listen on for operators: metrics, readiness with its reasons, the admin API, the console. Let
    /// only your own network reach it.
    #[arg(long, env = "TRIBUTARY_OPERATOR_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    pub operator_listen: SocketAddr,
    /// The most connections to the database. A third of them only read pages.
    #[arg(long, env = "TRIBUTARY_DATABASE_CONNECTIONS", default_value_t = 16, value_name = "N",
          value_parser = clap::value_parser!(u32).range(6..))]
    pub database_connections: u32,
    /// How long to go on serving after a stop is requested, so that proxies notice: 0s, 5s.
    #[arg(long, env = "TRIBUTARY_LAME_DUCK", default_value = "5s", value_name = "TIME", value_parser = time)]
    pub lame_duck: Duration,
    /// How long to wait then for requests in flight; Formance waits 10 s for an answer.
    #[arg(long, env = "TRIBUTARY_DRAIN", default_value = "30s", value_name = "TIME", value_parser = time)]
    pub drain: Duration,
    /// The most connections of clients. Beyond that, a new one takes the place of an idle one.
    #[arg(long, env = "TRIBUTARY_CONNECTIONS", default_value_t = ConnectionLimits::default().most, value_name = "N",
          value_parser = connections)]
    pub connections: usize,
    /// How many of them one address may have, unless a trusted proxy has it [default: half of all].
    #[arg(long, env = "TRIBUTARY_CONNECTIONS_PER_ADDRESS", value_name = "N", value_parser = connections)]
    pub connections_per_address: Option<usize>,
    /// Networks of the proxies that are believed as to where requests come from and what they are called
    /// (X-Request-Id): 10.0.0.0/8,192.0.2.1. Separated by commas.
    #[arg(long, env = "TRIBUTARY_TRUSTED_PROXIES", default_value = "", hide_default_value = true,
          value_name = "NETWORKS", value_parser = networks)]
    pub trusted_proxies: Networks,
    /// The header in which these proxies tell where a request comes from.
    #[arg(
        long,
        env = "TRIBUTARY_FORWARDED_HEADER",
        default_value = "x-forwarded-for",
        value_name = "HEADER"
    )]
    pub forwarded_header: ForwardedHeader,
    /// How long a client may take to send the head of a request, or may read nothing of an answer.
    #[arg(long, env = "TRIBUTARY_HEAD_TIME", default_value = "30s", value_name = "TIME", value_parser = some_time)]
    pub head_time: Duration,
    /// How long an idle connection is kept. Formance's client keeps it for 90s.
    #[arg(long, env = "TRIBUTARY_IDLE_TIME", default_value = "120s", value_name = "TIME", value_parser = some_time)]
    pub idle_time: Duration,
    /// How long a lease lasts that its instance does not renew: 30s, 5m. Then another takes over.
    #[arg(long, env = "TRIBUTARY_LEASE", default_value = "30s", value_name = "TIME", value_parser = lease_time)]
    pub lease: Duration,
    /// For how long it is kept what was read, when and how it went: 30d.
    #[arg(long, env = "TRIBUTARY_KEEP_RUNS", default_value = "30d", value_name = "TIME", value_parser = period)]
    pub keep_runs: Period,
    /// For how long requests to pay are kept that were refused: 90d.
    #[arg(long, env = "TRIBUTARY_KEEP_REFUSALS", default_value = "90d", value_name = "TIME", value_parser = period)]
    pub keep_refusals: Period,
    /// For how long a consumer is remembered after its last poll: 90d.
    #[arg(long, env = "TRIBUTARY_KEEP_CONSUMERS", default_value = "90d", value_name = "TIME", value_parser = period)]
    pub keep_consumers: Period,
    /// For how long it is kept what waited for a person, and whether that could be told: 90d.
    #[arg(long, env = "TRIBUTARY_KEEP_NOTIFICATIONS", default_value = "90d", value_name = "TIME", value_parser = period)]
    pub keep_notifications: Period,
}

fn period(text: &str) -> Result<Period, String> {
    Period::try_from(text.to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    Ok(period(text)?.as_duration())
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if time.is_zero() { Err("it has to be longer than 0s".to_owned()) } else { Ok(time) }
}

fn connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|most| (4..=1_000_000).contains(most));
    number.ok_or_else(|| "it is a number from 4 to 1000000".to_owned())
}

/// Networks as they are typed.
#[derive(Debug, Clone)]
pub struct Networks(Vec<IpNet>);

/// Networks and single addresses, separated by commas.
fn networks(text: &str) -> Result<Networks, String> {
    let named = text.split(',').map(str::trim).filter(|network| !network.is_empty());
    let networks = named.map(|network| {
        let parsed = network.parse().ok().or_else(|| Some(network.parse::<IpAddr>().ok()?.into()));
        parsed.ok_or_else(|| format!("{network:?} is no address and no network such as 10.0.0.0/8"))
    });
    Ok(Networks(networks.collect::<Result<_, _>>()?))
}

impl ServeArgs {
    fn retention(&self) -> Retention {
        Retention {
            runs: self.keep_runs,
            refusals: self.keep_refusals,
            consumers: self.keep_consumers,
            notifications: self.keep_notifications,
        }
    }

    fn connection_limits(&self) -> ConnectionLimits {
        let each = self.connections_per_address.unwrap_or(self.connections / 2);
        ConnectionLimits { most: self.connections, each, head: self.head_time, idle: self.idle_time }
    }
}

/// Reads the time of a lease: a second at least, as shorter ones would be lost to any hiccup.
pub fn lease_time(text: &str) -> Result<Duration, String> {
    let time = Period::try_from(text.to_owned())?.as_duration();
    if time < Duration::from_secs(1) { Err("a lease lasts at least one second".to_owned()) } else { Ok(time) }
}

pub async fn run(common: &Common, args: ServeArgs, mut launch: Launch) -> CommandResult {
    // from here on no signal ends the process by itself
    let signals = Signals::new()?;
    let providers = config::load_providers(&common.providers, &config::environment)?;
    providers.iter().try_for_each(Provider::require_answers)?;
    // before anything is started that would inherit the socket, and keep it open after our end
    let handed = launch.take_handed()?;
    let connections = args.connection_limits().files() + ConnectionLimits::for_operators().files();
    files::allow(connections + args.database_connections as usize)?;
    let mut database =
        Database::open_migrated(common, Login::Service, Service::pool_of(args.database_connections)).await?;
    database.outlive_silence();
    encryption::require(&providers)?;
    let result = serve(common, &database.pool, providers, &args, (launch, handed), signals).await;
    database.close().await;
    result
}

async fn serve(
    common: &Common,
    pool: &PgPool,
    providers: Vec<Provider>,
    args: &ServeArgs,
    (mut launch, handed): (Launch, Handed),
    mut signals: Signals,
) -> CommandResult {
    let trusted = Trusted::new(args.trusted_proxies.0.clone(), args.forwarded_header);
    let instance = Instance::new(args.lease);
    let notify = Notify::of(&config::environment)?;
    let single_sign_on = SingleSignOn::of(&config::environment)?;
    let secret = secret::of_server(common, pool, &providers, &instance.name).await?;
    let mut server = Service::new(pool, providers, secret, &instance, args.retention(), trusted)?;
    if let Some(notify) = notify {
        server.notify(notify)?;
    }
    if let Some(provider) = single_sign_on {
        server.sign_in_through(provider)?;
    }
    let listening = |handed: Option<Listening>, address| match handed {
        Some(handed) => Ok(handed),
        None => Listening::bind(address),
    };
    let listeners = Listeners {
        public: listening(handed.public, args.listen)?,
        operator: listening(handed.operator, args.operator_listen)?,
    };
    let running = server.start(listeners, args.connection_limits())?;
    launch.notify_predecessor();
    notify::send("READY=1");
    let (why, result) = tokio::select! {
        why = signals.until_stop(&launch, running.sockets()) => (why, Ok(())),
        () = running.deaf() => (Stop::Prompt, Err("no connections are accepted any more because of a fault; the log has it")),
    };
    if why != Stop::Replaced {
        // the successor is what the service manager looks after now
        notify::send("STOPPING=1");
    }
    let patience = Patience { lame_duck: args.lame_duck, drain: args.drain };
    running
        .stop(why, patience, async {
            signals.end().await;
        })
        .await;
    result.map_err(Into::into)
}

/// Cancels `stop` at the first SIGINT or SIGTERM.
pub fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
