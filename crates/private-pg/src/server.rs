//! Starts and stops the server. Everything here is called by the holder of the gate.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use super::error::{PrivatePgError, Result};
use super::locks::{Lock, POLL};
use super::place::{self, Place};
use super::setup::Setup;
use super::{binaries, cluster, database, log};

/// How long a server may stay silent before it is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// How long a server may answer "starting up" (it recovers after a crash) or "shutting down".
const START_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long a server may take to stop: it writes what it holds in memory, 128 MiB at most.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// Returns once the server takes connections and has the database, starting it if none runs.
pub(super) async fn bring_up(setup: &Setup<'_>) -> Result<()> {
    let begun = Instant::now();
    let mut last_sign = begun;
    let mut started: Option<Started> = None;
    loop {
        match database::connect_and_create(setup.socket_dir).await {
            Ok(()) => {
                if let Some(started) = started {
                    watch(started.child, setup.place.cluster());
                }
                return Ok(());
            }
            Err(error) if database::server_is_silent(&error) => {}
            Err(error) if database::server_is_busy(&error) => last_sign = Instant::now(),
            Err(error) => return Err(error.into()),
        }
        match &mut started {
            Some(started) => started.check(setup.place)?,
            None => {
                if let Some(claim) = Lock::try_exclusive(&setup.place.lock("server"))? {
                    started = Some(start(setup, claim).await?);
                    last_sign = Instant::now();
                }
            }
        }
        if last_sign.elapsed() > SILENCE_LIMIT || begun.elapsed() > START_LIMIT {
            return Err(gives_no_answer(setup, begun.elapsed()));
        }
        sleep(POLL).await;
    }
}

fn gives_no_answer(setup: &Setup<'_>, waited: Duration) -> PrivatePgError {
    let process = written_pid(setup.place).map_or_else(String::new, |pid| format!(" (process {pid})"));
    let what = format!(
        "the server in {}{process} takes no connections on {}; see {}, and if it does not recover, \
         end it with `kill -INT` and start again",
        setup.place.cluster().display(),
        setup.socket_dir.display(),
        setup.place.log().display(),
    );
    PrivatePgError::TimedOut { what, waited }
}

/// A server that this process started.
#[derive(Debug)]
struct Started {
    child: Child,
    /// Where in the log it begins.
    log_from: u64,
}

impl Started {
    /// Fails if the server has ended.
    fn check(&mut self, place: &Place) -> Result<()> {
        let log = place.log();
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(PrivatePgError::Start { tail: log::tail(&log, self.log_from), log }),
            Err(source) => Err(PrivatePgError::io("watch the server of", place.cluster())(source)),
        }
    }
}

/// Tells of the server's end and takes in its exit status, so that no zombie keeps its number in
/// use, for as long as this process lives.
fn watch(mut child: Child, cluster: PathBuf) {
    tokio::spawn(async move {
        match child.wait().await {
            Ok(status) if status.success() => {
                tracing::info!("the private PostgreSQL in {} has stopped", cluster.display());
            }
            Ok(status) => {
                tracing::error!("the private PostgreSQL in {} died: {status}", cluster.display());
            }
            Err(error) => tracing::warn!(%error, "cannot watch the private PostgreSQL"),
        }
    });
}

/// Starts the server, which from now on holds `claim`: as long as any of its processes lives,
/// nobody else can have it.
async fn start(setup: &Setup<'_>, claim: Lock) -> Result<Started> {
    let (place, cluster) = (setup.place, setup.place.cluster());
    let binaries = binaries::find(setup.options.bin_dir.as_deref(), place.major_version()?, &cluster).await?;
    cluster::initialise(setup, &binaries).await?;
    clear_stale_lock_files(place, setup.socket_dir)?;
    let (log, log_from) = log::open(place).map_err(PrivatePgError::io("write", place.log()))?;
    let second = log.try_clone().map_err(PrivatePgError::io("write", place.log()))?;

    let program = binaries.dir.join("postgres");
    let mut command = setup.command(&program, &cluster);
    command.arg("-D").arg(&cluster);
    for (name, value) in setup.settings() {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.stdin(claim.into_stdin()).stdout(log).stderr(second);
    let child = command.spawn().map_err(|source| setup.account.explain(&program, &cluster, source))?;
    tracing::info!("started the private PostgreSQL {} in {}", binaries.major, cluster.display());
    Ok(Started { child, log_from })
}

/// Removes the lock files of a server that is gone, where PostgreSQL itself could not find out.
///
/// It takes such a file for live if its process number is in use, and in a container a restart soon
/// gives the same numbers to others; a zombie counts too. We know more: the claim is ours, so no
/// server that Tributary started lives. One started by hand would work in the cluster's directory.
fn clear_stale_lock_files(place: &Place, socket_dir: &Path) -> Result<()> {
    let cluster = place.cluster();
    if let Some(pid) = written_pid(place) {
        match works_in(pid, &cluster) {
            Some(true) => {
                let pid = pid.as_raw();
                return Err(PrivatePgError::StartedByHand { pid, cluster });
            }
            Some(false) => remove_if_there(&cluster.join("postmaster.pid"))?,
            // PostgreSQL has to judge.
            None => {}
        }
    }
    // Only servers of this module ever listen there.
    let socket = place::socket(socket_dir);
    let mut lock = socket.clone().into_os_string();
    lock.push(".lock");
    remove_if_there(Path::new(&lock))?;
    remove_if_there(&socket)
}

/// Whether the process lives and works in this directory; `None` where the system does not say.
pub(super) fn works_in(pid: Pid, dir: &Path) -> Option<bool> {
    // Only Linux has this; elsewhere, an absent file would not mean an absent process.
    if !Path::new("/proc/self/cwd").exists() {
        return None;
    }
    let here = fs::metadata(dir).ok()?;
    match fs::metadata(format!("/proc/{pid}/cwd")) {
        Ok(there) => Some((there.dev(), there.ino()) == (here.dev(), here.ino())),
        Err(error) => (error.kind() == ErrorKind::NotFound).then_some(false),
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(PrivatePgError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Stops the server and waits until its last process is gone; then gives `true`. Connections are
/// closed and their transactions rolled back, nothing committed is lost.
///
/// A server in another container with the same data cannot be signalled from here and goes on.
pub(super) async fn stop(place: &Place, socket_dir: &Path) -> Result<bool> {
    let claim = place.lock("server");
    if Lock::try_exclusive(&claim)?.is_some() {
        return Ok(true);
    }
    let socket = UnixStream::connect(place::socket(socket_dir)).await.ok();
    let answers = socket.is_some();
    let process = written_pid(place).filter(|pid| is_the_server(*pid, place, socket.as_ref()));
    // The server gives a connection that stays without a word a minute before it ends.
    drop(socket);
    match process.map(|pid| kill(pid, Signal::SIGINT)) {
        Some(Ok(()) | Err(Errno::ESRCH)) => {}
        Some(Err(errno)) => {
            return Err(PrivatePgError::io("stop the server of", place.cluster())(errno.into()));
        }
        None if answers => {
            tracing::warn!("the private PostgreSQL runs in another container and is left running");
            return Ok(false);
        }
        // It is about to end already.
        None => {}
    }
    let begun = Instant::now();
    while Lock::try_exclusive(&claim)?.is_none() {
        if begun.elapsed() > STOP_LIMIT {
            let what = format!("the server has not stopped yet; see {}", place.log().display());
            return Err(PrivatePgError::TimedOut { what, waited: STOP_LIMIT });
        }
        sleep(POLL).await;
    }
    Ok(true)
}

/// Whether this number, as processes are numbered here, is that of the server: whoever listens on
/// its socket, or works in its directory if nobody listens. It matters in a container, which numbers
/// its own processes; only Linux has such, and shows them.
fn is_the_server(pid: Pid, place: &Place, socket: Option<&UnixStream>) -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    match socket {
        Some(socket) => socket.peer_cred().is_ok_and(|peer| peer.pid() == Some(pid.as_raw())),
        None => works_in(pid, &place.cluster()) == Some(true),
    }
}

/// The process number that the server wrote down, or its predecessor.
pub(super) fn written_pid(place: &Place) -> Option<Pid> {
    let text = fs::read_to_string(place.cluster().join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    // Numbers below 1 would name whole groups of processes.
    (pid > 0).then(|| Pid::from_raw(pid))
}
