//! S26, the limit of requests: who asks too much is told to come later and loses nothing by it,
//! and nobody else notices.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tributary_domain::Scope;
use tributary_formance::{CallError, ErrorClass, Kind};

use crate::support::app::{new_test_key, read};
use crate::support::{Consumer, Loop, TestApp, records};

/// The least room that a provider file may give to one call of the connector, and little after it.
const TIGHT: &str = "provider: acme\npush: all\ncallers: { requests: 5/s, burst: 22 }\n";
/// As little, and hardly any after it.
const SLOW: &str = "provider: acme\npush: all\ncallers: { requests: 1/s, burst: 22 }\n";

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

/// Asks until refused; gives how often it was answered and what the refusal says.
async fn ask_until_refused(
    app: &TestApp,
    target: &str,
    key: Option<&str>,
    answered: StatusCode,
) -> (u32, String) {
    for count in 0..1_000 {
        let (status, seconds, body) = ask(app, target, key).await;
        if status == answered {
            continue;
        }
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
        assert!(seconds.is_some_and(|seconds| (1..=2).contains(&seconds)), "Retry-After: {seconds:?}");
        assert_eq!(body["Title"], "Too many requests");
        return (count, body["Detail"].as_str().unwrap().to_owned());
    }
    panic!("{target} was never refused");
}

/// Runs `what` beside many requests without a key, which cost us nothing but their refusal.
async fn beside_a_flood<T>(app: &TestApp, what: impl Future<Output = T>) -> T {
    let flood = async {
        loop {
            ask(app, "/transactions", None).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = what => done,
        () = flood => unreachable!("it has no end"),
    }
}

/// Polls to the end, however often it is refused, and counts that.
async fn poll_against_the_limit(consumer: &mut Consumer, refused: &AtomicU32) {
    while let Some(error) = consumer.poll_until_refused().await {
        let CallError::Status { status, class, title, detail } = &error else { panic!("{error}") };
        assert_eq!((*status, *class), (429, ErrorClass::TooManyRequests), "{error}");
        assert!(!class.is_final() && !title.is_empty() && !detail.is_empty(), "{error}");
        refused.fetch_add(1, Relaxed);
        // Formance's own pause between two attempts; the limit goes by the clock
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn s26_over_the_limit_there_is_only_429_and_the_feed_is_complete_afterwards() {
    let app = TestApp::with_file(TIGHT).await;
    app.push("transactions", &records::transactions("t", 1_500)).await;
    app.publish_all().await;
    for form in Loop::BOTH {
        let mut consumer = Consumer::new(&app, Kind::Transactions, form).await;
        let refused = AtomicU32::new(0);
        // something else with the same key leaves nothing, until the consumer has met the limit
        let greedy = async {
            while refused.load(Relaxed) < 3 {
                let key = Some(app.connector_key.as_str());
                join_all((0..30).map(|_| ask(&app, "/accounts", key))).await;
            }
        };
        tokio::select! {
            () = poll_against_the_limit(&mut consumer, &refused) => {}
            () = async { greedy.await; std::future::pending().await } => {}
        }
        let refused = refused.into_inner();
        println!("{form:?}: {refused} of {} requests refused", consumer.requests());
        assert!(refused >= 3, "the limit fired");
        assert_eq!(consumer.rows.len(), 1_500);
        consumer.check(&app).await;
    }
}

#[tokio::test]
async fn s26_a_key_that_asks_too_much_takes_nothing_from_the_others() {
    let app = TestApp::with_file(SLOW).await;
    let greedy = app.connector_key.as_str();
    let sibling = new_test_key(&app.pool, app.name(), Scope::Connector).await;
    let other = new_test_key(&app.pool, &"other".parse().unwrap(), Scope::Connector).await;
    let (answered, detail) = ask_until_refused(&app, "/transactions", Some(greedy), StatusCode::OK).await;
    assert!(answered >= 22, "{answered}");
    assert!(detail.contains("1 times a second, and 22 times at once"), "{detail}");
    for key in [&sibling, &other] {
        assert_eq!(ask(&app, "/transactions", Some(key)).await.0, StatusCode::OK);
    }
    let (status, body) = app.post("/ingest/transactions", "application/json", "[]").await;
    assert_eq!(status, StatusCode::OK, "the key of the push API has a bucket of its own: {body}");
    let (answered, _) = ask_until_refused(&app, "/accounts", Some(greedy), StatusCode::OK).await;
    assert!(answered < 22, "{answered}: all paths draw from one bucket");
}

#[tokio::test]
async fn s26_the_push_api_is_limited_too_and_writes_nothing_of_what_it_refuses() {
    let app = TestApp::with_file(SLOW).await;
    let mut statuses = vec![];
    while statuses.last() != Some(&StatusCode::TOO_MANY_REQUESTS) {
        assert!(statuses.len() < 1_000, "it was never refused");
        let batch =
            serde_json::to_vec(&[records::transaction(&format!("t{}", statuses.len()), "PENDING")]).unwrap();
        statuses.push(app.post("/ingest/transactions", "application/json", batch).await.0);
    }
    assert_eq!(statuses[..22], [StatusCode::OK; 22]);
    let stored: i64 =
        sqlx::query_scalar("select count(*) from transactions").fetch_one(&app.pool).await.unwrap();
    assert_eq!(stored, statuses.len() as i64 - 1, "what was refused was not written");
}

#[tokio::test]
async fn s26_a_flood_without_a_valid_key_is_refused_and_hurts_nobody_with_one() {
    let app = TestApp::new().await;
    let made_up = app.connector_key.replace(|c: char| c.is_ascii_uppercase(), "x");
    assert_ne!(made_up, app.connector_key);
    for key in [None, Some(made_up.as_str()), Some("nonsense")] {
        let refused = ask_until_refused(&app, "/transactions", key, StatusCode::UNAUTHORIZED);
        let (_, detail) = beside_a_flood(&app, refused).await;
        assert_eq!(detail, "too many requests without a valid API key");
    }
    for (path, answer) in [("/openapi.json", StatusCode::OK), ("/nowhere", StatusCode::NOT_FOUND)] {
        beside_a_flood(&app, ask_until_refused(&app, path, None, answer)).await;
    }
    // neither of these keys was seen before the flood
    beside_a_flood(&app, app.get_ok("/transactions")).await;
    beside_a_flood(&app, app.push("transactions", &records::transactions("t", 1))).await;
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
    let key = Some(app.connector_key.as_str());
    assert_eq!(ask(&app, "/transactions", key).await.0, StatusCode::UNAUTHORIZED);
    let refused = ask_until_refused(&app, "/transactions", key, StatusCode::UNAUTHORIZED);
    let (_, detail) = beside_a_flood(&app, refused).await;
    assert_eq!(detail, "too many requests without a valid API key");
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
            if operation["tags"] == json!(["operations"]) {
                // what watches the process asks without a key, and is never limited
                continue;
            }
            let refusal = &operation["responses"]["429"];
            assert!(refusal["headers"]["Retry-After"].is_object(), "{method} {path}");
            let schema = &refusal["content"]["application/json"]["schema"]["$ref"];
            assert!(document.pointer(schema.as_str().unwrap().trim_start_matches('#')).is_some());
            operations += 1;
        }
    }
    assert!(operations >= 8, "{operations}");
}

/// A key in the form of ours that nobody made.
fn made_up() -> String {
    tributary::http::new_api_key().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s26_after_a_restart_a_flood_of_made_up_keys_keeps_no_valid_key_from_its_first_answer() {
    let before = TestApp::new().await;
    let mut keys = vec![before.connector_key.clone()];
    for _ in 0..50 {
        keys.push(new_test_key(&before.pool, before.name(), Scope::Read).await);
    }
    // as after a restart, nobody has asked yet
    let app = TestApp::with_keys(&before, before.pool.clone(), (keys[0].clone(), before.ingest_key.clone()));
    let (unauthorized, limited) = (AtomicU32::new(0), AtomicU32::new(0));
    let begun = std::time::Instant::now();
    let flood = async {
        loop {
            let keys: Vec<String> = (0..20).map(|_| made_up()).collect();
            // what is refused at once waits for nothing, and would leave no turn to anybody here
            tokio::task::yield_now().await;
            for (status, ..) in join_all(keys.iter().map(|key| ask(&app, "/transactions", Some(key)))).await {
                match status {
                    StatusCode::UNAUTHORIZED => unauthorized.fetch_add(1, Relaxed),
                    StatusCode::TOO_MANY_REQUESTS => limited.fetch_add(1, Relaxed),
                    other => panic!("{other}"),
                };
            }
        }
    };
    let known = async {
        while limited.load(Relaxed) < 500 {
            tokio::task::yield_now().await;
        }
        for round in 0..5 {
            for key in &keys {
                let (status, _, body) = ask(&app, "/transactions", Some(key)).await;
                assert_eq!(status, StatusCode::OK, "round {round}: {body}");
            }
        }
    };
    tokio::select! {
        () = known => {}
        () = flood => unreachable!("it has no end"),
    }
    // each of these cost a question to the database, and there were no more than strangers may have
    let most = 100 + 50 * (begun.elapsed().as_secs() as u32 + 1);
    assert!(unauthorized.load(Relaxed) <= most, "{unauthorized:?} of {most}");
}

#[tokio::test]
async fn s26_a_key_that_orders_payments_too_fast_is_told_to_come_later_and_reads_as_before() {
    let app =
        TestApp::with_file("provider: acme\npush: all\ncallers: { payments: 1/s, payments_burst: 3 }\n")
            .await;
    let mut statuses = vec![];
    for path in ["/payouts", "/transfers", "/payouts", "/transfers"] {
        let request =
            Request::post(path).header(header::AUTHORIZATION, format!("Bearer {}", app.connector_key));
        let response = app.call(request.body(Body::from("{}")).unwrap()).await;
        let told = response.headers().contains_key(header::RETRY_AFTER);
        let (status, body) = read(response).await;
        statuses.push(status);
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert!(
                told && body["Detail"].as_str().unwrap().contains("1 payments a second, and 3 at once"),
                "{body}"
            );
        }
    }
    // nothing is paid at a provider that is pushed
    assert_eq!(statuses[..3], [StatusCode::FORBIDDEN; 3]);
    assert_eq!(statuses[3], StatusCode::TOO_MANY_REQUESTS);
    for _ in 0..50 {
        app.get_ok("/transactions").await;
    }
    let refusals: i64 = sqlx::query_scalar("select coalesce(sum(times), 0) from payment_refusals")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(refusals, 3, "nothing is kept of what was not looked at");
}
