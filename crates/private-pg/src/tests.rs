//! The promises of the private PostgreSQL, with real servers that are thrown away.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};

use super::*;

mod life;
mod other;
mod sharing;
mod trouble;

/// A temporary directory. Dropping it ends all servers below it, also after a failed test.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        let name = format!("tributary-test-{:016x}", rand::random::<u64>());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let give_up = Instant::now() + Duration::from_secs(30);
        end_servers(&self.0, give_up);
        // An orphaned initdb may still be writing for a moment.
        while fs::remove_dir_all(&self.0).is_err() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn end_servers(dir: &Path, give_up: Instant) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().join("postgres.server.lock").is_file() {
            end_server(&Place::prepare(&entry.path()).unwrap(), give_up);
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            end_servers(&entry.path(), give_up);
        }
    }
}

fn end_server(place: &Place, give_up: Instant) {
    let holds_lock = || matches!(Lock::try_exclusive(&place.lock("server")), Ok(None));
    let works_there = |pid| server::works_in(pid, &place.cluster()) == Some(true);
    while let Some(pid) = server::written_pid(place)
        && (holds_lock() || works_there(pid))
        && Instant::now() < give_up
    {
        let _ = kill(pid, Signal::SIGQUIT);
        std::thread::sleep(Duration::from_millis(10));
    }
    if let Ok(record) = fs::read_to_string(place.data().join("postgres.socket-at")) {
        let _ = fs::remove_dir(record.lines().next().unwrap_or_default());
    }
}

fn thrown_away() -> Options {
    Options { fsync: false, ..Options::default() }
}

async fn open(data: &Path) -> PrivatePostgres {
    PrivatePostgres::open_with(data, &thrown_away()).await.unwrap()
}

async fn ask(pg: &PrivatePostgres, sql: &'static str) -> String {
    let mut connection = PgConnection::connect(&pg.url()).await.unwrap();
    let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

async fn run(pg: &PrivatePostgres, sql: &'static str) {
    let mut connection = PgConnection::connect(&pg.url()).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn pid(pg: &PrivatePostgres) -> Pid {
    server::written_pid(&pg.place).unwrap()
}

/// Waits for the condition, and fails if it does not come.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < give_up, "{what}: waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The server is gone: nobody holds its lock or its files, and its process is no more.
async fn assert_gone(data: &Path, pid: Pid) {
    let place = Place::prepare(data).unwrap();
    assert!(Lock::try_exclusive(&place.lock("server")).unwrap().is_some());
    assert!(!place.cluster().join("postmaster.pid").exists());
    eventually("the process ends", || kill(pid, None) == Err(Errno::ESRCH)).await;
}
