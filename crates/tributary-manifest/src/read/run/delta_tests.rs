//! What changed since a token: kept from run to run, with what was removed.

use std::sync::{Arc, Mutex};

use axum::response::Response;
use serde_json::{Value, json};

use super::asks_tests::of_file;
use super::walk_tests::{Killed, bank, failure, ids};
use super::*;
use crate::compiled::CompiledProvider;
use crate::fake::{self, Fake, Memory, Received, answer};
use crate::plan::Position;

/// What an API has: versions of records in the order in which they changed, and those removed.
#[derive(Default)]
struct Ledger {
    changes: Vec<Value>,
    /// A token that is not known any more.
    forgotten: Option<usize>,
    /// It is known again once it was asked for.
    once: bool,
}

/// Two changes a page, behind the token; without one, everything that is still there.
fn changes(ledger: &mut Ledger, received: &Received) -> Response {
    let asked = received.query.get("cursor").map_or("all-0", String::as_str);
    let lists_all = asked.starts_with("all-");
    let from: usize = asked.trim_start_matches("all-").parse().unwrap();
    if !lists_all && Some(from) == ledger.forgotten {
        ledger.forgotten = ledger.forgotten.filter(|_| !ledger.once);
        return answer(400, &[], r#"{"code":"INVALID_CURSOR"}"#);
    }
    let until = (from + 2).min(ledger.changes.len());
    let page = &ledger.changes[from..until];
    let gone = |id: &Value| ledger.changes.iter().any(|change| change["removed"] == *id);
    let removed: Vec<&Value> =
        page.iter().map(|change| &change["removed"]).filter(|id| !lists_all && !id.is_null()).collect();
    let also = page.iter().filter_map(|change| change["also_removed"].as_array()).flatten();
    let removed: Vec<&Value> = removed.into_iter().chain(also).collect();
    // an API that lists everything leaves out what is not there any more
    let rows: Vec<&Value> = page
        .iter()
        .filter(|change| change["removed"].is_null() && (!lists_all || !gone(&change["id"])))
        .collect();
    let more = until < ledger.changes.len();
    let next = if more && lists_all { format!("all-{until}") } else { until.to_string() };
    fake::json(json!({ "rows": rows, "removed": removed, "next": next, "more": more }))
}

async fn serving(ledger: &Arc<Mutex<Ledger>>) -> (Fake, CompiledProvider) {
    let served = Arc::clone(ledger);
    let fake = bank(move |received| changes(&mut served.lock().unwrap(), received)).await;
    let text = format!(
        r#"
api: {}
auth: none
every: 1m
attempts: 1
limits: {{ pace: 1000/s }}
pull:
  transactions:
    feed:
      get: /sync
      rows: .rows
      page: {{ cursor: cursor, next: '.next', more: .more, ends: '.more | not' }}
      delta: {{ token: .next, param: cursor, removed: .removed }}
      pending: .status == "PENDING"
      id: .id
      created: "2026-01-01T00:00:00Z"
      type: PAYIN
      status: .status
      to: ours
      money: {{ minor: 1, currency: EUR }}
"#,
        fake.url
    );
    (fake, of_file(&text).unwrap_or_else(|error| panic!("{error}")))
}

fn row(id: &str, status: &str) -> Value {
    json!({ "id": id, "status": status })
}

fn ledger(changes: Vec<Value>) -> Arc<Mutex<Ledger>> {
    Arc::new(Mutex::new(Ledger { changes, ..Ledger::default() }))
}

fn token(sink: &Memory) -> Option<String> {
    let kept = sink.cursors.get(&("feed".to_owned(), String::new())).cloned();
    Position::from_json(kept).unwrap().mark
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.received().iter().map(|received| received.query.get("cursor").cloned().unwrap_or_default()).collect()
}

fn statuses(sink: &Memory, id: &str) -> Vec<String> {
    let records = sink.records("feed").into_iter().filter(|record| record["id"] == id);
    records.map(|record| record["status"].as_str().unwrap().to_owned()).collect()
}

fn told(report: &RunReport, kind: &str) -> u64 {
    report.warnings.iter().filter(|(warning, _)| warning.kind() == kind).map(|(_, times)| times).sum()
}

#[tokio::test]
async fn a_token_is_kept_from_run_to_run_and_what_is_removed_while_pending_is_cancelled() {
    let ledger = ledger(vec![row("a", "PENDING"), row("b", "SUCCEEDED"), row("c", "PENDING")]);
    let (fake, provider) = serving(&ledger).await;
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    assert_eq!((ids(&sink).len(), token(&sink).as_deref()), (3, Some("3")));
    let more = [json!({ "removed": "a" }), row("a2", "SUCCEEDED"), json!({ "removed": "b" })];
    ledger.lock().unwrap().changes.extend(more);
    let report = provider.run(&mut sink).await.unwrap();
    assert_eq!(asked(&fake), ["", "all-2", "3", "5"], "it goes on where it was");
    assert_eq!(statuses(&sink, "a"), ["PENDING", "CANCELLED"]);
    assert_eq!(statuses(&sink, "b"), ["SUCCEEDED"], "what was booked stays");
    assert_eq!((told(&report, "removed"), told(&report, "not_removed")), (1, 1));
    ledger.lock().unwrap().changes.push(json!({ "removed": "c" }));
    let report = provider.run(&mut sink).await.unwrap();
    assert_eq!(report.warnings, [(Warning::Removed, 1)].into(), "nothing else was removed");
    assert_eq!(statuses(&sink, "c"), ["PENDING", "CANCELLED"]);
    assert_eq!(token(&sink).as_deref(), Some("7"));
    provider.run(&mut sink).await.unwrap();
    assert_eq!(statuses(&sink, "c").len(), 2, "what is not told of has not changed");
    assert_eq!(asked(&fake)[4..], ["6", "7"]);
}

#[tokio::test]
async fn a_row_without_a_name_might_be_the_pending_one_and_is_not_passed_over() {
    let ledger = ledger(vec![row("a", "PENDING")]);
    let (_fake, provider) = serving(&ledger).await;
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    ledger.lock().unwrap().changes.push(json!({ "id": null, "status": "SUCCEEDED" }));
    let error = failure(provider.run(&mut sink).await);
    assert!(error.contains("nothing that names the row"), "{error}");
    assert_eq!(token(&sink).as_deref(), Some("1"), "the next run asks for it again");
    assert_eq!(statuses(&sink, "a"), ["PENDING"]);
}

#[tokio::test]
async fn a_record_that_is_listed_and_removed_by_the_same_answer_is_cancelled() {
    let ledger = ledger(vec![row("b", "SUCCEEDED"), row("c", "SUCCEEDED")]);
    let (_fake, provider) = serving(&ledger).await;
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    ledger.lock().unwrap().changes.extend([row("a", "PENDING"), json!({ "removed": "a" })]);
    provider.run(&mut sink).await.unwrap();
    assert_eq!(statuses(&sink, "a"), ["PENDING", "CANCELLED"]);
    // and what was open before, whether or not it is listed once more
    ledger.lock().unwrap().changes.extend([row("x", "PENDING"), row("y", "PENDING")]);
    provider.run(&mut sink).await.unwrap();
    let listed = json!({ "id": "y", "status": "PENDING", "also_removed": ["x", "y"] });
    ledger.lock().unwrap().changes.push(listed);
    provider.run(&mut sink).await.unwrap();
    assert_eq!(statuses(&sink, "x"), ["PENDING", "CANCELLED"]);
    assert_eq!(statuses(&sink, "y"), ["PENDING", "PENDING", "CANCELLED"]);
    assert!(sink.open.is_empty());
}

#[tokio::test]
async fn a_run_that_is_killed_goes_on_at_its_page_and_only_the_end_moves_the_token() {
    let rows = (0..6).map(|n| row(&n.to_string(), "SUCCEEDED")).collect();
    let (fake, provider) = serving(&ledger(rows)).await;
    let mut sink = Memory::default();
    provider.run(&mut Killed { memory: &mut sink, pages: 1 }).await.unwrap_err();
    assert_eq!(token(&sink), None);
    let before = asked(&fake).len();
    provider.run(&mut sink).await.unwrap();
    assert_eq!(asked(&fake)[before..], ["all-2", "all-4"]);
    assert_eq!(
        (ids(&sink), token(&sink).as_deref()),
        (["0", "1", "2", "3", "4", "5"].map(str::to_owned).to_vec(), Some("6"))
    );
}

#[tokio::test]
async fn a_page_that_is_not_known_any_more_takes_no_token_with_it() {
    let ledger = ledger(vec![row("a", "SUCCEEDED"), row("b", "SUCCEEDED"), row("c", "SUCCEEDED")]);
    let (fake, provider) = serving(&ledger).await;
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    let more = ["d", "e", "f", "g"].map(|id| row(id, "SUCCEEDED"));
    ledger.lock().unwrap().changes.extend(more);
    provider.run(&mut Killed { memory: &mut sink, pages: 1 }).await.unwrap_err();
    {
        let mut ledger = ledger.lock().unwrap();
        (ledger.forgotten, ledger.once) = (Some(5), true);
    }
    let before = asked(&fake).len();
    let report = provider.run(&mut sink).await.unwrap();
    assert_eq!((told(&report, "token_lost"), told(&report, "walk_begun_anew")), (0, 1));
    assert_eq!(asked(&fake)[before..], ["5", "3", "5"], "from the token on, and not from the beginning");
}

#[tokio::test]
async fn a_token_that_is_not_known_any_more_begins_a_whole_walk_and_two_of_them_show_what_was_removed() {
    let ledger = ledger(vec![row("a", "PENDING"), row("b", "PENDING"), row("e", "SUCCEEDED")]);
    let (fake, provider) = serving(&ledger).await;
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    {
        let mut ledger = ledger.lock().unwrap();
        ledger.changes.extend([json!({ "removed": "a" }), row("c", "SUCCEEDED"), row("d", "SUCCEEDED")]);
        ledger.forgotten = Some(3);
    }
    let report = provider.run(&mut sink).await.unwrap();
    assert_eq!((told(&report, "token_lost"), told(&report, "missed")), (1, 1));
    assert_eq!(statuses(&sink, "a"), ["PENDING"], "one absence is no proof");
    assert_eq!(token(&sink), None, "the next run lists everything once more");
    let report = provider.run(&mut sink).await.unwrap();
    assert_eq!((told(&report, "token_lost"), told(&report, "vanished")), (0, 1));
    assert_eq!(statuses(&sink, "a"), ["PENDING", "CANCELLED"]);
    assert_eq!(token(&sink).as_deref(), Some("6"));
    let before = asked(&fake).len();
    provider.run(&mut sink).await.unwrap();
    assert_eq!(asked(&fake)[before..], ["6"]);
    assert_eq!(statuses(&sink, "b").last().unwrap(), "PENDING");
}

#[tokio::test]
async fn a_walk_that_gives_no_token_fails_and_a_delta_that_cannot_work_is_refused() {
    let fake = bank(|_| fake::json(json!({ "rows": [row("a", "SUCCEEDED")], "more": false }))).await;
    let lines = |more: &str| {
        format!(
            "api: {}\nauth: none\nevery: 1m\npull:\n  transactions:\n    get: /sync\n    rows: .rows\n    id: .id\n    created: $now\n    type: PAYIN\n    status: .status\n    to: ours\n    money: {{ minor: 1, currency: EUR }}\n{more}",
            fake.url
        )
    };
    let provider = of_file(&lines("    delta: { token: .next, param: since }\n")).unwrap();
    let error = failure(provider.run(&mut Memory::default()).await);
    assert!(error.contains("no answer of the walk gave a token"), "{error}");
    for (more, about) in [
        ("    delta: { param: since }\n", "`token` is missing"),
        ("    delta: { token: .next, param: since }\n    pending: .p\n", "needs `removed`"),
        (
            "    delta: { token: .next, param: since }\n    page: { offset: skip, size: 2, ends: empty }\n",
            "Use a cursor or a URL",
        ),
        (
            "    delta: { token: .next, param: since }\n    events: { mark: .id, after: since }\n",
            "give one of events, delta",
        ),
        ("    delta: { token: .next, param: $until }\n", "$until"),
    ] {
        let error = of_file(&lines(more)).err().unwrap_or_else(|| panic!("{more}"));
        assert!(error.contains(about), "{about}: {error}");
    }
}
