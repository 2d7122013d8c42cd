//! The publisher as a process runs it: what wakes it, how it rests, and what is measured of it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tributary::feed::{PageRequest, Reading, page};
use tributary::payments::{Payments, Settings};
use tributary::store::{Readers, feeds};
use tributary::telemetry::{Gauges, Metrics, ProcessGauges};
use tributary_domain::FeedName;

use crate::support::{TestApp, records};

/// Waits until `ready`; nothing here takes longer than `at_most`.
async fn wait(at_most: Duration, what: &str, mut ready: impl AsyncFnMut() -> bool) {
    let turned = async {
        while !ready().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(at_most, turned).await.unwrap_or_else(|_| panic!("{what}"));
}

const PATIENCE: Duration = Duration::from_secs(20);

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.pool).await.unwrap()
}

async fn published(app: &TestApp) -> i64 {
    count(app, "select count(*) from feed").await
}

/// A publisher that runs until the token is cancelled.
fn start(app: &TestApp) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let publisher = tokio::spawn(app.publisher().run(stop.clone()));
    (stop, publisher)
}

#[tokio::test]
async fn what_committed_before_it_started_is_found() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    let (stop, publisher) = start(&app);
    wait(PATIENCE, "nobody is told of it again, so it has to look", async || published(&app).await == 1)
        .await;
    stop.cancel();
    publisher.await.unwrap();
}

#[tokio::test]
async fn a_commit_wakes_it_before_its_next_look() {
    let app = TestApp::new().await;
    let (stop, publisher) = start(&app);
    let all = async {
        for i in 0..20 {
            app.push("transactions", &[records::transaction(&format!("t{i}"), "PENDING")]).await;
            wait(PATIENCE, "it is published", async || published(&app).await > i).await;
        }
    };
    // it looks once a second: 20 changes, each written when the one before is out, would take 19 s
    tokio::time::timeout(Duration::from_secs(15), all).await.expect("no change waits for a look");
    stop.cancel();
    publisher.await.unwrap();
}

#[tokio::test]
async fn with_little_room_entries_gather_instead_of_going_out_one_by_one() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("first", "PENDING")]).await;
    app.publish().await;
    // the free past is used up: at 100 a second, a place comes free every 10 ms
    app.push("transactions", &records::transactions("t", 200)).await;
    let (stop, publisher) = start(&app);
    wait(PATIENCE, "all are published", async || published(&app).await == 201).await;
    stop.cancel();
    publisher.await.unwrap();
    let publications = count(&app, "select count(distinct xmin::text) from feed").await;
    assert!(publications <= 50, "{publications} publications of 200 entries in 2 s: one in 50 ms is enough");
}

#[tokio::test]
async fn without_changes_it_rests() {
    let app = TestApp::new().await;
    let stop = CancellationToken::new();
    let mut run = Box::pin(app.publisher().run(stop.clone()));
    let mut polls = 0;
    let counted = poll_fn(|context| {
        polls += 1;
        // to connect takes some 800: sqlx gives way again and again while it hashes the password
        assert!(polls < 20_000, "it spins");
        run.as_mut().poll(context)
    });
    // the time that it is watched, not one that anything waits for
    assert!(tokio::time::timeout(Duration::from_secs(2), counted).await.is_err(), "it goes on");
}

/// A recorder of what this thread counts, which in these tests is all there is.
fn record() -> (PrometheusHandle, Box<dyn std::any::Any>) {
    let recorder: &'static _ = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
    (recorder.handle(), Box::new(metrics::set_default_local_recorder(recorder)))
}

/// What is recorded, and what is measured in the database at this moment.
async fn measured(app: &TestApp, recorded: &PrometheusHandle) -> String {
    let payments =
        Payments::new(app.pool.clone(), "one".to_owned(), HashMap::new(), None, Settings::default());
    let gauges = Gauges::new(app.pool.clone(), vec![app.name().clone()], payments);
    let process = ProcessGauges::new(app.pool.clone(), app.readers.clone());
    Metrics::new(recorded.clone(), gauges, process).render().await
}

fn value(measured: &str, name: &str, feed: FeedName) -> Option<f64> {
    let start = format!("{name}{{provider=\"acme\",feed=\"{feed}\"}} ");
    measured.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

#[tokio::test]
async fn it_tells_how_much_waits_in_which_feed_and_since_when() {
    let (metrics, _recording) = record();
    let app = TestApp::new().await;
    let mut connection = app.pool.acquire().await.unwrap();
    feeds::await_first_sync(&mut connection, app.name(), FeedName::Accounts).await.unwrap();
    drop(connection);
    for id in ["a", "b", "c"] {
        app.push("accounts", &[records::account(id, "2026-01-01T00:00:00Z")]).await;
    }
    let mut child = records::transaction("refund", "REFUNDED");
    child["relatedTransactionID"] = "payment".into();
    app.push("transactions", &[child, records::transaction("other", "SUCCEEDED")]).await;
    app.sql("update changes set staged_at = staged_at - interval '90 s'").await;
    let (stop, publisher) = start(&app);
    wait(PATIENCE, "the child waits", async || {
        let measured = measured(&app, &metrics).await;
        value(&measured, "tributary_changes_waiting_for_parent", FeedName::Transactions) == Some(1.0)
    })
    .await;
    stop.cancel();
    publisher.await.unwrap();
    let measured = measured(&app, &metrics).await;
    let queued = |feed| value(&measured, "tributary_changes_queued", feed);
    assert_eq!(queued(FeedName::Accounts), Some(3.0));
    assert_eq!(queued(FeedName::Beneficiaries), Some(0.0));
    assert_eq!(value(&measured, "tributary_changes_waiting_for_parent", FeedName::Accounts), Some(0.0));
    let age = |feed| value(&measured, "tributary_changes_oldest_age_seconds", feed).unwrap();
    assert!((90.0..150.0).contains(&age(FeedName::Accounts)), "{}", age(FeedName::Accounts));
    assert!(age(FeedName::Beneficiaries) <= 0.0);
    assert_eq!(value(&measured, "tributary_published_total", FeedName::Transactions), Some(1.0));
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_clock_that_stepped_back_raises_an_alarm_and_a_moment_does_not() {
    let (metrics, _recording) = record();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let alarmed = || String::from_utf8_lossy(&log.0.lock().unwrap()).contains("the database clock is behind");
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    app.publish().await;
    let step_back = async |seconds: f64| {
        app.sql(&format!("update feeds set last_at = clock_timestamp() + interval '{seconds} s'")).await;
        app.push("transactions", &[records::transaction(&format!("after_{seconds}"), "PENDING")]).await;
        start(&app)
    };
    // a moment is waited for
    let (stop, publisher) = step_back(1.8).await;
    wait(PATIENCE, "it goes on", async || published(&app).await == 2).await;
    stop.cancel();
    publisher.await.unwrap();
    assert!(!alarmed());
    let (stop, publisher) = step_back(3600.0).await;
    wait(PATIENCE, "an alarm", async || alarmed()).await;
    stop.cancel();
    publisher.await.unwrap();
    let measured = measured(&app, &metrics).await;
    let behind = value(&measured, "tributary_feed_clock_behind_seconds", FeedName::Transactions).unwrap();
    assert!((3_000.0..=3_600.0).contains(&behind), "{behind}");
}

#[tokio::test]
async fn a_watermark_is_ahead_only_above_the_last_entry() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    app.publish().await;
    let last: DateTime<Utc> =
        sqlx::query_scalar("select published_at from feed").fetch_one(&app.pool).await.unwrap();
    let readers = Readers::beside(&app.pool, 1);
    let ahead = async |from| {
        let request = PageRequest { from, page: 1, page_size: 100, cursor: None };
        let reading = Reading { readers: &readers, pool: &app.pool };
        let page = page(reading, app.name(), FeedName::Transactions, request, None).await;
        page.unwrap().unwrap().watermark_ahead
    };
    assert!(!ahead(None).await);
    assert!(!ahead(Some(last - TimeDelta::seconds(5))).await);
    assert!(!ahead(Some(last)).await);
    assert!(ahead(Some(last + TimeDelta::microseconds(1))).await);
}
