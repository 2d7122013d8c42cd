//! An upgrade in place: a successor, started as this process was, takes the very same sockets over.
//! Both accept from one queue for a moment, so that no connection is ever without a server.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use listenfd::ListenFd;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::http::{Handed, Listening, OPERATOR, SocketError};

/// Set for a successor: its standard input is a socket, on which it says that it serves.
const SUCCESSOR: &str = "TRIBUTARY_SUCCESSOR";
/// What belongs to one process only and is not handed on.
const OWN: [&str; 6] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "LISTEN_FDS_FIRST_FD", SUCCESSOR];
/// What a successor says when it serves.
const SERVING: u8 = b'1';
/// How long a successor may take until it serves: its database may be only just starting.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the process was started, and what it was handed.
pub struct Launch {
    /// As it was typed: a link may lead to another release by the time of an upgrade.
    program: OsString,
    arguments: Vec<OsString>,
    folder: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    handed: ListenFd,
    /// What the handed sockets are called, as `LISTEN_FDNAMES` has it.
    names: String,
    predecessor: Option<StdUnixStream>,
}

/// Why there is no successor. The process goes on as before.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("as process 1 of a container it cannot be replaced: the container would end with it")]
    FirstProcess,
    #[error("the successor could not be started: {0}")]
    Start(#[from] std::io::Error),
    #[error("the successor ended before it served; its log says why")]
    Ended,
    #[error("the successor did not serve within {} s", PATIENCE.as_secs())]
    Late,
}

impl Launch {
    /// Looks at how the process was started. To be called first of all, while there is one thread:
    /// it takes what was handed over out of the environment, so that children do not take it for theirs.
    pub fn capture() -> Self {
        let mut arguments = std::env::args_os();
        let program = arguments.next().unwrap_or_else(|| "tributary".into());
        let environment = std::env::vars_os().filter(|(name, _)| OWN.iter().all(|own| name != own)).collect();
        let successor = std::env::var_os(SUCCESSOR);
        let predecessor = successor
            .and_then(|_| std::io::stdin().as_fd().try_clone_to_owned().ok())
            .map(StdUnixStream::from);
        Self {
            program,
            arguments: arguments.collect(),
            folder: std::env::current_dir().ok(),
            environment,
            names: std::env::var("LISTEN_FDNAMES").unwrap_or_default(),
            handed: ListenFd::from_env(),
            predecessor,
        }
    }

    /// The sockets that were handed over; once.
    pub fn take_handed(&mut self) -> Result<Handed, SocketError> {
        Handed::take(std::mem::replace(&mut self.handed, ListenFd::empty()), &self.names)
    }

    /// Tells the predecessor, if there is one, that this process serves now.
    pub fn notify_predecessor(&mut self) {
        if let Some(mut predecessor) = self.predecessor.take()
            && let Err(error) = std::io::Write::write_all(&mut predecessor, &[SERVING])
        {
            tracing::warn!(%error, "the predecessor is gone already");
        }
    }

    /// Starts a successor on the same sockets (the public one, and the operators'), from the program
    /// and the files as they are now.
    pub fn start_successor(&self, sockets: [&Listening; 2]) -> Result<Successor, HandoverError> {
        if std::process::id() == 1 {
            return Err(HandoverError::FirstProcess);
        }
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let inherited = inheritable(sockets)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("LISTEN_FDS", "2")
            .env("LISTEN_FDS_FIRST_FD", inherited[0].as_raw_fd().to_string())
            .env("LISTEN_FDNAMES", format!("public:{OPERATOR}"))
            .env(SUCCESSOR, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let child = command.spawn()?;
        let pid = child.id().ok_or(HandoverError::Ended)?;
        Ok(Successor { pid: Pid::from_raw(pid as i32), says: UnixStream::from_std(ours)? })
    }
}

/// Both sockets once more, to be inherited by a child: numbered one after the other, as `LISTEN_FDS`
/// wants them. Others may open files in between, so it may take several tries.
fn inheritable([public, operator]: [&Listening; 2]) -> std::io::Result<[OwnedFd; 2]> {
    let mut taken = Vec::new();
    let number = |fd: &OwnedFd| -> RawFd { fd.as_raw_fd() };
    loop {
        let pair = [public.inheritable()?, operator.inheritable()?];
        if number(&pair[1]) == number(&pair[0]) + 1 {
            return Ok(pair);
        }
        // held until a pair is found, so that the next one gets other numbers
        taken.push(pair);
    }
}

/// A process that is about to take over.
pub struct Successor {
    pid: Pid,
    says: UnixStream,
}

impl Successor {
    /// Its process number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it serves.
    pub async fn wait(&mut self) -> Result<(), HandoverError> {
        match tokio::time::timeout(PATIENCE, self.says.read_u8()).await {
            Ok(Ok(SERVING)) => Ok(()),
            Ok(_) => Err(HandoverError::Ended),
            Err(_) => Err(HandoverError::Late),
        }
    }

    /// Has it end, as it is not needed.
    pub fn dismiss(self) {
        // it may have ended by itself
        kill(self.pid, Signal::SIGTERM).ok();
    }
}
