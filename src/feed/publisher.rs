//! The publisher: wakes on NOTIFY or on a slow tick, and publishes what has committed. Any
//! number of instances may run; the feed's row lock puts them in a line.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use metrics::counter;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::database::soon;
use crate::store::feeds::{FeedPace, Publication};
use crate::store::{StoreError, changes, feeds};
use tributary_domain::{FeedName, ProviderName};
use tributary_traces::Published;

/// How often the queue is polled without a NOTIFY: what a lost one costs.
const TICK: Duration = Duration::from_secs(1);
/// Changes moved by one statement: some 100 ms of work under the feed's lock.
const BATCH: i32 = 5_000;
/// With a backlog and no room, entries gather at least this long before they are published.
const GATHER: Duration = Duration::from_millis(50);
/// A clock that is this far behind what was issued is reported to an operator. Less is what a
/// client that is up to date lifts the floor by.
const CLOCK_BEHIND_ALARM: Duration = Duration::from_secs(2);

/// From which size on the files of an empty queue are given back, in bytes: a backlog of some 40,000.
const RELEASED_FROM: i64 = 32 << 20;

/// The feeds to publish: every feed of these providers.
pub type PublishedFeeds = HashMap<ProviderName, FeedPace>;

/// Publishes the feeds of some providers until stopped.
#[derive(Clone)]
pub struct Publisher {
    pool: PgPool,
    providers: PublishedFeeds,
    /// When each feed is to be published next.
    due: HashMap<(ProviderName, FeedName), Instant>,
}

impl Publisher {
    /// A publisher of every feed of `providers`.
    pub fn new(pool: PgPool, providers: PublishedFeeds) -> Self {
        Self { pool, providers, due: HashMap::new() }
    }

    /// Runs until `stop`. Errors of the database are logged and tried again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut listener = None;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next_due = self.due.values().min().copied();
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {
                    if listener.is_none() {
                        listener = self.listen().await;
                    }
                    if !self.measure_queue().await {
                        // what it listens on may be as silent, and would never say so
                        listener = None;
                    }
                }
                notified = notification(&mut listener) => match notified {
                    Some(feed) => self.wake(&feed),
                    None => listener = None,
                },
                () = sleep_until(next_due) => {}
            }
            self.publish_due(&stop).await;
        }
    }

    /// Publishes all that has committed and has room, as the loop would; gives how many.
    pub async fn publish_now(&mut self) -> Result<u64, StoreError> {
        let mut published = 0;
        for (provider, pace) in &self.providers {
            for feed in FeedName::ALL {
                loop {
                    let done = feeds::publish(&self.pool, provider, feed, *pace, BATCH).await?;
                    published += done.published;
                    if !done.more {
                        break;
                    }
                }
            }
        }
        Ok(published)
    }

    async fn listen(&self) -> Option<PgListener> {
        let listening = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen(changes::CHANNEL).await?;
            Ok::<_, StoreError>(listener)
        };
        match soon(listening).await {
            Ok(listener) => Some(listener),
            Err(error) => {
                tracing::warn!(%error, "cannot listen for changes; polling every second");
                None
            }
        }
    }

    fn wake(&mut self, payload: &str) {
        let Some((provider, resource)) = payload.split_once('/') else { return };
        let Ok(provider) = provider.parse::<ProviderName>() else { return };
        let feed = FeedName::ALL.into_iter().find(|feed| feed.as_str() == resource);
        if let (true, Some(feed)) = (self.providers.contains_key(&provider), feed) {
            // a feed that waits for room is not hurried
            self.due.entry((provider, feed)).or_insert_with(Instant::now);
        }
    }

    /// Whether the database told.
    async fn measure_queue(&mut self) -> bool {
        let providers: Vec<ProviderName> = self.providers.keys().cloned().collect();
        let backlogs = match soon(changes::backlogs(&self.pool, &providers)).await {
            Ok(backlogs) => backlogs,
            Err(error) => {
                tracing::error!(%error, "cannot measure the queue of changes");
                return false;
            }
        };
        if backlogs.is_empty() {
            self.release_queue().await;
        }
        for backlog in backlogs {
            self.wake(&format!("{}/{}", backlog.provider, backlog.resource));
        }
        true
    }

    /// Gives back what a long backlog took; what fails of that harms nobody, and the next tick tries again.
    async fn release_queue(&self) {
        match soon(changes::release(&self.pool, RELEASED_FROM)).await {
            Ok(true) => tracing::debug!("the files of the empty queue of changes were given back"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot give the files of the queue of changes back"),
        }
    }

    async fn publish_due(&mut self, stop: &CancellationToken) {
        let now = Instant::now();
        let due: Vec<_> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(feed, _)| feed.clone()).collect();
        for (provider, feed) in due {
            if stop.is_cancelled() {
                return;
            }
            let next = self.publish_one(&provider, feed).await;
            match next {
                Some(wait) => self.due.insert((provider, feed), Instant::now() + wait),
                None => self.due.remove(&(provider, feed)),
            };
        }
    }

    /// Publishes a batch of one feed; gives when to go on with it, if there is more.
    async fn publish_one(&self, provider: &ProviderName, feed: FeedName) -> Option<Duration> {
        let pace = *self.providers.get(provider)?;
        let begun = SystemTime::now();
        let publication = feeds::publish(&self.pool, provider, feed, pace, BATCH);
        // one that only was slow commits all the same, and is not done twice
        match soon(publication).await {
            Ok(done) => {
                report_publication(provider, feed, &done);
                trace_publication(provider, feed, &done, begun);
                if done.more { Some(Duration::ZERO) } else { done.retry_after.map(|wait| wait.max(GATHER)) }
            }
            Err(error) => {
                tracing::error!(%provider, %feed, %error, "cannot publish");
                Some(TICK)
            }
        }
    }
}

async fn notification(listener: &mut Option<PgListener>) -> Option<String> {
    match listener {
        // `None` when the connection broke: changes may have been missed, and the tick finds them
        Some(listener) => listener.try_recv().await.ok().flatten().map(|note| note.payload().to_owned()),
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Tells each trace whose changes were published that they were.
fn trace_publication(provider: &ProviderName, feed: FeedName, done: &Publication, begun: SystemTime) {
    let (provider, feed, entries) = (provider.as_str(), feed.as_str(), done.published);
    for trace in &done.traces {
        tributary_traces::publish(trace, begun, Published { provider, feed, entries });
    }
}

fn report_publication(provider: &ProviderName, feed: FeedName, done: &Publication) {
    let labels = [("provider", provider.to_string()), ("feed", feed.to_string())];
    counter!("tributary_published_total", &labels).increment(done.published);
    let behind = done.clock_behind.unwrap_or_default();
    if behind > CLOCK_BEHIND_ALARM {
        tracing::error!(%provider, %feed, behind_seconds = behind.as_secs_f64(),
            "the database clock is behind the last timestamp issued: nothing is published until it has caught up");
    }
}
