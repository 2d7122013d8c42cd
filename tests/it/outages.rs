//! When the database cannot do what is asked: an answer that Formance tries again, in JSON,
//! and never a part of a page.

use axum::http::StatusCode;
use tributary::store;

use crate::support::{TestApp, records};

async fn with_rows() -> TestApp {
    let app = TestApp::new().await;
    app.push("transactions", &records::transactions("t", 150)).await;
    app.publish_all().await;
    app
}

async fn assert_unavailable(app: &TestApp, target: &str) {
    let (status, body) = app.get(target).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{target}: {body}");
    assert!(body["Title"].is_string() && body["Detail"].is_string(), "{body}");
}

#[tokio::test]
async fn s15_an_exhausted_pool_answers_503_and_recovers() {
    let app = with_rows().await;
    let mut held = Vec::new();
    for _ in 0..app.service.options().get_max_connections() {
        held.push(app.service.acquire().await.unwrap());
    }
    assert_unavailable(&app, "/transactions").await;
    drop(held);
    assert_eq!(app.get_ok("/transactions").await.as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn s15_a_read_only_database_goes_on_serving_and_refuses_writes_with_503() {
    let app = with_rows().await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&app.pool).await.unwrap();
    app.sql(&format!("alter database \"{name}\" set default_transaction_read_only = on")).await;
    let keys = (app.connector_key.clone(), app.ingest_key.clone());
    let pool = store::connect(&app.url, 4).await.unwrap();
    let app = TestApp::with_keys(&app, pool, keys);
    assert_eq!(app.get_ok("/transactions").await.as_array().unwrap().len(), 100);
    // a consumer that is up to date would lift the floor, which cannot be written now
    assert_eq!(app.get("/transactions?updatedAtFrom=2026-12-31T00:00:00Z").await.0, StatusCode::OK);
    let (status, body) = app.post("/ingest/transactions", "application/json", "[]").await;
    assert_eq!(status, StatusCode::OK, "nothing to write: {body}");
    let batch = serde_json::to_vec(&[records::transaction("new", "PENDING")]).unwrap();
    let (status, body) = app.post("/ingest/transactions", "application/json", batch).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
}

#[tokio::test]
async fn s15_a_statement_that_is_cut_short_answers_503_and_not_a_part_of_a_page() {
    let app = with_rows().await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&app.pool).await.unwrap();
    app.sql(&format!("alter database \"{name}\" set lock_timeout = '50ms'")).await;
    let keys = (app.connector_key.clone(), app.ingest_key.clone());
    let hurried = TestApp::with_keys(&app, store::connect(&app.url, 4).await.unwrap(), keys);
    let mut blocker = app.pool.begin().await.unwrap();
    sqlx::query("lock table feed in access exclusive mode").execute(&mut *blocker).await.unwrap();
    assert_unavailable(&hurried, "/transactions").await;
    blocker.rollback().await.unwrap();
    assert_eq!(hurried.get_ok("/transactions").await.as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn s24_a_refusal_shows_neither_the_key_nor_what_the_database_said() {
    let app = with_rows().await;
    app.sql("drop table balances").await;
    let (status, body) = app.get("/accounts/a/balances").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let text = body.to_string();
    assert!(
        !text.contains("balances") && !text.contains("relation") && !text.contains(&app.connector_key),
        "{text}"
    );
}

#[tokio::test]
async fn a_caller_that_is_dropped_while_it_begins_a_transaction_leaves_none_open() {
    let app = TestApp::new().await;
    // one connection, so that the next caller gets the one that was dropped
    let pool = store::connect(&app.url, 1).await.unwrap();
    for i in 0..20 {
        sqlx::query("select 1").execute(&pool).await.unwrap();
        tokio::time::timeout(std::time::Duration::ZERO, store::begin(&pool)).await.ok();
        let sql = "insert into sync_leases (provider, stream_group) values ('acme', $1)";
        sqlx::query(sql).bind(i.to_string()).execute(&pool).await.unwrap();
        let there: i64 =
            sqlx::query_scalar("select count(*) from sync_leases").fetch_one(&app.pool).await.unwrap();
        assert_eq!(there, i + 1, "what was written is committed");
    }
}
