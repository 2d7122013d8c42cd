//! Connections, and what can go wrong with them.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, Executor, PgPool, Postgres, Transaction};
use tokio::time::Instant;

use super::protection;

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
    /// The connection is not protected as it has to be; the text says what to write into the URL.
    #[error("{0}")]
    Unprotected(String),
    /// What is kept encrypted cannot be read, or may not be kept: its key is not here.
    #[error("{0}")]
    Sealed(String),
}

impl StoreError {
    /// Whether a statement broke this constraint, or unique index.
    pub fn broke(&self, constraint: &str) -> bool {
        matches!(self, Self::Failed(sqlx::Error::Database(error)) if error.constraint() == Some(constraint))
    }

    /// Whether the connection is gone, and not the statement that is at fault.
    pub fn lost_connection(&self) -> bool {
        match self {
            // admin_shutdown, crash_shutdown, idle_session_timeout
            Self::Unavailable(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| ["57P01", "57P02", "57P05"].contains(&code.as_ref()))
            }
            Self::Unavailable(error) => {
                matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))
            }
            _ => false,
        }
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
/// connection (08), transaction rollback such as a deadlock (40), read-only (25006), a session that
/// ended since its client was silent within a transaction, or took too long for one (25P03, 25P04: a
/// process that was paused), resources (53), locks (55), operator intervention such as a shutdown or
/// time limit (57), system error (58).
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["25006", "25P03", "25P04"].contains(&&*code)
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

/// How long is waited for a free connection: Formance waits 10 s for its answer.
pub(super) const ACQUIRE_LIMIT: Duration = Duration::from_secs(3);
/// How long a connection that is given back to the pool may take to show that it lives.
const RETURN_LIMIT: Duration = Duration::from_secs(2);
/// How long a small piece of work may take: no more than a few statements on a few rows.
const SOON: Duration = Duration::from_secs(10);
/// How long a large one may take: a batch of records, a deletion of many rows. More than the server
/// grants a statement, so that it is the server that ends one that only is slow.
pub const LARGE: Duration = Duration::from_secs(75);
/// How often whoever waits for the database looks whether it lives, and for how long it may be silent.
const LOOK: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);

/// Waits for `work` on the database, but not for ever: a network that goes silent says nothing
/// of it, and PostgreSQL's own limits do not reach through it. What was asked for may have been done
/// all the same, as after any lost answer.
pub fn within<T, E: From<StoreError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    // in a box, as futures of futures of futures grow large otherwise
    let limited = tokio::time::timeout(limit, Box::pin(work));
    async { limited.await.unwrap_or_else(|_| Err(silent().into())) }
}

/// As [`within`], of work that takes moments where nothing is wrong; gives up after 10 s.
pub fn soon<T, E: From<StoreError>>(
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    within(SOON, work)
}

fn silent() -> StoreError {
    StoreError::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
}

/// Ends once the database has not answered for 30 s, on a connection of `pool` besides the one that
/// works: for work that may take long, such as a migration, and must not wait for a dead network.
pub async fn silence(pool: &PgPool) -> StoreError {
    let mut heard = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        match within(LOOK, ping(pool)).await {
            Ok(()) => heard = Instant::now(),
            Err(error) if heard.elapsed() >= SILENCE => return error,
            Err(_) => {}
        }
    }
}

/// What each session begins with. The server's limits come first: a statement, a wait for a lock
/// (unless the database or the role says another) and a transaction that its client forgot. Then
/// how soon the server notices that a client is gone, whose locks it would else hold for hours.
pub(super) const BEGIN_SESSION: &str = "
    set application_name = 'tributary'; set timezone = 'UTC';
    set statement_timeout = '60s'; set idle_in_transaction_session_timeout = '60s';
    select set_config('lock_timeout', '30s', false) where current_setting('lock_timeout') = '0';
    set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3;
    set tcp_user_timeout = '60s';
    set default_transaction_isolation = 'read committed'; set jit = off";

/// A pool of at most `max_connections` connections to `url`. Statements that outlast 60 s, and waits
/// for a lock that outlast 30 s, are cut by the server, and a wait for a free connection ends after
/// 3 s: Formance waits 10. A server on another machine has to prove who it is, unless the URL says
/// otherwise (`sslmode`).
pub async fn connect(url: &str, max_connections: u32) -> Result<PgPool, StoreError> {
    let options = protection::options(url)?;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_LIMIT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(BEGIN_SESSION).await?;
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
        .connect_with(options.clone().statement_cache_capacity(200))
        .await
        .map_err(|error| protection::explain(&options, error))?;
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
    let mut transaction = begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??;
    if let Some(trace) = tributary_traces::current() {
        // what the transaction changes is published by others, who go on with the trace
        sqlx::query!("select set_config('tributary.trace', $1, true) as trace", trace)
            .fetch_one(&mut *transaction)
            .await?;
    }
    Ok(transaction)
}

/// The size of the database on disk, in bytes.
pub async fn size(pool: &PgPool) -> Result<i64, StoreError> {
    let size = sqlx::query_scalar!(r#"select pg_database_size(current_database()) as "size!""#);
    Ok(size.fetch_one(pool).await?)
}

/// Whether the database answers now.
pub async fn ping(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query_scalar!("select 1").fetch_one(pool).await?;
    Ok(())
}
