//! An upgrade in place: a successor, started as this process was, takes the very same socket over.
//! Both accept from one queue for a moment, so that no connection is ever without a server.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
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

use crate::http::{Listening, SocketError};

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
            handed: ListenFd::from_env(),
            predecessor,
        }
    }

    /// The socket that was handed over, if there is one; once.
    pub fn take_handed(&mut self) -> Result<Option<Listening>, SocketError> {
        Listening::handed_over(std::mem::replace(&mut self.handed, ListenFd::empty()))
    }

    /// Tells the predecessor, if there is one, that this process serves now.
    pub fn notify_predecessor(&mut self) {
        if let Some(mut predecessor) = self.predecessor.take()
            && let Err(error) = std::io::Write::write_all(&mut predecessor, &[SERVING])
        {
            tracing::warn!(%error, "the predecessor is gone already");
        }
    }

    /// Starts a successor on the same socket, from the program and the files as they are now.
    pub fn start_successor(&self, listening: &Listening) -> Result<Successor, HandoverError> {
        if std::process::id() == 1 {
            return Err(HandoverError::FirstProcess);
        }
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = listening.inheritable()?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDS_FIRST_FD", socket.as_raw_fd().to_string())
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
