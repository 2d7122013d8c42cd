//! What has to be done about a provider now and then, by whatever instance: old things to forget.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use metrics::counter;
use rand::Rng;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::database::{LARGE, within};
use crate::store::{
    StoreError, consumers, notifications, payment_refusals, provider_tokens, raw_records, request_log,
    sync_runs,
};
use tributary_domain::ProviderName;
use tributary_manifest::Period;

/// How often old things are forgotten.
const TICK: Duration = Duration::from_secs(3600);
/// The most rows that one statement deletes: some 100 ms of work, and of locks.
const FORGET_BATCH: u32 = 5_000;
/// For how long counted requests are kept at least. Longer, where a budget of the provider says so.
const REQUEST_LOG: TimeDelta = TimeDelta::days(32);
/// For how long tokens are kept that nobody can, or wants to, use any more.
const TOKENS: TimeDelta = TimeDelta::days(30);
/// How many refusals of a provider are kept, the newest: whoever holds a key decides how many there are.
const REFUSALS: u32 = 10_000;

/// For how long history is kept that nothing needs but people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What ran, and how it went.
    pub runs: Period,
    /// Requests to pay that were refused.
    pub refusals: Period,
    /// Who polled, since the last poll.
    pub consumers: Period,
    /// What waited for a person, since it no longer does.
    pub notifications: Period,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u32| Period::from_seconds(days * 86_400);
        Self { runs: days(30), refusals: days(90), consumers: days(90), notifications: days(90) }
    }
}

/// What is kept of a provider that is looked after.
#[derive(Debug, Clone)]
pub struct ProviderRetention {
    pub provider: ProviderName,
    /// For how long records are kept as they came; not at all without it.
    pub raw: Option<Period>,
    /// The longest stretch of time that a budget of requests is for.
    pub longest_budget: Option<Period>,
}

/// Tables of which old rows are deleted, as the metric calls them.
pub const FORGETTING: [&str; 7] = [
    "raw_records",
    "sync_runs",
    "payment_refusals",
    "request_log",
    "provider_tokens",
    "consumers",
    "notifications",
];

/// Looks after providers.
#[derive(Clone)]
pub struct Housekeeper {
    pool: PgPool,
    providers: Vec<ProviderRetention>,
    retention: Retention,
}

impl Housekeeper {
    /// Looks after `providers`.
    pub fn new(pool: PgPool, providers: Vec<ProviderRetention>, retention: Retention) -> Self {
        Self { pool, providers, retention }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Some(Err(error)) = stop.run_until_cancelled(self.forget(Utc::now())).await {
                tracing::warn!(%error, "cannot delete what is past its retention; trying again in an hour");
            }
            let pause = TICK.mul_f64(rand::rng().random_range(0.9..1.1));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Deletes, in small pieces, what at `now` is past its retention: of the providers that are looked
    /// after, raw records (all, where none are kept any more), old runs, requests that no budget counts,
    /// and tokens that nobody uses; and refusals, and consumers that are gone. What waits for somebody is never among it.
    pub async fn forget(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let pool = &self.pool;
        for ProviderRetention { provider, raw, longest_budget } in &self.providers {
            let before = now - raw.unwrap_or(Period::from_seconds(0)).as_delta();
            in_pieces("raw_records", || raw_records::forget(pool, provider, before, FORGET_BATCH)).await?;
            let before = now - self.retention.runs.as_delta();
            in_pieces("sync_runs", || sync_runs::forget(pool, provider, before, FORGET_BATCH)).await?;
            let longest = longest_budget.map_or(REQUEST_LOG, |budget| budget.as_delta().max(REQUEST_LOG));
            let before = now - longest;
            in_pieces("request_log", || request_log::forget(pool, provider, before, FORGET_BATCH)).await?;
            let gone = within(LARGE, provider_tokens::forget(pool, provider, now - TOKENS)).await?;
            counted("provider_tokens", gone);
            let beyond = || payment_refusals::forget_beyond(pool, provider, REFUSALS, FORGET_BATCH);
            in_pieces("payment_refusals", beyond).await?;
        }
        let before = now - self.retention.refusals.as_delta();
        in_pieces("payment_refusals", || payment_refusals::forget(pool, before, FORGET_BATCH)).await?;
        let before = now - self.retention.consumers.as_delta();
        in_pieces("consumers", || consumers::forget(pool, before, FORGET_BATCH)).await?;
        let before = now - self.retention.notifications.as_delta();
        in_pieces("notifications", || notifications::forget(pool, before, FORGET_BATCH)).await
    }
}

/// Deletes of `table` piece by piece, until one is not full.
async fn in_pieces<F: Future<Output = Result<u64, StoreError>>>(
    table: &'static str,
    mut piece: impl FnMut() -> F,
) -> Result<(), StoreError> {
    loop {
        let gone = within(LARGE, piece()).await?;
        counted(table, gone);
        if gone < u64::from(FORGET_BATCH) {
            return Ok(());
        }
    }
}

fn counted(table: &'static str, gone: u64) {
    counter!("tributary_deleted_rows_total", "table" => table).increment(gone);
}
