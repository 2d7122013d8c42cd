//! A cage for filters: a thread of their own, which is left behind when one never ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::jq::FilterError;

/// How long the filters may work on one answer.
const FILTER_DEADLINE: Duration = Duration::from_secs(60);
/// Filters are run by recursion: enough for any sane one, in bytes.
const FILTER_STACK: usize = 16 << 20;

/// Why filters have no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CageError {
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("a filter still runs after {0} s; it cannot be stopped, so no other is started")]
    Stuck(u64),
    #[error("a filter crashed")]
    Crashed,
}

/// Runs the filters of one connection.
#[derive(Debug)]
pub struct Cage {
    /// One thread of filters at a time, and none while an abandoned one still runs.
    gate: Arc<Semaphore>,
    abandoned: AtomicBool,
    deadline: Duration,
}

impl Default for Cage {
    fn default() -> Self {
        Self::with_deadline(FILTER_DEADLINE)
    }
}

impl Cage {
    /// A cage in which the filters of one answer have `deadline` to end.
    pub fn with_deadline(deadline: Duration) -> Self {
        Self { gate: Arc::new(Semaphore::new(1)), abandoned: AtomicBool::new(false), deadline }
    }

    /// Runs filters on a thread of their own. One that never yields cannot be stopped: its
    /// thread is left behind, and ends with the process instead of holding up its end, as a
    /// thread of the runtime would.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Instant) -> Result<T, FilterError> + Send + 'static,
    ) -> Result<T, CageError> {
        let permit = self.permit().await?;
        let (sender, finished) = oneshot::channel();
        let deadline = Instant::now() + self.deadline;
        let thread = std::thread::Builder::new().name("filters".to_owned()).stack_size(FILTER_STACK);
        let started = thread.spawn(move || {
            let result = work(deadline);
            drop(permit);
            // nobody listens any more if the run was dropped
            let _ = sender.send(result);
        });
        started.map_err(|_| CageError::Crashed)?;
        // filters look at the deadline themselves: only one that yields nothing gets here late
        match tokio::time::timeout(self.deadline + Duration::from_secs(1), finished).await {
            Ok(result) => Ok(result.map_err(|_| CageError::Crashed)??),
            Err(_) => {
                self.abandoned.store(true, Ordering::Relaxed);
                Err(self.stuck())
            }
        }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, CageError> {
        let gate = || Arc::clone(&self.gate);
        let permit = match gate().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if self.abandoned.load(Ordering::Relaxed) => return Err(self.stuck()),
            // the filters of a run that was dropped a moment ago
            Err(_) => tokio::time::timeout(self.deadline, gate().acquire_owned())
                .await
                .map_err(|_| self.stuck())?
                .expect("the gate is never closed"),
        };
        self.abandoned.store(false, Ordering::Relaxed);
        Ok(permit)
    }

    fn stuck(&self) -> CageError {
        CageError::Stuck(self.deadline.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_filter_that_never_ends_is_reported_and_no_other_is_piled_on_it() {
        let mut cage = Cage::with_deadline(Duration::from_millis(10));
        let (release, wait) = mpsc::channel::<()>();
        let stuck = cage.run(move |_| {
            wait.recv().ok();
            Ok(())
        });
        assert_eq!(stuck.await, Err(CageError::Stuck(0)));
        cage.deadline = Duration::from_secs(3_600);
        let at_once = cage.run(|_| Ok(())).now_or_never();
        assert_eq!(at_once, Some(Err(CageError::Stuck(3_600))), "nobody waits for it an hour");
        drop(release);
        while cage.run(|_| Ok(())).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_filter_that_crashes_does_not_take_the_next_one_with_it() {
        let cage = Cage::default();
        let crashed = cage.run::<()>(|_| panic!("a defect in a filter")).await;
        assert_eq!(crashed, Err(CageError::Crashed));
        assert_eq!(cage.run(|_| Ok(1)).await, Ok(1));
    }
}
