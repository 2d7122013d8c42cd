//! Adversarial scenarios of the feed, against both forms of Formance's loop.

use sqlx::Executor;
use tributary_formance::Kind;

use crate::support::{Consumer, Loop, TestApp, records};

const INSERT: &str = "insert into transactions (provider, id, type, status, asset, amount, created_at)
    select 'acme', $1 || i, 'PAYIN', 'PENDING', 'EUR/2', i, '2026-03-01' from generate_series(1, $2) i";

async fn insert(connection: &mut sqlx::PgConnection, prefix: &str, count: i32) {
    sqlx::query(INSERT).bind(prefix).bind(count).execute(connection).await.unwrap();
}

async fn consumers(app: &TestApp) -> Vec<Consumer> {
    let mut consumers = Vec::new();
    for form in Loop::BOTH {
        consumers.push(Consumer::new(app, Kind::Transactions, form).await);
    }
    consumers
}

#[tokio::test]
async fn s1_a_late_commit_arrives_above_all_that_was_served_and_delays_nobody() {
    let app = TestApp::new().await;
    let mut consumers = consumers(&app).await;
    let mut a = app.pool.begin().await.unwrap();
    insert(&mut a, "a", 10).await;
    let mut b = app.pool.begin().await.unwrap();
    insert(&mut b, "b", 10).await;
    b.commit().await.unwrap();
    app.publish_all().await;
    for consumer in &mut consumers {
        assert_eq!(consumer.poll().await, 10, "B is not delayed");
    }
    a.commit().await.unwrap();
    app.publish_all().await;
    for consumer in &mut consumers {
        assert_eq!(consumer.poll().await, 10, "A arrives");
        consumer.check(&app).await;
    }
}

#[tokio::test]
async fn s2_an_idle_writer_delays_only_its_own_rows_and_nothing_rolled_back_is_ever_seen() {
    let app = TestApp::fast().await;
    let mut consumers = consumers(&app).await;
    let mut idle = app.pool.begin().await.unwrap();
    insert(&mut idle, "canary", 10).await;
    let mut killed = app.pool.begin().await.unwrap();
    insert(&mut killed, "canary_killed", 10).await;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *killed).await.unwrap();
    for round in 0..5 {
        let mut busy = app.pool.begin().await.unwrap();
        insert(&mut busy, &format!("busy{round}_"), 20).await;
        busy.commit().await.unwrap();
        app.publish_all().await;
        for consumer in &mut consumers {
            assert_eq!(consumer.poll().await, 20);
        }
    }
    idle.rollback().await.unwrap();
    app.pool.execute(sqlx::AssertSqlSafe(format!("select pg_terminate_backend({pid})"))).await.unwrap();
    assert!(killed.commit().await.is_err());
    app.publish_all().await;
    for consumer in &mut consumers {
        consumer.poll().await;
        assert!(consumer.ids().iter().all(|id| !id.starts_with("canary")));
        consumer.check(&app).await;
    }
}

#[tokio::test]
async fn s3_a_transaction_of_250_or_of_10_000_rows_arrives_in_full() {
    for count in [250, 10_000] {
        let app = TestApp::new().await;
        let mut consumers = consumers(&app).await;
        let mut writer = app.pool.begin().await.unwrap();
        insert(&mut writer, "t", count).await;
        writer.commit().await.unwrap();
        app.publish_all().await;
        for consumer in &mut consumers {
            assert_eq!(consumer.poll().await, count as usize);
            consumer.check(&app).await;
        }
    }
}

#[tokio::test]
async fn s4_inserts_and_updates_between_all_pages_lose_nothing_and_full_pages_never_change() {
    let app = TestApp::fast().await;
    app.push("transactions", &records::transactions("t", 950)).await;
    app.publish_all().await;
    let page = |page: usize| format!("/transactions?page={page}&pageSize=100&sort=updatedAt:asc");
    let mut pages = Vec::new();
    for number in 1.. {
        let body = app.get_ok(&page(number)).await;
        let count = body.as_array().unwrap().len();
        pages.push(body);
        if count < 100 {
            break;
        }
        app.sql(&format!(
            "update transactions set status = 'DISPUTE', amount = {number} where id like 't{number}%'"
        ))
        .await;
        app.push("transactions", &[records::transaction(&format!("new{number}"), "PENDING")]).await;
        app.publish_all().await;
        assert!(number < 100, "the walk ends");
    }
    let walked: Vec<serde_json::Value> =
        pages.iter().flat_map(|page| page.as_array().unwrap().clone()).collect();
    assert_eq!(walked, app.feed("transactions").await, "the walk's union is the whole feed");
    for (i, body) in pages.iter().enumerate().filter(|(_, body)| body.as_array().unwrap().len() == 100) {
        assert_eq!(&app.get_ok(&page(i + 1)).await, body, "page {}", i + 1);
    }
}

#[tokio::test]
async fn s5_a_row_updated_a_thousand_times_during_a_walk_ends_it_with_its_last_version() {
    let app = TestApp::fast().await;
    app.push("transactions", &records::transactions("t", 500)).await;
    app.publish_all().await;
    for form in Loop::BOTH {
        let mut consumer = Consumer::new(&app, Kind::Transactions, form).await;
        let mut updates = 0;
        while consumer.step().await {
            for _ in 0..20 {
                updates += 1;
                app.sql(&format!("update transactions set amount = amount + {updates} where id = 't7'"))
                    .await;
            }
            app.publish_all().await;
        }
        for _ in updates..1000 {
            app.sql("update transactions set amount = amount + 1 where id = 't7'").await;
        }
        app.publish_all().await;
        consumer.poll().await;
        consumer.check(&app).await;
    }
}

#[tokio::test]
async fn s9_20_000_rows_at_once_drain_in_about_two_requests_per_hundred() {
    let app = TestApp::new().await;
    let mut writer = app.pool.begin().await.unwrap();
    insert(&mut writer, "t", 20_000).await;
    writer.commit().await.unwrap();
    app.publish_all().await;
    for form in Loop::BOTH {
        let mut consumer = Consumer::new(&app, Kind::Transactions, form).await;
        assert_eq!(consumer.poll().await, 20_000);
        consumer.check(&app).await;
        let per_hundred = consumer.requests() as f64 / 200.0;
        println!("{form:?}: {} requests, {per_hundred:.2} per 100 rows", consumer.requests());
        assert!(per_hundred <= 2.2, "{per_hundred}");
    }
}

#[tokio::test]
async fn pages_of_every_size_deliver_each_version_once() {
    let app = TestApp::with_file("provider: acme\npush: all\nfeed: { pace: 5/s }\n").await;
    app.push("transactions", &records::transactions("t", 333)).await;
    app.publish_all().await;
    for form in Loop::BOTH {
        for page_size in [1, 7, 100, 333, 1000] {
            let mut consumer = Consumer::with_page_size(&app, Kind::Transactions, form, page_size).await;
            consumer.poll().await;
            consumer.check(&app).await;
        }
    }
}

#[tokio::test]
async fn writers_that_commit_late_and_roll_back_while_both_loops_poll_lose_nothing() {
    let app = TestApp::fast().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let publishers: Vec<_> = (0..2).map(|_| tokio::spawn(app.publisher().run(stop.clone()))).collect();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let pool = app.pool.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    let mut transaction = pool.begin().await.unwrap();
                    insert(&mut transaction, &format!("w{writer}_{round}_"), 40).await;
                    tokio::task::yield_now().await;
                    transaction
                        .execute(sqlx::AssertSqlSafe(format!(
                            "update transactions set status = 'SUCCEEDED' where id like 'w{writer}\\_{round}\\_1%'"
                        )))
                        .await
                        .unwrap();
                    if round % 5 == 4 {
                        transaction.rollback().await.unwrap();
                    } else {
                        transaction.commit().await.unwrap();
                    }
                }
            })
        })
        .collect();
    let mut consumers = consumers(&app).await;
    while writers.iter().any(|writer| !writer.is_finished()) {
        for consumer in &mut consumers {
            consumer.poll().await;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let expected = 4 * 8 * (40 + 11);
    for consumer in &mut consumers {
        let everything = async {
            while consumer.rows.len() < expected {
                consumer.poll().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(120), everything).await.expect("all arrive");
        consumer.check(&app).await;
        assert_eq!(consumer.rows.len(), expected);
    }
    stop.cancel();
    for publisher in publishers {
        publisher.await.unwrap();
    }
}
