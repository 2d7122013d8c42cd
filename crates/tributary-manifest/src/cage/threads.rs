//! Threads with stacks for filters, which wait for the next evaluation instead of being made anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// Filters are run by recursion: enough for any sane one, in bytes.
const STACK: usize = 16 << 20;
/// The most threads that wait for work; further ones end with what they were made for.
const MOST_IDLE: usize = 8;

/// Those of the process.
pub static SHARED: LazyLock<Arc<Threads>> = LazyLock::new(Arc::default);

/// Runs `work` on such a thread, and waits for it: `None` where it has no result within `limit`. It
/// is left behind then, as nothing can stop it.
pub fn run_within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, result) = channel();
    let started = SHARED.run(move || {
        let result = work();
        // nobody listens any more if it was too late
        move || drop(sender.send(result))
    });
    started.ok()?;
    result.recv_timeout(limit).ok()
}

/// Threads that run one job after the other.
#[derive(Debug, Default)]
pub struct Threads {
    idle: Mutex<Vec<Sender<Job>>>,
}

/// What a thread does, and what it does once it may be given something else.
type Job = Box<dyn FnOnce() -> Done + Send>;
type Done = Box<dyn FnOnce() + Send>;

impl Threads {
    /// Runs `work` on a thread that is not at work, and then what that gives, by when the thread
    /// may be given something else. A `work` that panics gives nothing.
    pub fn run<F>(self: &Arc<Self>, work: impl FnOnce() -> F + Send + 'static) -> std::io::Result<()>
    where
        F: FnOnce() + Send + 'static,
    {
        let mut job: Job = Box::new(move || match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => Box::new(done),
            Err(_) => Box::new(|| {}),
        });
        while let Some(thread) = self.take() {
            match thread.send(job) {
                Ok(()) => return Ok(()),
                Err(SendError(returned)) => job = returned,
            }
        }
        let threads = Arc::clone(self);
        let thread = std::thread::Builder::new().name("filters".to_owned()).stack_size(STACK);
        thread.spawn(move || threads.work(job))?;
        Ok(())
    }

    fn take(&self) -> Option<Sender<Job>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Does `job`, and whatever comes after it.
    fn work(&self, mut job: Job) {
        let (own, jobs): (Sender<Job>, Receiver<Job>) = channel();
        loop {
            let done = job();
            let waits = self.rest(&own);
            done();
            if !waits {
                return;
            }
            match jobs.recv() {
                Ok(next) => job = next,
                Err(_) => return,
            }
        }
    }

    /// Takes the thread of `own` in among those that wait, unless there are enough.
    fn rest(&self, own: &Sender<Job>) -> bool {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = idle.len() < MOST_IDLE;
        if waits {
            idle.push(own.clone());
        }
        waits
    }
}
