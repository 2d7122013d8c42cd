//! `tributary serve`.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::{CommandResult, Common};
use crate::config::{self, Provider, Source};
use crate::feed::Publisher;
use crate::http::{self, AppState, Limits, ServedProvider};
use crate::ingest::{Housekeeper, Instance, Progress, Scheduler};
use crate::payments::{Payer, Payments, Settings};
use crate::provider::Period;
use crate::telemetry;

#[derive(Args)]
#[command(after_help = "Example:
  DATABASE_URL=postgres://tributary@db/tributary tributary serve --listen 0.0.0.0:8080 --providers /etc/tributary/providers")]
pub struct ServeArgs {
    /// Address to listen on.
    #[arg(long, env = "TRIBUTARY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The most connections to the database.
    #[arg(long, env = "TRIBUTARY_DATABASE_CONNECTIONS", default_value_t = 16, value_name = "N",
          value_parser = clap::value_parser!(u32).range(4..))]
    pub database_connections: u32,
    /// For how long an instance that fell silent keeps its work from the others: 30s, 5m.
    #[arg(long, env = "TRIBUTARY_LEASE", default_value = "30s", value_name = "TIME", value_parser = lease_time)]
    pub lease: Duration,
}

/// Reads the time of a lease: a second at least, as shorter ones would be lost to any hiccup.
pub fn lease_time(text: &str) -> Result<Duration, String> {
    let time = Period::try_from(text.to_owned())?.as_duration();
    if time < Duration::from_secs(1) {
        Err("a lease holds for a second at least".to_owned())
    } else {
        Ok(time)
    }
}

/// How long a stop waits for requests and runs to end.
const DRAIN: Duration = Duration::from_secs(25);

pub async fn run(common: &Common, args: ServeArgs) -> CommandResult {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let providers = config::load_providers(&common.providers, &config::environment)?;
    let database = Database::open_migrated(common, args.database_connections).await?;
    let result = serve(&database.pool, providers, &args, stop).await;
    database.close().await;
    result
}

async fn serve(
    pool: &PgPool,
    providers: Vec<Provider>,
    args: &ServeArgs,
    stop: CancellationToken,
) -> CommandResult {
    let listen = args.listen;
    let server = Server::new(pool, providers, &Instance::new(args.lease))?;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        format!("cannot listen on {listen}: {error}; choose another address with --listen")
    })?;
    server.run(listener, stop).await
}

/// Everything that a serving process does, ready to run.
pub struct Server {
    publisher: Publisher,
    housekeeper: Housekeeper,
    schedulers: Vec<Scheduler>,
    payments: Payments,
    state: Arc<AppState>,
    metrics: PrometheusHandle,
}

impl Server {
    /// Makes ready to serve `providers`; fails where a manifest is wrong.
    pub fn new(
        pool: &PgPool,
        providers: Vec<Provider>,
        instance: &Instance,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let metrics = telemetry::start_metrics()?;
        let mut schedulers = Vec::new();
        let mut payers = HashMap::new();
        for provider in &providers {
            for warning in &provider.warnings {
                tracing::warn!(provider = %provider.name, "{warning}");
            }
            if let Source::Pull(manifest) = &provider.source {
                let scheduler =
                    Scheduler::new(pool.clone(), provider.name.clone(), manifest, instance.clone())
                        .map_err(|error| format!("provider {}: {error}", provider.name))?;
                let connection = Arc::clone(scheduler.connection());
                payers.insert(provider.name.clone(), Payer { connection, policy: provider.payments.clone() });
                schedulers.push(scheduler);
            }
        }
        let keeping = providers.iter().map(|provider| match &provider.source {
            Source::Pull(manifest) => (provider.name.clone(), manifest.keep_raw),
            // what is there of a provider that is not pulled just now is left alone
            Source::Push | Source::Unset => (provider.name.clone(), Some(Period::LONGEST)),
        });
        let housekeeper = Housekeeper::new(pool.clone(), keeping.collect());
        let paces = providers.iter().map(|provider| (provider.name.clone(), provider.pace)).collect();
        let mut served = HashMap::new();
        for provider in providers {
            let name = provider.name.clone();
            let provider =
                ServedProvider::new(provider).map_err(|error| format!("provider {name}: {error}"))?;
            served.insert(name, provider);
        }
        let payments = Payments::new(pool.clone(), instance.name.clone(), payers, Settings::default());
        let state = AppState {
            payments: payments.clone(),
            pool: pool.clone(),
            providers: served,
            limits: Limits::default(),
            metrics: Some(metrics.clone()),
        };
        Ok(Self {
            publisher: Publisher::new(pool.clone(), paces),
            housekeeper,
            schedulers,
            payments,
            state: Arc::new(state),
            metrics,
        })
    }

    /// What to watch the runs of the first provider that is pulled by, and how many of them its
    /// first full sync takes.
    pub fn progress(&self) -> Option<(Arc<Progress>, u64)> {
        self.schedulers.first().map(|scheduler| (scheduler.progress(), scheduler.groups() as u64))
    }

    /// Serves on `listener` until `stop`, then lets what runs end.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> CommandResult {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.publisher.run(stop.clone()));
        tasks.spawn(self.housekeeper.run(stop.clone()));
        tasks.spawn(upkeep(self.metrics, stop.clone()));
        tasks.spawn(self.payments.worker().run(stop.clone()));
        for scheduler in self.schedulers {
            tasks.spawn(scheduler.run(stop.clone()));
        }
        tracing::info!(address = %listener.local_addr()?, providers = self.state.providers.len(), "serving");
        let server = axum::serve(listener, http::app(self.state))
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn(async move {
            if let Err(error) = server.into_future().await {
                tracing::error!(%error, "the server ended");
            }
        });
        stop.cancelled().await;
        tracing::info!("stopping: no new requests; what runs may end");
        let payments = self.payments;
        let drained = tokio::time::timeout(DRAIN, async {
            while tasks.join_next().await.is_some() {}
            // the requests of payments go on when nobody waits for them any more
            payments.settled().await;
        })
        .await;
        if drained.is_err() {
            tracing::warn!("stopped what did not end within {} s", DRAIN.as_secs());
        }
        Ok(())
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
