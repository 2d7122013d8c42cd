//! Locks between processes: `flock` on files, which the kernel lets go when their last holder dies,
//! whatever it dies of.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::{PrivatePgError, Result};

/// How often a lock or a server that is waited for is looked at.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// How long the gate is waited for: longer than its holder may take to start or stop the server.
const GATE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A held lock; dropping lets it go.
#[derive(Debug)]
pub(super) struct Lock(Option<File>);

impl Lock {
    /// Takes the lock for this holder alone; `None` if anybody else holds it.
    pub(super) fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        let tried = file.try_lock();
        Self::conclude(file, tried, path)
    }

    /// Takes the lock together with other sharers; `None` if somebody holds it alone.
    pub(super) fn try_shared(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        let tried = file.try_lock_shared();
        Self::conclude(file, tried, path)
    }

    /// Waits until the lock is free and takes it for this holder alone. `busy` is called once if it
    /// is not free at first.
    ///
    /// Asks again and again instead of blocking a thread, so that the caller can be cancelled.
    pub(super) async fn exclusive(path: &Path, busy: impl FnOnce()) -> Result<Self> {
        let mut busy = Some(busy);
        let started = Instant::now();
        loop {
            if let Some(lock) = Self::try_exclusive(path)? {
                return Ok(lock);
            }
            if let Some(busy) = busy.take() {
                busy();
            }
            if started.elapsed() > GATE_LIMIT {
                return Err(PrivatePgError::TimedOut {
                    what: format!("another process of Tributary keeps {} locked", path.display()),
                    waited: GATE_LIMIT,
                });
            }
            sleep(POLL).await;
        }
    }

    /// Turns the lock into the standard input of a process to be started, which then holds it, with
    /// all processes that it forks, until the last of them is gone.
    pub(super) fn into_stdin(mut self) -> Stdio {
        self.0.take().map_or_else(Stdio::null, Stdio::from)
    }

    fn conclude(
        file: File,
        tried: std::result::Result<(), TryLockError>,
        path: &Path,
    ) -> Result<Option<Self>> {
        match tried {
            Ok(()) => Ok(Some(Self(Some(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(PrivatePgError::io("lock", path)(source)),
        }
    }
}

impl Drop for Lock {
    /// Lets go in so many words: closing the file would do it too, but only once no child that was
    /// forked in this moment, and has not yet become its own program, has a copy.
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            // Fails only for a file that is not open; and it is closed now anyway.
            let _ = file.unlock();
        }
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(PrivatePgError::io("open the lock file", path))
}
