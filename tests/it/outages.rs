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
    // a key that was never seen has to be looked up
    assert_unavailable(&app, "/transactions").await;
    drop(held);
    assert_eq!(app.get_ok("/transactions").await.as_array().unwrap().len(), 100);
    let mut held = Vec::new();
    for _ in 0..app.service.options().get_max_connections() {
        held.push(app.service.acquire().await.unwrap());
    }
    // and one that is known is proven by the page itself
    assert_eq!(app.get_ok("/transactions").await.as_array().unwrap().len(), 100);
    drop(held);
    let mut held = Vec::new();
    for _ in 0..app.readers.most() {
        held.push(app.readers.take().await.unwrap());
    }
    assert_unavailable(&app, "/transactions").await;
    drop(held);
    assert_eq!(app.get_ok("/transactions").await.as_array().unwrap().len(), 100);
}

/// Planned anew, a page costs more than it takes to read it; and by any other way than its index it would cost
/// more the longer the feed is.
#[tokio::test]
async fn a_page_is_planned_once_and_read_by_its_index_in_order() {
    let app = with_rows().await;
    for _ in 0..20 {
        app.get_ok("/transactions?updatedAtFrom=2026-01-01T00:00:00Z").await;
        app.get_ok("/transactions?updatedAtFrom=2026-01-01T00:00:00Z&page=2").await;
    }
    let mut reader = app.readers.take().await.unwrap();
    let pages: Vec<(String, i64, i64)> = sqlx::query_as(
        "select name, generic_plans, custom_plans from pg_prepared_statements where statement like 'select null%''opens''%'",
    )
    .fetch_all(reader.connection())
    .await
    .unwrap();
    assert_eq!(pages.len(), 2, "by time, and by position: {pages:?}");
    for (name, generic, custom) in pages {
        assert!(generic >= 20 && custom == 0, "{name} was planned {custom} times");
        let behind = ["", ", null, 100"].map(|last| {
            format!("explain (costs off) execute {name} ('acme', 'transactions', now(), 100, null, null, null{last})")
        });
        let mut plan = Vec::<String>::new();
        for explain in behind {
            if let Ok(lines) =
                sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_all(reader.connection()).await
            {
                plan = lines;
            }
        }
        let plan = plan.join("\n");
        assert!(plan.contains("Index Scan using feed_") && !plan.contains("Sort"), "{plan}");
        assert!(!plan.contains("Seq Scan on feed") && !plan.contains("Bitmap"), "{plan}");
    }
}

/// A restart of the database, or a network that cut an idle connection off, is nothing that a poll hears of.
#[tokio::test]
async fn a_connection_that_was_cut_off_while_nobody_used_it_costs_no_page() {
    let app = with_rows().await;
    let page = app.get_ok("/transactions").await;
    app.sql(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and query like '%''opens''%'",
    )
    .await;
    assert_eq!(app.get_ok("/transactions").await, page);
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
