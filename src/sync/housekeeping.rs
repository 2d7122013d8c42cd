//! What has to be done about a provider now and then, by whatever instance: old things to forget.

use std::time::Duration;

use chrono::Utc;
use rand::Rng;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::{StoreError, raw_records, sync_runs};
use tributary_domain::ProviderName;
use tributary_manifest::Period;

/// How often old things are forgotten.
const TICK: Duration = Duration::from_secs(3600);
/// How long the history of runs is kept.
const HISTORY_DAYS: i32 = 30;
/// The most raw records that one statement deletes.
const FORGET_BATCH: u32 = 5_000;

/// Looks after providers.
#[derive(Clone)]
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
        loop {
            for (provider, keep_raw) in &self.providers {
                if let Err(error) = self.forget(provider, *keep_raw).await {
                    tracing::warn!(%provider, %error, "cannot delete what is past its retention");
                }
            }
            let pause = TICK.mul_f64(rand::rng().random_range(0.9..1.1));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
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
