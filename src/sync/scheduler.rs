//! Pulls a provider again and again, together with all other instances that do.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use rand::Rng;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::puller::{Puller, RunOutcome, Work};
use super::renewed_lease::RenewedLease;
use super::{Instance, SyncProgress};
use crate::store::StoreError;
use crate::store::database::soon;
use crate::store::leases;
use crate::supervision::{self, Part};
use tributary_domain::ProviderName;
use tributary_manifest::CompiledProvider;

/// How often an instance looks for work; what is asked for begins within about this time.
const TICK: Duration = Duration::from_secs(1);

/// How a run may end, as the metric calls it.
pub const RUN_OUTCOMES: [&str; 3] = ["succeeded", "failed", "interrupted"];

/// Pulls one provider at its manifest's pace. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    puller: Arc<Puller>,
    concurrency: u32,
}

impl Scheduler {
    /// Pulls `compiled`, which shares budgets and tokens with the other instances from now on.
    pub fn new(pool: PgPool, compiled: Arc<CompiledProvider>, instance: Instance) -> Self {
        let concurrency = compiled.concurrency();
        Self { puller: Arc::new(Puller::new(pool, compiled, instance)), concurrency }
    }

    /// Whom it pulls.
    pub fn provider(&self) -> &ProviderName {
        &self.puller.provider
    }

    /// What to watch the runs by.
    pub fn progress(&self) -> Arc<SyncProgress> {
        self.puller.progress()
    }

    /// How many groups of streams there are.
    pub fn groups(&self) -> usize {
        self.puller.groups().len()
    }

    /// Runs until `stop`, which interrupts runs where they stand, except for the exchange of a
    /// token, and gives their leases back.
    pub async fn run(self, stop: CancellationToken) {
        let part = Part::Sync(self.puller.provider.clone());
        let mut runs = JoinSet::new();
        let mut registered = false;
        while !stop.is_cancelled() {
            if !registered {
                registered = self.register().await;
            }
            while registered
                && !stop.is_cancelled()
                && let Some(lease) = self.take().await
            {
                let span = self.puller.span(&lease.taken().lease.group);
                runs.spawn(run_and_report(Arc::clone(&self.puller), lease, stop.clone()).instrument(span));
            }
            let tick = TICK.mul_f64(rand::rng().random_range(0.75..1.25));
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(tick) => {}
                // a run that ended makes room for another
                Some(ended) = runs.join_next() => supervision::note(&part, ended),
            }
        }
        while let Some(ended) = runs.join_next().await {
            supervision::note(&part, ended);
        }
        self.puller.drained().await;
    }

    async fn register(&self) -> bool {
        let registered = soon(self.puller.register()).await;
        if let Err(error) = &registered {
            tracing::error!(provider = %self.puller.provider, %error, "cannot schedule; trying again");
        }
        registered.is_ok()
    }

    /// The lease of a group that is due, if there is one to be had.
    async fn take(&self) -> Option<RenewedLease> {
        let puller = &self.puller;
        let groups: Vec<&str> = puller.groups().iter().map(|group| group.name.as_str()).collect();
        let Instance { name, lease_time } = &puller.instance;
        let taken =
            leases::take_due(&puller.pool, &puller.provider, &groups, self.concurrency, name, *lease_time);
        // one that is taken and not heard of passes on when its time is over
        let taken = soon(taken).await.unwrap_or_else(|error| {
            tracing::error!(provider = %puller.provider, %error, "cannot find out which syncs are due");
            None
        });
        Some(RenewedLease::new(&puller.pool, taken?))
    }
}

async fn run_and_report(puller: Arc<Puller>, lease: RenewedLease, stop: CancellationToken) {
    let (provider, group) = (&puller.provider, lease.taken().lease.group.clone());
    let outcome: Result<_, StoreError> = puller.run(lease, &Work::Due, &stop).await;
    let label = match &outcome {
        Ok(None) => return,
        Ok(Some(RunOutcome::Interrupted)) => "interrupted",
        Ok(Some(RunOutcome::Succeeded { tally, quarantined, requests, warned })) => {
            tracing::info!(%provider, group, created = tally.created, updated = tally.updated,
                unchanged = tally.unchanged, quarantined, requests, warnings = warned.total(), "synced");
            "succeeded"
        }
        Ok(Some(RunOutcome::Failed { error, .. })) => {
            tracing::error!(%provider, group, error, "a sync run failed");
            "failed"
        }
        Err(error) => {
            tracing::error!(%provider, group, %error, "a sync run could not be recorded");
            "failed"
        }
    };
    counter!("tributary_sync_runs_total", "provider" => provider.to_string(), "group" => group,
        "outcome" => label)
    .increment(1);
}
