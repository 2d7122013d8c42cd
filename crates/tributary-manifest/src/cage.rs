//! A cage for filters: threads apart from the runtime's, one of which is left behind when a filter
//! never ends.

mod threads;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::jq::FilterError;
use threads::Threads;
pub use threads::run_within;

/// How long the filters may work on one answer.
const FILTER_DEADLINE: Duration = Duration::from_secs(60);
/// Filters look at the deadline themselves: only one that yields nothing is later than this.
const GRACE: Duration = Duration::from_secs(1);
/// The most evaluations of one cage at once, however many CPUs there are.
const MOST_AT_ONCE: usize = 4;

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

/// Runs the filters of one provider.
#[derive(Debug)]
pub struct Cage {
    threads: Arc<Threads>,
    /// How many evaluations may run at once.
    size: usize,
    places: Arc<Semaphore>,
    /// Evaluations that were left behind and still run.
    stuck: Evaluations,
    /// Those that may have to be left behind.
    running: Evaluations,
    deadline: Duration,
}

type Evaluations = Arc<Mutex<Vec<Arc<Evaluation>>>>;

/// Filters at work.
#[derive(Debug)]
struct Evaluation {
    /// What they are run for: the stream.
    of: Option<String>,
    /// When nobody waits for it any longer.
    overdue: Instant,
    /// Whether it has ended, or was left behind: whichever comes first.
    concluded: AtomicBool,
}

impl Evaluation {
    /// Notes that it has ended or was left behind; whether the caller is the first to say so.
    fn conclude(&self) -> bool {
        !self.concluded.swap(true, Ordering::AcqRel)
    }
}

/// A place that an evaluation runs at, until it has ended or crashed.
struct Occupied {
    place: Option<OwnedSemaphorePermit>,
    evaluation: Arc<Evaluation>,
    stuck: Evaluations,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        if !self.evaluation.conclude() {
            // it was left behind, and another one has its place
            self.place.take().into_iter().for_each(OwnedSemaphorePermit::forget);
            locked(&self.stuck).retain(|stuck| !Arc::ptr_eq(stuck, &self.evaluation));
        }
    }
}

impl Default for Cage {
    fn default() -> Self {
        Self::with_deadline(FILTER_DEADLINE)
    }
}

impl Cage {
    /// A cage in which the filters of one answer have `deadline` to end.
    pub fn with_deadline(deadline: Duration) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new(cpus.min(MOST_AT_ONCE), deadline, Arc::clone(&threads::SHARED))
    }

    fn new(size: usize, deadline: Duration, threads: Arc<Threads>) -> Self {
        Self {
            threads,
            size,
            places: Arc::new(Semaphore::new(size)),
            stuck: Arc::default(),
            running: Arc::default(),
            deadline,
        }
    }

    /// How many evaluations may run at once.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Runs filters apart from the runtime. One that never yields cannot be stopped: its thread is
    /// left behind for another, and ends with the process instead of holding up its end, as a
    /// thread of the runtime would. Twice as many as may run at once may be left behind like that.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Instant) -> Result<T, FilterError> + Send + 'static,
    ) -> Result<T, CageError> {
        self.run_of(None, work).await
    }

    /// As [`Cage::run`], of the filters of a stream: while one of them is left behind, none of that
    /// stream is started, as it would end the same way.
    pub async fn run_of<T: Send + 'static>(
        &self,
        stream: Option<&str>,
        work: impl FnOnce(Instant) -> Result<T, FilterError> + Send + 'static,
    ) -> Result<T, CageError> {
        let place = self.place(stream).await?;
        let deadline = Instant::now() + self.deadline;
        let evaluation = Arc::new(Evaluation {
            of: stream.map(str::to_owned),
            overdue: deadline + GRACE,
            concluded: AtomicBool::new(false),
        });
        locked(&self.running).push(Arc::clone(&evaluation));
        let (sender, finished) = oneshot::channel();
        let occupied = Occupied {
            place: Some(place),
            evaluation: Arc::clone(&evaluation),
            stuck: Arc::clone(&self.stuck),
        };
        let started = self.threads.run(move || {
            let result = work(deadline);
            move || {
                drop(occupied);
                // nobody listens any more if the run was dropped
                let _ = sender.send(result);
            }
        });
        started.map_err(|_| CageError::Crashed)?;
        match tokio::time::timeout_at(evaluation.overdue.into(), finished).await {
            Ok(result) => Ok(result.map_err(|_| CageError::Crashed)??),
            Err(_) => {
                self.leave_behind(&evaluation);
                Err(self.is_stuck())
            }
        }
    }

    /// Waits for a place to run the filters of `stream` at.
    async fn place(&self, stream: Option<&str>) -> Result<OwnedSemaphorePermit, CageError> {
        let patience = Instant::now() + self.deadline;
        loop {
            let overdue = self.next_overdue();
            if self.is_refused(stream) {
                return Err(self.is_stuck());
            }
            let until = overdue.map_or(patience, |overdue| overdue.min(patience));
            let place = Arc::clone(&self.places).acquire_owned();
            match tokio::time::timeout_at(until.into(), place).await {
                Ok(place) => return Ok(place.expect("it is never closed")),
                Err(_) if Instant::now() >= patience => return Err(self.is_stuck()),
                Err(_) => {}
            }
        }
    }

    /// When the next evaluation may have to be left behind. Those of runs that were dropped are left
    /// behind here: nobody else waits for them.
    fn next_overdue(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut running = locked(&self.running);
        running.retain(|evaluation| !evaluation.concluded.load(Ordering::Acquire));
        running
            .iter()
            .filter(|evaluation| evaluation.overdue <= now)
            .for_each(|late| self.leave_behind(late));
        running.retain(|evaluation| evaluation.overdue > now);
        running.iter().map(|evaluation| evaluation.overdue).min()
    }

    fn is_refused(&self, stream: Option<&str>) -> bool {
        let stuck = locked(&self.stuck);
        let same = |stuck: &Arc<Evaluation>| stream.is_some() && stuck.of.as_deref() == stream;
        stuck.len() >= 2 * self.size || stuck.iter().any(same)
    }

    /// Gives the place of an evaluation that still runs to another one.
    fn leave_behind(&self, evaluation: &Arc<Evaluation>) {
        // so that whatever ends meanwhile finds itself there
        let mut stuck = locked(&self.stuck);
        if evaluation.conclude() {
            stuck.push(Arc::clone(evaluation));
            self.places.add_permits(1);
        }
    }

    fn is_stuck(&self) -> CageError {
        CageError::Stuck(self.deadline.as_secs())
    }
}

fn locked(evaluations: &Evaluations) -> MutexGuard<'_, Vec<Arc<Evaluation>>> {
    evaluations.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
