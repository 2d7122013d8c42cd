//! Runs that somebody waits for.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::puller::{Puller, RunOutcome, Work};
use super::renewed_lease::RenewedLease;
use super::{Instance, SyncProgress, WarnedOf};
use crate::store::leases::Holder;
use crate::store::{StoreError, Tally};
use tributary_domain::ProviderName;
use tributary_manifest::{CompiledProvider, StreamGroup};

/// How often a lease that another has is checked.
const RECHECK: Duration = Duration::from_millis(100);

/// What to do where another instance is at a group.
pub enum Busy<'a> {
    /// Wait for it, and report that once.
    Wait(&'a (dyn Fn(&str, &Holder) + Sync)),
    GiveUp,
}

/// What is to be read.
pub struct SyncRequest<'a> {
    /// Only this stream, with those above it; all without it.
    pub stream: Option<&'a str>,
    /// Forget the cursors of the streams first.
    pub forget: bool,
    pub busy: Busy<'a>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Synced {
    /// All groups together.
    Ran(RunOutcome),
    /// Another instance is at this group, and the request was not to wait.
    Busy { group: String, holder: Holder },
}

impl Puller {
    /// Reads now what `request` says, group after group. A pause after failures does not count.
    pub async fn sync_now(
        &self,
        request: &SyncRequest<'_>,
        stop: &CancellationToken,
    ) -> Result<Synced, StoreError> {
        let mut total = RunOutcome::Succeeded {
            tally: Tally::default(),
            quarantined: 0,
            requests: 0,
            warned: WarnedOf::default(),
        };
        for group in &self.groups {
            let names = match request.stream {
                None => group.streams.clone(),
                Some(stream) if group.streams.iter().any(|name| name == stream) => vec![stream.to_owned()],
                Some(_) => continue,
            };
            let lease = tokio::select! {
                lease = self.take(group, &request.busy) => lease?,
                () = stop.cancelled() => return Ok(Synced::Ran(RunOutcome::Interrupted)),
            };
            let lease = match lease {
                Ok(lease) => lease,
                Err(holder) => return Ok(Synced::Busy { group: group.name.clone(), holder }),
            };
            let work = Work::Streams { names, forget: request.forget };
            let run = self.run(lease, &work, stop).instrument(self.span(&group.name));
            match run.await? {
                None => {}
                Some(RunOutcome::Interrupted) => return Ok(Synced::Ran(RunOutcome::Interrupted)),
                Some(outcome) => total = together(total, outcome),
            }
        }
        Ok(Synced::Ran(total))
    }

    /// The lease of `group`, or who has it.
    pub(super) async fn take(
        &self,
        group: &StreamGroup,
        busy: &Busy<'_>,
    ) -> Result<Result<RenewedLease, Holder>, StoreError> {
        take_lease(&self.pool, (&self.provider, &group.name), &self.instance, busy).await
    }
}

/// The lease of a group of a provider, or who has it.
pub(super) async fn take_lease(
    pool: &PgPool,
    (provider, group): (&ProviderName, &str),
    instance: &Instance,
    busy: &Busy<'_>,
) -> Result<Result<RenewedLease, Holder>, StoreError> {
    let mut reported = false;
    loop {
        match RenewedLease::take(pool, provider, group, instance).await? {
            Ok(lease) => return Ok(Ok(lease)),
            Err(holder) => match busy {
                Busy::GiveUp => return Ok(Err(holder)),
                Busy::Wait(report) => {
                    if !std::mem::replace(&mut reported, true) {
                        report(group, &holder);
                    }
                    tokio::time::sleep(RECHECK).await;
                }
            },
        }
    }
}

fn together(one: RunOutcome, other: RunOutcome) -> RunOutcome {
    use RunOutcome::{Failed, Interrupted, Succeeded};
    match (one, other) {
        (
            Succeeded { mut tally, quarantined, requests, mut warned },
            Succeeded { tally: more, quarantined: q, requests: r, warned: w },
        ) => {
            tally += more;
            warned.append(w);
            Succeeded { tally, quarantined: quarantined + q, requests: requests + r, warned }
        }
        (
            Succeeded { tally: more, quarantined: q, warned: w, .. },
            Failed { mut tally, quarantined, error, mut warned },
        )
        | (
            Failed { mut tally, quarantined, error, mut warned },
            Succeeded { tally: more, quarantined: q, warned: w, .. },
        ) => {
            tally += more;
            warned.append(w);
            Failed { tally, quarantined: quarantined + q, error, warned }
        }
        (
            Failed { mut tally, quarantined, error, mut warned },
            Failed { tally: more, quarantined: q, error: also, warned: w },
        ) => {
            tally += more;
            warned.append(w);
            Failed { tally, quarantined: quarantined + q, error: format!("{error}; {also}"), warned }
        }
        (Interrupted, _) | (_, Interrupted) => Interrupted,
    }
}

/// Reads everything once; waits where another instance is at it. A run that is dropped leaves
/// behind what it committed, and the next one goes on from there.
pub async fn run_once(
    pool: &PgPool,
    provider: &ProviderName,
    compiled: &Arc<CompiledProvider>,
    progress: &Arc<SyncProgress>,
) -> Result<RunOutcome, StoreError> {
    let mut puller = Puller::over(pool.clone(), provider.clone(), Arc::clone(compiled), Instance::default());
    puller.progress = Arc::clone(progress);
    let request = SyncRequest { stream: None, forget: false, busy: Busy::Wait(&|_, _| {}) };
    match puller.sync_now(&request, &CancellationToken::new()).await? {
        Synced::Ran(outcome) => Ok(outcome),
        Synced::Busy { .. } => Ok(RunOutcome::Interrupted),
    }
}
