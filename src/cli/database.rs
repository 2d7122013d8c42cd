//! The database of a command: DATABASE_URL, or the private PostgreSQL of the data folder.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgPool;

use super::Common;
use crate::store::{self, migrate::require_schema};
use private_pg::PrivatePostgres;

/// An open database. Close it, so that a private server stops with its last user.
pub struct Database {
    pub pool: PgPool,
    private: Option<(PathBuf, PrivatePostgres)>,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How long a command waits for a database that is only just starting.
const PATIENCE: Duration = Duration::from_secs(30);

/// As whom a command uses the private PostgreSQL. DATABASE_URL says so itself.
#[derive(Debug, Clone, Copy)]
pub enum Login<'a> {
    /// Whoever migrates, and makes keys.
    Owner,
    /// The service, which may do no more than its work takes.
    Service,
    /// A person who decides about payments.
    Person(&'a str),
}

impl Database {
    /// Opens the database with a pool of `max_connections`. The private one is brought up to
    /// date at once, as nobody else looks after it.
    pub async fn open(common: &Common, login: Login<'_>, max_connections: u32) -> Result<Self, Error> {
        if let Some(url) = &common.database_url {
            return Ok(Self { pool: connect_patiently(url, max_connections).await?, private: None });
        }
        let private = PrivatePostgres::open(&common.data).await?;
        left_open().push(common.data.clone());
        let owner = store::connect(&private.url(), max_connections).await?;
        store::migrate(&owner).await?;
        let name = match login {
            Login::Owner => None,
            Login::Service => Some(store::roles::make_service(&owner).await?),
            Login::Person(name) => Some(name),
        };
        let pool = match name {
            None => owner,
            Some(name) => {
                owner.close().await;
                store::connect(&private.url_as(name), max_connections)
                    .await
                    .map_err(|error| format!("cannot open the private PostgreSQL as {name}: {error}"))?
            }
        };
        Ok(Self { pool, private: Some((common.data.clone(), private)) })
    }

    /// As [`Database::open`], where the schema has to be there already.
    pub async fn open_migrated(
        common: &Common,
        login: Login<'_>,
        max_connections: u32,
    ) -> Result<Self, Error> {
        let database = Self::open(common, login, max_connections).await?;
        if let Err(error) = require_schema(&database.pool).await {
            database.close().await;
            return Err(error.into());
        }
        Ok(database)
    }

    /// Lets go of the database.
    pub async fn close(self) {
        self.pool.close().await;
        if let Some((data, private)) = self.private {
            left_open().retain(|open| *open != data);
            close(private).await;
        }
    }
}

/// The data folders whose private PostgreSQL was opened and not closed.
fn left_open() -> MutexGuard<'static, Vec<PathBuf>> {
    static LEFT_OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    LEFT_OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes what a command that failed did not close itself.
pub async fn close_left_open() {
    let left = std::mem::take(&mut *left_open());
    for data in left {
        match PrivatePostgres::open(&data).await {
            Ok(private) => close(private).await,
            Err(error) => tracing::error!(%error, "the private PostgreSQL may still run"),
        }
    }
}

async fn close(private: PrivatePostgres) {
    if let Err(error) = private.close().await {
        tracing::error!(%error, "the private PostgreSQL did not stop cleanly");
    }
}

async fn connect_patiently(url: &str, max_connections: u32) -> Result<PgPool, Error> {
    let begun = tokio::time::Instant::now();
    loop {
        match store::connect(url, max_connections).await {
            Ok(pool) => return Ok(pool),
            Err(store::StoreError::Unavailable(error)) if begun.elapsed() < PATIENCE => {
                tracing::warn!(%error, "the database does not answer yet; waiting");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(format!("cannot open the database of DATABASE_URL: {error}").into()),
        }
    }
}
