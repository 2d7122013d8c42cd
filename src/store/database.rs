//! Connections, and what can go wrong with them.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgPool, Postgres, Transaction};

/// What a statement or a connection failed with. The layers above decide by its kind; its
/// text is for logs and never for a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer now, or refuses to write (disk full, read-only, no free
    /// connection, time limit): the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// A statement failed in a way that repeating it does not mend.
    #[error("a statement failed: {0}")]
    Failed(#[source] sqlx::Error),
    /// The login of the database may not do this.
    #[error("{0}. The login is for other work: docs/operations.md, \"Logins of the database\"")]
    Forbidden(#[source] sqlx::Error),
    /// The schema of the database is not the one that this build needs.
    #[error("{0}")]
    Schema(String),
}

impl StoreError {
    /// Whether a statement broke this constraint, or unique index.
    pub fn broke(&self, constraint: &str) -> bool {
        matches!(self, Self::Failed(sqlx::Error::Database(error)) if error.constraint() == Some(constraint))
    }

    /// What a trigger or function of the schema refused the statement with, in words for people.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            // integrity_constraint_violation itself: PostgreSQL's own checks have codes of their own
            Self::Failed(sqlx::Error::Database(error)) if error.code().as_deref() == Some("23000") => {
                Some(error.message())
            }
            _ => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            Some("42501") => Self::Forbidden(error),
            _ if is_passing(&error) => Self::Unavailable(error),
            _ => Self::Failed(error),
        }
    }
}

/// SQLSTATE classes that speak of the server's condition rather than of the statement:
/// connection (08), transaction rollback such as a deadlock (40), read-only (25006),
/// resources (53), locks (55), operator intervention such as a shutdown or time limit (57),
/// system error (58).
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code == "25006"
                || ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// The task that worked on the database is gone, and what became of its work is not known.
pub fn worker_gone() -> StoreError {
    StoreError::Unavailable(sqlx::Error::WorkerCrashed)
}

/// How long a connection that is given back to the pool may take to show that it lives.
const RETURN_LIMIT: Duration = Duration::from_secs(2);

/// Waits for `work` on the database, but not for ever: a network that goes silent says nothing
/// of it, and PostgreSQL's own limits do not reach through it.
pub async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
    }
}

/// A pool of at most `max_connections` connections to `url`. Statements that outlast 60 s are
/// cut by the server, and a wait for a free connection ends after 3 s: Formance waits 10.
pub async fn connect(url: &str, max_connections: u32) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(3))
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection
                    .execute(
                        "set application_name = 'tributary'; set timezone = 'UTC';
                         set statement_timeout = '60s'; set idle_in_transaction_session_timeout = '60s';
                         set default_transaction_isolation = 'read committed'; set jit = off",
                    )
                    .await?;
                Ok(())
            })
        })
        // sqlx itself would wait without end, and a slot of the pool with it
        .after_release(|connection, _| {
            Box::pin(async move {
                let answered = tokio::time::timeout(RETURN_LIMIT, connection.ping()).await;
                answered.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))?;
                Ok(true)
            })
        })
        .connect_with(options.statement_cache_capacity(200))
        .await?;
    Ok(pool)
}

/// Begins a transaction. Take this and not the pool's own: if the caller is dropped while `BEGIN`
/// is under way (a request that takes too long, a run that is stopped), sqlx 0.9 gives the
/// connection back to the pool with the transaction open, and whoever gets it next writes into a
/// transaction that nobody commits. Here a task goes on to the end of `BEGIN`, and rolls back
/// what nobody waits for any more.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin().await });
    Ok(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
}

/// Whether the database answers now.
pub async fn ping(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query_scalar!("select 1").fetch_one(pool).await?;
    Ok(())
}
