//! What has to be done about a provider now and then, by whatever instance: alarms to set, old
//! things to forget.

use std::time::Duration;

use chrono::Utc;
use metrics::gauge;
use rand::Rng;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::breaker;
use crate::store::leases;
use crate::store::quarantine::{self, Which};
use crate::store::{StoreError, raw_records, sync_runs};
use tributary_domain::ProviderName;
use tributary_manifest::Period;

/// How often gauges are set.
const TICK: Duration = Duration::from_secs(15);
/// How many ticks there are between two times that old things are forgotten.
const TICKS_OF_FORGETTING: u64 = 240;
/// How long the history of runs is kept.
const HISTORY_DAYS: i32 = 30;
/// The most raw records that one statement deletes.
const FORGET_BATCH: u32 = 5_000;

/// Looks after providers.
pub struct Housekeeper {
    pool: PgPool,
    /// And for how long their raw records are kept.
    providers: Vec<(ProviderName, Option<Period>)>,
}

impl Housekeeper {
    /// Looks after `providers`, each with its `keep_raw`.
    pub fn new(pool: PgPool, providers: Vec<(ProviderName, Option<Period>)>) -> Self {
        Self { pool, providers }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        for tick in 0_u64.. {
            for (provider, keep_raw) in &self.providers {
                if let Err(error) = self.report(provider).await {
                    tracing::warn!(%provider, %error, "cannot read how recent runs went");
                }
                if tick % TICKS_OF_FORGETTING == 0
                    && let Err(error) = self.forget(provider, *keep_raw).await
                {
                    tracing::warn!(%provider, %error, "cannot delete what is past its retention");
                }
            }
            let pause = TICK.mul_f64(rand::rng().random_range(0.9..1.1));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Sets the gauges of `provider`.
    pub async fn report(&self, provider: &ProviderName) -> Result<(), StoreError> {
        let size = quarantine::count(&self.pool, Which { provider: Some(provider), resource: None }).await?;
        gauge!("tributary_quarantine_records", "provider" => provider.to_string()).set(size as f64);
        for state in leases::states(&self.pool, provider).await? {
            let open = state.paused && state.failures >= i64::from(breaker::PATIENCE);
            let labels = [("provider", provider.to_string()), ("group", state.group.clone())];
            gauge!("tributary_sync_breaker_open", &labels).set(f64::from(u8::from(open)));
            gauge!("tributary_sync_failures_in_a_row", &labels).set(state.failures as f64);
            let success = sync_runs::last_success(&self.pool, provider, &state.group).await?;
            gauge!("tributary_sync_last_success_timestamp_seconds", &labels)
                .set(success.map_or(0.0, |at| at.timestamp() as f64));
        }
        Ok(())
    }

    /// Forgets raw records beyond `keep_raw` (all, where none are kept any more) and old runs.
    pub async fn forget(&self, provider: &ProviderName, keep_raw: Option<Period>) -> Result<(), StoreError> {
        sync_runs::forget_older(&self.pool, provider, HISTORY_DAYS).await?;
        let before = Utc::now() - keep_raw.unwrap_or(Period::from_seconds(0)).as_delta();
        let full = u64::from(FORGET_BATCH);
        while raw_records::forget(&self.pool, provider, before, FORGET_BATCH).await? == full {}
        Ok(())
    }
}
