//! Answers that are no list, lists that leave something out, and ids that are none: whatever an API
//! answers, each of its records arrives, or the run fails and says what to do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chrono::{TimeDelta, Utc};
use jaq_json::Val;
use serde_json::{Value, json};

use super::asks_tests::written;
use super::walk_tests::{bank, connection, failure, ids};
use crate::compiled::CompiledProvider;
use crate::fake::{self, Fake, Memory};
use crate::jq::Scope;
use crate::read::list::Source;
use crate::read::{MappedRecord, Warning};

/// Answers one after the other, the last of them for ever.
async fn answers(mut given: Vec<Value>) -> Fake {
    given.reverse();
    let given = Mutex::new(given);
    bank(move |_| {
        let mut given = given.lock().unwrap();
        fake::json(if given.len() > 1 { given.pop().unwrap() } else { given[0].clone() })
    })
    .await
}

fn reading(fake: &Fake, records: &str) -> CompiledProvider {
    connection(&fake.url, &format!("    request: {{ path: /feed }}\n    records: '{records}'\n{TRACKED}"))
}

const TRACKED: &str = r#"
    identity: { id: .id, fields: "[.date, .amount]" }
    pending: { when: '.status == "PENDING"' }
"#;

fn statuses(memory: &Memory) -> Vec<(String, String)> {
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    memory.records("feed").iter().map(|record| (text(record, "id"), text(record, "status"))).collect()
}

#[tokio::test]
async fn an_error_with_status_200_is_no_empty_list_and_cancels_nothing() {
    let pending = json!({"Data": {"Transaction": [{"id": "P1", "status": "PENDING"}]}});
    for broken in [
        json!({"Code": "500 Error", "Errors": [{}]}),
        json!({"Data": null}),
        json!({"Data": {"Balance": [{"AccountId": "a"}]}}),
        json!({"message": "try later"}),
        json!({}),
        json!(null),
        json!({"Data": {"Transaction": []}, "errors": ["half of it"]}),
    ] {
        let fake =
            answers(vec![pending.clone(), broken.clone(), broken.clone(), broken.clone(), pending.clone()])
                .await;
        let provider = reading(&fake, "(.Data.Transaction // [])[]");
        let mut memory = Memory::default();
        provider.run(&mut memory).await.unwrap();
        for _ in 0..3 {
            let error = failure(provider.run(&mut memory).await);
            assert!(error.contains("rows of stream feed"), "{broken}: {error}");
        }
        provider.run(&mut memory).await.unwrap();
        assert!(
            statuses(&memory).iter().all(|(id, status)| (id.as_str(), status.as_str()) == ("P1", "PENDING"))
        );
    }
}

#[tokio::test]
async fn a_list_that_is_there_may_be_empty_or_be_filtered_to_nothing() {
    for (records, answer) in [
        (".[]", json!([])),
        (".items[]", json!({"items": []})),
        (".items[]?", json!({"items": [], "errors": []})),
        ("(.items // [])[]", json!({"items": [], "error": null})),
        (".items[] | select(.id == \"x\")", json!({"items": [{"id": "y"}]})),
        (".items[].parts[]", json!({"items": [{"parts": []}]})),
    ] {
        let fake = answers(vec![answer]).await;
        let mut memory = Memory::default();
        reading(&fake, records).run(&mut memory).await.unwrap_or_else(|error| panic!("{records}: {error}"));
        assert!(ids(&memory).is_empty());
    }
}

#[tokio::test]
async fn a_list_may_be_left_out_where_the_file_says_by_what_that_is_known() {
    let provider = |fake: &Fake| {
        let lines = "    request: { path: /feed }\n    records: (.Data.Transaction // [])[]\n    \
                     list_when: .Data | has(\"Transaction\") or . == {}\n";
        connection(&fake.url, lines)
    };
    let fake = answers(vec![json!({"Data": {}})]).await;
    provider(&fake).run(&mut Memory::default()).await.unwrap();
    for broken in [json!({"Data": null}), json!({"Data": {"Balance": []}}), json!({"Code": "500"})] {
        let fake = answers(vec![broken]).await;
        let error = failure(provider(&fake).run(&mut Memory::default()).await);
        assert!(error.contains("list_when of stream feed"), "{error}");
    }
}

#[tokio::test]
async fn the_members_of_an_error_are_not_taken_for_records() {
    for (records, answer) in [
        (".[]", json!({"code": 3000, "message": "try later"})),
        (".[]", json!({"error": {"code": 3000}})),
        (".data[]", json!({"data": {"message": "try later"}})),
        (".", json!({"code": 3000, "message": "try later"})),
    ] {
        let map =
            r#"'{ id, createdAt: .at, type: "PAYIN", status: "SUCCEEDED", currency: "EUR/2", amount: "1" }'"#;
        let fake = answers(vec![answer]).await;
        let streams = format!(
            "  - {{ name: feed, resource: transactions, request: {{ path: /feed }}, records: '{records}', map: {map} }}\n"
        );
        let mut memory = Memory::default();
        let provider = super::walk_tests::connection_of(&fake.url, &streams);
        let error = failure(provider.run(&mut memory).await);
        assert!(error.contains("feed"), "{records}: {error}");
        assert!(memory.reasons("feed").is_empty(), "nothing of it is a record: {:?}", memory.reasons("feed"));
    }
}

#[tokio::test]
async fn an_object_of_things_that_look_like_rows_is_no_list_of_them() {
    let row = |id: &str| json!({"id": id, "at": "2026-03-01T12:00:00Z"});
    for records in [".data[]", "(.data // {})[]", ".data // {} | to_entries[].value"] {
        let fake = answers(vec![json!({"data": {"a": row("1"), "b": row("2")}})]).await;
        let mut memory = Memory::default();
        let error = failure(reading(&fake, records).run(&mut memory).await);
        let told =
            "takes the members of an object for the records of a list: the answer is an object of data;";
        assert!(error.contains(told), "{records}: {error}");
    }
}

#[tokio::test]
async fn a_pending_record_that_one_list_leaves_out_is_not_cancelled() {
    let (with, without) = (json!([{"id": "P1", "status": "PENDING"}]), json!([]));
    let fake = answers(vec![with.clone(), without.clone(), with.clone(), without.clone(), without]).await;
    let provider = reading(&fake, ".[]");
    let mut memory = Memory::default();
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(provider.run(&mut memory).await.unwrap().warnings);
    }
    let once = |warning| [(warning, 1)].into();
    assert_eq!(
        told,
        [[].into(), once(Warning::Missed), [].into(), once(Warning::Missed), once(Warning::Vanished)]
    );
    let seen: Vec<String> = statuses(&memory).into_iter().map(|(_, status)| status).collect();
    assert_eq!(seen, ["PENDING", "PENDING", "CANCELLED"]);
}

/// A stream by days, without an end.
const DATED: &str = r#"
    request: { path: /feed }
    records: .[]
    incremental:
      kind: date_window
      cursor: .at
      from: { param: from, bound: inclusive, format: date }
      lookback: 10d
      settle: 0s
      start: 90d
      order: any
    identity: { id: .id, fields: "[.at]" }
    pending: { when: '.status == "PENDING"' }
"#;

fn days_from_now(days: i64) -> String {
    (Utc::now() + TimeDelta::days(days)).date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc().to_rfc3339()
}

#[tokio::test]
async fn what_was_asked_for_decides_what_is_missing() {
    // ahead of the window, at its first day, and behind it: the API is asked for all of these
    for days in [5, -10, -30] {
        let pending = json!({"id": "P1", "status": "PENDING", "at": days_from_now(days)});
        let booked = json!({"id": "B1", "at": days_from_now(0)});
        let fake = answers(vec![json!([pending, booked]), json!([booked])]).await;
        let provider = connection(&fake.url, DATED);
        let mut memory = Memory::default();
        for _ in 0..3 {
            provider.run(&mut memory).await.unwrap();
        }
        assert!(statuses(&memory).contains(&("P1".into(), "CANCELLED".into())), "{days} days");
        let asked = fake.received()[2].query["from"].clone();
        assert!(days > -10 || days_from_now(days).starts_with(&asked), "{days} days: asked from {asked}");
    }
}

#[tokio::test]
async fn what_the_api_lists_no_longer_is_told_and_not_cancelled() {
    let fake = answers(vec![json!([])]).await;
    let provider = connection(&fake.url, DATED);
    let mut memory = Memory::default();
    provider.run(&mut memory).await.unwrap();
    let old = json!([{"id": "P1", "status": "PENDING", "at": days_from_now(-80)}]);
    let fake = answers(vec![old]).await;
    connection(&fake.url, DATED).run(&mut memory).await.unwrap();
    let mut open = memory.open.values().next().unwrap().clone();
    open.at = Some(Utc::now() - TimeDelta::days(100));
    memory.open.values_mut().for_each(|kept| *kept = open.clone());
    let fake = answers(vec![json!([])]).await;
    let report = connection(&fake.url, DATED).run(&mut memory).await.unwrap();
    assert_eq!(report.warnings, [(Warning::OutOfReach, 1)].into());
    assert!(memory.open.is_empty() && statuses(&memory) == [("P1".into(), "PENDING".into())]);
}

#[tokio::test]
async fn an_id_of_blanks_is_none() {
    let pending =
        |amount: &str| json!({"id": " ", "date": "2026-03-01", "amount": amount, "status": "PENDING"});
    let fake = answers(vec![json!([pending("1"), pending("2"), pending("2")])]).await;
    let map = r#"'{ id: $identity, createdAt: "2026-03-01T00:00:00Z", type: "PAYIN", status: .status, currency: "EUR/2", amount }'"#;
    let streams = format!(
        "  - name: feed\n    resource: transactions\n    request: {{ path: /feed }}\n    records: .[]\n    map: {map}{TRACKED}"
    );
    let mut memory = Memory::default();
    let report = super::walk_tests::connection_of(&fake.url, &streams).run(&mut memory).await.unwrap();
    assert_eq!(report.warnings, [(Warning::BlankId, 3)].into());
    let mut ids = ids(&memory);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    // a mapping that takes it all the same is refused, row by row
    let mut memory = Memory::default();
    reading(&fake, ".[]").run(&mut memory).await.unwrap();
    assert_eq!((memory.records("feed").len(), memory.reasons("feed").len()), (0, 3));
}

#[tokio::test]
async fn one_id_of_two_payments_does_not_make_them_one() {
    let map = r#"'{ id, createdAt: .at, type: "PAYIN", status: "SUCCEEDED", currency: "EUR/2", amount }'"#;
    let row = |at: &str, amount: &str| json!({"id": "x", "at": at, "amount": amount});
    for (pages, kept, refused) in [
        (vec![json!([row("2026-03-01T00:00:00Z", "1"), row("2026-03-02T00:00:00Z", "2")])], 1, 1),
        (vec![json!([row("2026-03-01T00:00:00Z", "1")]), json!([row("2026-03-01T00:00:00Z", "2")])], 1, 1),
        (vec![json!([row("2026-03-01T00:00:00Z", "1"), row("2026-03-01T00:00:00Z", "1")])], 2, 0),
    ] {
        let last = pages.len() - 1;
        let fake = bank(move |received| {
            let page: usize = received.query.get("after").map_or(0, |after| after.parse().unwrap());
            fake::json(json!({"items": pages[page], "next": (page < last).then(|| (page + 1).to_string())}))
        })
        .await;
        let streams = format!(
            "  - name: feed\n    resource: transactions\n    request: {{ path: /feed }}\n    records: .items[]\n    \
             paging: {{ kind: cursor, param: after, next: {{ body: .next }}, bound: exclusive, stop: no_next }}\n    map: {map}\n"
        );
        let mut memory = Memory::default();
        let provider = super::walk_tests::connection_of(&fake.url, &streams);
        let report = provider.run(&mut memory).await.unwrap();
        assert_eq!((memory.records("feed").len(), memory.reasons("feed").len()), (kept, refused));
        assert!(memory.reasons("feed").iter().all(|reason| reason.contains("\"x\"")));
        let told = report.warnings.keys().filter(|warning| warning.kind() == "shared_id").count();
        assert_eq!(told, refused);
    }
}

#[tokio::test]
async fn a_broken_text_a_byte_order_mark_and_no_number_keep_no_other_record_away() {
    let rows = r#"[{"id":"a","at":"\ud83d"},{"id":"b","amount":NaN},{"id":"c"}]"#;
    let fake = bank(move |_| fake::answer(200, &[], format!("\u{feff}{rows}"))).await;
    let mut memory = Memory::default();
    let report = reading(&fake, ".[]").run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory), ["a", "b", "c"]);
    assert_eq!(report.warnings.keys().map(Warning::kind).collect::<Vec<_>>(), ["repaired"]);
    assert_eq!(fake.received().len(), 1, "it is not asked for again");
}

#[tokio::test]
async fn one_open_record_that_cannot_be_asked_for_keeps_no_other_from_it() {
    let first = Arc::new(Mutex::new(true));
    let listed = Arc::clone(&first);
    let at = super::walk_tests::minutes_ago(60);
    let fake = bank(move |received| match received.path.strip_prefix("/feed/") {
        Some("a") => fake::answer(500, &[], "broken"),
        Some("b") => fake::json(json!({"id": "other", "at": at})),
        Some(id) => fake::json(json!({"id": id, "at": at, "status": "FAILED"})),
        None => match std::mem::take(&mut *listed.lock().unwrap()) {
            true => fake::json(
                ["a", "b", "c"]
                    .map(|id| json!({"id": id, "at": at, "status": "PENDING"}))
                    .into_iter()
                    .collect(),
            ),
            false => fake::json(json!([])),
        },
    })
    .await;
    let provider = connection(
        &fake.url,
        r#"
    request: { path: /feed }
    records: .[]
    incremental: { kind: created_window, cursor: .at, from: { param: since, bound: inclusive }, lookback: 1m, settle: 0s, start: 30d, order: any }
    refresh: { open: '.status == "PENDING"', key: .id, request: { path: "/feed/{id}" }, record: ., every: 0s, give_up: 30d }
"#,
    );
    let mut memory = Memory::default();
    provider.run(&mut memory).await.unwrap();
    let error = failure(provider.run(&mut memory).await);
    assert!(error.contains("500"), "{error}");
    assert_eq!(statuses(&memory)[3..], [("c".to_owned(), "FAILED".to_owned())]);
    assert_eq!(memory.open.len(), 2, "and the next run asks for these again");
}

#[tokio::test]
async fn a_row_without_an_id_stops_its_stream_only_while_it_may_still_change() {
    let read = async |rows: Value, key: &str| {
        let fake = answers(vec![rows]).await;
        let lines = format!(
            "      get: /feed\n      rows: .\n      creations: {{ by: .at, since: since, late: 1m, back: 30d }}\n      \
             refresh: {{ open: .open, {key}get: \"/feed/{{id}}\", row: ., every: 1h, give_up: 9d }}\n"
        );
        let provider = written(&fake.url, &lines).unwrap();
        let mut memory = Memory::default();
        let ended = provider.run(&mut memory).await.map(drop).map_err(|error| error.to_string());
        (ids(&memory), memory.reasons("feed"), ended)
    };
    let at = super::walk_tests::minutes_ago(60);
    for (key, field) in [("", "id"), ("key: .id, ", "refresh.key")] {
        let closed = json!([{"at": at, "open": false, "note": "x"}, {"id": "b", "at": at, "open": false}]);
        let (came, reasons, ended) = read(closed, key).await;
        assert_eq!((came, ended), (vec!["b".to_owned()], Ok(())));
        assert!(matches!(reasons.as_slice(), [one] if one.starts_with("id: ")), "{reasons:?}");
        let (_, _, ended) = read(json!([{"at": at, "open": true, "note": "x"}]), key).await;
        let error = ended.unwrap_err();
        assert!(
            error.contains(&format!("{field} of stream feed: yields nothing that names the row")),
            "{error}"
        );
        assert!(error.contains("cannot be followed: {") && error.contains("\"note\":\"x\""), "{error}");
    }
}

#[test]
fn no_stream_of_a_file_that_ships_takes_an_error_with_status_200_for_an_answer() {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    for (name, file) in crate::language::tests::SHIPPED {
        let manifest = crate::language::tests::manifest_of(file);
        // what has its values in the file asks nobody
        let asked = |stream: &crate::plan::Stream| stream.values.is_none();
        for stream in crate::plan::streams(&manifest).unwrap().into_iter().filter(asked) {
            for broken in [
                json!({"Code": "500 Error", "Id": "x", "Message": "try later", "Errors": [{}]}),
                json!({"code": 3000, "message": "try later"}),
                json!({"errors": [{"category": "API_ERROR", "code": "SERVICE_UNAVAILABLE"}]}),
                json!({"error": {"type": "api_error", "errors": [{"message": "try later"}]}}),
                json!({"status": false, "message": "try later", "data": null}),
                json!({"success": false, "errors": [{"message": "try later"}]}),
                json!({"Data": null}),
                json!(null),
                json!("try later"),
            ] {
                let answer = crate::jq::parse(broken.to_string().as_bytes()).unwrap();
                let scope = Scope::at(Utc::now(), Val::Null);
                let Ok(found) = super::super::extract::extract(&stream, answer, &scope, deadline) else {
                    continue;
                };
                assert_eq!(found.source, Source::Itself, "{name}.{}: {broken}", stream.name);
                let read = super::super::mapping::map(
                    &stream,
                    "",
                    found.records,
                    &scope,
                    false,
                    &mut HashMap::new(),
                    deadline,
                );
                let records = read.unwrap().records;
                assert!(
                    records.iter().any(|record| matches!(record, MappedRecord::Unmappable { .. })),
                    "{name}.{}: {broken} became {records:?}",
                    stream.name
                );
            }
        }
    }
}
