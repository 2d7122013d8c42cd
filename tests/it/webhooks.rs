//! The provider's calls: who may, what they set off, and what they must not do.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use chrono::Utc;
use ring::hmac;
use serde_json::{Value, json};
use tributary_domain::Role;

use crate::support::jobs::{Working, count, file, instance, stream, until};
use crate::support::{TestApp, Upstream, edited};

const WEBHOOK: &str = "webhook:
  hmac:
    algorithm: sha256
    secret: a-secret-of-the-test
    header: Acme-Signature
    field: v1
    signed: '{timestamp}.{body}'
    timestamp: { header: Acme-Signature, field: t, tolerance: 5m }
  reads:
    - { where: '.body.type == \"payment\"', stream: payments }
    - { where: '.body.type == \"wallet\"', stream: wallet_feed, partition: .body.wallet }
";
const DUE: &str = "select count(*) from sync_tasks where due_at <= clock_timestamp()";
const RUNS: &str = "select count(*) from sync_runs where status = 'succeeded'";

async fn setup() -> (Upstream, TestApp, String) {
    let upstream = Upstream::start().await;
    let wallet_feed = stream("wallet_feed", "      each: wallets\n      partition: .id\n");
    let wallet_feed = edited(&wallet_feed, "get: /wallet_feed", "get: '/wallets/{id}'");
    let wallets = "  lists:\n    wallets: { get: /wallets, rows: ., after_webhook: only }\n";
    let streams =
        [stream("payments", "      after_webhook: only\n"), wallet_feed, wallets.to_owned()].concat();
    let streams = edited(&streams, "partition: .id\n", "partition: .id\n      after_webhook: only\n");
    let file = file(&upstream, WEBHOOK, &streams);
    upstream.set("/payments", json!([]));
    upstream.set("/wallets", json!([{"id": "a"}, {"id": "b"}]));
    upstream.set("/wallets/a", json!([]));
    upstream.set("/wallets/b", json!([]));
    (upstream, TestApp::with_file(&file).await, file)
}

/// Reads everything once, so that only webhooks make anything due after it.
async fn first_sync(app: &TestApp, file: &str) -> Working {
    let working = Working::start(app, file, instance("one", Duration::from_secs(3600)));
    until(&app.pool, RUNS, 2).await;
    assert_eq!(count(&app.pool, DUE).await, 0);
    working
}

fn signature(body: &str, at: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a-secret-of-the-test");
    let code = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    let code: String = code.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={code}")
}

async fn call(
    app: &TestApp,
    provider: &str,
    signature: Option<&str>,
    body: impl Into<Body>,
) -> (StatusCode, Value) {
    let mut request =
        Request::post(format!("/webhooks/{provider}")).header("content-type", "application/json");
    if let Some(signature) = signature {
        request = request.header("acme-signature", signature);
    }
    let response = app.call(request.body(body.into()).unwrap()).await;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn good(app: &TestApp, body: &str) {
    let (status, answer) =
        call(app, "acme", Some(&signature(body, Utc::now().timestamp())), body.to_owned()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
}

#[tokio::test]
async fn a_webhook_has_its_stream_read_and_is_not_believed_itself() {
    let (upstream, app, file) = setup().await;
    let working = first_sync(&app, &file).await;
    upstream.set("/payments", json!([{"id": "told by the API", "status": "SUCCEEDED"}]));
    good(&app, r#"{"type":"payment","id":"told by the webhook"}"#).await;
    until(&app.pool, RUNS, 3).await;
    working.stop().await;
    let ids: Vec<String> =
        sqlx::query_scalar("select id from transactions").fetch_all(&app.pool).await.unwrap();
    assert_eq!(ids, ["told by the API"]);
    assert_eq!((upstream.asked("/payments"), upstream.asked("/wallets")), (2, 1), "nothing else is read");
}

#[tokio::test]
async fn a_webhook_that_names_a_partition_has_only_that_one_read() {
    let (upstream, app, file) = setup().await;
    let working = first_sync(&app, &file).await;
    good(&app, r#"{"type":"wallet","wallet":"b"}"#).await;
    until(&app.pool, RUNS, 3).await;
    working.stop().await;
    assert_eq!((upstream.asked("/wallets/a"), upstream.asked("/wallets/b")), (1, 2));
    assert_eq!(count(&app.pool, "select count(*) from sync_tasks where partition <> ''").await, 0);
}

#[tokio::test]
async fn a_burst_is_one_run_and_what_comes_during_a_run_is_one_more() {
    let (upstream, app, file) = setup().await;
    let working = first_sync(&app, &file).await;
    let mut held = upstream.hold("/payments");
    good(&app, r#"{"type":"payment"}"#).await;
    held.arrived().await;
    for _ in 0..50 {
        good(&app, r#"{"type":"payment"}"#).await;
    }
    assert_eq!(count(&app.pool, DUE).await, 1);
    held.answer(json!([]));
    until(&app.pool, RUNS, 4).await;
    until(&app.pool, DUE, 0).await;
    working.stop().await;
    assert_eq!(upstream.asked("/payments"), 3, "the first sync, the call, and all that came meanwhile");
}

#[tokio::test]
async fn a_call_that_proves_nothing_gets_401_and_no_reason_and_sets_nothing_off() {
    let (_upstream, app, file) = setup().await;
    first_sync(&app, &file).await.stop().await;
    let body = r#"{"type":"payment"}"#;
    let now = Utc::now().timestamp();
    let old = signature(body, now - 3600);
    let other = signature("another body", now);
    let mut answers = Vec::new();
    for (provider, signature) in [
        ("acme", None),
        ("acme", Some("nonsense")),
        ("acme", Some(&*other)),
        ("acme", Some(&*old)),
        ("nobody", Some(&*signature(body, now))),
        ("other", Some(&*signature(body, now))),
        ("..%2F", None),
    ] {
        let (status, answer) = call(&app, provider, signature, body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{provider} {signature:?}");
        answers.push(answer);
    }
    assert!(answers[0]["Title"].is_string() && answers[0]["Detail"].is_string());
    assert!(answers.iter().all(|answer| answer == &answers[0]), "all alike: {answers:?}");
    assert_eq!(count(&app.pool, DUE).await, 0);
}

#[tokio::test]
async fn a_flood_of_calls_of_one_provider_is_refused_with_429_before_their_bodies_are_read() {
    let (_upstream, app, file) = setup().await;
    first_sync(&app, &file).await.stop().await;
    // of the right form, so that only the body could tell
    let forged = signature("another body", Utc::now().timestamp());
    let mut refused = 0;
    while refused < 5 {
        let (status, answer) = call(&app, "acme", Some(&forged), r#"{"type":"payment"}"#).await;
        match status {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::TOO_MANY_REQUESTS => refused += 1,
            other => panic!("{other}: {answer}"),
        }
    }
    let refused_unread = async {
        loop {
            let never = Body::from_stream(futures::stream::pending::<Result<&'static str, std::io::Error>>());
            let calling = call(&app, "acme", Some(&forged), never);
            // one that came when another was allowed again waits for its body
            match tokio::time::timeout(Duration::from_millis(500), calling).await {
                Ok((status, _)) => break status,
                Err(_) => continue,
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(30), refused_unread).await.expect("an answer");
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    app.get_ok("/transactions").await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_unread() {
    let (_upstream, app, file) = setup().await;
    first_sync(&app, &file).await.stop().await;
    let body = format!(r#"{{"type":"payment","more":"{}"}}"#, "x".repeat(256 << 10));
    let (status, _) = call(&app, "acme", Some(&signature(&body, Utc::now().timestamp())), body).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(count(&app.pool, DUE).await, 0);
}

#[tokio::test]
async fn a_call_whose_headers_prove_nothing_is_refused_while_its_body_has_not_come() {
    let (_upstream, app, file) = setup().await;
    first_sync(&app, &file).await.stop().await;
    let never = || Body::from_stream(futures::stream::pending::<Result<&'static str, std::io::Error>>());
    let short = "t=1,v1=00,".repeat(1_000);
    let many = format!("t=1,{}", format!("v1={},", "00".repeat(32)).repeat(6));
    for (provider, signature) in
        [("acme", None), ("acme", Some(short.as_str())), ("acme", Some(many.as_str())), ("nobody", None)]
    {
        let calling = call(&app, provider, signature, never());
        let (status, _) = tokio::time::timeout(Duration::from_secs(5), calling).await.expect("an answer");
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{provider} {signature:?}");
    }
}

/// An app whose provider has a webhook of these lines.
async fn app_with(webhook: &str) -> (Upstream, TestApp) {
    let upstream = Upstream::start().await;
    upstream.set("/payments", json!([]));
    let file = file(&upstream, webhook, &stream("payments", "      after_webhook: only\n"));
    let app = TestApp::with_file(&file).await;
    let working = Working::start(&app, &file, instance("one", Duration::from_secs(3600)));
    until(&app.pool, RUNS, 1).await;
    working.stop().await;
    (upstream, app)
}

async fn answered(app: &TestApp, request: Request<Body>) -> (StatusCode, Option<String>, String) {
    let response = app.call(request).await;
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_standard_webhook_is_answered_with_the_status_of_the_file_and_no_body() {
    let (_upstream, app) = app_with(
        "webhook:\n  standard: { secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }\n  answer: 200\n  reads: payments\n",
    )
    .await;
    let call = |code: &str, at: i64| {
        let request = Request::post("/webhooks/acme")
            .header("webhook-id", "msg_1")
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", format!("v1,{code}"));
        request.body(Body::from("{}")).unwrap()
    };
    let key = base64::engine::general_purpose::STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let code = |at: i64| {
        let code = hmac::sign(&key, format!("msg_1.{at}.{{}}").as_bytes());
        base64::engine::general_purpose::STANDARD.encode(code)
    };
    let now = Utc::now().timestamp();
    for (code, at) in [(code(now - 3600), now), (code(now - 3600), now - 3600)] {
        assert_eq!(answered(&app, call(&code, at)).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(count(&app.pool, DUE).await, 0);
    }
    assert_eq!(answered(&app, call(&code(now), now)).await, (StatusCode::OK, None, String::new()));
    assert_eq!(count(&app.pool, DUE).await, 1);
}

#[tokio::test]
async fn a_challenge_is_echoed_as_text_and_has_nothing_read() {
    const SECRET: &str =
        "webhook:\n  header: { name: X-Token, value: a-secret-of-the-test }\n  reads: payments\n";
    let (_upstream, app) =
        app_with(&edited(SECRET, "  reads", "  challenge: { query: challenge }\n  reads")).await;
    let get = |query: &str| Request::get(format!("/webhooks/{query}")).body(Body::empty()).unwrap();
    let text = Some("text/plain; charset=utf-8".to_owned());
    assert_eq!(
        answered(&app, get("acme?challenge=a7-b")).await,
        (StatusCode::OK, text.clone(), "a7-b".to_owned())
    );
    for refused in ["acme", "acme?challenge=%3Cscript%3E", "nobody?challenge=a7-b"] {
        assert_eq!(answered(&app, get(refused)).await.0, StatusCode::UNAUTHORIZED, "{refused}");
    }
    let (_upstream, by_body) =
        app_with(&edited(SECRET, "  reads", "  challenge: { body: .body.challenge }\n  reads")).await;
    assert_eq!(answered(&by_body, get("acme?challenge=a7-b")).await.0, StatusCode::UNAUTHORIZED);
    let post = |token: &str, body: &'static str| {
        Request::post("/webhooks/acme").header("x-token", token).body(Body::from(body)).unwrap()
    };
    let challenge = r#"{"challenge":"3eZbrw1a"}"#;
    assert_eq!(answered(&by_body, post("another", challenge)).await.0, StatusCode::UNAUTHORIZED);
    let echoed = answered(&by_body, post("a-secret-of-the-test", challenge)).await;
    assert_eq!(echoed, (StatusCode::OK, text, "3eZbrw1a".to_owned()));
    for pool in [&app.pool, &by_body.pool] {
        assert_eq!(count(pool, DUE).await, 0);
    }
    assert_eq!(answered(&by_body, post("a-secret-of-the-test", "{}")).await.0, StatusCode::ACCEPTED);
    assert_eq!(count(&by_body.pool, DUE).await, 1);
}

async fn order(app: &TestApp, key: &str, body: &'static str) -> (StatusCode, Value) {
    let request = Request::post("/admin/v1/sync").header("authorization", format!("Bearer {key}"));
    let response = app.call_operator(request.body(Body::from(body)).unwrap()).await;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn an_admin_has_streams_read_in_the_background_also_while_their_breaker_is_open() {
    let (upstream, app, file) = setup().await;
    let working = first_sync(&app, &file).await;
    let admin = crate::console::new_operator(&app, "ann", Role::Operator).await;
    upstream.refuse("/payments", 401);
    assert_eq!(order(&app, &admin, r#"{"provider":"acme","stream":"payments"}"#).await.0, StatusCode::OK);
    // refused credentials open the breaker at once
    until(&app.pool, "select count(*) from sync_leases where paused_until > now() + interval '50 min'", 1)
        .await;
    upstream.set("/payments", json!([]));
    let (status, answer) = order(&app, &admin, r#"{"provider":"acme"}"#).await;
    assert_eq!(
        (status, &answer["streams"]),
        (StatusCode::OK, &json!(["payments", "wallet_feed", "wallets"]))
    );
    until(&app.pool, RUNS, 4).await;
    working.stop().await;
    assert_eq!(
        count(&app.pool, "select count(*) from sync_leases where failures > 0 or paused_until is not null")
            .await,
        0
    );

    let (status, answer) = order(&app, &admin, r#"{"provider":"acme","stream":"nothing"}"#).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(answer["Detail"].as_str().unwrap().contains("wallet_feed"), "{answer}");
    for wrong in [r#"{"provider":"acme","steam":"payments"}"#, "", "[]", r#"["payments"]"#, "1", "null"] {
        assert_eq!(order(&app, &admin, wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(order(&app, &app.connector_key, "{}").await.0, StatusCode::UNAUTHORIZED);
}
