//! A provider's API ready to be pulled: its client, its streams, and a cage for its filters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use jaq_json::Val;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::domain::ProviderName;

use super::client::{Answer, Client, Target};
use super::incremental;
use super::jq::{FilterError, Scope};
use super::manifest::Manifest;
use super::page::{PageSink, ReadError, RunError, RunReport};
use super::plan::{self, ManifestError, Stream};
use super::reading::{self, Partition, Reading};
use super::run::Run;

/// How long the filters may work on one answer.
const FILTER_DEADLINE: Duration = Duration::from_secs(60);
/// Filters are run by recursion: enough for any sane one, in bytes.
const FILTER_STACK: usize = 16 << 20;

/// A provider's API, ready to be pulled again and again. Holds no state between runs but the
/// pace of its requests.
pub struct Connection {
    pub(super) provider: ProviderName,
    pub(super) client: Client,
    pub(super) streams: Vec<Arc<Stream>>,
    /// One thread of filters at a time, and none while an abandoned one still runs.
    gate: Arc<Semaphore>,
    abandoned: AtomicBool,
    filter_deadline: Duration,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let streams: Vec<&str> = self.streams.iter().map(|stream| stream.name.as_str()).collect();
        f.debug_struct("Connection").field("provider", &self.provider).field("streams", &streams).finish()
    }
}

impl Connection {
    /// Checks and compiles `manifest`, which has to be interpolated. The error names the field
    /// that is wrong.
    pub fn new(provider: &ProviderName, manifest: &Manifest) -> Result<Self, ManifestError> {
        Ok(Self {
            provider: provider.clone(),
            client: Client::new(manifest).map_err(ManifestError::Field)?,
            streams: plan::streams(manifest)?.into_iter().map(Arc::new).collect(),
            gate: Arc::new(Semaphore::new(1)),
            abandoned: AtomicBool::new(false),
            filter_deadline: FILTER_DEADLINE,
        })
    }

    /// Reads every stream once and hands what it reads to `sink`.
    ///
    /// A partition that cannot be read does not stop the others: the run goes on and ends as
    /// [`RunError::Incomplete`]. An error of the sink ends the run. May be dropped at any point:
    /// what the sink has committed stands, and the next run repeats the rest.
    pub async fn run<S: PageSink>(&self, sink: &mut S) -> Result<RunReport, RunError<S::Error>> {
        Run::new(self, sink).finish().await
    }

    /// Runs filters on a thread of their own. One that never yields cannot be stopped: its
    /// thread is left behind, and ends with the process instead of holding up its end, as a
    /// thread of the runtime would.
    pub(super) async fn evaluate<T: Send + 'static>(
        &self,
        work: impl FnOnce(Instant) -> Result<T, FilterError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = self.filter_permit().await?;
        let (sender, finished) = oneshot::channel();
        let deadline = Instant::now() + self.filter_deadline;
        let thread = std::thread::Builder::new().name("filters".to_owned()).stack_size(FILTER_STACK);
        let started = thread.spawn(move || {
            let result = work(deadline);
            drop(permit);
            // nobody listens any more if the run was dropped
            let _ = sender.send(result);
        });
        started.map_err(|_| ReadError::Crashed)?;
        // filters look at the deadline themselves: only one that yields nothing gets here late
        match tokio::time::timeout(self.filter_deadline + Duration::from_secs(1), finished).await {
            Ok(result) => Ok(result.map_err(|_| ReadError::Crashed)??),
            Err(_) => {
                self.abandoned.store(true, Ordering::Relaxed);
                Err(self.stuck())
            }
        }
    }

    async fn filter_permit(&self) -> Result<OwnedSemaphorePermit, ReadError> {
        let gate = || Arc::clone(&self.gate);
        let permit = match gate().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if self.abandoned.load(Ordering::Relaxed) => return Err(self.stuck()),
            // the filters of a run that was dropped a moment ago
            Err(_) => tokio::time::timeout(self.filter_deadline, gate().acquire_owned())
                .await
                .map_err(|_| self.stuck())?
                .expect("the gate is never closed"),
        };
        self.abandoned.store(false, Ordering::Relaxed);
        Ok(permit)
    }

    fn stuck(&self) -> ReadError {
        ReadError::Stuck(self.filter_deadline.as_secs())
    }

    /// Reads one partition: what it holds, and the cursor to keep with it.
    pub(super) async fn read(
        &self,
        stream: &Arc<Stream>,
        partition: &Partition,
        stored: Option<serde_json::Value>,
    ) -> Result<(Reading, Option<serde_json::Value>), ReadError> {
        let stored = match stored {
            None => None,
            Some(kept) => {
                Some(incremental::from_json(&kept).ok_or_else(|| ReadError::Cursor(kept.to_string()))?)
            }
        };
        let window = stream.incremental.as_ref().map(|window| window.query(stored, Utc::now()));
        let target = Target {
            path: stream.path.expand(&partition.record).map_err(ReadError::Path)?,
            query: window.into_iter().collect(),
        };
        let Answer { json, sent_at } = self.client.get(&target).await?;
        let scope = scope(sent_at, partition.record.clone());
        let task = Arc::clone(stream);
        let reading = self.evaluate(move |deadline| reading::read(&task, json, &scope, deadline)).await?;
        let cursor = stream.incremental.as_ref().and(incremental::advance(stored, reading.newest, sent_at));
        Ok((reading, cursor.map(incremental::to_json)))
    }
}

/// What filters see of a request sent at `now` for the record `parent`.
pub(super) fn scope(now: DateTime<Utc>, parent: Val) -> Scope {
    Scope { now: Val::from(now.to_rfc3339_opts(SecondsFormat::Micros, true)), parent }
}

#[cfg(test)]
mod tests;
