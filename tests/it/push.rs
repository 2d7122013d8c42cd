//! The push API: idempotent by nature, answered after commit, bad records put aside.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, records};

#[tokio::test]
async fn a_repeated_push_changes_nothing() {
    let app = TestApp::new().await;
    let batch = records::transactions("t", 100);
    assert_eq!(
        app.push("transactions", &batch).await,
        json!({"created": 100, "updated": 0, "unchanged": 0, "older": 0, "quarantined": []})
    );
    let before: (i64, i64) = state(&app).await;
    assert_eq!(
        app.push("transactions", &batch).await,
        json!({"created": 0, "updated": 0, "unchanged": 100, "older": 0, "quarantined": []})
    );
    assert_eq!(state(&app).await, before, "no row version and no change is written");
}

async fn state(app: &TestApp) -> (i64, i64) {
    sqlx::query_as(
        "select (select count(*) from changes), (select max(xmin::text::bigint) from transactions)",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_state_of_a_record_in_one_call_is_kept() {
    let app = TestApp::new().await;
    let answer = app
        .push(
            "transactions",
            &[
                records::transaction("a", "AUTHORISATION"),
                records::transaction("b", "PENDING"),
                records::transaction("a", "CAPTURE"),
                records::transaction("a", "REFUNDED"),
            ],
        )
        .await;
    assert_eq!((&answer["created"], &answer["updated"]), (&json!(2), &json!(2)));
    app.publish_all().await;
    let states: Vec<Value> = app
        .feed("transactions")
        .await
        .into_iter()
        .filter(|body| body["id"] == "a")
        .map(|body| body["status"].clone())
        .collect();
    assert_eq!(states, ["AUTHORISATION", "CAPTURE", "REFUNDED"]);
}

#[tokio::test]
async fn ndjson_is_taken_line_by_line() {
    let app = TestApp::new().await;
    let body = format!(
        "{}\n\n{{broken\n{}\r\n",
        records::transaction("a", "PENDING"),
        records::transaction("b", "PENDING")
    );
    let (status, answer) = app.post("/ingest/transactions", "application/x-ndjson", body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["created"], 2);
    assert_eq!(answer["quarantined"][0]["index"], 1);
}

#[tokio::test]
async fn s16_rows_that_would_stop_the_feed_are_quarantined_and_the_rest_flows() {
    let app = TestApp::new().await;
    let with = |id: &str, field: &str, value: Value| {
        let mut record = records::transaction(id, "PENDING");
        record[field] = value;
        record
    };
    let huge = "x".repeat(5 * 1024 * 1024);
    let bad = vec![
        with("b0", "status", json!("CHARGEBACK")),
        with("b1", "amount", json!("10.50")),
        with("b2", "currency", json!("euro")),
        with("b3", "createdAt", Value::Null),
        with("b4", "metadata", json!({"k": "\u{0}"})),
        with("b5", "metadata", json!({"k": huge})),
        with("b6", "amount", json!(1050)),
        with("b7", "metadata", json!({"k": 1})),
        with("", "amount", json!("1")),
        json!("no record at all"),
        json!(null),
    ];
    let mut batch = vec![records::transaction("good1", "PENDING")];
    batch.extend(bad.iter().cloned());
    batch.push(records::transaction("good2", "PENDING"));
    let answer = app.push("transactions", &batch).await;
    assert_eq!(answer["created"], 2);
    let indexes: Vec<u64> =
        answer["quarantined"].as_array().unwrap().iter().map(|q| q["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, (1..=bad.len() as u64).collect::<Vec<_>>());
    app.push("transactions", &batch).await;
    let kept: Vec<(String, i32)> =
        sqlx::query_as("select reason, attempts from quarantine where resource = 'transactions' order by id")
            .fetch_all(&app.pool)
            .await
            .unwrap();
    assert_eq!(kept.len(), bad.len());
    assert!(kept.iter().all(|(reason, attempts)| !reason.is_empty() && *attempts == 2), "{kept:?}");
    app.publish_all().await;
    assert_eq!(app.get_ok("/transactions").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_record_older_than_the_stored_one_is_dropped() {
    let app = TestApp::new().await;
    let at = |status: &str, updated: &str| {
        let mut record = records::transaction("a", status);
        record["updatedAt"] = updated.into();
        record
    };
    app.push("transactions", &[at("PENDING", "2026-03-01T12:00:00Z")]).await;
    app.push("transactions", &[at("SUCCEEDED", "2026-03-01T12:10:00Z")]).await;
    assert_eq!(app.push("transactions", &[at("PENDING", "2026-03-01T12:00:00Z")]).await["unchanged"], 1);
    // seen again as it is, later: what lies between is old news from then on
    app.push("transactions", &[at("SUCCEEDED", "2026-03-01T12:30:00Z")]).await;
    assert_eq!(app.push("transactions", &[at("DISPUTE", "2026-03-01T12:20:00Z")]).await["unchanged"], 1);
    let status: String =
        sqlx::query_scalar("select status from transactions").fetch_one(&app.pool).await.unwrap();
    assert_eq!(status, "SUCCEEDED");
    app.publish_all().await;
    assert_eq!(app.feed("transactions").await.len(), 2);
}

#[tokio::test]
async fn what_is_no_list_of_records_is_refused_whole() {
    let app = TestApp::new().await;
    for (body, status) in [
        ("{}".to_owned(), StatusCode::BAD_REQUEST),
        ("[{}".to_owned(), StatusCode::BAD_REQUEST),
        (String::new(), StatusCode::BAD_REQUEST),
        (format!("[{}1]", "1,".repeat(10_000)), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (got, answer) = app.post("/ingest/transactions", "application/json", body).await;
        assert_eq!(got, status);
        assert!(answer["Title"].is_string() && answer["Detail"].is_string(), "{answer}");
    }
    for neither in ["backfill=maybe", "backfill=", "backfill"] {
        let target = format!("/ingest/transactions?{neither}");
        let (status, answer) = app.post(&target, "application/json", "[]").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{neither}: {answer}");
    }
}

#[tokio::test]
async fn overlapping_pushes_of_the_same_records_do_not_deadlock() {
    let app = TestApp::new().await;
    let round = |n: usize| {
        let mut batch = records::transactions("t", 500);
        for (i, record) in batch.iter_mut().enumerate() {
            record["amount"] = (n * 1000 + i).to_string().into();
        }
        if n % 2 == 1 {
            batch.reverse();
        }
        batch
    };
    for n in 0..5 {
        let (even, odd) = (round(2 * n), round(2 * n + 1));
        tokio::join!(app.push("transactions", &even), app.push("transactions", &odd));
    }
    app.publish_all().await;
    let versions = app.feed("transactions").await.len();
    assert!(versions >= 500, "{versions}");
    let last: Vec<(String, String)> = sqlx::query_as(
        "select t.amount::text, (select body ->> 'amount' from feed f where f.id = t.id order by position desc limit 1)
         from transactions t",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert!(last.iter().all(|(stored, served)| stored == served));
}

#[tokio::test]
async fn what_the_file_of_a_provider_that_is_pulled_does_not_list_cannot_be_pushed() {
    let app = TestApp::with_file(include_str!("../../providers/xendit.yaml")).await;
    let payee = json!([{"id": "payee", "createdAt": "2026-03-01T12:00:00Z", "ownerName": "Ann"}]);
    let (status, answer) = app.post("/ingest/beneficiaries", "application/json", payee.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let batch = json!(records::transactions("t", 1));
    let (status, answer) = app.post("/ingest/transactions", "application/json", batch.to_string()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        answer["Detail"],
        "transactions of xendit are not pushed: its file lists under `push` what may be"
    );
}
