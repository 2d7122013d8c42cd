//! Walks: what a run asks for after what it was answered, and what it commits when.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::compiled::CompiledProvider;
use crate::fake::{self, Fake, Memory, Received};
use crate::plan::Position;
use crate::read::{OpenRecord, RecordPage, Warnings};
use tributary_domain::{ProviderName, Resource};

/// A manifest with the stream `feed`, of which `lines` are given.
pub(super) fn connection(url: &str, lines: &str) -> CompiledProvider {
    connection_of(url, &format!("  - name: feed\n    resource: transactions\n    map: {MAP}\n{lines}"))
}

pub(super) const MAP: &str = r#"'{ id: (.id // $identity), createdAt: "2026-01-01T00:00:00Z", type: "PAYIN", status: (.status // "SUCCEEDED"), currency: "EUR/2", amount: "1" }'"#;

pub(super) fn connection_of(url: &str, streams: &str) -> CompiledProvider {
    connection_with(url, "per_second: 1000", streams)
}

pub(super) fn connection_with(url: &str, limits: &str, streams: &str) -> CompiledProvider {
    let yaml = format!(
        "base_url: {url}\nauth: {{ bearer: token }}\nrate_limit: {{ {limits} }}\nretry: {{ attempts: 1 }}\nevery: 1m\nstreams:\n{streams}"
    );
    let manifest = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    CompiledProvider::new(&ProviderName::try_from("bank".to_owned()).unwrap(), &manifest).unwrap()
}

/// An upstream whose answer may be changed between two runs.
pub(super) async fn bank(answer: impl Fn(&Received) -> Response + Send + Sync + 'static) -> Fake {
    Fake::start(move |_, received| answer(received)).await
}

pub(super) fn minutes_ago(minutes: i64) -> String {
    (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

pub(super) fn query(fake: &Fake, param: &str) -> Vec<String> {
    fake.received().iter().map(|received| received.query.get(param).cloned().unwrap_or_default()).collect()
}

pub(super) fn ids(sink: &Memory) -> Vec<String> {
    sink.records("feed").iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

pub(super) fn watermark(sink: &Memory, partition: &str) -> Option<DateTime<Utc>> {
    let kept = sink.cursors.get(&("feed".to_owned(), partition.to_owned()))?;
    Position::from_json(Some(kept.clone())).unwrap().watermark
}

pub(super) fn failure<T: std::fmt::Debug>(result: Result<T, RunError<Infallible>>) -> String {
    result.unwrap_err().to_string()
}

/// Commits so many pages, and fails from then on: a process that is killed.
pub(super) struct Killed<'a> {
    pub(super) memory: &'a mut Memory,
    pub(super) pages: usize,
}

impl PageSink for Killed<'_> {
    type Error = std::io::Error;

    async fn cursor(&mut self, stream: &str, partition: &str) -> std::io::Result<Option<Value>> {
        Ok(self.memory.cursor(stream, partition).await.unwrap())
    }

    async fn open_records(
        &mut self,
        stream: &str,
        resource: Resource,
        partition: &str,
    ) -> std::io::Result<Vec<OpenRecord>> {
        Ok(self.memory.open_records(stream, resource, partition).await.unwrap())
    }

    async fn next_known(&mut self, stream: &str, next: &str) -> std::io::Result<bool> {
        Ok(self.memory.next_known(stream, next).await.unwrap())
    }

    async fn note_next(&mut self, stream: &str, next: &str) -> std::io::Result<()> {
        self.memory.note_next(stream, next).await.unwrap();
        Ok(())
    }

    async fn warn(&mut self, stream: &str, partition: &str, warnings: Warnings) -> std::io::Result<()> {
        self.memory.warn(stream, partition, warnings).await.unwrap();
        Ok(())
    }

    async fn page(&mut self, page: RecordPage) -> std::io::Result<()> {
        self.pages = self.pages.checked_sub(1).ok_or_else(|| std::io::Error::other("killed"))?;
        self.memory.page(page).await.unwrap();
        Ok(())
    }
}

pub(super) const CURSOR: &str = r#"
    request: { path: /feed }
    records: .items[]
    paging: { kind: cursor, param: after, next: { body: .next }, bound: exclusive, stop: no_next }
    incremental:
      kind: updated_window
      cursor: .at
      from: { param: since, bound: inclusive }
      lookback: 1h
      settle: 0s
      start: 30d
      order: oldest_first
"#;

/// Three pages of two records each.
fn three_pages(received: &Received) -> Response {
    let page = received.query.get("after").map_or(0, |after| after.parse().unwrap());
    let items: Vec<_> =
        (0..2).map(|n| json!({"id": format!("{page}-{n}"), "at": minutes_ago(30 - 10 * page)})).collect();
    fake::json(json!({"items": items, "next": (page < 2).then(|| (page + 1).to_string())}))
}

#[tokio::test]
async fn a_killed_run_goes_on_at_its_page_and_only_the_end_of_the_walk_moves_the_watermark() {
    let fake = bank(three_pages).await;
    let connection = connection(&fake.url, CURSOR);
    let mut memory = Memory::default();
    connection.run(&mut Killed { memory: &mut memory, pages: 2 }).await.unwrap_err();
    assert_eq!((ids(&memory).len(), watermark(&memory, "")), (4, None));
    connection.run(&mut memory).await.unwrap();
    assert_eq!(query(&fake, "after"), ["", "1", "2", "2"], "the third page was lost, and is asked for again");
    let since = query(&fake, "since");
    assert!(since.iter().all(|asked| *asked == since[0]), "the window stays as it was: {since:?}");
    assert_eq!(ids(&memory), ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]);
    assert!(
        (watermark(&memory, "").unwrap() - (Utc::now() - TimeDelta::minutes(10))).abs()
            < TimeDelta::minutes(1)
    );
    assert!(memory.pages.iter().all(|page| page.history), "it is history until the first walk has ended");
    connection.run(&mut memory).await.unwrap();
    assert_eq!(query(&fake, "after")[4..], ["", "1", "2"], "the next run begins anew");
    assert!(!memory.pages.last().unwrap().history);
}

#[tokio::test]
async fn a_page_that_the_api_forgot_makes_the_walk_begin_anew() {
    let expired = Arc::new(Mutex::new(false));
    let forgot = Arc::clone(&expired);
    let fake = bank(move |received| match received.query.contains_key("after") && *forgot.lock().unwrap() {
        true => {
            *forgot.lock().unwrap() = false;
            (StatusCode::BAD_REQUEST, "the cursor has expired").into_response()
        }
        false => three_pages(received),
    })
    .await;
    let connection = connection(&fake.url, CURSOR);
    let mut memory = Memory::default();
    connection.run(&mut Killed { memory: &mut memory, pages: 1 }).await.unwrap_err();
    *expired.lock().unwrap() = true;
    let report = connection.run(&mut memory).await.unwrap();
    let kinds: Vec<&str> = report.warnings.keys().map(Warning::kind).collect();
    assert_eq!(kinds, ["walk_begun_anew"]);
    assert_eq!(query(&fake, "after")[2..], ["1", "", "1", "2"]);
    *expired.lock().unwrap() = true;
    let error = failure(connection.run(&mut memory).await);
    assert!(error.contains("400"), "within one run it is an error: {error}");
}

#[tokio::test]
async fn pages_that_go_in_a_circle_fail_loudly_and_move_no_watermark() {
    let fake = bank(|received| {
        let page: u64 = received.query.get("after").map_or(0, |after| after.parse().unwrap());
        fake::json(json!({"items": [{"id": page.to_string(), "at": minutes_ago(5)}], "next": ((page + 1) % 3).to_string()}))
    })
    .await;
    let mut memory = Memory::default();
    let error = failure(connection(&fake.url, CURSOR).run(&mut memory).await);
    assert!(error.contains("circle"), "{error}");
    assert!(fake.received().len() < 10);
    assert_eq!(watermark(&memory, ""), None);
}

const DESCENDING: &str = r#"
    request: { path: /feed }
    records: .[]
    paging: { kind: page, param: page, first: 0, size: { param: count, value: 2 }, stop: empty_page }
    incremental: { kind: descending_feed, cursor: .at, lookback: 15m, start: 30d }
"#;

#[tokio::test]
async fn without_a_filter_the_newest_are_read_until_a_whole_page_is_old() {
    let newest = Arc::new(Mutex::new(10_i64));
    let count = Arc::clone(&newest);
    // record n is from 10 minutes times (20 - n) ago
    let fake = bank(move |received| {
        let page: i64 = received.query["page"].parse().unwrap();
        let newest = *count.lock().unwrap();
        let numbers = (0..newest).rev().skip(2 * page as usize).take(2);
        fake::json(numbers.map(|n| json!({"id": n.to_string(), "at": minutes_ago(10 * (20 - n))})).collect())
    })
    .await;
    let connection = connection(&fake.url, DESCENDING);
    let mut memory = Memory::default();
    connection.run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory).len(), 10, "the first walk reads everything");
    *newest.lock().unwrap() = 15;
    let before = watermark(&memory, "");
    connection.run(&mut Killed { memory: &mut memory, pages: 1 }).await.unwrap_err();
    assert_eq!(watermark(&memory, ""), before, "a walk that did not end has not read what lies behind");
    let asked = fake.received().len();
    connection.run(&mut memory).await.unwrap();
    let mut read = ids(&memory)[10..].to_vec();
    read.sort_by_key(|id| id.parse::<i64>().unwrap());
    read.dedup();
    assert_eq!(
        read,
        ["5", "6", "7", "8", "9", "10", "11", "12", "13", "14"],
        "down to the first page that is old"
    );
    assert_eq!(query(&fake, "page")[asked..], ["1", "2", "3", "4"]);
}

const CREATED: &str = r#"
    request: { path: /feed }
    records: .[]
    incremental:
      kind: created_window
      cursor: .at
      from: { param: since, bound: inclusive }
      lookback: 1m
      settle: 0s
      start: 30d
      order: any
    refresh:
      open: .status == "PENDING"
      key: .id
      request: { path: "/feed/{id}" }
      record: .
      every: 0s
      give_up: 30d
"#;

#[tokio::test]
async fn what_is_open_is_asked_for_again_one_by_one_until_it_is_not() {
    let ledger = Arc::new(Mutex::new(BTreeMap::from([
        ("a", json!({"id": "a", "at": minutes_ago(60), "status": "PENDING"})),
        ("b", json!({"id": "b", "at": minutes_ago(60), "status": "PENDING"})),
        ("c", json!({"id": "c", "at": minutes_ago(30), "status": "SUCCEEDED"})),
    ])));
    let bank_side = Arc::clone(&ledger);
    let fake = bank(move |received| {
        let ledger = bank_side.lock().unwrap();
        match received.path.strip_prefix("/feed/") {
            Some(id) => {
                ledger.get(id).map_or(StatusCode::NOT_FOUND.into_response(), |r| fake::json(r.clone()))
            }
            None => {
                let since: DateTime<Utc> = received.query["since"].parse().unwrap();
                let listed =
                    |r: &&Value| r["at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() >= since;
                fake::json(ledger.values().filter(listed).cloned().collect())
            }
        }
    })
    .await;
    let connection = connection(&fake.url, CREATED);
    let mut memory = Memory::default();
    connection.run(&mut memory).await.unwrap();
    assert_eq!(
        (fake.received().len(), memory.open.len()),
        (1, 2),
        "what was listed a moment ago is not asked for"
    );
    ledger.lock().unwrap().get_mut("a").unwrap()["status"] = json!("FAILED");
    ledger.lock().unwrap().remove("b");
    let report = connection.run(&mut memory).await.unwrap();
    let paths: Vec<_> = fake.received()[1..].iter().map(|received| received.path.clone()).collect();
    assert_eq!(paths, ["/feed", "/feed/a", "/feed/b"]);
    assert_eq!(memory.records("feed").last().unwrap()["status"], "FAILED");
    assert_eq!(report.warnings, [(Warning::NotFound("b".to_owned()), 1)].into());
    assert_eq!(memory.open.len(), 1, "one 404 is no proof");
    let report = connection.run(&mut memory).await.unwrap();
    assert_eq!(report.warnings, [(Warning::Gone("b".to_owned()), 1)].into());
    assert_eq!(memory.open.len(), 0);
    connection.run(&mut memory).await.unwrap();
    assert_eq!(fake.received().len(), 7, "nothing is open any more");
}

#[tokio::test]
async fn a_run_of_some_partitions_reads_these_and_does_not_say_that_it_read_the_stream() {
    let fake = bank(|received| {
        fake::json(match received.path.as_str() {
            "/accounts" => json!([{"id": "a"}, {"id": "b"}, {"id": "c"}]),
            path => json!([{"id": path}]),
        })
    })
    .await;
    let streams = format!(
        "  - {{ name: accounts, request: {{ path: /accounts }}, records: '.[]' }}
  - {{ name: feed, resource: transactions, for_each: accounts, partition: .id, request: {{ path: '/feed/{{id}}' }}, records: '.[]', map: {MAP} }}
"
    );
    let connection = connection_of(&fake.url, &streams);
    let some = |names: &[&str]| {
        crate::read::Wanted::Partitions(names.iter().map(|name| (*name).to_owned()).collect())
    };
    let whole = crate::read::Wanted::Whole;
    for (wanted, read, ends) in [(some(&["a", "c"]), 2, 0), (some(&["a", "b", "c"]), 3, 0), (whole, 3, 1)] {
        let mut memory = Memory::default();
        let selection = connection.select([("feed".to_owned(), wanted)]);
        let report = connection.run_selected(&selection, &mut memory).await.unwrap();
        let ended = memory.pages.iter().filter(|page| page.stream == "feed" && page.end_of_stream).count();
        assert_eq!((ids(&memory).len(), ended, report.requests), (read, ends, read as u64 + 1));
    }
}

#[tokio::test]
async fn another_record_than_was_asked_for_is_told_twice_and_holds_up_nothing_for_ever() {
    let fake = bank(|received| {
        fake::json(match received.path.as_str() {
            // which the next window does not reach back to
            "/feed" if received.query["since"] < minutes_ago(120) => {
                json!([{"id": "a", "at": minutes_ago(60), "status": "PENDING"}])
            }
            "/feed" => json!([]),
            _ => json!({"id": "b", "at": minutes_ago(60), "status": "SUCCEEDED"}),
        })
    })
    .await;
    let connection = connection(&fake.url, CREATED);
    let mut memory = Memory::default();
    connection.run(&mut memory).await.unwrap();
    let told = |warning: Warning| BTreeMap::from([(warning, 1)]);
    let report = connection.run(&mut memory).await.unwrap();
    assert_eq!(report.warnings, told(Warning::AnotherCame("a".to_owned())));
    assert_eq!(memory.open.len(), 1, "once is no proof");
    let report = connection.run(&mut memory).await.unwrap();
    assert_eq!(report.warnings, told(Warning::Misnamed("a".to_owned())));
    assert_eq!(
        (memory.open.len(), ids(&memory)),
        (0, vec!["a".to_owned()]),
        "nothing is taken of the other one"
    );
}

const WEAK: &str = r#"
    request: { path: /feed }
    records: .[]
    identity: { id: .id, fields: "[.date, .amount]" }
    pending: { when: .status == "PENDING" }
"#;

#[tokio::test]
async fn records_without_ids_are_counted_and_a_pending_one_that_vanishes_is_cancelled() {
    let coffee = json!({"date": "2026-03-01", "amount": "3.20"});
    let pending = json!({"date": "2026-03-02", "amount": "9.00", "status": "PENDING"});
    let booked = json!([coffee, coffee, {"id": "own", "date": "2026-03-01", "amount": "3.20"}, {"id": "booked", "date": "2026-03-02", "amount": "9.00"}]);
    let answers = Arc::new(Mutex::new(vec![
        booked.clone(),
        booked,
        json!([coffee, pending, coffee, {"id": "own", "date": "2026-03-01", "amount": "3.20"}]),
    ]));
    let fake = bank(move |_| fake::json(answers.lock().unwrap().pop().unwrap())).await;
    let connection = connection(&fake.url, WEAK);
    let mut memory = Memory::default();
    connection.run(&mut memory).await.unwrap();
    let first = ids(&memory);
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 4, "two equal purchases are two: {first:?}");
    let report = connection.run(&mut memory).await.unwrap();
    assert_eq!(report.warnings, [(Warning::Missed, 1)].into());
    let report = connection.run(&mut memory).await.unwrap();
    assert_eq!(report.warnings, [(Warning::Vanished, 1)].into());
    let second = ids(&memory)[4..].to_vec();
    assert_eq!([&second[0], &second[1], &second[2]], [&first[0], &first[2], &first[3]], "and stay the same");
    let records = memory.records("feed");
    let cancelled = records.last().unwrap();
    assert_eq!(
        (cancelled["id"].as_str(), cancelled["status"].as_str()),
        (Some(first[1].as_str()), Some("CANCELLED"))
    );
    assert!(memory.open.is_empty());
}

#[tokio::test]
async fn events_are_read_on_behind_the_last_one_and_name_what_is_read() {
    let fake = bank(|received| match received.path.strip_prefix("/payments/") {
        Some(id) => fake::json(json!({"id": id})),
        None => {
            let after: usize = received.query.get("after").map_or(0, |after| after.parse().unwrap());
            let events =
                [(1, "p"), (2, "q"), (3, "p"), (4, "r")].into_iter().filter(|(event, _)| *event > after);
            fake::json(
                events.take(2).map(|(event, payment)| json!({"event": event, "payment": payment})).collect(),
            )
        }
    })
    .await;
    let connection = connection(
        &fake.url,
        r#"
    request: { path: /events }
    records: .[]
    paging: { kind: cursor, param: after, next: { body: ".[-1].event" }, bound: exclusive, stop: empty_page }
    incremental: { kind: event_feed, mark: .event, param: after }
    detail: { request: { path: "/payments/{payment}" }, record: . }
"#,
    );
    let mut memory = Memory::default();
    connection.run(&mut Killed { memory: &mut memory, pages: 1 }).await.unwrap_err();
    assert_eq!(ids(&memory), ["p", "q"]);
    connection.run(&mut memory).await.unwrap();
    connection.run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory)[2..], ["p", "r"]);
    let events = fake.received().into_iter().filter(|received| received.path == "/events");
    let after: Vec<_> =
        events.map(|received| received.query.get("after").cloned().unwrap_or_default()).collect();
    assert_eq!(after, ["", "2", "2", "4", "4"]);
}

const PARENTS: &str = r#"
  - name: payouts
    resource: accounts
    request: { path: /payouts }
    records: .[]
    map: '{ id: .id, accountName: .id, createdAt: "2026-01-01T00:00:00Z" }'
    incremental:
      kind: updated_window
      cursor: .at
      from: { param: since, bound: inclusive }
      to: { param: until, bound: inclusive }
      lookback: 1m
      settle: 0s
      start: 30d
      order: any
  - name: feed
    resource: transactions
    for_each: payouts
    partition: .id
    request: { path: "/payouts/{id}/entries" }
    records: .[]
"#;

#[tokio::test]
async fn a_parent_moves_its_watermark_only_once_its_children_were_read() {
    let broken = Arc::new(Mutex::new(true));
    let bank_side = Arc::clone(&broken);
    let at = minutes_ago(30);
    let fake = bank(move |received| match received.path.as_str() {
        "/payouts" => {
            let since: DateTime<Utc> = received.query["since"].parse().unwrap();
            let listed = at.parse::<DateTime<Utc>>().unwrap() >= since;
            fake::json(if listed { json!([{"id": "po", "at": at}]) } else { json!([]) })
        }
        _ if *bank_side.lock().unwrap() => StatusCode::FORBIDDEN.into_response(),
        _ => fake::json(json!([{"id": "entry"}])),
    })
    .await;
    let connection = connection_of(&fake.url, &format!("{PARENTS}    map: {MAP}\n"));
    let mut memory = Memory::default();
    connection.run(&mut memory).await.unwrap_err();
    assert!(memory.cursors.is_empty(), "{:?}", memory.cursors);
    *broken.lock().unwrap() = false;
    connection.run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory), ["entry"], "the payout did not change since, and its entries come all the same");
    connection.run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory).len(), 1, "and then are not asked for again");
}

#[tokio::test]
async fn a_long_stretch_is_read_window_by_window_and_each_counts() {
    let fake =
        bank(|received| fake::json(json!([{"id": received.query["to"], "at": received.query["from"]}])))
            .await;
    let connection = connection(
        &fake.url,
        r#"
    request: { path: /feed }
    records: .[]
    incremental:
      kind: updated_window
      cursor: .at
      from: { param: from, bound: inclusive }
      to: { param: to, bound: inclusive }
      lookback: 1h
      settle: 1m
      start: 10d
      order: any
      step: 4d
"#,
    );
    let mut memory = Memory::default();
    connection.run(&mut Killed { memory: &mut memory, pages: 1 }).await.unwrap_err();
    let reached = watermark(&memory, "").unwrap();
    assert!((reached - (Utc::now() - TimeDelta::days(6))).abs() < TimeDelta::minutes(1), "{reached}");
    connection.run(&mut memory).await.unwrap();
    let (from, to) = (query(&fake, "from"), query(&fake, "to"));
    assert_eq!((from.len(), &from[1]), (4, &from[2]), "the second window was lost with the kill");
    assert!(from[2] <= to[0] && from[3] <= to[2], "windows touch: {from:?} {to:?}");
    assert!(
        (watermark(&memory, "").unwrap() - (Utc::now() - TimeDelta::minutes(1))).abs()
            < TimeDelta::minutes(1)
    );
}

#[tokio::test]
async fn a_partition_that_is_skipped_is_told_also_of_a_stream_that_hands_over_nothing() {
    let fake = bank(|received| match received.path.as_str() {
        "/accounts" => fake::json(json!([{"id": "a"}, {"id": "b"}])),
        "/accounts/a/wallets" => StatusCode::FORBIDDEN.into_response(),
        "/accounts/b/wallets" => fake::json(json!([{"id": "w"}])),
        _ => StatusCode::FORBIDDEN.into_response(),
    })
    .await;
    let skip = "errors: [{ when: { status: [403] }, do: skip_partition, reason: it is closed }]";
    let connection = connection_of(
        &fake.url,
        &format!(
            "  - name: accounts\n    request: {{ path: /accounts }}\n    records: .[]\n\
             \x20 - name: wallets\n    for_each: accounts\n    partition: .id\n    request: {{ path: \"/accounts/{{id}}/wallets\" }}\n    records: .[]\n    {skip}\n\
             \x20 - name: feed\n    resource: transactions\n    for_each: wallets\n    partition: .id\n    request: {{ path: \"/wallets/{{id}}\" }}\n    records: .[]\n    map: {MAP}\n    {skip}\n"
        ),
    );
    let mut memory = Memory::default();
    let report = connection.run(&mut memory).await.unwrap();
    let skipped = Warning::Skipped("it is closed".to_owned());
    assert_eq!(report.warnings, [(skipped.clone(), 2)].into());
    let told = |stream: &str, partition: &str| {
        (stream.to_owned(), partition.to_owned(), Warnings::from([(skipped.clone(), 1)]))
    };
    assert_eq!(memory.warned, [told("wallets", "a"), told("feed", "w")]);
}

#[tokio::test]
async fn a_record_that_is_only_named_and_not_there_is_told() {
    let fake = bank(|received| match received.path.as_str() {
        "/events" => fake::json(json!([{"event": 1, "payment": "p"}, {"payment": "q"}])),
        "/payments/p" => StatusCode::NOT_FOUND.into_response(),
        _ => fake::json(json!({"id": "q"})),
    })
    .await;
    let connection = connection(
        &fake.url,
        r#"
    request: { path: /events }
    records: .[]
    incremental: { kind: event_feed, mark: .event, param: after }
    detail: { request: { path: "/payments/{payment}" }, record: . }
"#,
    );
    let mut memory = Memory::default();
    let report = connection.run(&mut memory).await.unwrap();
    assert_eq!(
        report.warnings,
        [(Warning::NoMark, 1), (Warning::NotThere("/payments/p".to_owned()), 1)].into()
    );
    let kept = &memory.cursors[&("feed".to_owned(), String::new())];
    assert_eq!(kept["mark"], "1", "an event without an id does not hide the one before");
}

#[tokio::test]
async fn a_partition_whose_name_cannot_be_kept_is_told_and_stops_no_other() {
    let streams = format!(
        "  - {{ name: accounts, request: {{ path: /accounts }}, records: '.[]' }}\n  \
         - {{ name: feed, resource: transactions, for_each: accounts, partition: .id, \
              request: {{ path: '/feed/{{id}}' }}, records: '.[]', map: {MAP} }}\n"
    );
    let fake = bank(|received| match received.path.as_str() {
        "/accounts" => fake::json(json!([{"id": "x".repeat(1_001)}, {"id": "a"}])),
        _ => fake::json(json!([{"id": "t"}])),
    })
    .await;
    let mut memory = Memory::default();
    let error = failure(connection_of(&fake.url, &streams).run(&mut memory).await);
    assert!(error.contains("a name of 1001 bytes; at most 1000"), "{error}");
    assert_eq!(ids(&memory), ["t"]);
}

#[test]
fn parents_are_counted_by_number_and_by_size() {
    let numbers = |n: usize| (0..n).map(|n| Val::from(n as isize)).collect::<Vec<_>>();
    let mut many = super::super::walk::Parents::default();
    assert!(many.add(numbers(100_000)).is_ok());
    let error = many.add(numbers(1)).unwrap_err().to_string();
    assert!(error.contains("at most 100000"), "{error}");
    let mut large = super::super::walk::Parents::default();
    let megabytes = |n: usize| vec![Val::from("x".repeat(n * 1024 * 1024))];
    assert!(large.add(megabytes(200)).is_ok());
    assert!(large.add(megabytes(60)).is_err());
}
