//! Crashes of the real program and of the real PostgreSQL, and restores. Whatever was
//! acknowledged arrives once, in order; whatever was served stays as it was served.

use std::time::Duration;

use nix::sys::signal::Signal;
use private_pg::PrivatePostgres;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::process::Child;
use tributary::store;
use tributary_domain::Scope;
use tributary_formance::Kind;

use crate::support::app::new_test_key;
use crate::support::process::{FILE_KEY, Place, signal, stop};
use crate::support::{Consumer, Loop, TestApp, records, server};

/// Pushes record after record to whatever address is current, each until it is acknowledged.
struct Pusher {
    http: reqwest::Client,
    key: String,
    next: usize,
    /// Calls that got no answer: the crash met them on their way.
    interrupted: u32,
}

impl Pusher {
    fn new(key: String) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        Self { http, key, next: 0, interrupted: 0 }
    }

    /// One call of 20 records, two states each; `false` if it was not acknowledged.
    async fn push(&mut self, address: &str) -> bool {
        let batch: Vec<Value> = ["PENDING", "SUCCEEDED"]
            .iter()
            .flat_map(|status| (0..20).map(move |i| (status, i)))
            .map(|(status, i)| {
                let mut record = records::transaction(&format!("t{}_{i}", self.next), status);
                // so that a repeated call tells nothing new
                record["updatedAt"] =
                    format!("2026-03-01T12:0{}:00Z", u8::from(*status == "SUCCEEDED")).into();
                record
            })
            .collect();
        let call = self
            .http
            .post(format!("http://{address}/ingest/transactions"))
            .bearer_auth(&self.key)
            .json(&batch);
        match call.send().await {
            Ok(response) if response.status().is_success() => {
                self.next += 1;
                true
            }
            _ => {
                self.interrupted += 1;
                false
            }
        }
    }
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

async fn wait_until_published(pool: &PgPool) {
    let published = async {
        while count(pool, "select count(*) from changes").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), published).await.expect("everything is published");
}

/// Pushes and polls side by side until `calls` were tried, then does `then`.
async fn work(pusher: &mut Pusher, consumer: &mut Consumer, address: &str, calls: usize) {
    for _ in 0..calls {
        tokio::join!(pusher.push(address), consumer.try_poll());
    }
}

/// Kills the server in the middle of `pusher`'s next calls.
async fn kill_at_work(
    server: &mut Child,
    pusher: &mut Pusher,
    consumer: &mut Consumer,
    address: &str,
    after: Duration,
) {
    let killing = async {
        tokio::time::sleep(after).await;
        signal(server, Signal::SIGKILL);
        server.wait().await.unwrap();
    };
    tokio::join!(killing, work(pusher, consumer, address, 30));
}

async fn check(pool: &PgPool, consumer: &mut Consumer, pusher: &Pusher) {
    consumer.poll().await;
    consumer.check_against(pool, "acme").await;
    assert!(pusher.interrupted > 0, "no crash met a call");
    let acknowledged = pusher.next as i64 * 20;
    let stored = count(pool, "select count(*) from transactions where status = 'SUCCEEDED'").await;
    assert!(stored >= acknowledged, "{stored} stored, {acknowledged} acknowledged");
    let versions = count(pool, "select count(*) from feed where resource = 'transactions'").await;
    assert_eq!(versions, 2 * count(pool, "select count(*) from transactions").await, "two states each, once");
}

#[tokio::test]
async fn s11_sigkill_of_tributary_loses_nothing_and_renumbers_nothing() {
    let place = Place::new("kill_tributary");
    let url = server::new_database().await;
    let pool = store::connect(&url, 4).await.unwrap();
    let mut pusher = Pusher::new(new_test_key(&pool, &"acme".parse().unwrap(), Scope::Ingest).await);
    let mut consumer = Consumer::at("http://127.0.0.1:1", FILE_KEY, Kind::Transactions, Loop::Released);
    for round in 0..6_u64 {
        let (mut server, address) = place.serve(Some(&url)).await;
        consumer.move_to(&format!("http://{address}"), FILE_KEY);
        kill_at_work(
            &mut server,
            &mut pusher,
            &mut consumer,
            &address,
            Duration::from_millis(60 + 67 * round),
        )
        .await;
    }
    let (server, address) = place.serve(Some(&url)).await;
    consumer.move_to(&format!("http://{address}"), FILE_KEY);
    while !pusher.push(&address).await {}
    wait_until_published(&pool).await;
    check(&pool, &mut consumer, &pusher).await;
    stop(server).await;
}

#[tokio::test]
async fn s11_sigkill_of_postgresql_loses_nothing_and_renumbers_nothing() {
    let place = Place::new("kill_postgresql");
    let data = place.0.join("data");
    let private = PrivatePostgres::open(&data).await.unwrap();
    let url = private.url();
    let pool = store::connect(&url, 4).await.unwrap();
    store::migrate(&pool).await.unwrap();
    let mut pusher = Pusher::new(new_test_key(&pool, &"acme".parse().unwrap(), Scope::Ingest).await);
    let (server, address) = place.serve(Some(&url)).await;
    let mut consumer = Consumer::at(&format!("http://{address}"), FILE_KEY, Kind::Transactions, Loop::En1095);
    drop(private);
    let mut private = None;
    for round in 0..3_u64 {
        let pid: i32 = std::fs::read_to_string(data.join("postgres/postmaster.pid"))
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let killing = async {
            tokio::time::sleep(Duration::from_millis(40 + 90 * round)).await;
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        };
        tokio::join!(killing, work(&mut pusher, &mut consumer, &address, 8));
        drop(private.take());
        private = Some(PrivatePostgres::open(&data).await.expect("PostgreSQL recovers"));
        // the same process goes on with the database that came back
        let back = async { while !pusher.push(&address).await {} };
        tokio::time::timeout(Duration::from_secs(60), back).await.expect("pushes are taken again");
    }
    wait_until_published(&pool).await;
    check(&pool, &mut consumer, &pusher).await;
    stop(server).await;
    pool.close().await;
    private.expect("it runs").close().await.unwrap();
}

#[tokio::test]
async fn s12_a_stopped_publisher_is_overtaken_and_wakes_without_doubling() {
    let place = Place::new("stop_one");
    let url = server::new_database().await;
    let pool = store::connect(&url, 4).await.unwrap();
    let mut pusher = Pusher::new(new_test_key(&pool, &"acme".parse().unwrap(), Scope::Ingest).await);
    let (first, first_address) = place.serve(Some(&url)).await;
    let (second, second_address) = place.serve(Some(&url)).await;
    let mut consumer =
        Consumer::at(&format!("http://{second_address}"), FILE_KEY, Kind::Transactions, Loop::Released);
    for _ in 0..5 {
        tokio::join!(pusher.push(&first_address), consumer.try_poll());
        signal(&first, Signal::SIGSTOP);
        for _ in 0..3 {
            assert!(pusher.push(&second_address).await);
            wait_until_published(&pool).await;
            consumer.poll().await;
        }
        signal(&first, Signal::SIGCONT);
    }
    wait_until_published(&pool).await;
    pusher.interrupted = 1;
    check(&pool, &mut consumer, &pusher).await;
    stop(first).await;
    stop(second).await;
}

#[tokio::test]
async fn s13_after_a_restore_everything_lies_above_what_was_served_and_the_forgotten_comes_again() {
    let app = TestApp::fast().await;
    app.push("transactions", &records::transactions("kept", 300)).await;
    app.publish_all().await;
    let mut admin_url: url::Url = app.url.parse().unwrap();
    let name = admin_url.path().trim_start_matches('/').to_owned();
    admin_url.set_path("postgres");
    let mut admin = PgConnection::connect(admin_url.as_str()).await.unwrap();
    let mut consumer = Consumer::new(&app, Kind::Transactions, Loop::Released).await;

    // the backup is taken here
    app.close().await;
    admin
        .execute(sqlx::AssertSqlSafe(format!("create database {name}_backup template {name}")))
        .await
        .unwrap();
    let pool = store::connect(&app.url, 10).await.unwrap();
    let before = TestApp::over(&app, pool).await;
    let forgotten = records::transactions("forgotten", 250);
    before.push("transactions", &forgotten).await;
    before.publish_all().await;
    consumer.move_to(&before.listen().await, &before.connector_key);
    consumer.poll().await;
    assert_eq!(consumer.rows.len(), 550);
    let served = consumer.rows.last().unwrap().watermark.unix_nanos();

    // and restored here, without a restart of the server
    before.close().await;
    admin.execute(sqlx::AssertSqlSafe(format!("drop database {name} with (force)"))).await.unwrap();
    admin
        .execute(sqlx::AssertSqlSafe(format!("alter database {name}_backup rename to {name}")))
        .await
        .unwrap();
    let pool = store::connect(&app.url, 10).await.unwrap();
    let after = TestApp::over(&app, pool).await;
    // a full sync, as history, before the consumer's next poll
    let mut everything = records::transactions("new", 2000);
    everything.extend(forgotten);
    let body = serde_json::to_vec(&everything).unwrap();
    let (status, _) = after.post("/ingest/transactions?backfill=true", "application/json", body).await;
    assert_eq!(status, 200);
    after.publish_all().await;
    consumer.move_to(&after.listen().await, &after.connector_key);
    consumer.poll().await;
    let again = &consumer.rows[550..];
    assert_eq!(again.len(), 2250, "the new and the forgotten, all of them");
    assert!(again.iter().all(|row| row.watermark.unix_nanos() > served));
}
