//! A page is read ahead of the one that commits: whenever the process dies, rows and cursor are of one page.

use std::sync::Arc;

use serde_json::json;
use sqlx::Executor;
use tributary::sync::{RunOutcome, run_once};
use tributary_manifest::CompiledProvider;

use crate::support::jobs::{count, file, manifest, record, until};
use crate::support::{TestApp, Upstream};

const TRANSACTIONS: &str = "select count(*) from transactions";
const CURSORS: &str = "select count(*) from sync_cursors";

/// A stream of two pages: `/payments`, and behind it `/more`.
async fn two_pages() -> (Upstream, TestApp, String) {
    let upstream = Upstream::start().await;
    let streams = "    payments:
      get: /payments
      rows: .items
      page: { url: .next }
      changes:
        by: .at
        since: { param: since, bound: inclusive }
        late: 1h
        back: 30d
        order: oldest_first
      map: '{ id, status, createdAt: \"2026-03-01T12:00:00Z\", type: \"PAYIN\", currency: \"EUR/2\", amount: \"100\" }'\n";
    let more = format!("{}/more", upstream.url);
    upstream.set("/payments", json!({"items": [record("first")], "next": more}));
    upstream.set("/more", json!({"items": [record("second")], "next": null}));
    let file = file(&upstream, "", streams);
    let app = TestApp::with_file(&file).await;
    (upstream, app, file)
}

/// A run as a task, which dies when it is aborted: what it was about to do, it does not do any more.
fn run(app: &TestApp, file: &str) -> tokio::task::JoinHandle<RunOutcome> {
    let compiled = Arc::new(CompiledProvider::new(app.name(), &manifest(file)).unwrap());
    let (pool, name) = (app.service.clone(), app.name().clone());
    tokio::spawn(async move { run_once(&pool, &name, &compiled, &Arc::default()).await.unwrap() })
}

#[tokio::test]
async fn whoever_dies_while_a_page_is_read_ahead_has_kept_whole_pages_with_their_cursor() {
    let (upstream, app, file) = two_pages().await;
    let mut block = app.pool.begin().await.unwrap();
    block.execute("lock table transactions in share mode").await.unwrap();
    let mut ahead = upstream.hold("/more");
    let dies = run(&app, &file);
    // the page before it cannot commit yet
    ahead.arrived().await;
    dies.abort();
    dies.await.unwrap_err();
    block.rollback().await.unwrap();
    assert_eq!((count(&app.pool, TRANSACTIONS).await, count(&app.pool, CURSORS).await), (0, 0));

    let mut ahead = upstream.hold("/more");
    let dies = run(&app, &file);
    ahead.arrived().await;
    until(&app.pool, TRANSACTIONS, 1).await;
    dies.abort();
    dies.await.unwrap_err();
    assert_eq!(count(&app.pool, CURSORS).await, 1, "it committed with its row, whatever became of the next");

    let outcome = run(&app, &file).await.unwrap();
    let RunOutcome::Succeeded { tally, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((tally.created, tally.updated, tally.unchanged), (1, 0, 0));
    assert_eq!(
        (upstream.asked("/payments"), upstream.asked("/more")),
        (2, 3),
        "it goes on behind the first page"
    );
    assert_eq!(count(&app.pool, TRANSACTIONS).await, 2);
}

#[tokio::test]
async fn what_is_wrong_with_the_page_ahead_does_not_undo_the_page_that_commits() {
    let (upstream, app, file) = two_pages().await;
    let mut block = app.pool.begin().await.unwrap();
    block.execute("lock table transactions in share mode").await.unwrap();
    let mut ahead = upstream.hold("/more");
    let going = run(&app, &file);
    ahead.arrived().await;
    ahead.answer(json!({"error": "no items here"}));
    block.rollback().await.unwrap();
    let outcome = going.await.unwrap();
    assert!(matches!(outcome, RunOutcome::Failed { .. }), "{outcome:?}");
    assert_eq!((count(&app.pool, TRANSACTIONS).await, count(&app.pool, CURSORS).await), (1, 1));
}
