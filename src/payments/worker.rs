//! Looks for what is due: orders that their instance left behind, outcomes to be found out,
//! payments to be followed, records that wait.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::executor::Executor;
use super::follow;
use super::intake::Payments;
use crate::records;
use crate::store::StoreError;
use crate::store::database::soon;
use crate::store::payment_orders::{self, Claim};
use crate::store::unmatched_records;
use crate::supervision::{self, Part};

/// How many orders one instance goes on with at the same time.
const AT_ONCE: usize = 8;
/// How long a claim for a lookup lasts; a request renews it.
const LOOKUP_CLAIM: Duration = Duration::from_secs(45);
/// After how many ticks it is said again that nobody carries some orders on.
const REMIND_EVERY: u64 = 300;

/// Carries orders on that nobody waits for. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    executor: Arc<Executor>,
}

impl Payments {
    /// What carries the orders on; any number of instances may.
    pub fn worker(&self) -> Worker {
        Worker { executor: Arc::clone(&self.0) }
    }
}

impl Worker {
    /// Runs until `stop`, then ends what is under way.
    pub async fn run(self, stop: CancellationToken) {
        let (mut running, mut ticks) = (JoinSet::new(), 0_u64);
        while !stop.is_cancelled() {
            if let Err(error) = self.tick(&mut running).await {
                tracing::error!(%error, "cannot work on payments; trying again");
            }
            if ticks.is_multiple_of(REMIND_EVERY) {
                self.remind().await;
            }
            ticks += 1;
            let pause = self.executor.settings.tick.mul_f64(rand::rng().random_range(0.75..1.25));
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            while let Some(ended) = running.try_join_next() {
                supervision::note(&Part::Payments, ended);
            }
        }
        while let Some(ended) = running.join_next().await {
            supervision::note(&Part::Payments, ended);
        }
    }

    /// Does everything that is due now, and waits for it; gives how many orders it went on with.
    pub async fn run_once(&self) -> Result<usize, StoreError> {
        let mut running = JoinSet::new();
        let claimed = self.tick(&mut running).await?;
        while running.join_next().await.is_some() {}
        Ok(claimed)
    }

    async fn tick(&self, running: &mut JoinSet<()>) -> Result<usize, StoreError> {
        let executor = &self.executor;
        let lost = soon(payment_orders::expire(&executor.pool, &executor.owner)).await?;
        if lost > 0 {
            tracing::error!(lost, "an instance ended while it sent payments: their outcomes are looked up");
        }
        self.hold_overdue().await?;
        let names: Vec<&str> = executor.payers.keys().map(|name| name.as_str()).collect();
        let room = AT_ONCE.saturating_sub(running.len());
        let claim = Claim {
            owner: &executor.owner,
            token: Uuid::new_v4(),
            time: executor.settings.claim.min(LOOKUP_CLAIM),
        };
        let orders = match u32::try_from(room).unwrap_or_default() {
            0 => Vec::new(),
            room => soon(payment_orders::claim_due(&executor.pool, &names, room, claim)).await?,
        };
        let claimed = orders.len();
        for order in orders {
            let (executor, token) = (Arc::clone(executor), claim.token);
            running.spawn(async move {
                if let Err(error) = follow::go_on(&executor, &order, token).await {
                    // its claim ends by itself
                    tracing::error!(order = %order.id, %error, "cannot continue with a payment; it is taken up again when its claim ends");
                }
            });
        }
        let waiting = soon(unmatched_records::providers_with_some(&executor.pool, &names)).await?;
        for provider in executor.payers.keys().filter(|name| waiting.contains(name.as_str())) {
            if let Err(error) = soon(records::match_waiting(&executor.pool, provider)).await {
                tracing::error!(%provider, %error, "records that wait for an order's outcome could not be matched; trying again");
            }
        }
        Ok(claimed)
    }

    /// Sends orders that were not sent in time back to whoever approves.
    async fn hold_overdue(&self) -> Result<(), StoreError> {
        let Executor { pool, owner, payers, .. } = &*self.executor;
        let times: Vec<_> = payers.iter().map(|(name, payer)| (name, payer.policy.expire_after)).collect();
        let overdue = soon(payment_orders::overdue(pool, &times)).await?;
        for (provider, after) in
            times.into_iter().filter(|(name, _)| overdue.iter().any(|o| o == name.as_str()))
        {
            let held = soon(payment_orders::hold_again(pool, provider, after, owner)).await?;
            if held > 0 {
                tracing::error!(%provider, held, "payments were not sent in time and wait for an approval \
                    (again): see `tributary payouts list --state held`");
            }
        }
        Ok(())
    }

    /// Says which open orders no file carries on.
    async fn remind(&self) {
        let Ok(counts) = soon(payment_orders::open_counts(&self.executor.pool)).await else { return };
        for open in counts.iter().filter(|open| self.executor.route(&open.provider, open.kind).is_none()) {
            tracing::error!(provider = %open.provider, kind = %open.kind, state = %open.state,
                count = open.count, "nobody carries these payments on: no file says how their provider \
                pays. Put it back, with its variables, until they have ended");
        }
    }
}
