//! What it takes to pull one provider, and one run of it under a lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::breaker::{self, FailedRun};
use super::renewed_lease::RenewedLease;
use super::sink::{self, DatabaseSink, SinkError};
use super::{DatabaseShared, Instance, SyncProgress, WarnedOf};
use crate::store::database::{soon, within};
use crate::store::leases::{self, Lease, Taken};
use crate::store::sync_tasks::{self, Scheduled, Task};
use crate::store::{self, StoreError, Tally, sync_cursors, sync_runs};
use tributary_domain::ProviderName;
use tributary_manifest::{CompiledProvider, RunError, RunReport, Schedule, Selection, StreamGroup, Wanted};

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOutcome {
    /// Everything was read.
    Succeeded { tally: Tally, quarantined: u64, requests: u64, warned: WarnedOf },
    /// Some of it could not be read, or not be kept; the rest is committed.
    Failed { tally: Tally, quarantined: u64, error: String, warned: WarnedOf },
    /// It was interrupted where it stood, and whoever has the lease next goes on from there:
    /// this process stops, or was silent for so long that another took the lease.
    Interrupted,
}

/// What a run is to read.
#[derive(Debug, Clone)]
pub enum Work {
    /// What is due of the group.
    Due,
    /// These streams of the group, due or not; with their cursors forgotten before, if so wished.
    Streams { names: Vec<String>, forget: bool },
}

/// A provider that is pulled.
pub struct Puller {
    pub(super) pool: PgPool,
    pub(super) provider: ProviderName,
    pub(super) compiled: Arc<CompiledProvider>,
    pub(super) groups: Vec<StreamGroup>,
    schedules: BTreeMap<String, Schedule>,
    pub(super) instance: Instance,
    pub(super) progress: Arc<SyncProgress>,
}

impl Puller {
    /// Of `compiled`, which shares budgets and tokens with the other instances from now on.
    pub fn new(pool: PgPool, compiled: Arc<CompiledProvider>, instance: Instance) -> Self {
        let provider = compiled.name().clone();
        compiled.share(Arc::new(DatabaseShared::new(pool.clone(), provider.clone())));
        let schedules = compiled.schedules().clone();
        Self { schedules, ..Self::over(pool, provider, compiled, instance) }
    }

    /// Of `compiled` as it is, without any schedule.
    pub fn over(
        pool: PgPool,
        provider: ProviderName,
        compiled: Arc<CompiledProvider>,
        instance: Instance,
    ) -> Self {
        let groups = compiled.groups();
        let (schedules, progress) = (BTreeMap::new(), Arc::default());
        Self { pool, provider, compiled, groups, schedules, instance, progress }
    }

    /// What to watch the runs by.
    pub fn progress(&self) -> Arc<SyncProgress> {
        Arc::clone(&self.progress)
    }

    /// Waits until no token is being exchanged: an exchange that has begun is finished and kept.
    pub async fn drained(&self) {
        self.compiled.drained().await;
    }

    /// The groups of streams, each of which is read by one instance at a time.
    pub fn groups(&self) -> &[StreamGroup] {
        &self.groups
    }

    /// Makes the streams and their schedules known to all instances.
    pub async fn register(&self) -> Result<(), StoreError> {
        let now = leases::clock(&self.pool).await?;
        let jitter = jitter();
        let streams = self.groups.iter().flat_map(|group| group.streams.iter().map(move |s| (group, s)));
        let scheduled = streams.filter_map(|(group, stream)| {
            let schedule = self.schedules.get(stream)?;
            let next = schedule.next(now, jitter);
            Some(Scheduled { stream, group: &group.name, schedule: schedule.to_string(), next })
        });
        sync_tasks::register(&self.pool, &self.provider, &scheduled.collect::<Vec<_>>()).await
    }

    /// One run under `lease`, within the caller's [`span`](Self::span). `None` where nothing was due after all.
    pub(super) async fn run(
        &self,
        lease: RenewedLease,
        work: &Work,
        stop: &CancellationToken,
    ) -> Result<Option<RunOutcome>, StoreError> {
        let ended = self.run_under(lease, work, stop).await;
        match &ended {
            Ok(Some(RunOutcome::Succeeded { .. })) => tributary_traces::came_to("succeeded", false),
            Ok(Some(RunOutcome::Interrupted)) => tributary_traces::came_to("interrupted", false),
            Ok(Some(RunOutcome::Failed { .. })) | Err(_) => tributary_traces::came_to("failed", true),
            Ok(None) => tributary_traces::came_to("nothing due", false),
        }
        ended
    }

    /// The span of a run of `group`.
    pub(super) fn span(&self, group: &str) -> tracing::Span {
        tributary_traces::sync_run(self.provider.as_str(), group)
    }

    async fn run_under(
        &self,
        lease: RenewedLease,
        work: &Work,
        stop: &CancellationToken,
    ) -> Result<Option<RunOutcome>, StoreError> {
        if stop.is_cancelled() {
            lease.give_back().await?;
            return Ok(Some(RunOutcome::Interrupted));
        }
        let taken = lease.taken();
        if let Some(before) = &taken.taken_from {
            tracing::warn!(provider = %self.provider, group = taken.lease.group, before,
                "took over from an instance that did not renew its lease");
        }
        let outcome = match soon(self.begin(&taken.lease, work)).await? {
            None => Some(RunOutcome::Interrupted),
            Some(begun) if begun.tasks.is_empty() && matches!(work, Work::Due) => None,
            // boxed: compilers refuse futures that are nested too deeply
            Some(begun) => Some(Box::pin(self.read(taken, begun, &lease, stop)).await?),
        };
        match outcome {
            None | Some(RunOutcome::Interrupted) => lease.give_back().await?,
            Some(_) => lease.forget(),
        }
        Ok(outcome)
    }

    /// `None` where the lease is lost already.
    async fn begin(&self, lease: &Lease, work: &Work) -> Result<Option<Begun>, StoreError> {
        let mut transaction = store::begin(&self.pool).await?;
        leases::limit_silence(&mut transaction, lease).await?;
        let (tasks, selection) = match work {
            Work::Due => {
                let streams = self.streams_of(lease);
                let tasks = sync_tasks::due(&mut transaction, lease, &streams).await?;
                let forgotten = sync_tasks::take_forgets(&mut transaction, lease, &streams).await?;
                self.forget_cursors(&mut transaction, &forgotten).await?;
                let wanted: Vec<_> = tasks.iter().map(wanted).collect();
                (tasks, self.compiled.select(wanted))
            }
            Work::Streams { names, forget } => {
                let streams: Vec<&str> = names.iter().map(String::as_str).collect();
                if *forget {
                    self.forget_cursors(&mut transaction, names).await?;
                }
                let tasks = sync_tasks::of(&mut transaction, lease, &streams).await?;
                (tasks, self.compiled.select(names.iter().map(|name| (name.clone(), Wanted::Whole))))
            }
        };
        if tasks.is_empty() && matches!(work, Work::Due) {
            return Ok(Some(Begun { run: Uuid::nil(), tasks, selection }));
        }
        let run = sync_runs::begin(&mut transaction, lease).await?;
        if !leases::confirm(&mut transaction, lease).await? {
            return Ok(None);
        }
        transaction.commit().await?;
        Ok(Some(Begun { run, tasks, selection }))
    }

    async fn forget_cursors(
        &self,
        connection: &mut PgConnection,
        names: &[String],
    ) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        // the place of a stream that shares answers is kept with the stream that asks for them
        let together: Vec<String> = names.iter().flat_map(|name| self.compiled.read_together(name)).collect();
        let together: Vec<&str> = together.iter().map(String::as_str).collect();
        sync_cursors::forget(connection, &self.provider, &together).await?;
        Ok(())
    }

    fn streams_of(&self, lease: &Lease) -> Vec<&str> {
        let group = self.groups.iter().find(|group| group.name == lease.group);
        group.into_iter().flat_map(|group| &group.streams).map(String::as_str).collect()
    }

    async fn read(
        &self,
        taken: &Taken,
        begun: Begun,
        renewed: &RenewedLease,
        stop: &CancellationToken,
    ) -> Result<RunOutcome, StoreError> {
        let lease = &taken.lease;
        let mut sink =
            DatabaseSink::new(&self.pool, lease, begun.run, &self.compiled, &self.groups, &self.progress);
        let result = tokio::select! {
            result = self.compiled.run_selected(&begun.selection, &mut sink) => result,
            () = renewed.lost().cancelled_owned() => Err(RunError::Sink(SinkError::LeaseLost)),
            () = stop.cancelled() => return Ok(RunOutcome::Interrupted),
        };
        let (tally, quarantined, read_something) = (sink.tally, sink.quarantined, sink.pages > 0);
        let warned = sink.warned;
        let ended = match result {
            Ok(report) => Ended::succeeded(report),
            Err(RunError::Sink(SinkError::LeaseLost)) => return Ok(self.lost(lease)),
            Err(error) => Ended::failed(error, read_something, Utc::now()),
        };
        let requests = ended.report.as_ref().map_or(0, |report| report.requests);
        let error = ended.error.clone();
        if !within(sink::page_limit(lease), self.end(taken, begun, ended)).await? {
            return Ok(self.lost(lease));
        }
        self.progress.add_run();
        Ok(match error {
            None => RunOutcome::Succeeded { tally, quarantined, requests, warned },
            Some(error) => RunOutcome::Failed { tally, quarantined, error, warned },
        })
    }

    fn lost(&self, lease: &Lease) -> RunOutcome {
        tracing::warn!(provider = %self.provider, group = lease.group,
            "this instance lost its lease: it could not renew it in time, and another instance may have taken over");
        RunOutcome::Interrupted
    }

    /// Ends the run and its lease together; `false` where the lease was lost.
    async fn end(&self, taken: &Taken, begun: Begun, ended: Ended) -> Result<bool, StoreError> {
        let lease = &taken.lease;
        let now = leases::clock(&self.pool).await?;
        let jitter = jitter();
        let mut next: Vec<(Task, Option<DateTime<Utc>>)> = Vec::with_capacity(begun.tasks.len());
        for task in begun.tasks {
            let schedule = self.schedules.get(&task.stream);
            next.push((task, schedule.and_then(|schedule| schedule.next(now, jitter))));
        }
        let mut transaction = store::begin(&self.pool).await?;
        leases::limit_silence(&mut transaction, lease).await?;
        let resources = self.groups.iter().filter(|g| g.name == lease.group).flat_map(|g| &g.resources);
        for resource in resources {
            // also when their stream failed: what was read does not wait for what was not
            sink::finish_first_read(&mut transaction, lease, *resource, &self.groups).await?;
        }
        let requests = ended.report.as_ref().map(|report| report.requests);
        let failures = ended.failures();
        sync_runs::finish(&mut transaction, begun.run, requests, ended.error.as_deref(), &failures).await?;
        let (failures, pause) = match ended.failed {
            None => (0, None),
            Some(failed) => {
                let scheduled =
                    next.iter().filter_map(|(_, at)| (*at)?.signed_duration_since(now).to_std().ok());
                let (failures, pause) = breaker::after(failed, taken.failures, scheduled.min());
                report_breaker(lease, failures, pause);
                (failures, Some(pause))
            }
        };
        if ended.failed.is_none() {
            sync_tasks::done(&mut transaction, lease, &next).await?;
        }
        if !leases::confirm(&mut transaction, lease).await? {
            return Ok(false);
        }
        leases::end(&mut transaction, lease, failures, pause).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

struct Begun {
    run: Uuid,
    tasks: Vec<Task>,
    selection: Selection,
}

/// What came of the reading.
struct Ended {
    report: Option<RunReport>,
    error: Option<String>,
    failed: Option<FailedRun>,
}

impl Ended {
    fn succeeded(report: RunReport) -> Self {
        Self { report: Some(report), error: None, failed: None }
    }

    fn failed(error: RunError<SinkError>, read_something: bool, now: DateTime<Utc>) -> Self {
        let text = Some(with_causes(&error));
        match error {
            RunError::Incomplete(report) => {
                let failed = FailedRun::of(&report.failures, read_something, now);
                Self { report: Some(report), error: text, failed: Some(failed) }
            }
            RunError::Sink(_) => Self { report: None, error: text, failed: Some(FailedRun::Wholly) },
        }
    }

    fn failures(&self) -> Vec<(&str, String)> {
        let failures = self.report.iter().flat_map(|report| &report.failures);
        failures.map(|failure| (failure.stream.as_str(), failure.to_string())).collect()
    }
}

fn wanted(task: &Task) -> (String, Wanted) {
    let much = if task.partition.is_empty() {
        Wanted::Whole
    } else {
        Wanted::Partitions([task.partition.clone()].into())
    };
    (task.stream.clone(), much)
}

fn report_breaker(lease: &Lease, failures: u32, pause: Duration) {
    if failures >= breaker::PATIENCE {
        tracing::error!(provider = %lease.provider, group = lease.group, failures,
            pause_seconds = pause.as_secs(),
            "runs keep failing: paused until the breaker closes, or until `tributary sync`");
    }
}

fn jitter() -> f64 {
    rand::rng().random_range(0.0..=1.0)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
