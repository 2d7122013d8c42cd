//! Backends of PostgreSQL that are terminated at random moments, whatever they are at.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;
use tributary_formance::Kind;

use crate::support::proxy::report;
use crate::support::{Consumer, Loop, TestApp, records};

/// What a backend is for, and what its statement looks like.
const BACKENDS: [(&str, &str); 4] = [
    ("publisher_terminated", "%from publish(%"),
    ("listener_terminated", "listen %"),
    ("server_terminated", "%'opens'%"),
    ("writer_terminated", "%insert into transactions%"),
];
const RECORDS: usize = 20;

/// Terminates backends until `done`, of each purpose in turn and a busy one where there is one.
/// Gives how many there really were, and how many of them were at work.
async fn terminate(app: &TestApp, seed: u64, done: &AtomicBool) -> [(&'static str, u64); 5] {
    println!("the moments are those of seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut connection = PgConnection::connect(&app.url).await.unwrap();
    let mut fired = [0; BACKENDS.len()];
    let mut at_work = 0;
    while !done.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_micros(rng.random_range(500..20_000))).await;
        let which = rng.random_range(0..BACKENDS.len());
        let terminated: Vec<bool> = sqlx::query_scalar(
            "select state <> 'idle' from (
               select pid, state from pg_stat_activity
               where datname = current_database() and application_name = 'tributary' and query ilike $1
               order by state <> 'idle' desc limit 1) backend
             where pg_terminate_backend(pid)",
        )
        .bind(BACKENDS[which].1)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        fired[which] += terminated.len() as u64;
        at_work += terminated.into_iter().map(u64::from).sum::<u64>();
    }
    let mut counts = [("at_work_when_terminated", at_work); 5];
    for (count, ((kind, _), fired)) in counts.iter_mut().zip(BACKENDS.iter().zip(fired)) {
        *count = (kind, fired);
    }
    counts
}

/// Pushes records with two states each, every batch until it is acknowledged.
async fn push(app: &TestApp, batches: usize) {
    for batch in 0..batches {
        let states = [("PENDING", "2026-03-01T12:00:00Z"), ("SUCCEEDED", "2026-03-01T12:01:00Z")];
        let mut records: Vec<Value> = Vec::new();
        for (status, at) in states {
            for i in 0..RECORDS {
                let mut record = records::transaction(&format!("t{batch}_{i}"), status);
                record["updatedAt"] = at.into();
                records.push(record);
            }
        }
        let body = serde_json::to_vec(&records).unwrap();
        loop {
            let (status, answer) = app.post("/ingest/transactions", "application/json", body.clone()).await;
            if status == StatusCode::OK {
                break;
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            assert!(answer["Title"].is_string() && answer["Detail"].is_string(), "{answer}");
        }
    }
}

async fn poll(consumer: &mut Consumer, done: &AtomicBool, failed: &AtomicU64) {
    while !done.load(Ordering::Relaxed) {
        failed.fetch_add(u64::from(!consumer.try_poll().await), Ordering::Relaxed);
        // a poll that finds nothing new has no pause of its own
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_terminated_at_random_moments_lose_and_double_nothing() {
    const BATCHES: usize = 50;
    let app = TestApp::fast().await;
    let stop = CancellationToken::new();
    let publishers: Vec<_> = (0..2).map(|_| tokio::spawn(app.publisher().run(stop.clone()))).collect();
    let mut released = Consumer::new(&app, Kind::Transactions, Loop::Released).await;
    let mut en1095 = Consumer::new(&app, Kind::Transactions, Loop::En1095).await;
    let (done, failed) = (AtomicBool::new(false), AtomicU64::new(0));
    let pushing = async {
        push(&app, BATCHES).await;
        done.store(true, Ordering::Relaxed);
    };
    let (fired, ..) = tokio::join!(
        terminate(&app, 31, &done),
        pushing,
        poll(&mut released, &done, &failed),
        poll(&mut en1095, &done, &failed)
    );
    app.publish_all().await;
    stop.cancel();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    for consumer in [&mut released, &mut en1095] {
        consumer.poll().await;
        consumer.check(&app).await;
        assert_eq!(consumer.rows.len(), 2 * BATCHES * RECORDS, "two states of each record, once");
    }
    println!("{} polls failed meanwhile", failed.into_inner());
    report(fired);
}
