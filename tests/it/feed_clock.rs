//! The feed clock: dense positions; unique, ascending timestamps that never run ahead of the
//! database's clock; a bounded number of them in one second.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Row as _;

use crate::support::{TestApp, records};

struct Entry {
    position: i64,
    published_at: DateTime<Utc>,
}

async fn entries(app: &TestApp, resource: &str) -> Vec<Entry> {
    sqlx::query("select position, published_at from feed where resource = $1 order by position")
        .bind(resource)
        .fetch_all(&app.pool)
        .await
        .unwrap()
        .iter()
        .map(|row| Entry { position: row.get(0), published_at: row.get(1) })
        .collect()
}

async fn now(app: &TestApp) -> DateTime<Utc> {
    sqlx::query_scalar("select clock_timestamp()").fetch_one(&app.pool).await.unwrap()
}

/// Moves the feed's whole history by `by`, as if that much time had passed since.
async fn age(app: &TestApp, by: &str) {
    app.rewrite(&format!(
        "update feed set published_at = published_at - interval '{by}';
         update feeds set last_at = last_at - interval '{by}', floor = floor - interval '{by}';"
    ))
    .await;
}

async fn check_clock(app: &TestApp, resource: &str, per_second: usize) {
    let entries = entries(app, resource).await;
    let now = now(app).await;
    for (i, entry) in entries.iter().enumerate() {
        assert_eq!(entry.position, i as i64 + 1, "positions are dense");
        assert!(entry.published_at <= now, "never ahead of the database's clock");
    }
    assert!(entries.windows(2).all(|pair| pair[0].published_at < pair[1].published_at), "strictly ascending");
    let mut seconds = std::collections::HashMap::new();
    for entry in &entries {
        *seconds.entry(entry.published_at.timestamp()).or_insert(0) += 1;
    }
    let fullest = seconds.values().max().copied().unwrap_or(0);
    assert!(fullest <= per_second, "{fullest} entries share a second, {per_second} may");
}

#[tokio::test]
async fn a_fresh_change_is_stamped_now() {
    let app = TestApp::new().await;
    let before = now(&app).await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    app.publish().await;
    let entries = entries(&app, "transactions").await;
    assert!(entries[0].published_at > before);
    check_clock(&app, "transactions", 100).await;
}

#[tokio::test]
async fn a_bulk_write_is_laid_out_in_the_free_past_at_the_pace_that_costs_nothing() {
    let app = TestApp::new().await;
    app.push("transactions", &records::transactions("t", 10_000)).await;
    assert_eq!(app.publish().await, 10_000, "there is room, so nothing is held back");
    check_clock(&app, "transactions", 100).await;
}

#[tokio::test]
async fn history_starts_where_the_feed_ended_and_leaves_room_for_more() {
    let app = TestApp::new().await;
    let body = serde_json::to_vec(&records::transactions("t", 1000)).unwrap();
    app.post("/ingest/transactions?backfill=true", "application/json", body).await;
    app.publish().await;
    let last = entries(&app, "transactions").await.last().unwrap().published_at;
    assert!(last < now(&app).await - TimeDelta::days(29), "{last}");
    app.push("transactions", &[records::transaction("fresh", "PENDING")]).await;
    app.publish().await;
    let last = entries(&app, "transactions").await.last().unwrap().published_at;
    assert!(last > now(&app).await - TimeDelta::seconds(10), "{last}");
    check_clock(&app, "transactions", 100).await;
}

#[tokio::test]
async fn without_room_the_publisher_holds_back_and_speeds_up_with_the_backlog() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("first", "PENDING")]).await;
    app.publish().await;
    // the free past is used up: the feed's last entry is of this moment
    for part in 0..6 {
        app.push("transactions", &records::transactions(&format!("t{part}_"), 10_000)).await;
    }
    let held = app.publish().await;
    assert!(held < 30_000, "{held} published at once: the clock would have run ahead");
    let spacing: f64 = sqlx::query_scalar(
        "select extract(epoch from feed_spacing(100, 60000, interval '1 second'))::float8",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert!((spacing - 0.01).abs() < 1e-9, "60,000 drain in 10 minutes at 100 a second: {spacing}");
    let spacing: f64 = sqlx::query_scalar(
        "select extract(epoch from feed_spacing(100, 600000, interval '1 second'))::float8",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert!((spacing - 0.001).abs() < 1e-9, "600,000 at 1,000 a second: {spacing}");
    let spacing: f64 = sqlx::query_scalar(
        "select extract(epoch from feed_spacing(100, 100000000, interval '1 second'))::float8",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert!((spacing - 0.0005).abs() < 1e-9, "never more than 2,000 a second: {spacing}");
    check_clock(&app, "transactions", 200).await;
}

#[tokio::test]
async fn the_pace_is_set_per_provider() {
    let app = TestApp::with_file("provider: acme\npush: all\nfeed: { pace: 7/s }\n").await;
    app.push("transactions", &records::transactions("t", 500)).await;
    app.publish_all().await;
    check_clock(&app, "transactions", 7).await;
}

#[tokio::test]
async fn publishers_that_compete_neither_skip_nor_double() {
    let app = TestApp::new().await;
    for part in 0..4 {
        app.push("transactions", &records::transactions(&format!("t{part}_"), 3000)).await;
    }
    let publish = || async { app.publisher().publish_now().await.unwrap() };
    let (a, b, c) = tokio::join!(publish(), publish(), publish());
    assert_eq!(a + b + c, 12_000);
    check_clock(&app, "transactions", 100).await;
}

#[tokio::test]
async fn a_publication_survives_a_crash_whatever_the_session_says() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    let mut careless = app.pool.begin().await.unwrap();
    sqlx::raw_sql("set local synchronous_commit = off").execute(&mut *careless).await.unwrap();
    let published: i32 =
        sqlx::query_scalar("select published from publish('acme', 'transactions', 100, 100, '1 day')")
            .fetch_one(&mut *careless)
            .await
            .unwrap();
    assert_eq!(published, 1);
    let waits: String =
        sqlx::query_scalar("show synchronous_commit").fetch_one(&mut *careless).await.unwrap();
    assert_eq!(waits, "on", "the commit to come waits for the disk");
}

#[tokio::test]
async fn when_the_clock_steps_back_the_feed_waits() {
    // S10
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    app.publish().await;
    age(&app, "-1 hour").await;
    app.push("transactions", &[records::transaction("b", "PENDING")]).await;
    assert_eq!(app.publish().await, 0, "its time would lie below the last one");
    let behind: bool = sqlx::query_scalar(
        "select clock_behind between '59 minutes' and '61 minutes' from publish('acme', 'transactions', 100, 100, '1 day')",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    assert!(behind, "and says how far the clock is behind");
    age(&app, "1 hour").await;
    assert_eq!(app.publish().await, 1);
    check_clock(&app, "transactions", 100).await;
}

#[tokio::test]
async fn in_a_new_life_of_the_database_nothing_is_issued_below_the_moment_it_was_seen() {
    // a restored backup may have forgotten what a consumer has seen
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    app.publish().await;
    age(&app, "40 days").await;
    app.sql("update feeds set life = '00000000/1/2'").await;
    let restored = now(&app).await;
    app.push("transactions", &[records::transaction("b", "PENDING")]).await;
    let body = serde_json::to_vec(&records::transactions("old", 10)).unwrap();
    app.post("/ingest/transactions?backfill=true", "application/json", body).await;
    app.publish_all().await;
    let entries = entries(&app, "transactions").await;
    assert_eq!(entries.len(), 12);
    assert!(entries[1..].iter().all(|entry| entry.published_at > restored));
}

#[tokio::test]
async fn in_a_new_life_nothing_is_issued_in_the_second_of_the_last_entry() {
    // of which a consumer may have seen more, by the clock of a server that was ahead of this one
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    app.publish().await;
    app.sql("update feeds set last_at = date_trunc('second', clock_timestamp()) + '1.1 s', life = 'another'")
        .await;
    let last_at: DateTime<Utc> =
        sqlx::query_scalar("select last_at from feeds where resource = 'transactions'")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    app.push("transactions", &[records::transaction("b", "PENDING")]).await;
    app.publish_all().await;
    let entries = entries(&app, "transactions").await;
    assert!(entries[1].published_at >= last_at + TimeDelta::milliseconds(900), "{}", entries[1].published_at);
}

/// What nothing of the transactions is issued below.
async fn floor(app: &TestApp) -> DateTime<Utc> {
    sqlx::query_scalar("select floor from feeds where resource = 'transactions'")
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_poll_from_the_second_of_the_last_entry_does_not_slow_the_feed() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    app.publish().await;
    let last = entries(&app, "transactions").await[0].published_at;
    let before = floor(&app).await;
    let from = last.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    app.get_ok(&format!("/transactions?updatedAtFrom={from}")).await;
    assert_eq!(floor(&app).await, before, "this life has issued the entry: the consumer has no later one");
    // but if the entry is from before this life, the consumer may have seen later ones
    app.sql("update feeds set floor = last_at").await;
    app.get_ok(&format!("/transactions?updatedAtFrom={from}")).await;
    assert!(floor(&app).await > last);
}

#[tokio::test]
async fn nothing_is_issued_at_or_below_a_watermark_that_a_consumer_showed() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    app.publish().await;
    age(&app, "1 hour").await;
    // a consumer of the database as it was before a restore
    let watermark = now(&app).await - TimeDelta::minutes(10);
    let from = watermark.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert_eq!(app.get_ok(&format!("/transactions?updatedAtFrom={from}")).await, serde_json::json!([]));
    // history goes to where the feed ended, unless it is told otherwise
    let body = serde_json::to_vec(&records::transactions("old", 10)).unwrap();
    app.post("/ingest/transactions?backfill=true", "application/json", body).await;
    app.push("transactions", &records::transactions("b", 5000)).await;
    app.publish().await;
    let entries = entries(&app, "transactions").await;
    assert!(entries.len() > 1000);
    assert!(entries[1..].iter().all(|entry| entry.published_at > watermark));
}

#[tokio::test]
async fn a_watermark_from_a_far_future_does_not_stop_the_feed() {
    let app = TestApp::new().await;
    app.get_ok("/transactions?updatedAtFrom=2999-01-01T00:00:00Z").await;
    app.push("transactions", &[records::transaction("a", "PENDING")]).await;
    assert_eq!(app.publish().await, 1);
}

#[tokio::test]
async fn a_consumer_from_the_future_stops_nobody_and_misses_nothing() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("before", "PENDING")]).await;
    app.publish().await;
    for round in 0..3 {
        let watermark = now(&app).await + TimeDelta::minutes(57 + round);
        let from = watermark.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        assert_eq!(app.get_ok(&format!("/transactions?updatedAtFrom={from}")).await, serde_json::json!([]));
        app.push("transactions", &[records::transaction(&format!("after_{round}"), "PENDING")]).await;
        let published = tokio::time::timeout(std::time::Duration::from_secs(30), app.publish_all()).await;
        published.expect("it is published within seconds");
        let seen = app.get_ok(&format!("/transactions?updatedAtFrom={from}")).await;
        assert_eq!(seen.as_array().unwrap().len(), 1, "whoever showed the watermark gets it, too: {seen}");
        // who is up to date does not push the clock any further
        let ahead = ahead_us(&app).await;
        let head = entries(&app, "transactions").await.last().unwrap().published_at;
        let from = head.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        app.get_ok(&format!("/transactions?updatedAtFrom={from}")).await;
        assert_eq!(ahead_us(&app).await, ahead);
    }
    let entries = entries(&app, "transactions").await;
    assert_eq!(entries.len(), 4);
    assert!(entries.windows(2).all(|pair| pair[0].published_at < pair[1].published_at));
    assert!(entries[3].published_at < now(&app).await + TimeDelta::hours(1), "an hour is the most");
}

async fn ahead_us(app: &TestApp) -> i64 {
    sqlx::query_scalar(
        "select (extract(epoch from ahead) * 1000000)::bigint from feeds where resource = 'transactions'",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_running_publisher_wakes_when_a_change_commits() {
    let app = TestApp::new().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let publisher = tokio::spawn(app.publisher().run(stop.clone()));
    let mut seen = 0;
    for i in 0..5 {
        app.push("transactions", &[records::transaction(&format!("t{i}"), "PENDING")]).await;
        let published = async {
            loop {
                let entries = entries(&app, "transactions").await.len();
                if entries > seen {
                    break entries;
                }
                tokio::task::yield_now().await;
            }
        };
        seen = tokio::time::timeout(std::time::Duration::from_secs(20), published)
            .await
            .expect("it is published");
    }
    assert_eq!(seen, 5);
    stop.cancel();
    publisher.await.unwrap();
}
