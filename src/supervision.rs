//! Tasks that have to go on for as long as the process serves. One that panics, or ends without being
//! told to, is restarted after a pause, and counts as down until it has lasted for a while.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use metrics::counter;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use tributary_domain::ProviderName;

/// The pause before a task is restarted; it doubles with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A task that has lasted for so long after a failure is up again.
const STEADY: Duration = Duration::from_secs(5);

/// What goes on behind the API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Publishes what has committed.
    Publisher,
    /// Carries orders on that nobody waits for.
    Payments,
    /// Pulls one provider.
    Sync(ProviderName),
    /// Fetches the statement files of one provider.
    Files(ProviderName),
    /// Forgets what is past its retention.
    Housekeeping,
    /// Writes what consumers poll.
    Consumers,
    /// Tells what waits for a person.
    Notifications,
    /// Remembers where the audit of payments ends.
    Audit,
    /// Keeps what metrics gather small.
    Metrics,
}

impl Part {
    /// Whether an instance without it should get no requests while another one has it. The others
    /// may fail on every instance at once, by what a provider sends, and nobody would serve then.
    fn is_essential(&self) -> bool {
        matches!(self, Self::Publisher | Self::Payments)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Publisher => f.write_str("publisher"),
            Self::Payments => f.write_str("payments"),
            Self::Sync(provider) => write!(f, "sync/{provider}"),
            Self::Files(provider) => write!(f, "files/{provider}"),
            Self::Housekeeping => f.write_str("housekeeping"),
            Self::Consumers => f.write_str("consumers"),
            Self::Notifications => f.write_str("notifications"),
            Self::Audit => f.write_str("audit"),
            Self::Metrics => f.write_str("metrics"),
        }
    }
}

/// How the parts of this process do. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Parts(Arc<Mutex<BTreeMap<Part, bool>>>);

impl Parts {
    /// The parts that are down: those without which nothing should be asked, and the others.
    pub fn down(&self) -> (Vec<Part>, Vec<Part>) {
        let parts = self.locked();
        let down = parts.iter().filter(|(_, up)| !**up).map(|(part, _)| part.clone());
        down.partition(Part::is_essential)
    }

    /// Every part, and whether it is up.
    pub fn all(&self) -> Vec<(Part, bool)> {
        self.locked().iter().map(|(part, up)| (part.clone(), *up)).collect()
    }

    /// Runs what `begin` begins until `stop`, and restarts it whenever it ends before. It counts
    /// as up, and its counter of failures is there, from the call on.
    pub fn keep<W: Future<Output = ()>>(
        self,
        part: Part,
        stop: CancellationToken,
        begin: impl Fn() -> W,
    ) -> impl Future<Output = ()> {
        self.set(&part, true);
        counter!("tributary_task_panics_total", "task" => part.to_string()).increment(0);
        self.keep_on(part, stop, begin)
    }

    async fn keep_on<W: Future<Output = ()>>(
        self,
        part: Part,
        stop: CancellationToken,
        begin: impl Fn() -> W,
    ) {
        let mut pause = FIRST_PAUSE;
        while !stop.is_cancelled() {
            let working = AssertUnwindSafe(async {
                spring(&part.to_string());
                begin().await;
            });
            let mut working = std::pin::pin!(working.catch_unwind());
            let ended = tokio::select! {
                ended = &mut working => ended,
                () = tokio::time::sleep(STEADY) => {
                    self.set(&part, true);
                    pause = FIRST_PAUSE;
                    working.await
                }
            };
            let why = match &ended {
                Ok(()) if stop.is_cancelled() => return,
                Ok(()) => "it ended without being stopped",
                Err(panic) => what(&**panic),
            };
            self.set(&part, false);
            counter!("tributary_task_panics_total", "task" => part.to_string()).increment(1);
            tracing::error!(task = %part, why, "a task failed and is restarted in {} s", pause.as_secs());
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn set(&self, part: &Part, up: bool) {
        self.locked().insert(part.clone(), up);
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Part, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the panic of a piece of work that `part` had begun, if it ended with one.
pub fn note(part: &Part, ended: Result<(), JoinError>) {
    let Err(error) = ended else { return };
    if let Ok(panic) = error.try_into_panic() {
        counter!("tributary_task_panics_total", "task" => part.to_string()).increment(1);
        tracing::error!(task = %part, why = what(&*panic), "a piece of work panicked");
    }
}

/// What a panic says.
pub fn what(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown")
}

/// Makes tasks panic in tests of the real program: `TRIBUTARY_PANIC_IN=publisher:2,sync/acme:1` says
/// which, and how often. In builds for tests only.
#[cfg(debug_assertions)]
pub fn spring(task: &str) {
    use std::collections::HashMap;
    use std::sync::LazyLock;

    static LEFT: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(|| {
        let value = std::env::var("TRIBUTARY_PANIC_IN").unwrap_or_default();
        let named = value.split(',').filter_map(|named| named.split_once(':'));
        let named = named.filter_map(|(task, times)| Some((task.to_owned(), times.parse().ok()?)));
        Mutex::new(named.collect())
    });
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(times) = left.get_mut(task).filter(|times| **times > 0) else { return };
    *times -= 1;
    drop(left);
    panic!("TRIBUTARY_PANIC_IN names {task}");
}

/// Nothing but tests makes a task panic.
#[cfg(not(debug_assertions))]
pub fn spring(_: &str) {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    /// Keeps a task that fails `failures` times, and then works until told to stop.
    async fn keep_failing(
        parts: &Parts,
        part: Part,
        failures: u32,
        stop: &CancellationToken,
    ) -> Arc<AtomicU32> {
        let begun = Arc::new(AtomicU32::new(0));
        let (count, until) = (Arc::clone(&begun), stop.clone());
        let keeping = parts.clone().keep(part, stop.clone(), move || {
            let (number, until) = (count.fetch_add(1, SeqCst), until.clone());
            async move {
                match number {
                    number if number >= failures => until.cancelled().await,
                    number if number % 2 == 0 => panic!("number {number}"),
                    _ => {}
                }
            }
        });
        tokio::spawn(keeping);
        tokio::task::yield_now().await;
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_or_ends_is_down_until_it_has_lasted_again() {
        let (parts, stop) = (Parts::default(), CancellationToken::new());
        let begun = keep_failing(&parts, Part::Publisher, 2, &stop).await;
        assert_eq!((begun.load(SeqCst), parts.down()), (1, (vec![Part::Publisher], vec![])));
        // after pauses of 1 s and 2 s it works, and is up when it has done so for 5 s
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        assert_eq!((begun.load(SeqCst), parts.down().0.len()), (3, 1));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!((begun.load(SeqCst), parts.down()), (3, (vec![], vec![])));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_minute() {
        let (parts, stop) = (Parts::default(), CancellationToken::new());
        let begun = keep_failing(&parts, Part::Housekeeping, u32::MAX, &stop).await;
        tokio::time::sleep(Duration::from_secs(1 + 2 + 4 + 8 + 16 + 32) + STEADY / 10).await;
        assert_eq!(begun.load(SeqCst), 7);
        tokio::time::sleep(LONGEST_PAUSE * 10).await;
        assert_eq!((begun.load(SeqCst), parts.down()), (17, (vec![], vec![Part::Housekeeping])));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_because_it_is_told_to_has_not_failed() {
        let (parts, stop) = (Parts::default(), CancellationToken::new());
        let acme = Part::Sync("acme".parse().unwrap());
        let begun = keep_failing(&parts, acme.clone(), 0, &stop).await;
        stop.cancel();
        tokio::time::sleep(LONGEST_PAUSE).await;
        assert_eq!((begun.load(SeqCst), parts.all()), (1, vec![(acme, true)]));
    }
}
