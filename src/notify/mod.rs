//! Tells an address of the company's own what waits for a person: signed as [Standard Webhooks](https://www.standardwebhooks.com)
//! says, once each time that something begins to wait, again and again until it arrives.

mod message;

use std::time::Duration;

use metrics::counter;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::Notify;
use crate::store::StoreError;
use crate::store::database::soon;
use crate::store::notifications::{self, Due};
use crate::sync;
use message::Sender;
use tributary_domain::ProviderName;

/// How often is looked what waits.
const TICK: Duration = Duration::from_secs(5);
/// For how long whoever sends one has it to itself: longer than an answer may take.
const LEASE: Duration = Duration::from_secs(60);
/// How many are sent before it is looked again.
const BATCH: u32 = 20;
/// The pauses after attempts that failed. After the last of them it is given up, a day and a half later.
const PAUSES: [Duration; 10] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(4 * 3600),
    Duration::from_secs(8 * 3600),
    Duration::from_secs(16 * 3600),
];
/// What may become of an attempt, as the metric calls it.
pub const OUTCOMES: [&str; 3] = ["delivered", "failed", "given_up"];

/// Tells what waits, as a task.
#[derive(Clone)]
pub struct Notifier {
    pool: PgPool,
    providers: Vec<ProviderName>,
    sender: Sender,
}

impl Notifier {
    /// Tells `notify` what of `providers` waits, by the database of `pool`. Fails if nothing can be sent at all.
    pub fn new(pool: PgPool, providers: Vec<ProviderName>, notify: Notify) -> Result<Self, String> {
        Ok(Self { pool, providers, sender: Sender::new(notify)? })
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Some(Err(error)) = stop.run_until_cancelled(self.look()).await {
                tracing::warn!(%error, "cannot find out what waits for a person; trying again");
            }
            if stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_none() {
                return;
            }
        }
    }

    /// Looks what waits, and sends what is due.
    pub async fn look(&self) -> Result<(), StoreError> {
        soon(notifications::note(&self.pool, &self.providers, sync::PATIENCE)).await?;
        for _ in 0..BATCH {
            let Some(due) = soon(notifications::take_due(&self.pool, LEASE)).await? else { break };
            self.tell(&due).await?;
        }
        Ok(())
    }

    /// Sends one, and notes what became of it.
    async fn tell(&self, due: &Due) -> Result<(), StoreError> {
        let sent = self.sender.send(due).await;
        let outcome = match sent {
            Ok(()) => {
                soon(notifications::delivered(&self.pool, due.id)).await?;
                "delivered"
            }
            Err(error) => {
                let failures = usize::try_from(due.attempt).unwrap_or(usize::MAX);
                let pause = PAUSES.get(failures.saturating_sub(1)).copied();
                let outcome = if pause.is_some() { "failed" } else { "given_up" };
                tracing::warn!(id = %due.id, kind = due.kind, attempt = due.attempt, error, outcome,
                    "what waits for a person could not be told");
                soon(notifications::failed(&self.pool, due.id, &error, pause)).await?;
                outcome
            }
        };
        counter!("tributary_notifications_total", "outcome" => outcome).increment(1);
        Ok(())
    }
}
