//! S26, the limit of requests: who asks too much is told to come later and loses nothing by it,
//! and nobody else notices.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tributary::formance::{CallError, ErrorClass, Kind};
use tributary::http::Scope;

use crate::support::app::{new_test_key, read};
use crate::support::{Consumer, Loop, TestApp, records};

/// So little that two walks outrun it, however slow the machine.
const TIGHT: &str = "provider: acme\nsource: push\napi: { max_requests_per_second: 3, burst: 22 }\n";
/// What one call finds room for before the first refusal, with hardly any more to come.
const SLOW: &str = "provider: acme\nsource: push\napi: { max_requests_per_second: 1, burst: 22 }\n";

/// Status, `Retry-After` and body of a GET with `key`, or with none.
async fn ask(app: &TestApp, target: &str, key: Option<&str>) -> (StatusCode, Option<u64>, Value) {
    let mut request = Request::get(target);
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let response = app.call(request.body(Body::empty()).unwrap()).await;
    let seconds = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    let (status, body) = read(response).await;
    (status, seconds.map(|seconds| seconds.parse().expect("whole seconds")), body)
}

/// Asks until refused; gives how often it was answered, and checks what the refusal says.
async fn ask_until_refused(app: &TestApp, target: &str, key: Option<&str>, answered: StatusCode) -> u32 {
    for count in 0..1_000 {
        let (status, seconds, body) = ask(app, target, key).await;
        if status == answered {
            continue;
        }
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
        assert!(seconds.is_some_and(|seconds| (1..=2).contains(&seconds)), "Retry-After: {seconds:?}");
        assert!(body["title"] == "Too many requests" && body["detail"].is_string(), "{body}");
        return count;
    }
    panic!("{target} was never refused");
}

#[tokio::test]
async fn s26_over_the_limit_there_is_only_429_and_the_feed_is_complete_afterwards() {
    let app = TestApp::with_file(TIGHT).await;
    app.push("transactions", &records::transactions("t", 1_200)).await;
    app.publish_all().await;
    let mut fired = 0;
    for form in Loop::BOTH {
        let mut consumer = Consumer::new(&app, Kind::Transactions, form).await;
        let mut refused = 0;
        while let Some(error) = consumer.poll_until_refused().await {
            let CallError::Status { status, class, title, detail } = &error else { panic!("{error}") };
            assert_eq!((*status, *class), (429, ErrorClass::TooManyRequests), "{error}");
            assert!(!class.is_final() && !title.is_empty() && !detail.is_empty(), "{error}");
            refused += 1;
            // Formance's own pause between two attempts, shortened; the limit goes by the clock
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        println!("{form:?}: {refused} of {} requests refused", consumer.requests());
        fired += refused;
        assert_eq!(consumer.rows.len(), 1_200);
        consumer.check(&app).await;
    }
    assert!(fired > 0, "the limit never fired");
}

#[tokio::test]
async fn s26_a_key_that_asks_too_much_takes_nothing_from_the_others() {
    let app = TestApp::with_file(SLOW).await;
    let greedy = app.connector_key.as_str();
    let sibling = new_test_key(&app.pool, app.name(), Scope::Connector).await;
    let other = new_test_key(&app.pool, &"other".parse().unwrap(), Scope::Connector).await;
    assert!((22..30).contains(&ask_until_refused(&app, "/transactions", Some(greedy), StatusCode::OK).await));
    for key in [&sibling, &other] {
        assert_eq!(ask(&app, "/transactions", Some(key)).await.0, StatusCode::OK);
    }
    let (status, body) = app.post("/ingest/transactions", "application/json", "[]").await;
    assert_eq!(status, StatusCode::OK, "the key of the push API has a bucket of its own: {body}");
    assert_eq!(
        ask(&app, "/accounts", Some(greedy)).await.0,
        StatusCode::TOO_MANY_REQUESTS,
        "one for all paths"
    );
}

#[tokio::test]
async fn s26_the_push_api_is_limited_before_it_reads_the_records() {
    let app = TestApp::with_file(SLOW).await;
    let batch = serde_json::to_vec(&records::transactions("t", 1)).unwrap();
    let mut statuses = vec![];
    for _ in 0..30 {
        statuses.push(app.post("/ingest/transactions", "application/json", batch.clone()).await.0);
    }
    assert_eq!(statuses[..22], [StatusCode::OK; 22]);
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn s26_a_flood_without_a_valid_key_is_refused_and_hurts_nobody_with_one() {
    let app = TestApp::new().await;
    let made_up = app.connector_key.replace(|c: char| c.is_ascii_uppercase(), "x");
    assert_ne!(made_up, app.connector_key);
    for key in [None, Some(made_up.as_str()), Some("nonsense")] {
        ask_until_refused(&app, "/transactions", key, StatusCode::UNAUTHORIZED).await;
    }
    ask_until_refused(&app, "/openapi.json", None, StatusCode::OK).await;
    ask_until_refused(&app, "/nowhere", None, StatusCode::NOT_FOUND).await;
    // none of these keys was seen before the flood
    app.get_ok("/transactions").await;
    app.push("transactions", &records::transactions("t", 1)).await;
    for path in ["/healthz", "/readyz"] {
        for _ in 0..300 {
            assert_eq!(ask(&app, path, None).await.0, StatusCode::OK, "{path}");
        }
    }
}

#[tokio::test]
async fn s26_a_revoked_key_is_one_of_the_unknown() {
    let app = TestApp::with_file(SLOW).await;
    app.get_ok("/transactions").await;
    app.sql("update api_keys set revoked_at = clock_timestamp()").await;
    let key = app.connector_key.as_str();
    let answered = ask_until_refused(&app, "/transactions", Some(key), StatusCode::UNAUTHORIZED).await;
    assert!(answered > 50, "{answered}: it no longer draws from a bucket of its own");
}

#[tokio::test]
async fn s26_refusals_are_counted_by_provider() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    // this test and all that it starts run on one thread
    let _guard = metrics::set_default_local_recorder(&recorder);
    let app = TestApp::with_file(SLOW).await;
    ask_until_refused(&app, "/transactions", Some(&app.connector_key), StatusCode::OK).await;
    ask_until_refused(&app, "/transactions", None, StatusCode::UNAUTHORIZED).await;
    let metrics = rendered.render();
    for line in ["tributary_rate_limited_total{provider=\"acme\"} 1", "tributary_rate_limited_total 1"] {
        assert!(metrics.lines().any(|metric| metric == line), "{line} in {metrics}");
    }
}

#[test]
fn s26_every_operation_is_described_with_its_429() {
    let document = serde_json::to_value(tributary::http::openapi()).unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let refusal = &operation["responses"]["429"];
            assert!(refusal["headers"]["Retry-After"].is_object(), "{method} {path}");
            let schema = &refusal["content"]["application/json"]["schema"]["$ref"];
            assert!(document.pointer(schema.as_str().unwrap().trim_start_matches('#')).is_some());
            operations += 1;
        }
    }
    assert!(operations >= 8, "{operations}");
}
