//! `tributary serve`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::handover::Launch;
use super::signals::Signals;
use super::{CommandResult, Common, files, notify, secret};
use crate::config::{self, Provider, Source};
use crate::feed::Publisher;
use crate::http::{
    self, AppState, ConnectionLimits, Draining, Listening, Patience, RequestLimits, ServedProvider, Serving,
    Stop,
};
use crate::payments::{Payer, PaymentSecret, Payments, Settings};
use crate::sync::{Housekeeper, Instance, Scheduler};
use crate::telemetry;
use tributary_manifest::Period;

#[derive(Args)]
#[command(after_help = "Signals:
  SIGTERM   stop: traffic is served for --lame-duck more while it is asked to go elsewhere (/readyz says 503),
            then requests in flight are finished; a second one ends the first part
  SIGINT    the same without the lame duck's time
  SIGUSR2   upgrade in place: the program as it is now on disk takes the socket over, then this process stops

Where a provider file allows payouts, every instance needs the same TRIBUTARY_PAYMENT_SECRET (`openssl rand -base64 32`
makes one); with the private PostgreSQL the file payment.secret of its data folder is made at the first start.

A socket that is handed over (systemd: LISTEN_FDS) is used instead of --listen.

Example:
  DATABASE_URL=postgres://tributary@db/tributary tributary serve --listen 0.0.0.0:8080 --providers /etc/tributary/providers")]
pub struct ServeArgs {
    /// Address to listen on.
    #[arg(long, env = "TRIBUTARY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The most connections to the database.
    #[arg(long, env = "TRIBUTARY_DATABASE_CONNECTIONS", default_value_t = 16, value_name = "N",
          value_parser = clap::value_parser!(u32).range(4..))]
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
    /// How long a client may take to send the head of a request, or may read nothing of an answer.
    #[arg(long, env = "TRIBUTARY_HEAD_TIME", default_value = "30s", value_name = "TIME", value_parser = some_time)]
    pub head_time: Duration,
    /// How long an idle connection is kept. Formance's client keeps it for 90s.
    #[arg(long, env = "TRIBUTARY_IDLE_TIME", default_value = "120s", value_name = "TIME", value_parser = some_time)]
    pub idle_time: Duration,
    /// How long a lease lasts that its instance does not renew: 30s, 5m. Then another takes over.
    #[arg(long, env = "TRIBUTARY_LEASE", default_value = "30s", value_name = "TIME", value_parser = lease_time)]
    pub lease: Duration,
}

fn time(text: &str) -> Result<Duration, String> {
    Ok(Period::try_from(text.to_owned())?.as_duration())
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if time.is_zero() { Err("it has to be longer than 0s".to_owned()) } else { Ok(time) }
}

fn connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|most| (4..=1_000_000).contains(most));
    number.ok_or_else(|| "it is a number from 4 to 1000000".to_owned())
}

impl ServeArgs {
    fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits { most: self.connections, head: self.head_time, idle: self.idle_time }
    }
}

/// Reads the time of a lease: a second at least, as shorter ones would be lost to any hiccup.
pub fn lease_time(text: &str) -> Result<Duration, String> {
    let time = Period::try_from(text.to_owned())?.as_duration();
    if time < Duration::from_secs(1) { Err("a lease lasts at least one second".to_owned()) } else { Ok(time) }
}

/// How long a stop waits for runs of the background to end, once no request is left.
const RUNS_END: Duration = Duration::from_secs(25);
/// And for the publisher, which goes last.
const PUBLISHER_ENDS: Duration = Duration::from_secs(5);

pub async fn run(common: &Common, args: ServeArgs, mut launch: Launch) -> CommandResult {
    // from here on no signal ends the process by itself
    let signals = Signals::new()?;
    let providers = config::load_providers(&common.providers, &config::environment)?;
    // before anything is started that would inherit the socket, and keep it open after our end
    let handed = launch.take_handed()?;
    files::allow(args.connection_limits().files() + args.database_connections as usize)?;
    let database = Database::open_migrated(common, args.database_connections).await?;
    let result = serve(common, &database.pool, providers, &args, (launch, handed), signals).await;
    database.close().await;
    result
}

async fn serve(
    common: &Common,
    pool: &PgPool,
    providers: Vec<Provider>,
    args: &ServeArgs,
    (mut launch, handed): (Launch, Option<Listening>),
    mut signals: Signals,
) -> CommandResult {
    let instance = Instance::new(args.lease);
    let secret = secret::of_server(common, pool, &providers, &instance.name).await?;
    let server = Service::new(pool, providers, secret, &instance)?;
    let listening = match handed {
        Some(handed) => handed,
        None => Listening::bind(args.listen)?,
    };
    let running = server.start(listening, args.connection_limits())?;
    launch.notify_predecessor();
    notify::send("READY=1");
    let why = signals.until_stop(&launch, running.listening()).await;
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
    Ok(())
}

impl From<Provider> for ServedProvider {
    /// The provider as its file declares it.
    fn from(declared: Provider) -> Self {
        Self {
            pulled: !matches!(declared.source, Source::Push),
            webhook: declared.compiled().and_then(|compiled| compiled.webhook().cloned()),
            formance: declared.formance,
            keys: declared.keys,
            limit: declared.limit,
        }
    }
}

/// Everything that a serving process does, ready to run.
pub struct Service {
    publisher: Publisher,
    housekeeper: Housekeeper,
    schedulers: Vec<Scheduler>,
    payments: Payments,
    state: Arc<AppState>,
    draining: Draining,
    metrics: PrometheusHandle,
}

impl Service {
    /// Makes ready to serve `providers`. Without a `secret` nothing new is ordered.
    pub fn new(
        pool: &PgPool,
        providers: Vec<Provider>,
        secret: Option<PaymentSecret>,
        instance: &Instance,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let metrics = telemetry::start_metrics()?;
        telemetry::begin_counters(providers.iter(), &http::routes());
        let mut schedulers = Vec::new();
        let mut payers = HashMap::new();
        for provider in &providers {
            for warning in &provider.warnings {
                tracing::warn!(provider = %provider.name, "{warning}");
            }
            if let Some(compiled) = provider.compiled() {
                let payer = Payer { apis: compiled.payments(), policy: provider.payments.clone() };
                payers.insert(provider.name.clone(), payer);
                schedulers.push(Scheduler::new(pool.clone(), Arc::clone(compiled), instance.clone()));
            }
        }
        let keeping = providers.iter().map(|provider| match &provider.source {
            Source::Pull(manifest) => (provider.name.clone(), manifest.keep_raw),
            // what is there of a provider that is not pulled just now is left alone
            Source::Push | Source::Unset => (provider.name.clone(), Some(Period::LONGEST)),
        });
        let housekeeper = Housekeeper::new(pool.clone(), keeping.collect());
        let paces = providers.iter().map(|provider| (provider.name.clone(), provider.pace)).collect();
        let served = providers.into_iter().map(|provider| (provider.name.clone(), provider.into()));
        let served = served.collect();
        let draining = Draining::default();
        let payments =
            Payments::new(pool.clone(), instance.name.clone(), payers, secret, Settings::default());
        let state = AppState {
            payments: payments.clone(),
            pool: pool.clone(),
            providers: served,
            limits: RequestLimits::default(),
            draining: draining.clone(),
            metrics: Some(metrics.clone()),
        };
        Ok(Self {
            publisher: Publisher::new(pool.clone(), paces),
            housekeeper,
            schedulers,
            payments,
            state: Arc::new(state),
            draining,
            metrics,
        })
    }

    /// What to watch the runs of the first provider that is pulled by, and how many of them its
    /// first full sync takes.
    #[cfg(feature = "standin")]
    pub fn progress(&self) -> Option<(Arc<crate::sync::SyncProgress>, u64)> {
        self.schedulers.first().map(|scheduler| (scheduler.progress(), scheduler.groups() as u64))
    }

    /// Begins to serve on `listening`, and with everything that goes on behind it.
    pub fn start(self, listening: Listening, limits: ConnectionLimits) -> std::io::Result<Running> {
        let (stop_runs, stop_publisher) = (CancellationToken::new(), CancellationToken::new());
        let (mut runs, mut publisher) = (JoinSet::new(), JoinSet::new());
        publisher.spawn(self.publisher.run(stop_publisher.clone()));
        publisher.spawn(upkeep(self.metrics, stop_publisher.clone()));
        runs.spawn(self.housekeeper.run(stop_runs.clone()));
        runs.spawn(self.payments.worker().run(stop_runs.clone()));
        for scheduler in self.schedulers {
            runs.spawn(scheduler.run(stop_runs.clone()));
        }
        tracing::info!(address = %listening.address()?, providers = self.state.providers.len(), "serving");
        let serving = Serving::start(listening, http::app(self.state), self.draining, limits);
        let payments = self.payments;
        Ok(Running { serving, payments, runs, stop_runs, publisher, stop_publisher })
    }
}

/// A server at work.
pub struct Running {
    serving: Serving,
    payments: Payments,
    runs: JoinSet<()>,
    stop_runs: CancellationToken,
    publisher: JoinSet<()>,
    stop_publisher: CancellationToken,
}

impl Running {
    /// The socket that it serves on.
    pub fn listening(&self) -> &Listening {
        self.serving.listening()
    }

    /// Ends it: requests first, then what they may have set going, and last the publisher, which
    /// carries on what both of them committed. `hurry` ends the lame duck's time early.
    pub async fn stop(mut self, why: Stop, patience: Patience, hurry: impl Future<Output = ()>) {
        tracing::info!(?why, "stopping: requests that were accepted are finished first");
        self.serving.stop(why, patience, hurry).await;
        self.stop_runs.cancel();
        join_within(RUNS_END, &mut self.runs).await;
        // requests of payments go on when nobody waits for them any more
        if tokio::time::timeout(RUNS_END, self.payments.drained()).await.is_err() {
            tracing::warn!(
                "a payment is still under way: another instance, or the next start, continues with it"
            );
        }
        self.stop_publisher.cancel();
        join_within(PUBLISHER_ENDS, &mut self.publisher).await;
        tracing::info!("stopped");
    }
}

/// Waits for `tasks`; whatever is left after `limit` is dropped where it stands.
async fn join_within(limit: Duration, tasks: &mut JoinSet<()>) {
    if tokio::time::timeout(limit, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("stopped background work that did not end within {} s", limit.as_secs());
        tasks.abort_all();
    }
}

/// Histograms gather samples until somebody drains them.
async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(5))).await.is_some() {
        metrics.run_upkeep();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_is_what_the_file_was_compiled_to() {
        let file = "
provider: acme
source:
  base_url: https://bank.example
  auth: { bearer: token }
  every: 1m
  webhook: { check: { header: { name: X-Secret, value: s3cret } }, triggers: [{ stream: all }] }
  streams:
    - { name: all, resource: accounts, request: { path: /all }, records: '.[]', map: . }
";
        let provider = Provider::parse(file, &|_| None).unwrap();
        let compiled = Arc::clone(provider.compiled().unwrap());
        let served = ServedProvider::from(provider);
        assert!(Arc::ptr_eq(&served.webhook.unwrap(), compiled.webhook().unwrap()));
    }
}
