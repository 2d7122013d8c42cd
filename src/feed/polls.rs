//! What consumers poll, gathered in memory without a lock and written once a second: a page costs no statement for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::DateTime;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::page::{FeedPage, PageRequest};
use crate::store::StoreError;
use crate::store::consumers::{self, Polled};
use crate::store::database::soon;
use tributary_domain::{FeedName, ProviderName};

/// How often it is written. So much is lost at most where a process is killed.
const TICK: Duration = Duration::from_secs(1);
/// In the place of a time that there is not.
const NEVER: i64 = i64::MIN;

/// What one key polled of one feed since that was last taken. Each value is right by itself: what is taken while a page
/// is noted has part of it now and the rest with the next, and a position only once its page was there to be sent.
#[derive(Debug)]
struct Cell {
    pages: AtomicI64,
    /// The last position served.
    position: AtomicI64,
    head_position: AtomicI64,
    /// In µs of Unix time.
    head_at: AtomicI64,
    asked_from: AtomicI64,
    /// In µs since the process began: [`elapsed`].
    polled: AtomicU64,
    /// Of the first poll that asked for a first page; 0 without any.
    first_page: AtomicU64,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            pages: AtomicI64::new(0),
            position: AtomicI64::new(0),
            head_position: AtomicI64::new(0),
            head_at: AtomicI64::new(NEVER),
            asked_from: AtomicI64::new(NEVER),
            polled: AtomicU64::new(0),
            first_page: AtomicU64::new(0),
        }
    }
}

/// What one key polls. Nothing that notes a page waits for another.
#[derive(Debug, Default)]
pub struct KeyPolls([Cell; FeedName::ALL.len()]);

impl KeyPolls {
    /// Notes a page that is about to be sent.
    pub fn note(&self, feed: FeedName, request: PageRequest, page: &FeedPage) {
        let (cell, now) = (&self.0[feed as usize], elapsed());
        if let Some(position) = page.last_position {
            raise(&cell.position, position);
        }
        if let Some(clock) = page.clock {
            raise(&cell.head_position, clock.last_position);
            raise(&cell.head_at, clock.last_at.timestamp_micros());
        }
        if request.cursor.is_none() {
            cell.asked_from.store(request.from.map_or(NEVER, |from| from.timestamp_micros()), Relaxed);
            if request.page == 1 && cell.first_page.load(Relaxed) == 0 {
                cell.first_page.store(now, Relaxed);
            }
        }
        // of two at once either is the last
        cell.polled.store(now, Relaxed);
        cell.pages.fetch_add(1, Relaxed);
    }
}

impl Cell {
    /// Takes what there is, if there is anything.
    fn take(&self, provider: &ProviderName, key: &str, feed: FeedName) -> Option<Polled> {
        let pages = self.pages.swap(0, Relaxed);
        if pages == 0 {
            return None;
        }
        let now = elapsed();
        let time =
            |micros: i64| Some(micros).filter(|at| *at != NEVER).and_then(DateTime::from_timestamp_micros);
        let ago = |at: u64| Duration::from_micros(now.saturating_sub(at));
        let first_page = self.first_page.swap(0, Relaxed);
        Some(Polled {
            provider: provider.clone(),
            feed,
            key: key.to_owned(),
            asked_from: time(self.asked_from.load(Relaxed)),
            // taken, and not remembered: after a restore of the database it may be beyond what there is
            position: self.position.swap(0, Relaxed),
            head_position: self.head_position.swap(0, Relaxed),
            head_at: time(self.head_at.swap(NEVER, Relaxed)),
            ago: ago(self.polled.load(Relaxed)),
            first_page_ago: (first_page != 0).then(|| ago(first_page)),
            pages,
        })
    }

    /// Gives back what was taken and could not be written.
    fn give_back(&self, polled: &Polled) {
        let at = |ago: Duration| {
            elapsed().saturating_sub(u64::try_from(ago.as_micros()).unwrap_or(u64::MAX)).max(1)
        };
        raise(&self.position, polled.position);
        raise(&self.head_position, polled.head_position);
        raise(&self.head_at, polled.head_at.map_or(NEVER, |at| at.timestamp_micros()));
        if let Some(ago) = polled.first_page_ago {
            self.first_page.store(at(ago), Relaxed);
        }
        self.pages.fetch_add(polled.pages, Relaxed);
    }
}

/// Raises `cell` to `value`. Most often it is there already, and nothing is written that another processor has to hear of.
fn raise(cell: &AtomicI64, value: i64) {
    if cell.load(Relaxed) < value {
        cell.fetch_max(value, Relaxed);
    }
}

/// µs since the process began to count, never 0.
fn elapsed() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGAN.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
}

/// By provider and name of the key.
type ByKey = HashMap<(ProviderName, Arc<str>), Arc<KeyPolls>>;

/// What all keys poll at this process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Polls(Arc<Mutex<ByKey>>);

impl Polls {
    /// Where it is noted what `key` polls, the same for every key of this name. To be asked once by whoever notes.
    pub fn of(&self, provider: &ProviderName, key: &Arc<str>) -> Arc<KeyPolls> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((provider.clone(), Arc::clone(key))).or_default())
    }

    /// Writes what was polled since the last time. What cannot be written waits for the next.
    pub async fn write(&self, pool: &PgPool) -> Result<(), StoreError> {
        let (cells, polled): (Vec<_>, Vec<_>) = self.take().into_iter().unzip();
        if polled.is_empty() {
            return Ok(());
        }
        let written = soon(consumers::write(pool, &polled)).await;
        if written.is_err() {
            for ((polls, feed), polled) in cells.iter().zip(&polled) {
                polls.0[*feed as usize].give_back(polled);
            }
        }
        written
    }

    fn take(&self) -> Vec<((Arc<KeyPolls>, FeedName), Polled)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = all.iter().flat_map(|(key, polls)| FeedName::ALL.map(|feed| (key, polls, feed)));
        let taken = cells.filter_map(|((provider, key), polls, feed)| {
            let polled = polls.0[feed as usize].take(provider, key, feed)?;
            Some(((Arc::clone(polls), feed), polled))
        });
        taken.collect()
    }
}

/// Writes what consumers poll, as a task.
#[derive(Clone)]
pub struct PollWriter {
    pool: PgPool,
    polls: Polls,
}

impl PollWriter {
    /// Writes `polls` into the database of `pool`.
    pub fn new(pool: PgPool, polls: Polls) -> Self {
        Self { pool, polls }
    }

    /// Works until `stop`, and writes what is left then.
    pub async fn run(self, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let stopped = stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_none();
            let written = self.polls.write(&self.pool).await;
            match &written {
                Err(error) if !failing => {
                    tracing::warn!(%error, "cannot write what consumers poll; trying again each second");
                }
                Ok(()) if failing => tracing::info!("what consumers poll is written again"),
                _ => {}
            }
            failing = written.is_err();
            if stopped {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::feed::Clock;

    fn page(last_position: Option<i64>, head: i64) -> FeedPage {
        let clock = Clock { last_position: head, last_at: DateTime::UNIX_EPOCH, floor: DateTime::UNIX_EPOCH };
        let (array, entries) = (b"[]".to_vec(), 0);
        FeedPage { array, entries, next: None, last_position, clock: Some(clock), watermark_ahead: false }
    }

    fn request(page: i64) -> PageRequest {
        PageRequest { from: None, page, page_size: 100, cursor: None }
    }

    #[test]
    fn pages_in_any_order_are_one_line_of_the_furthest() {
        let (polls, acme, key) = (Polls::default(), "acme".parse().unwrap(), Arc::from("key:formance"));
        assert!(Arc::ptr_eq(&polls.of(&acme, &key), &polls.of(&acme, &key)));
        for (number, position) in [(1, 100), (3, 250), (2, 200), (1, 100)] {
            polls.of(&acme, &key).note(FeedName::Transactions, request(number), &page(Some(position), 250));
        }
        polls.of(&acme, &key).note(FeedName::Accounts, request(2), &page(None, 0));
        let taken: Vec<_> = polls.take().into_iter().map(|(_, polled)| polled).collect();
        let told: Vec<_> = taken
            .iter()
            .map(|p| (p.feed, p.position, p.head_position, p.pages, p.first_page_ago.is_some()))
            .collect();
        assert_eq!(told, [(FeedName::Accounts, 0, 0, 1, false), (FeedName::Transactions, 250, 250, 4, true)]);
        assert!(polls.take().is_empty(), "nothing is told twice");
    }

    #[test]
    fn what_could_not_be_written_is_told_with_what_came_since() {
        let (polls, acme, key) = (Polls::default(), "acme".parse().unwrap(), Arc::from("key:formance"));
        let cells = polls.of(&acme, &key);
        cells.note(FeedName::Accounts, request(1), &page(Some(200), 200));
        let taken = polls.take();
        cells.note(FeedName::Accounts, request(1), &page(Some(100), 210));
        for ((polls, feed), polled) in &taken {
            polls.0[*feed as usize].give_back(polled);
        }
        let again = polls.take().remove(0).1;
        assert_eq!((again.pages, again.position, again.head_position), (2, 200, 210));
    }
}
