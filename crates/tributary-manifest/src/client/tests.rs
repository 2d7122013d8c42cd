use std::io::Write as _;
use std::time::{Instant, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::*;
use crate::edited::edited;
use crate::fake::{self, Fake, Pauses, answer, cut_off};
use crate::wire::{Closed, InMemory, Method, Target};
use chrono::Utc;

const TOKEN: &str = "tok-3f9aB7";
const KEY: &str = "key-77xyzzy";

fn client(url: &str) -> Client {
    let yaml = format!(
        "base_url: {url}\nauth: {{ bearer: {TOKEN} }}\nheaders: {{ X-Api-Key: {KEY} }}\n\
         rate_limit: {{ per_second: 1000 }}\nretry: {{ attempts: 4 }}\nevery: 1m\nstreams: []\n"
    );
    connect(&yaml).unwrap()
}

fn connect(yaml: &str) -> Result<Client, String> {
    let manifest = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    Client::new(&manifest, Arc::new(InMemory::default()), Arc::default())
}

fn request() -> Request {
    Request::get("/v2/feed".to_owned(), vec![("since".to_owned(), "2026&x=1".to_owned())])
}

async fn ask(fake: &Fake) -> (Result<Answer, ClientError>, Vec<Duration>) {
    let mut client = client(&fake.url);
    let pauses = Pauses::of(&mut client);
    let result = client.send(&request(), &Rules::default()).await;
    (result, pauses.taken())
}

#[tokio::test]
async fn a_request_carries_token_headers_and_encoded_query_below_the_base() {
    let fake = Fake::start(|_, _| fake::json(json!({"ok": true}))).await;
    let before = Utc::now();
    let answer = client(&format!("{}/prefix/", fake.url)).send(&request(), &Rules::default()).await.unwrap();
    assert_eq!(answer.json.to_string(), r#"{"ok":true}"#);
    assert!(answer.sent_at >= before && answer.sent_at <= Utc::now());
    let received = &fake.received()[0];
    assert_eq!(received.path, "/prefix/v2/feed");
    assert_eq!(received.query["since"], "2026&x=1");
    assert_eq!(received.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(received.headers["x-api-key"], KEY);
    assert_eq!(received.headers["accept"], "application/json");
    assert!(received.headers["user-agent"].to_str().unwrap().starts_with("tributary/"));
}

#[tokio::test]
async fn passing_failures_are_sent_again_until_there_is_an_answer() {
    for failure in [
        || answer(500, &[], "oops"),
        || answer(503, &[], ""),
        || answer(429, &[], "slow down"),
        || answer(408, &[], ""),
        || answer(425, &[], ""),
        || answer(200, &[], "<html>maintenance</html>"),
        || answer(200, &[], ""),
        cut_off,
    ] {
        let fake = Fake::start(move |before, _| match before {
            0 | 1 => failure(),
            _ => fake::json(json!([1])),
        })
        .await;
        let (result, pauses) = ask(&fake).await;
        assert_eq!(result.unwrap().json.to_string(), "[1]");
        assert_eq!(pauses.len(), 2);
        assert!(pauses[0] >= Duration::from_millis(500) && pauses[1] >= Duration::from_secs(1), "{pauses:?}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_in_seconds_and_as_a_date_and_zero_means_our_own_pause() {
    let in_a_minute = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
    let seconds = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
    let our_own = Duration::from_millis(500)..=Duration::from_secs(1);
    for (header, expected) in [
        (Some("7"), seconds(6, 7)),
        (Some(in_a_minute.as_str()), seconds(50, 60)),
        (Some("0"), our_own.clone()),
        (Some("Thu, 01 Jan 1970 00:00:00 GMT"), our_own.clone()),
        (None, our_own),
    ] {
        let headers: Vec<(&str, String)> =
            header.map(|value| ("retry-after", value.to_owned())).into_iter().collect();
        let fake = Fake::start(move |before, _| {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            if before == 0 { answer(429, &headers, "") } else { fake::json(json!(1)) }
        })
        .await;
        let (result, pauses) = ask(&fake).await;
        result.unwrap();
        assert!(pauses.len() == 1 && expected.contains(&pauses[0]), "{header:?}: {pauses:?}");
    }
}

#[tokio::test]
async fn a_long_retry_after_ends_the_requests_instead_of_burning_attempts() {
    let fake = Fake::start(|_, _| answer(429, &[("retry-after", "7200")], "")).await;
    let mut client = client(&fake.url);
    let pauses = Pauses::of(&mut client);
    for _ in 0..2 {
        let error = client.send(&request(), &Rules::default()).await.unwrap_err();
        let ClientError::AskedToWait { until, why: Closed::ByProvider } = error else { panic!("{error:?}") };
        let wait = (until - Utc::now()).num_seconds();
        assert!((7_190..=7_200).contains(&wait), "{wait}");
    }
    assert_eq!((fake.received().len(), client.sent(), pauses.taken().len()), (1, 1, 0));
}

#[tokio::test]
async fn a_failure_that_does_not_pass_ends_after_the_attempts_with_the_last_reason() {
    let fake = Fake::start(|_, _| answer(502, &[], "bad gateway, sorry")).await;
    let (result, pauses) = ask(&fake).await;
    let error = result.unwrap_err().to_string();
    assert!(error.contains("GET /v2/feed?since=… failed 4 times") && error.contains("502"), "{error}");
    assert!(error.contains("bad gateway, sorry"), "{error}");
    assert_eq!((fake.received().len(), pauses.len()), (4, 3));
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_explained() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut client = client(&format!("http://{address}"));
    let pauses = Pauses::of(&mut client);
    let error = client.send(&request(), &Rules::default()).await.unwrap_err().to_string();
    assert!(error.contains("failed 4 times") && error.to_lowercase().contains("connect"), "{error}");
    assert!(!error.contains("2026"), "the values of the query stay hidden: {error}");
    assert_eq!(pauses.taken().len(), 3);
}

#[tokio::test]
async fn what_asking_again_does_not_change_is_final_and_explained() {
    for (status, body) in [
        (400, r#"{"errors":[{"message":"QUERY_EXCEEDING_MAX_TIME_RANGE"}]}"#),
        (401, "invalid token"),
        (403, "insufficient_scope"),
        (404, "no such account"),
    ] {
        let fake = Fake::start(move |_, _| answer(status, &[("retry-after", "1")], body)).await;
        let (result, pauses) = ask(&fake).await;
        let error = result.unwrap_err();
        assert!(matches!(error, ClientError::Refused { status: found, .. } if found == status), "{error:?}");
        assert!(error.to_string().contains(body), "{error}");
        assert_eq!((fake.received().len(), pauses.len()), (1, 0));
    }
}

#[tokio::test]
async fn redirects_are_not_followed_since_they_could_take_the_token_elsewhere() {
    let fake = Fake::start(|_, _| answer(302, &[("location", "/elsewhere")], "")).await;
    let (result, _) = ask(&fake).await;
    assert!(result.unwrap_err().to_string().contains("redirects are not followed"));
    assert_eq!(fake.received().len(), 1);
}

#[tokio::test]
async fn no_error_or_debug_output_shows_a_secret_or_a_query_value() {
    let echo = format!("Bearer {TOKEN} and {KEY}\nare wrong");
    for status in [401, 500] {
        let echo = echo.clone();
        let fake = Fake::start(move |_, _| answer(status, &[], echo.clone())).await;
        let (result, _) = ask(&fake).await;
        let error = result.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("Bearer [secret] and [secret] are wrong"), "{shown}");
        for secret in [TOKEN, KEY, "2026"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn settings_that_cannot_work_are_named_without_the_secret_in_them() {
    let good = "base_url: https://bank.example\nauth: { bearer: tok }\nevery: 1m\nstreams: []\n";
    for (from, to, about) in [
        ("https://bank.example", "bank.example", "base_url"),
        ("https://bank.example", "ftp://bank.example", "base_url"),
        ("https://bank.example", "https://me:hunter2@bank.example", "base_url"),
        ("https://bank.example", "https://bank.example?key=hunter2", "base_url"),
        ("bearer: tok", "bearer: \"hunter2\\n\"", "auth.bearer"),
        ("bearer: tok", "bearer: \"\"", "auth.bearer"),
        ("every", "headers: { X-Key: \"hunter2\\r\" }\nevery", "headers.X-Key"),
        ("every", "headers: { \"X Key\": hunter2 }\nevery", "headers"),
        ("every", "rate_limit: { per_second: 0 }\nevery", "rate_limit"),
        ("every", "retry: { attempts: 0 }\nevery", "retry"),
    ] {
        let error = connect(&edited(good, from, to)).map(|_| ()).unwrap_err();
        assert!(error.starts_with(about) && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_packed_answer_is_measured_unpacked() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![b' '; 1_000_000]).unwrap();
    packed.write_all(b"[1]").unwrap();
    let packed = packed.finish().unwrap();
    let fake = Fake::start(move |_, _| answer(200, &[("content-encoding", "gzip")], packed.clone())).await;
    let mut client = client(&fake.url);
    assert_eq!(client.send(&request(), &Rules::default()).await.unwrap().json.to_string(), "[1]");
    Arc::get_mut(&mut client.transport).unwrap().limit_answers(100_000);
    let error = client.send(&request(), &Rules::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { limit: 100_000, .. }), "{error:?}");
    assert_eq!(fake.received().len(), 2, "a large answer is not asked for again");
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let fake = Fake::start(|_, _| fake::json(json!(1))).await;
    let yaml = format!(
        "base_url: {}\nauth: {{ bearer: tok }}\nrate_limit: {{ per_second: 20 }}\nevery: 1m\nstreams: []\n",
        fake.url
    );
    let client = connect(&yaml).unwrap();
    let begun = Instant::now();
    for _ in 0..4 {
        client.send(&request(), &Rules::default()).await.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_query_can_be_a_body_and_its_headers_replace_the_usual_ones() {
    let fake = Fake::start(|before, _| match before {
        0 => answer(503, &[], ""),
        _ => answer(200, &[("x-next", "p2")], "[]"),
    })
    .await;
    let mut client = client(&fake.url);
    Pauses::of(&mut client);
    let search = Request {
        method: Method::Post,
        headers: [(reqwest::header::ACCEPT, HeaderValue::from_static("application/hal+json"))]
            .into_iter()
            .collect(),
        body: Some(b"{\"from\":1}".to_vec()),
        ..request()
    };
    let found = client.send(&search, &Rules::default()).await.unwrap();
    assert_eq!(found.headers["x-next"], "p2");
    assert_eq!(found.url.path(), "/v2/feed");
    for received in fake.received() {
        assert_eq!(
            (received.method.as_str(), received.body.as_slice()),
            ("POST", b"{\"from\":1}".as_slice())
        );
        assert_eq!(received.headers["content-type"], "application/json");
        assert_eq!(received.headers["accept"], "application/hal+json");
    }
    assert_eq!(fake.received().len(), 2);
}

#[tokio::test]
async fn links_are_followed_with_the_token_and_never_to_a_host_that_nobody_named() {
    let fake = Fake::start(|_, _| fake::json(json!(1))).await;
    let elsewhere = Fake::start(|_, _| fake::json(json!(1))).await;
    let client = client(&format!("{}/prefix", fake.url));
    let to = |url: &str| Request::to(Target::Absolute(format!("{url}/next?page=2").parse().unwrap()));
    client.send(&to(&fake.url), &Rules::default()).await.unwrap();
    let received = &fake.received()[0];
    assert_eq!((received.path.as_str(), received.query["page"].as_str()), ("/next", "2"));
    assert!(received.headers.contains_key("authorization"));
    let error = client.send(&to(&elsewhere.url), &Rules::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unaskable { .. }), "{error:?}");
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn an_answer_without_content_is_null() {
    let fake = Fake::start(|_, _| answer(204, &[], "")).await;
    let (result, _) = ask(&fake).await;
    assert_eq!(result.unwrap().json.to_string(), "null");
}
