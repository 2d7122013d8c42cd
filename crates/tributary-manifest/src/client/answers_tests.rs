//! What answers lead to: rules for errors, and what providers say of their limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::Response;
use chrono::Utc;
use serde_json::json;

use super::{Client, ClientError, Request, Rules};
use crate::fake::{self, Fake, Pauses, answer};
use crate::wire::{Closed, InMemory};

fn client(url: &str, fields: &str) -> Client {
    let yaml = format!(
        "base_url: {url}\nauth: none\nretry: {{ attempts: 4 }}\nevery: 1m\nstreams: []\n{}\n{fields}\n",
        if fields.contains("rate_limit:") { "" } else { "rate_limit: { per_second: 1000, burst: 100 }" }
    );
    let manifest = serde_saphyr::from_str(&yaml).unwrap();
    Client::new(&manifest, Arc::new(InMemory::default()), Arc::default()).unwrap()
}

fn rules(yaml: &str) -> Rules {
    Rules::compile("", &serde_saphyr::from_str::<Vec<_>>(yaml).unwrap()).unwrap()
}

fn feed() -> Request {
    Request::get("/feed".to_owned(), vec![])
}

/// What comes of a first answer under these rules, with a good answer after it: the outcome, how
/// many requests there were, and the pauses in seconds.
async fn outcome(
    first: impl Fn() -> Response + Send + Sync + 'static,
    of_source: &str,
    of_stream: &str,
) -> (Result<String, ClientError>, usize, Vec<u64>) {
    let fake =
        Fake::start(move |before, _| if before == 0 { first() } else { fake::json(json!("good")) }).await;
    let mut client = client(&fake.url, of_source);
    let pauses = Pauses::of(&mut client);
    let answered = client.send(&feed(), &rules(of_stream)).await.map(|answer| answer.json.to_string());
    (
        answered,
        fake.received().len(),
        pauses.taken().iter().map(|pause| pause.as_secs_f64().round() as u64).collect(),
    )
}

const BUSY: &str = r#"{"error":{"code":"BUSY","seconds":40}}"#;

#[tokio::test]
async fn an_error_in_an_answer_of_200_is_an_error() {
    let rule =
        "[{ when: { body: .error.code == \"BUSY\" }, do: rate_limited, wait: { body: .error.seconds } }]";
    let good = Ok("\"good\"".to_owned());
    assert_eq!(outcome(|| answer(200, &[], BUSY), "", rule).await, (good, 2, vec![40]));
    let (unruled, requests, _) = outcome(|| answer(200, &[], BUSY), "", "[]").await;
    assert_eq!((unruled.unwrap().contains("BUSY"), requests), (true, 1));
    let fatal = "[{ when: { body: .error }, do: fatal, reason: the bank is busy }]";
    let (error, requests, _) = outcome(|| answer(200, &[], BUSY), "", fatal).await;
    assert_eq!(error.unwrap_err().to_string(), "GET /feed was answered with 200: the bank is busy");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn the_rules_of_a_stream_come_before_those_of_the_source_and_both_before_the_usual() {
    let source = "errors: [{ when: { status: [404] }, do: fatal, reason: gone for good }]";
    let skip = "[{ when: { status: [404] }, do: skip_partition }]";
    let reset =
        "[{ when: { status: [400-499], body: 'test(\"cursor\")' }, do: reset_paging, reason: stale }]";
    let gone = || answer(404, &[], "no such account");
    let (error, ..) = outcome(gone, source, "[]").await;
    assert_eq!(error.unwrap_err().to_string(), "GET /feed was answered with 404: gone for good");
    let (error, ..) = outcome(gone, source, skip).await;
    let reason = "no such account".to_owned();
    assert_eq!(error.unwrap_err(), ClientError::SkipPartition { request: "GET /feed".to_owned(), reason });
    let (error, ..) = outcome(|| answer(410, &[], "the cursor expired"), source, reset).await;
    let reason = "stale".to_owned();
    assert_eq!(error.unwrap_err(), ClientError::ResetPaging { request: "GET /feed".to_owned(), reason });
    let again = "[{ when: { status: [404] }, do: retry, wait: { period: 9s } }]";
    let (answered, requests, pauses) = outcome(gone, source, again).await;
    assert_eq!((answered.unwrap().as_str(), requests, pauses), ("\"good\"", 2, vec![9]));
}

#[tokio::test]
async fn a_rule_that_asks_for_another_token_without_one_to_get_is_final() {
    let rule = "[{ when: { status: [403] }, do: refresh_token }]";
    let (error, requests, _) = outcome(|| answer(403, &[], "expired"), "", rule).await;
    assert!(matches!(error.unwrap_err(), ClientError::Refused { status: 403, .. }));
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_rule_can_ask_for_another_token_and_then_the_request_succeeds() {
    let given = AtomicUsize::new(0);
    let fake = Fake::start(move |_, received| match received.path.as_str() {
        "/token" => {
            fake::json(json!({ "access_token": format!("t-{}", given.fetch_add(1, Ordering::SeqCst)) }))
        }
        _ if received.headers["authorization"] == "Bearer t-1" => fake::json(json!([])),
        _ => answer(200, &[], r#"{"error":"TOKEN_EXPIRED"}"#),
    })
    .await;
    let yaml = format!(
        "base_url: {}\nevery: 1m\nstreams: []\nerrors: [{{ when: {{ body: '.error == \"TOKEN_EXPIRED\"' }}, do: refresh_token }}]\n\
         auth: {{ oauth2: {{ grant: client_credentials, token_url: /token, client_id: me }} }}\n",
        fake.url
    );
    let manifest = serde_saphyr::from_str(&yaml).unwrap();
    let client = Client::new(&manifest, Arc::new(InMemory::default()), Arc::default()).unwrap();
    client.send(&feed(), &Rules::default()).await.unwrap();
    assert_eq!(fake.received().len(), 4);
}

#[tokio::test]
async fn the_answer_that_was_the_last_for_now_holds_the_next_request_back() {
    let spent = || answer(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")], "1");
    let fake = Fake::start(move |before, _| if before == 0 { spent() } else { fake::json(json!(2)) }).await;
    let mut client = client(&fake.url, "");
    let pauses = Pauses::of(&mut client);
    for expected in ["1", "2"] {
        assert_eq!(client.send(&feed(), &Rules::default()).await.unwrap().json.to_string(), expected);
    }
    assert_eq!(pauses.taken().len(), 1);
    assert!(pauses.taken()[0] > Duration::from_secs(29), "{:?}", pauses.taken());
}

#[tokio::test]
async fn a_mistaken_reset_does_not_close_the_api_for_longer_than_a_day() {
    let far = (Utc::now() + chrono::TimeDelta::days(300)).timestamp().to_string();
    let fake = Fake::start(move |_, _| {
        answer(200, &[("ratelimit-remaining", "0"), ("ratelimit-reset", far.as_str())], "1")
    })
    .await;
    let client = client(&fake.url, "");
    client.send(&feed(), &Rules::default()).await.unwrap();
    let error = client.send(&feed(), &Rules::default()).await.unwrap_err();
    let ClientError::AskedToWait { until, why: Closed::ByProvider } = error else { panic!("{error:?}") };
    assert!(until - Utc::now() <= chrono::TimeDelta::days(1));
}

#[tokio::test]
async fn a_request_to_which_nobody_answers_well_leaves_after_its_attempts_even_if_asked_to_wait() {
    let fake = Fake::start(|_, _| answer(429, &[("retry-after", "2")], "")).await;
    let mut client = client(&fake.url, "");
    Pauses::of(&mut client);
    let error = client.send(&feed(), &Rules::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Failed { attempts: 4, .. }), "{error:?}");
    assert_eq!(fake.received().len(), 4);
}

#[tokio::test]
async fn repeated_requests_are_taken_out_of_the_budget_and_a_short_lack_of_room_is_waited_for() {
    let fake =
        Fake::start(|before, _| if before < 2 { answer(500, &[], "") } else { fake::json(json!(1)) }).await;
    let fields = "rate_limit: { per_second: 1000, burst: 100, budgets: [{ requests: 3, per: 4m }] }";
    let mut client = client(&fake.url, fields);
    let pauses = Pauses::of(&mut client);
    client.send(&feed(), &Rules::default()).await.unwrap();
    let before = pauses.taken().len();
    client.send(&feed(), &Rules::default()).await.unwrap();
    let waited: Duration = pauses.taken()[before..].iter().sum();
    assert!((200..=242).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_the_provider_allows() {
    let under_way = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counted = Arc::clone(&under_way);
    let app = axum::Router::new().fallback(move || {
        let counted = Arc::clone(&counted);
        async move {
            let now = counted.0.fetch_add(1, Ordering::SeqCst) + 1;
            counted.1.fetch_max(now, Ordering::SeqCst);
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            counted.0.fetch_sub(1, Ordering::SeqCst);
            axum::Json(json!(1))
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let most = async |fields: &str| {
        under_way.1.store(0, Ordering::SeqCst);
        let (client, request, rules) = (client(&url, fields), feed(), Rules::default());
        let asked = futures::future::join_all((0..12).map(|_| client.send(&request, &rules))).await;
        asked.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        under_way.1.load(Ordering::SeqCst)
    };
    assert_eq!(most("rate_limit: { per_second: 1000, burst: 100, concurrency: 2 }").await, 2);
    assert!(most("rate_limit: { per_second: 1000, burst: 100 }").await > 2);
}

#[test]
fn limits_that_cannot_be_kept_are_named() {
    for (limits, about) in [
        ("per_second: 1001", "rate_limit.per_second"),
        ("burst: 0", "rate_limit.burst"),
        ("concurrency: 0", "rate_limit.concurrency"),
        ("budgets: [{ requests: 1, per: 1s }, { requests: 0, per: 1s }]", "rate_limit.budgets[1].requests"),
        ("budgets: [{ requests: 1, per: 0s }]", "rate_limit.budgets[0].per"),
    ] {
        let yaml = format!(
            "base_url: https://bank.example\nauth: none\nevery: 1m\nstreams: []\nrate_limit: {{ {limits} }}\n"
        );
        let manifest = serde_saphyr::from_str(&yaml).unwrap();
        let made = Client::new(&manifest, Arc::new(InMemory::default()), Arc::default());
        let error = made.map(|_| ()).unwrap_err();
        assert!(error.starts_with(about), "{limits}: {error}");
    }
}
