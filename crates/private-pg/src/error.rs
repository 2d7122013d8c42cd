//! What can keep the private PostgreSQL from running, put so that the reader knows what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why the private PostgreSQL could not be opened or closed.
#[derive(Debug, Error)]
pub enum PrivatePgError {
    /// A file or directory of the private PostgreSQL could not be used.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was attempted, as the object of "cannot".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// No PostgreSQL server that can be used is installed.
    #[error(
        "no PostgreSQL server of version {oldest} or later found{found}: install one (Debian, Ubuntu: \
         `apt install postgresql`; macOS: `brew install postgresql@18`), or name the directory of its \
         `initdb` and `postgres` in TRIBUTARY_PG_BIN, or set DATABASE_URL to use a server of yours"
    )]
    NoServer {
        /// The lowest major version that will do.
        oldest: u32,
        /// The servers that are installed but will not do, as " (only …)"; empty if there are none.
        found: String,
    },

    /// The directory named in the environment holds no PostgreSQL server.
    #[error("TRIBUTARY_PG_BIN names {dir}, which holds no working `initdb` and `postgres`")]
    NotServerBinaries {
        /// The directory.
        dir: PathBuf,
    },

    /// The data were written by a major version that is not installed.
    #[error(
        "the data in {cluster} were written by PostgreSQL {wanted}, and only that major version can \
         read them, but it is not installed{found}: install PostgreSQL {wanted}, or name the directory \
         of its `initdb` and `postgres` in TRIBUTARY_PG_BIN"
    )]
    MajorVersionMissing {
        /// The directory of the data.
        cluster: PathBuf,
        /// The major version that wrote them.
        wanted: u32,
        /// The servers that are installed, as " (only …)"; empty if there are none.
        found: String,
    },

    /// Tributary runs as root and finds no other account to run PostgreSQL as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor a user `nobody` \
         to run it as: create one, start Tributary as an ordinary user, or set DATABASE_URL"
    )]
    NoServerUser,

    /// The data belong to somebody as whom PostgreSQL cannot be run.
    #[error("the data in {cluster} belong to {owner}, as whom PostgreSQL cannot be run from here: {advice}")]
    ForeignData {
        /// The directory of the data.
        cluster: PathBuf,
        /// The owner's name or number.
        owner: String,
        /// What to do about it.
        advice: String,
    },

    /// The account that PostgreSQL runs as cannot reach the data directory.
    #[error(
        "Tributary runs as root, so PostgreSQL runs as the user `{user}`, who cannot pass through {dir} \
         to the data directory {data}: choose a data directory elsewhere (such as /var/lib/tributary), \
         run `chmod o+x {dir}`, or set DATABASE_URL"
    )]
    OutOfReach {
        /// The directory that stops the user.
        dir: PathBuf,
        /// The user that PostgreSQL runs as.
        user: String,
        /// The data directory.
        data: PathBuf,
    },

    /// A program of PostgreSQL could not be run at all.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program's path.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// `initdb` failed.
    #[error("initialising the private PostgreSQL failed: {output}")]
    Initdb {
        /// What `initdb` said.
        output: String,
    },

    /// The server ended while it was starting.
    #[error("the private PostgreSQL did not start; its log {log} says: {tail}")]
    Start {
        /// The log file.
        log: PathBuf,
        /// The end of what it wrote in this start.
        tail: String,
    },

    /// A server that Tributary did not start runs in the private data.
    #[error(
        "a PostgreSQL that Tributary did not start (process {pid}) runs in {cluster}: stop it \
         (`kill -INT {pid}`), or set DATABASE_URL to use it"
    )]
    StartedByHand {
        /// The process of that server.
        pid: i32,
        /// The directory of the data.
        cluster: PathBuf,
    },

    /// The server, or another process of Tributary, did not come to an end with something in time.
    #[error("gave up after {} s: {what}", waited.as_secs())]
    TimedOut {
        /// What was waited for, and what to do.
        what: String,
        /// For how long.
        waited: Duration,
    },

    /// The server runs, but refuses the connection or the first statements.
    #[error("the private PostgreSQL refuses the connection: {0}")]
    Connect(#[from] sqlx::Error),
}

impl PrivatePgError {
    /// For `map_err`: names the attempt and the file in an error of the system.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

/// The result of the private PostgreSQL's functions.
pub(super) type Result<T> = std::result::Result<T, PrivatePgError>;
