//! A server behind the Generic Connector that is wrong on purpose, in one way at a time.
//!
//! It is what the check is tested with, and what a person can learn from. It holds a few hundred
//! rows in memory, and changes by being asked: every third request writes a row, and the
//! defects that need a change between two requests make it then. So nothing depends on time.

mod defect;
mod routes;
mod seed;
mod spoil;
mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;

pub use defect::Defect;
use routes::Server;
use world::World;

/// What to serve.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is wrong.
    pub defect: Defect,
    /// The API key that it takes.
    pub key: String,
    /// How long a slow page takes ([`Defect::SlowPages`]).
    pub delay: Duration,
}

/// Serves on `listener` until `stop` completes.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let world = Mutex::new(World::new(config.defect, now()));
    let server = Arc::new(Server { config, world });
    axum::serve(listener, routes::router(server)).with_graceful_shutdown(stop).await
}

/// Microseconds since 1970.
fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}
