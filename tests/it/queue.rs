//! The queue of changes takes no room once it is empty, and what is on its way is never taken for nothing.

use sqlx::{Executor, PgPool};
use tokio_util::sync::CancellationToken;
use tributary::store::changes;

use crate::support::jobs::{count, until};
use crate::support::{TestApp, records};

const CHANGES: &str = "select count(*) from changes";
const FEED: &str = "select count(*) from feed";

async fn bytes(pool: &PgPool) -> i64 {
    count(pool, "select pg_total_relation_size('changes')").await
}

/// Gives the files back, whatever their size; whether they were.
async fn release(app: &TestApp) -> bool {
    changes::release(&app.service, 0).await.unwrap()
}

#[tokio::test]
async fn a_publisher_gives_the_files_of_a_long_backlog_back_when_it_is_published() {
    let app = TestApp::new().await;
    app.sql(
        "insert into transactions (provider, id, type, status, asset, amount, created_at, metadata)
         select 'acme', 't' || n, 'PAYIN', 'SUCCEEDED', 'EUR/2', 1, '2026-03-01T12:00:00Z',
                jsonb_build_object('text', repeat('x', 1000))
         from generate_series(1, 25000) n",
    )
    .await;
    let most = bytes(&app.pool).await;
    assert!(most > 32 << 20, "{most} bytes are not worth it");
    let stop = CancellationToken::new();
    let publisher = tokio::spawn(app.publisher().run(stop.clone()));
    until(&app.pool, "select (pg_total_relation_size('changes') < 100000)::int::bigint", 1).await;
    stop.cancel();
    publisher.await.unwrap();
    assert_eq!((count(&app.pool, CHANGES).await, count(&app.pool, FEED).await), (0, 25_000));
}

#[tokio::test]
async fn a_change_that_waits_or_is_on_its_way_is_kept() {
    let app = TestApp::new().await;
    app.push("transactions", &[records::transaction("waits", "PENDING")]).await;
    assert!(!release(&app).await, "a change waits");
    app.publish_all().await;
    let mut writer = app.pool.begin().await.unwrap();
    writer
        .execute(
            "insert into transactions (provider, id, type, status, asset, amount, created_at)
             values ('acme', 'on its way', 'PAYIN', 'PENDING', 'EUR/2', 1, '2026-03-01T12:00:00Z')",
        )
        .await
        .unwrap();
    assert!(!release(&app).await, "nobody waits for a writer either");
    writer.commit().await.unwrap();
    app.publish_all().await;
    assert_eq!(count(&app.pool, FEED).await, 2);
}

#[tokio::test]
async fn a_snapshot_from_before_takes_no_change_for_nothing() {
    let app = TestApp::new().await;
    let mut old = app.service.begin().await.unwrap();
    old.execute("set transaction isolation level repeatable read").await.unwrap();
    old.execute("select 1 from feeds").await.unwrap();
    app.push("transactions", &[records::transaction("since then", "PENDING")]).await;
    let released: bool = sqlx::query_scalar("select release_changes(0)").fetch_one(&mut *old).await.unwrap();
    old.commit().await.unwrap();
    assert!(!released);
    app.publish_all().await;
    assert_eq!(count(&app.pool, FEED).await, 1);
}

#[tokio::test]
async fn numbers_go_on_where_they_were() {
    let app = TestApp::new().await;
    let next = async |id: &str| {
        app.push("transactions", &[records::transaction(id, "PENDING")]).await;
        count(&app.pool, "select max(seq) from changes").await
    };
    let before = next("a").await;
    app.publish_all().await;
    assert!(release(&app).await);
    assert!(next("b").await > before, "an order of changes is theirs for good");
}
