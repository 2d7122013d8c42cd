use std::convert::Infallible;
use std::sync::Mutex;

use axum::response::IntoResponse;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::compiled::CompiledProvider;
use crate::edited::edited;
use crate::fake::{self, Fake, Memory};
use crate::manifest::Manifest;
use crate::read::{OpenRecord, RecordPage, Warnings};
use tributary_domain::{ProviderName, Resource};

const MANIFEST: &str = r#"
base_url: URL
auth: { bearer: token }
rate_limit: { per_second: 1000 }
retry: { attempts: 1 }
every: 1m
streams:
  - name: accounts
    resource: accounts
    request: { path: /accounts }
    records: .[]
    map: "{ id: .id, accountName: .id, createdAt: \"2026-01-01T00:00:00Z\" }"
  - name: wallets
    for_each: accounts
    partition: .id
    request: { path: "/accounts/{id}/wallets" }
    records: ".[] | { id: . }"
  - name: feed
    resource: transactions
    for_each: wallets
    partition: .id
    request: { path: "/wallets/{id}/feed" }
    records: .[]
    incremental:
      kind: updated_window
      cursor: .at
      from: { param: since, bound: inclusive }
      lookback: 1h
      settle: 0s
      start: 30d
      order: any
    map: |
      { id, createdAt: "2026-01-01T00:00:00Z", type: "PAYIN", status: "SUCCEEDED", currency: "EUR/2", amount: "1" }
  - name: balances
    resource: balances
    for_each: accounts
    partition: .id
    request: { path: "/accounts/{id}/balance" }
    records: .
    map: "{ accountID: $parent.id, at: $now, balances: [] }"
"#;

fn connection(url: &str) -> CompiledProvider {
    let manifest: Manifest = serde_saphyr::from_str(&edited(MANIFEST, "URL", url)).unwrap();
    CompiledProvider::new(&ProviderName::try_from("bank".to_owned()).unwrap(), &manifest).unwrap()
}

/// An upstream with two accounts of one wallet each; `feeds` are the feeds of these wallets.
async fn bank(feeds: [Value; 2]) -> Fake {
    let [first, second] = feeds;
    Fake::with_paths([
        ("/accounts", json!([{"id": "a"}, {"id": "b"}])),
        ("/accounts/a/wallets", json!(["wa"])),
        ("/accounts/b/wallets", json!(["wb"])),
        ("/wallets/wa/feed", first),
        ("/wallets/wb/feed", second),
        ("/accounts/a/balance", json!({})),
        ("/accounts/b/balance", json!({})),
    ])
    .await
}

fn recently(minutes_ago: i64) -> chrono::DateTime<Utc> {
    Utc::now() - chrono::TimeDelta::minutes(minutes_ago)
}

fn change(id: &str, minutes_ago: i64) -> Value {
    json!({"id": id, "at": recently(minutes_ago).to_rfc3339()})
}

fn failures(error: RunError<Infallible>) -> Vec<String> {
    match error {
        RunError::Incomplete(report) => report.failures.iter().map(Failure::to_string).collect(),
        RunError::Sink(never) => match never {},
    }
}

/// stream, partition, number of records, has a cursor, first, end
fn outline(sink: &Memory) -> Vec<(&str, &str, usize, bool, bool, bool)> {
    let outline = sink.pages.iter().map(|page| {
        let (first, end) = (page.first_of_stream, page.end_of_stream);
        (page.stream.as_str(), page.partition.as_str(), page.records.len(), page.cursor.is_some(), first, end)
    });
    outline.collect()
}

#[tokio::test]
async fn streams_run_in_order_and_those_without_resource_only_feed_others() {
    let fake = bank([json!([change("1", 5)]), json!([])]).await;
    let connection = connection(&fake.url);
    let task = tokio::spawn(async move {
        let mut sink = Memory::default();
        let report = connection.run(&mut sink).await.unwrap();
        (sink, report)
    });
    let (sink, report) = task.await.unwrap();
    assert_eq!(
        outline(&sink),
        [
            ("accounts", "", 2, false, true, true),
            ("feed", "wa", 1, true, true, false),
            ("feed", "wb", 0, true, false, true),
            ("balances", "a", 1, false, true, false),
            ("balances", "b", 1, false, false, true),
        ]
    );
    assert_eq!(sink.pages[1].resource, Resource::Transactions);
    assert_eq!((report.requests, report.records, report.unmappable), (7, 5, 0));
    let told: Vec<u64> = sink.pages.iter().map(|page| page.requests).collect();
    assert_eq!(told, [1, 3, 1, 1, 1], "every request is told of once");
}

#[tokio::test]
async fn one_failing_account_leaves_the_others_flowing_and_the_run_says_so() {
    let fake = bank([Value::Null, json!([change("1", 5)])]).await;
    let mut sink = Memory::default();
    let error = connection(&fake.url).run(&mut sink).await.unwrap_err();
    assert!(error.to_string().contains("feed (wa): rows of stream feed"), "{error}");
    assert_eq!(failures(error).len(), 1);
    assert_eq!(
        outline(&sink),
        [
            ("accounts", "", 2, false, true, true),
            ("feed", "wb", 1, true, true, false),
            ("balances", "a", 1, false, true, false),
            ("balances", "b", 1, false, false, true),
        ],
        "the feed does not end, since an account of it is missing"
    );
    assert_eq!(sink.cursors.len(), 1);
}

#[tokio::test]
async fn a_failing_parent_fails_its_children_and_nothing_else() {
    let fake =
        Fake::with_paths([("/accounts", json!([{"id": "a"}])), ("/accounts/a/balance", json!({}))]).await;
    let mut sink = Memory::default();
    let failures = failures(connection(&fake.url).run(&mut sink).await.unwrap_err());
    assert!(
        failures[0].starts_with("wallets (a): GET /accounts/a/wallets was answered with 404"),
        "{failures:?}"
    );
    assert_eq!(failures[1..], ["feed: not read, since wallets could not be read"]);
    assert_eq!(sink.pages.len(), 2, "accounts and balances");
}

#[tokio::test]
async fn the_children_of_what_could_be_read_of_a_parent_flow_without_an_end() {
    let fake = Fake::with_paths([
        ("/accounts", json!([{"id": "a"}, {"id": "b"}])),
        ("/accounts/b/wallets", json!(["wb"])),
        ("/wallets/wb/feed", json!([change("1", 5)])),
        ("/accounts/a/balance", json!({})),
        ("/accounts/b/balance", json!({})),
    ])
    .await;
    let mut sink = Memory::default();
    let failures = failures(connection(&fake.url).run(&mut sink).await.unwrap_err());
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(outline(&sink)[1], ("feed", "wb", 1, true, true, false));
}

#[tokio::test]
async fn a_stream_without_partitions_ends_with_an_empty_page() {
    let fake = Fake::with_paths([("/accounts", json!([]))]).await;
    let mut sink = Memory::default();
    connection(&fake.url).run(&mut sink).await.unwrap();
    let empty = |stream| (stream, "", 0, false, true, true);
    assert_eq!(outline(&sink), [empty("accounts"), empty("feed"), empty("balances")]);
}

#[tokio::test]
async fn a_partition_is_read_once_and_one_without_a_key_is_reported() {
    let fake = Fake::with_paths([
        ("/accounts", json!([{"id": "a"}, {"id": "a"}, {"name": "nameless"}])),
        ("/accounts/a/wallets", json!(["wa"])),
        ("/wallets/wa/feed", json!([])),
        ("/accounts/a/balance", json!({})),
    ])
    .await;
    let mut sink = Memory::default();
    let failures = failures(connection(&fake.url).run(&mut sink).await.unwrap_err());
    assert_eq!(failures.len(), 2, "one of wallets, one of balances: {failures:?}");
    assert!(failures[0].contains("partition of stream wallets"), "{failures:?}");
    assert_eq!(fake.received().len(), 4);
    assert_eq!(sink.reasons("accounts").len(), 1, "the nameless account itself is set aside");
}

#[tokio::test]
async fn a_large_answer_comes_in_pages_of_which_only_the_last_moves_the_cursor() {
    let feed: Vec<Value> = (0..12_001).map(|n| change(&n.to_string(), if n == 0 { 5 } else { 10 })).collect();
    let newest = feed[0]["at"].as_str().unwrap().to_owned();
    let fake = bank([json!(feed), json!([])]).await;
    let mut sink = Memory::default();
    connection(&fake.url).run(&mut sink).await.unwrap();
    let feed: Vec<_> = outline(&sink).into_iter().filter(|page| page.0 == "feed").collect();
    assert_eq!(
        feed,
        [
            ("feed", "wa", 5_000, false, true, false),
            ("feed", "wa", 5_000, false, false, false),
            ("feed", "wa", 2_001, true, false, false),
            ("feed", "wb", 0, true, false, true),
        ]
    );
    let cursor =
        sink.cursors[&("feed".to_owned(), "wa".to_owned())]["watermark"].as_str().unwrap().to_owned();
    let lag = chrono::DateTime::parse_from_rfc3339(&newest).unwrap()
        - chrono::DateTime::parse_from_rfc3339(&cursor).unwrap();
    assert!(
        lag < chrono::TimeDelta::microseconds(1) && lag >= chrono::TimeDelta::zero(),
        "{newest} {cursor}"
    );
}

/// A sink that fails, or hangs, at one of its pages.
struct Breaking {
    memory: Memory,
    pages_left: usize,
    hangs: Option<tokio::sync::oneshot::Sender<()>>,
}

#[derive(Debug, thiserror::Error)]
#[error("no space left")]
struct Full;

impl PageSink for Breaking {
    type Error = Full;

    async fn cursor(&mut self, stream: &str, partition: &str) -> Result<Option<Value>, Full> {
        Ok(self.memory.cursor(stream, partition).await.unwrap())
    }

    async fn open_records(
        &mut self,
        stream: &str,
        resource: Resource,
        partition: &str,
    ) -> Result<Vec<OpenRecord>, Full> {
        Ok(self.memory.open_records(stream, resource, partition).await.unwrap())
    }

    async fn next_known(&mut self, stream: &str, next: &str) -> Result<bool, Full> {
        Ok(self.memory.next_known(stream, next).await.unwrap())
    }

    async fn note_next(&mut self, stream: &str, next: &str) -> Result<(), Full> {
        self.memory.note_next(stream, next).await.unwrap();
        Ok(())
    }

    async fn warn(&mut self, stream: &str, partition: &str, warnings: Warnings) -> Result<(), Full> {
        self.memory.warn(stream, partition, warnings).await.unwrap();
        Ok(())
    }

    async fn page(&mut self, page: RecordPage) -> Result<(), Full> {
        if self.pages_left == 0 {
            let Some(reached) = self.hangs.take() else { return Err(Full) };
            reached.send(()).unwrap();
            std::future::pending::<()>().await;
        }
        self.pages_left -= 1;
        self.memory.page(page).await.unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn an_error_of_the_sink_ends_the_run_and_the_next_one_repeats_the_answer() {
    let feed: Vec<Value> = (0..5_001).map(|n| change(&n.to_string(), 5)).collect();
    let fake = bank([json!(feed), json!([])]).await;
    let connection = connection(&fake.url);
    let mut sink = Breaking { memory: Memory::default(), pages_left: 2, hangs: None };
    let error = connection.run(&mut sink).await.unwrap_err();
    assert!(matches!(error, RunError::Sink(Full)));
    assert!(sink.memory.cursors.is_empty(), "the first half of an answer moves no cursor");
    let mut sink = sink.memory;
    connection.run(&mut sink).await.unwrap();
    let whole = sink.pages.iter().rev().filter(|page| page.partition == "wa").take(2);
    assert_eq!(whole.map(|page| page.records.len()).sum::<usize>(), 5_001);
    assert_eq!(sink.cursors.len(), 2, "an account without movements was read, too");
}

#[tokio::test]
async fn a_run_that_is_dropped_halfway_leaves_the_connection_fit_for_the_next() {
    let fake = bank([json!([change("1", 5)]), json!([])]).await;
    let connection = connection(&fake.url);
    let (reached, hanging) = tokio::sync::oneshot::channel();
    let mut sink = Breaking { memory: Memory::default(), pages_left: 1, hangs: Some(reached) };
    tokio::select! {
        _ = connection.run(&mut sink) => panic!("the run cannot end"),
        reached = hanging => reached.unwrap(),
    }
    let mut sink = Memory::default();
    connection.run(&mut sink).await.unwrap();
    assert_eq!(sink.pages.len(), 5);
}

#[tokio::test]
async fn the_cursor_goes_on_from_the_newest_change_never_back_and_never_into_the_future() {
    let answers = Mutex::new(vec![
        json!([{"id": "from-2099", "at": "2099-01-01T00:00:00Z"}]),
        json!([change("older", 120)]),
        json!([change("newest", 60), {"id": "undated", "at": null}, {"id": "no-time", "at": "yesterday"}]),
    ]);
    let fake = Fake::start(move |_, received| match received.path.as_str() {
        "/accounts" => fake::json(json!([{"id": "a"}])),
        "/accounts/a/wallets" => fake::json(json!(["wa"])),
        "/wallets/wa/feed" => fake::json(answers.lock().unwrap().pop().unwrap()),
        "/accounts/a/balance" => fake::json(json!({})),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let connection = connection(&fake.url);
    let mut sink = Memory::default();
    let mut cursors = Vec::new();
    let mut reports = Vec::new();
    for _ in 0..3 {
        reports.push(connection.run(&mut sink).await.unwrap());
        let cursor =
            sink.cursors[&("feed".to_owned(), "wa".to_owned())]["watermark"].as_str().unwrap().to_owned();
        cursors.push(chrono::DateTime::parse_from_rfc3339(&cursor).unwrap().to_utc());
    }
    assert!((cursors[0] - recently(60)).abs() < chrono::TimeDelta::minutes(1), "{cursors:?}");
    assert_eq!(cursors[1], cursors[0], "an older answer does not take it back");
    assert!(cursors[2] > cursors[1] && cursors[2] <= Utc::now(), "{cursors:?}");
    assert_eq!(reports[0].warnings, [(Warning::NoCursor, 2)].into());
    let asked: Vec<String> =
        fake.received().iter().filter_map(|received| received.query.get("since").cloned()).collect();
    for (asked, cursor) in asked[1..].iter().zip(&cursors) {
        let asked = chrono::DateTime::parse_from_rfc3339(asked).unwrap().to_utc();
        let lookback = *cursor - asked - chrono::TimeDelta::hours(1);
        assert!(lookback >= chrono::TimeDelta::zero() && lookback < chrono::TimeDelta::milliseconds(1));
    }
}

#[tokio::test]
async fn a_cursor_that_is_no_time_stops_its_partition_instead_of_skipping() {
    let fake = bank([json!([]), json!([])]).await;
    let mut sink = Memory::default();
    sink.cursors.insert(("feed".to_owned(), "wa".to_owned()), json!(17));
    let failures = failures(connection(&fake.url).run(&mut sink).await.unwrap_err());
    assert_eq!(failures.len(), 1);
    assert!(failures[0].starts_with("feed (wa): the stored cursor cannot be read (17);"), "{failures:?}");
    assert!(fake.received().iter().all(|received| received.path != "/wallets/wa/feed"));
}
