//! The connection to the private PostgreSQL and its one database.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, Error};

use super::place::PORT;

/// The role and owner of everything in the private PostgreSQL.
pub(super) const ROLE: &str = "tributary";

const DATABASE: &str = "tributary";

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The URL of the database behind the socket in `socket_dir`, for `login`. It names everything that would be
/// taken from PGPORT, PGSSLMODE and their like otherwise.
pub(super) fn url(socket_dir: &Path, login: &str) -> String {
    let dir = socket_dir.display();
    let login: String = login.bytes().fold(String::new(), |mut url, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => url.push(byte.into()),
            other => url.push_str(&format!("%{other:02X}")),
        }
        url
    });
    format!("postgres://{login}@localhost:{PORT}/{DATABASE}?host={dir}&sslmode=disable")
}

/// Connects once and creates the database if there is none.
pub(super) async fn connect_and_create(socket_dir: &Path) -> Result<(), Error> {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(PORT)
        .username(ROLE)
        // Every cluster has this one.
        .database("postgres")
        .ssl_mode(PgSslMode::Disable);
    let mut connection = tokio::time::timeout(CONNECT_LIMIT, options.connect())
        .await
        .map_err(|_| Error::Io(ErrorKind::TimedOut.into()))??;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = 'tributary')")
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        sqlx::query("create database tributary").execute(&mut connection).await?;
    }
    connection.close().await
}

/// Whether the error says that no server listens, or that it went away in this moment.
pub(super) fn server_is_silent(error: &Error) -> bool {
    matches!(error, Error::Io(error) if matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::WouldBlock
            | ErrorKind::TimedOut
    ))
}

/// Whether the error says that the server lives but takes no connection now: it starts up or shuts
/// down (57P01 to 57P03), or all connections are in use (53300).
pub(super) fn server_is_busy(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("57P01" | "57P02" | "57P03" | "53300"))
}
