//! `tributary serve`.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::{CommandResult, Common};
use crate::config::{self, Provider, Source};
use crate::feed::Publisher;
use crate::http::{self, AppState, ServedProvider};
use crate::ingest::Scheduler;
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
}

/// How long a stop waits for requests and runs to end.
const DRAIN: Duration = Duration::from_secs(25);

pub async fn run(common: &Common, args: ServeArgs) -> CommandResult {
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let providers = config::load_providers(&common.providers, &config::environment)?;
    let database = Database::open_migrated(common, args.database_connections).await?;
    let result = match TcpListener::bind(args.listen).await {
        Ok(listener) => serve(&database.pool, providers, listener, stop).await,
        Err(error) => Err(format!("cannot listen on {}: {error}; choose another address with --listen", args.listen).into()),
    };
    database.close().await;
    result
}

/// Serves `providers` on `listener` until `stop`, then lets what runs end.
pub async fn serve(
    pool: &PgPool,
    providers: Vec<Provider>,
    listener: TcpListener,
    stop: CancellationToken,
) -> CommandResult {
    let metrics = telemetry::start_metrics()?;
    for provider in &providers {
        for warning in &provider.warnings {
            tracing::warn!(provider = %provider.name, "{warning}");
        }
    }
    let published = providers.iter().map(|provider| (provider.name.clone(), provider.pace)).collect();
    let state = Arc::new(AppState {
        pool: pool.clone(),
        providers: providers.iter().map(served).collect::<HashMap<_, _>>(),
        metrics: Some(metrics.clone()),
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(Publisher::new(pool.clone(), published).run(stop.clone()));
    tasks.spawn(upkeep(metrics, stop.clone()));
    for provider in providers {
        if let Source::Pull(manifest) = provider.source {
            tasks.spawn(Scheduler::new(pool.clone(), provider.name, *manifest).run(stop.clone()));
        }
    }
    tracing::info!(address = %listener.local_addr()?, "serving");
    let server = axum::serve(listener, http::app(state)).with_graceful_shutdown(stop.clone().cancelled_owned());
    tasks.spawn(async move {
        if let Err(error) = server.into_future().await {
            tracing::error!(%error, "the server ended");
        }
    });
    stop.cancelled().await;
    tracing::info!("stopping: no new requests; what runs may end");
    let drained = tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!("stopped what did not end within {} s", DRAIN.as_secs());
    }
    Ok(())
}

fn served(provider: &Provider) -> (crate::domain::ProviderName, ServedProvider) {
    (provider.name.clone(), ServedProvider { formance: provider.formance, keys: provider.keys.clone() })
}

/// Histograms gather samples until somebody drains them.
async fn upkeep(metrics: metrics_exporter_prometheus::PrometheusHandle, stop: CancellationToken) {
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
