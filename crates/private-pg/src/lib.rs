//! A private PostgreSQL: the server that Tributary runs in its data directory when no `DATABASE_URL`
//! is given.
//!
//! # Shared by processes
//! Whoever comes first starts the server, others use it, and the last to leave stops it. Three locks
//! (`flock`: the kernel frees them when their holder dies, even of SIGKILL) say who is there:
//!
//! | lock | held by | says |
//! | --- | --- | --- |
//! | `gate` | whoever opens or closes, alone | one start or stop at a time |
//! | `users` | every open [`PrivatePostgres`], together | somebody still uses the server |
//! | `server` | the server's own processes, as their standard input | a server lives |
//!
//! The third replaces any guess from process numbers, which mean nothing in another container and
//! are soon used again. A server whose users were all killed goes on, and the next to open adopts it.
//!
//! # Why not `postgresql_embedded`
//! Version 0.22 of that crate starts every server with `-F` (no fsync), so a crash of the machine may
//! lose or destroy data; takes a `postmaster.pid` for a running server; stops the server, blocking,
//! when a handle is dropped, whoever else uses it; does not change its user, so it cannot run as root;
//! initialises in place, so a killed `initdb` spoils the directory; and brings twenty further crates.
//! What it does beyond this module is to fetch server binaries; the packages of the system, which are
//! kept up to date, serve better.

mod account;
mod binaries;
mod cluster;
mod database;
mod error;
mod locks;
mod log;
mod place;
mod server;
mod setup;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use self::account::OsAccount;
pub use self::error::PrivatePgError;
use self::error::Result;
use self::locks::Lock;
use self::place::Place;
use self::setup::Setup;

/// How to run a private PostgreSQL. They concern the process that starts the server; one that finds
/// it running takes it as it is.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of `initdb` and `postgres`; `None` looks in the usual places.
    pub bin_dir: Option<PathBuf>,
    /// Whether a committed transaction survives a crash of the machine. Off only for servers that are
    /// thrown away, such as those of tests; it makes them faster.
    pub fsync: bool,
    /// Further settings of the server, by name and value as in `postgresql.conf`; they win over the
    /// module's own.
    pub extra_settings: Vec<(String, String)>,
}

impl Default for Options {
    /// Durable, with the server that is found.
    fn default() -> Self {
        Self { bin_dir: None, fsync: true, extra_settings: Vec::new() }
    }
}

/// A user's hold on the private PostgreSQL of a data directory.
///
/// Call [`close`](Self::close) in the end. Dropping only lets go, without waiting: the server then
/// goes on if it runs, and the next to open it uses it, and stops it when it leaves as the last.
#[derive(Debug)]
#[must_use = "the server may be stopped by others once this is dropped"]
pub struct PrivatePostgres {
    place: Place,
    socket_dir: PathBuf,
    users: Lock,
}

impl PrivatePostgres {
    /// Opens the private PostgreSQL in `data_dir`, with the programs in the directory that
    /// TRIBUTARY_PG_BIN names, if set. See [`open_with`](Self::open_with).
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub async fn open(data_dir: &Path) -> std::result::Result<Self, PrivatePgError> {
        let named = std::env::var_os("TRIBUTARY_PG_BIN").filter(|dir| !dir.is_empty());
        let options = Options { bin_dir: named.map(PathBuf::from), ..Options::default() };
        Self::open_with(data_dir, &options).await
    }

    /// Opens the private PostgreSQL in `data_dir`: creates the directory and the data if there are
    /// none, starts the server if none runs, and returns when it takes connections. This can take
    /// several seconds the first time, and minutes after a crash; the future may be dropped at any
    /// time.
    ///
    /// As root, the server runs as the owner of the data, at first the user `postgres`, else `nobody`.
    ///
    /// # Errors
    /// If there is no server to run, the directory cannot be used, or the server does not start; each
    /// error says what to do.
    pub async fn open_with(data_dir: &Path, options: &Options) -> std::result::Result<Self, PrivatePgError> {
        let place = Place::prepare(data_dir)?;
        // Asked before the gate too: a foreigner cannot even open the lock file, but should hear why.
        OsAccount::choose(&place.cluster())?;
        let _gate = Self::pass_gate(&place).await?;
        let account = OsAccount::choose(&place.cluster())?;
        let socket_dir = place.socket_dir(&account)?;
        let users = place.lock("users");
        // Only a holder of the gate ever takes this lock alone.
        let users = Lock::try_shared(&users)?
            .ok_or_else(|| PrivatePgError::io("lock", users)(std::io::ErrorKind::WouldBlock.into()))?;
        let setup = Setup { place: &place, account: &account, socket_dir: &socket_dir, options };
        server::bring_up(&setup).await?;
        Ok(Self { place, socket_dir, users })
    }

    /// The URL of the database, for sqlx and other clients that run as root or as the server's user.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_as(database::ROLE)
    }

    /// As [`url`](Self::url), for another login than the owner of everything. Members of
    /// `tributary_operator` need their password (PGPASSWORD, or a password file), others none.
    #[must_use]
    pub fn url_as(&self, login: &str) -> String {
        database::url(&self.socket_dir, login)
    }

    /// Lets go of the server, and stops it if nobody else uses it; returns when its last process is
    /// gone. Close your own connections first: those that are open then are cut.
    ///
    /// # Errors
    /// If the locks cannot be used, or the server does not stop within two minutes (it goes on
    /// stopping).
    pub async fn close(self) -> std::result::Result<(), PrivatePgError> {
        let _gate = Self::pass_gate(&self.place).await?;
        drop(self.users);
        let Some(_alone) = Lock::try_exclusive(&self.place.lock("users"))? else {
            tracing::debug!("the private PostgreSQL goes on: other processes use it");
            return Ok(());
        };
        if server::stop(&self.place, &self.socket_dir).await? {
            tracing::info!("stopped the private PostgreSQL in {}", self.place.cluster().display());
            self.place.forget_socket_dir(&self.socket_dir);
        }
        Ok(())
    }

    async fn pass_gate(place: &Place) -> Result<Lock> {
        let busy =
            || tracing::info!("waiting for another process that starts or stops the private PostgreSQL");
        Lock::exclusive(&place.lock("gate"), busy).await
    }
}
