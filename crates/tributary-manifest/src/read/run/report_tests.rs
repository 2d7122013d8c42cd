//! Reports: made once, waited for, and fetched, whatever happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::response::{IntoResponse, Response};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::asks_tests::of_file;
use super::walk_tests::{Killed, bank, failure, ids, watermark};
use crate::compiled::CompiledProvider;
use crate::fake::{self, Fake, Memory, Pauses, Received, answer};

/// An API that counts the reports that it is asked for, and makes each ready at the second look.
#[derive(Default)]
struct Counter {
    created: AtomicUsize,
    looks: AtomicUsize,
}

impl Counter {
    fn answers(&self, received: &Received) -> Response {
        match (received.method.as_str(), received.path.as_str()) {
            ("POST", "/reports") => {
                let asked: Value = serde_json::from_slice(&received.body).unwrap();
                assert!(asked["from"].is_string() && asked["until"].is_string(), "{asked}");
                fake::json(json!({ "id": 1 + self.created.fetch_add(1, Ordering::SeqCst) }))
            }
            ("GET", path) if path.ends_with("/rows") => {
                answer(200, &[], "id,at\na,2026-03-01T12:00:00Z\nb,2026-03-01T12:00:00Z\n")
            }
            ("GET", _) => {
                let looks = self.looks.fetch_add(1, Ordering::SeqCst);
                fake::json(json!({ "status": if looks % 2 == 1 { "READY" } else { "RUNNING" } }))
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

async fn serving(counter: &Arc<Counter>) -> Fake {
    let counter = Arc::clone(counter);
    bank(move |received| counter.answers(received)).await
}

fn text(url: &str) -> String {
    format!(
        r#"
api: {url}
auth: none
every: 1m
attempts: 3
limits: {{ pace: 1000/s }}
pull:
  transactions:
    feed:
      report:
        create: {{ post: /reports, body: {{ from: $since, until: $until }}, id: .id }}
        ready: {{ get: "/reports/{{$report}}", where: .status == "READY", failed: .status == "FAILED", every: 30s, within: 20m }}
        fetch: {{ get: "/reports/{{$report}}/rows" }}
      answer: {{ as: csv, columns: [id, at] }}
      rows: .
      changes: {{ by: .at, since: $since, until: $until, late: 1h, back: 1d }}
      id: .id
      created: .at
      type: PAYIN
      status: SUCCEEDED
      to: ours
      money: {{ minor: 1, currency: EUR }}
"#
    )
}

fn provider(url: &str) -> (CompiledProvider, Pauses) {
    let mut provider = of_file(&text(url)).unwrap_or_else(|error| panic!("{error}"));
    let pauses = provider.pauses();
    (provider, pauses)
}

fn paths(fake: &Fake) -> Vec<String> {
    fake.received().iter().map(|received| format!("{} {}", received.method, received.path)).collect()
}

#[tokio::test]
async fn a_report_is_asked_for_waited_for_and_fetched() {
    let counter = Arc::default();
    let fake = serving(&counter).await;
    let (provider, pauses) = provider(&fake.url);
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    assert_eq!(ids(&sink), ["a", "b"]);
    assert_eq!(paths(&fake), ["POST /reports", "GET /reports/1", "GET /reports/1", "GET /reports/1/rows"]);
    assert_eq!(pauses.taken().iter().map(std::time::Duration::as_secs).collect::<Vec<_>>(), [30]);
    assert!(watermark(&sink, "").is_some());
    provider.run(&mut sink).await.unwrap();
    assert_eq!(counter.created.load(Ordering::SeqCst), 2, "another window is another report");
}

#[tokio::test]
async fn a_run_that_is_killed_goes_on_with_its_report_and_has_no_other_one_made() {
    let counter = Arc::default();
    let fake = serving(&counter).await;
    let (provider, _) = provider(&fake.url);
    let mut sink = Memory::default();
    provider.run(&mut Killed { memory: &mut sink, pages: 1 }).await.unwrap_err();
    assert_eq!(ids(&sink), [""; 0], "it was killed with the rows");
    provider.run(&mut sink).await.unwrap();
    assert_eq!((counter.created.load(Ordering::SeqCst), ids(&sink).len()), (1, 2));
}

#[tokio::test]
async fn a_report_that_takes_long_is_left_to_the_next_run_and_one_that_fails_is_made_anew() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let fake = bank(move |received| match (received.method.as_str(), received.path.as_str()) {
        ("POST", _) => fake::json(json!({ "id": format!("r{}", 1 + count.fetch_add(1, Ordering::SeqCst)) })),
        (_, "/reports/r1") => fake::json(json!({ "status": "RUNNING" })),
        (_, "/reports/r2") => fake::json(json!({ "status": "FAILED" })),
        (_, "/reports/r3") => fake::json(json!({ "status": "READY" })),
        (_, "/reports/r3/rows") => answer(200, &[], "id,at\na,2026-03-01T12:00:00Z\n"),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let (provider, pauses) = provider(&fake.url);
    let mut sink = Memory::default();
    let report = provider.run(&mut sink).await.unwrap();
    assert!(report.warnings.keys().any(|warning| warning.kind() == "report_not_ready"), "{report:?}");
    assert!(sink.pages.iter().all(|page| !page.end_of_stream) && watermark(&sink, "").is_none());
    let report = provider.run(&mut sink).await.unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 1, "it waits for the same one: {report:?}");
    pauses.pass(std::time::Duration::from_secs(1_200));
    let error = failure(provider.run(&mut sink).await);
    assert!(error.contains("r2 was not made") && made.load(Ordering::SeqCst) == 2, "{error}");
    provider.run(&mut sink).await.unwrap();
    assert_eq!((ids(&sink), made.load(Ordering::SeqCst)), (vec!["a".to_owned()], 3));
}

#[tokio::test]
async fn a_request_that_has_a_report_made_is_sent_once() {
    let fake = bank(|_| StatusCode::BAD_GATEWAY.into_response()).await;
    let (provider, _) = provider(&fake.url);
    failure(provider.run(&mut Memory::default()).await);
    assert_eq!(paths(&fake), ["POST /reports"]);
}

#[tokio::test]
async fn a_report_is_fetched_from_the_url_that_the_api_names_on_hosts_that_may_be_asked() {
    let fake = bank(|received| match received.path.as_str() {
        "/reports" => fake::json(json!({ "id": "r" })),
        "/reports/r" => fake::json(json!({ "status": "READY", "url": "https://evil.example/rows" })),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let by_url =
        text(&fake.url).replace(r#"fetch: { get: "/reports/{$report}/rows" }"#, "fetch: { url: .url }");
    let error = failure(of_file(&by_url).unwrap().run(&mut Memory::default()).await);
    assert!(error.contains("leads to evil.example"), "{error}");
}

#[tokio::test]
async fn a_report_that_is_ready_at_no_url_fails_and_several_windows_are_several_reports() {
    let nowhere = bank(|received| match received.method.as_str() {
        "POST" => fake::json(json!({ "id": "r" })),
        _ => fake::json(json!({ "status": "READY" })),
    })
    .await;
    let fetch = r#"fetch: { get: "/reports/{$report}/rows" }"#;
    let by_url = text(&nowhere.url).replace(fetch, "fetch: { url: .url }");
    let error = failure(of_file(&by_url).unwrap().run(&mut Memory::default()).await);
    assert!(error.contains("is ready, but there is no URL at which it is fetched"), "{error}");

    let counter = Arc::default();
    let fake = serving(&counter).await;
    let windows = text(&fake.url).replace("back: 1d }", "back: 7d, step: 2d }");
    let mut provider = of_file(&windows).unwrap_or_else(|error| panic!("{error}"));
    let _pauses = provider.pauses();
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    assert_eq!((counter.created.load(Ordering::SeqCst), ids(&sink).len()), (4, 8));
    assert!(watermark(&sink, "").is_some());
}

#[test]
fn a_report_that_cannot_work_is_refused() {
    let whole = text("https://bank.example");
    for (from, to, about) in [
        (", id: .id }\n", " }\n", "report.create: `id` is missing"),
        (r#"fetch: { get: "/reports/{$report}/rows" }"#, "fetch: { get: /rows }", "let {$report} be in it"),
        (r#"fetch: { get: "/reports/{$report}/rows" }"#, "fetch: {}", "give `get`, the path of the report"),
        ("      rows: .\n", "      rows: .\n      get: /x\n", "has the requests"),
        ("from: $since, ", "", "$since stands nowhere"),
        ("within: 20m", "within: 20s", "has to be longer than `every`"),
        (
            "since: $since, until: $until,",
            "since: since, until: $until,",
            "report.create.body.from: $since is seen by",
        ),
    ] {
        assert!(whole.contains(from), "{from}");
        let error = of_file(&whole.replacen(from, to, 1)).err().unwrap_or_else(|| panic!("{to}"));
        assert!(error.contains(about), "{about}: {error}");
    }
}
