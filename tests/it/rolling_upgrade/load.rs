//! Load on two instances that come and go: pushes, SQL users and both forms of Formance's loop.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tributary_formance::{CallError, ErrorClass, Kind};

use crate::support::process::FILE_KEY;
use crate::support::{Consumer, Loop, records};

/// A pause between two calls of one client: a steady load, not the most that is possible.
const PAUSE: Duration = Duration::from_millis(40);
/// Records of one push, each in two states.
const RECORDS: u64 = 10;

/// What the clients share.
pub struct Load {
    /// Where each of two clients finds its instance, as a balancer would tell it.
    pub addresses: [Mutex<String>; 2],
    ingest_key: String,
    pool: PgPool,
    pub stop: CancellationToken,
    /// Pushes that were acknowledged, by client.
    pub acknowledged: [AtomicU64; 2],
    /// Versions that were committed.
    pub versions: AtomicU64,
    /// Calls that got 503, or no answer because the instance was going or not there yet.
    pub later: AtomicU64,
    /// SQL transactions that were rolled back.
    pub rolled_back: AtomicU64,
}

impl Load {
    pub fn new(addresses: [&str; 2], ingest_key: String, pool: PgPool) -> Self {
        Self {
            addresses: addresses.map(|address| Mutex::new(address.to_owned())),
            ingest_key,
            pool,
            stop: CancellationToken::new(),
            acknowledged: Default::default(),
            versions: AtomicU64::new(0),
            later: AtomicU64::new(0),
            rolled_back: AtomicU64::new(0),
        }
    }

    fn address(&self, client: usize) -> String {
        self.addresses[client].lock().unwrap().clone()
    }

    async fn pause(&self) {
        tokio::time::sleep(PAUSE).await;
    }

    /// Pushes batch after batch, each until it is acknowledged.
    pub async fn push(&self, client: usize) {
        let http = http();
        for number in 0_u64.. {
            if self.stop.is_cancelled() {
                return;
            }
            let batch = batch(&format!("p{client}_{number}_"));
            while !self.try_push(&http, client, &batch).await {
                self.later.fetch_add(1, Relaxed);
                self.pause().await;
            }
            self.versions.fetch_add(2 * RECORDS, Relaxed);
            self.acknowledged[client].fetch_add(1, Relaxed);
            self.pause().await;
        }
    }

    async fn try_push(&self, http: &reqwest::Client, client: usize, batch: &[Value]) -> bool {
        let url = format!("http://{}/ingest/transactions", self.address(client));
        let Ok(response) = http.post(url).bearer_auth(&self.ingest_key).json(batch).send().await else {
            return false;
        };
        let status = response.status();
        assert!(status.is_success() || status == 503, "{status}: {}", response.text().await.unwrap());
        status.is_success()
    }

    /// A SQL user: new rows and a row that all of them count up, in transactions that stay open
    /// for a while and of which every third is rolled back.
    pub async fn write_sql(&self, writer: usize) {
        for round in 0_u64.. {
            if self.stop.is_cancelled() {
                return;
            }
            let rolled_back = round % 3 == 2;
            let prefix = format!("{}{writer}_{round}_", if rolled_back { "canary" } else { "sql" });
            let mut transaction = self.pool.begin().await.unwrap();
            let written = write(&mut transaction, &prefix).await;
            self.pause().await;
            if written.is_ok() && !rolled_back {
                transaction.commit().await.unwrap();
                self.versions.fetch_add(6, Relaxed);
            } else {
                transaction.rollback().await.unwrap();
                self.rolled_back.fetch_add(1, Relaxed);
            }
            self.pause().await;
        }
    }

    /// Polls as Formance does, wherever the client's instance is; gives all that came.
    pub async fn consume(&self, client: usize, form: Loop) -> Consumer {
        let mut address = self.address(client);
        let mut consumer = Consumer::at(&format!("http://{address}"), FILE_KEY, Kind::Transactions, form);
        while !self.stop.is_cancelled() {
            if let Some(error) = consumer.poll_until_refused().await {
                assert!(is_passing(&error), "{form:?}: {error}");
                self.later.fetch_add(1, Relaxed);
            }
            self.pause().await;
            let now = self.address(client);
            if now != address {
                consumer.move_to(&format!("http://{now}"), FILE_KEY);
                address = now;
            }
        }
        consumer
    }
}

/// An HTTP client that waits long enough for every answer.
pub fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build().unwrap()
}

/// What an instance that is being replaced may answer: nothing, or 503.
fn is_passing(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Transport { .. } | CallError::Status { class: ErrorClass::ServerError, status: 503, .. }
    )
}

/// The records of one push. Their times make a repeated push tell nothing new.
fn batch(prefix: &str) -> Vec<Value> {
    let states = [("PENDING", "2026-03-01T12:00:00Z"), ("SUCCEEDED", "2026-03-01T12:01:00Z")];
    let state = |(status, updated_at): (&str, &str)| -> Vec<Value> {
        (0..RECORDS)
            .map(|i| {
                let mut record = records::transaction(&format!("{prefix}{i}"), status);
                record["updatedAt"] = updated_at.into();
                record
            })
            .collect()
    };
    states.into_iter().flat_map(state).collect()
}

async fn write(connection: &mut PgConnection, prefix: &str) -> sqlx::Result<()> {
    insert(connection, prefix, 5).await?;
    sqlx::query("update transactions set amount = amount + 1 where provider = 'acme' and id = 'hot'")
        .execute(connection)
        .await?;
    Ok(())
}

/// New rows, each one version.
pub async fn insert(connection: &mut PgConnection, prefix: &str, count: i32) -> sqlx::Result<()> {
    let sql = "insert into transactions (provider, id, type, status, asset, amount, created_at)
        select 'acme', $1 || i, 'PAYIN', 'PENDING', 'EUR/2', i, '2026-03-01' from generate_series(1, $2) i";
    sqlx::query(sql).bind(prefix).bind(count).execute(connection).await?;
    Ok(())
}
