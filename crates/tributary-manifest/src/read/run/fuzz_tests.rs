//! What a provider may answer, drawn at random: whatever it is, a run ends, and every record of the provider
//! is handed over once, or the run fails. A failed run loses nothing: the next one brings the rest.
//!
//! `FUZZ_CASES`, `FUZZ_SEED` and `FUZZ_MINUTES` are as in the integration tests.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

use super::walk_tests::{bank, connection};
use crate::fake::{self, Memory, Received};
use crate::read::MappedRecord;

const ROWS: usize = 23;
const PAGE: usize = 5;

const STREAM: &str = r#"
    request: { path: /feed }
    records: .items[]
    paging: { kind: cursor, param: after, next: { body: .next }, bound: exclusive, more: .more, size: { param: limit, value: 5 }, stop: no_next }
    incremental:
      kind: updated_window
      cursor: .at
      from: { param: since, bound: inclusive }
      lookback: 1h
      settle: 0s
      start: 3650d
      order: newest_first
"#;

/// What happens to an answer.
#[derive(Debug, Clone)]
enum Fault {
    /// It has this status, with the body that it would have had.
    Status(u16),
    /// It has this body in the place of its own.
    Body(Vec<u8>),
    Cut(Index),
    /// Its body says by a header to be what it is not, or is.
    Gzip {
        really: bool,
        cut: Option<Index>,
    },
    Header(&'static str, &'static str),
    /// One of its items is another value.
    Item(Index, String),
    /// Its list is none.
    Items(&'static str),
    /// What names the next page names none, or this one.
    Next(&'static str),
}

impl Fault {
    /// Whether the provider itself shows fewer of its records as they are.
    fn spoils_an_item(&self) -> bool {
        matches!(self, Self::Item(..))
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    let index = any::<Index>;
    let statuses = vec![201, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 410, 422, 429, 500, 502, 503];
    let bodies = [
        "",
        "null",
        "[]",
        "\"\"",
        "<html>",
        "{\"items\":",
        "\u{feff}{}",
        "{} {}",
        "{\"items\":[],\"items\":[1]}x",
        "NaN",
    ];
    let headers = vec![
        ("retry-after", "-1"),
        ("retry-after", "99999999999999999999"),
        ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ("content-type", "text/html"),
        ("content-type", "application/json; charset=utf-16"),
        ("content-encoding", "br"),
        ("x-ratelimit-remaining", "0"),
        ("location", "http://127.0.0.1:1/"),
        ("link", "<>; rel=next"),
    ];
    let odd = prop_oneof![
        select(vec![
            "null",
            "1",
            "[]",
            "\"x\"",
            "{}",
            "{\"id\":null}",
            "{\"id\":[]}",
            "{\"id\":\"\\u0000\",\"at\":\"x\"}",
            "{\"id\":\"x\",\"at\":null}",
            "{\"id\":1e400,\"at\":{}}",
            "{\"id\":\"\\ud800\"}"
        ])
        .prop_map(str::to_owned),
        (1_usize..2_000).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth)),
        (1_usize..200_000).prop_map(|digits| format!("{{\"id\":{}}}", "7".repeat(digits))),
    ];
    prop_oneof![
        3 => select(statuses).prop_map(Fault::Status),
        2 => select(bodies.to_vec()).prop_map(|body| Fault::Body(body.as_bytes().to_vec())),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Fault::Body),
        2 => index().prop_map(Fault::Cut),
        3 => (any::<bool>(), prop::option::of(index())).prop_map(|(really, cut)| Fault::Gzip { really, cut }),
        2 => select(headers).prop_map(|(name, value)| Fault::Header(name, value)),
        5 => (index(), odd).prop_map(|(at, value)| Fault::Item(at, value)),
        2 => select(vec!["null", "1", "\"x\"", "true"]).prop_map(Fault::Items),
        2 => select(vec!["false", "true", "[2]", "{}", "SAME", "\"0\""]).prop_map(Fault::Next),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The page that is asked for, as a provider in order would give it.
fn page(received: &Received) -> (usize, Vec<String>, bool) {
    let from: usize = received.query.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    let until = ROWS.min(from + PAGE);
    let items = (from.min(until)..until)
        .map(|row| json!({"id": format!("r{row}"), "at": "2026-03-01T12:00:00Z"}).to_string());
    (until, items.collect(), until < ROWS)
}

fn answer(received: &Received, fault: Option<&Fault>) -> Response {
    let (until, mut items, more) = page(received);
    let mut next = if more { format!("\"{until}\"") } else { "null".to_owned() };
    if let (Some(Fault::Item(at, value)), false) = (fault, items.is_empty()) {
        let at = at.index(items.len());
        items[at].clone_from(value);
    }
    if let (Some(Fault::Next(other)), true) = (fault, more) {
        let asked = received.query.get("after").map_or("0", String::as_str);
        next = if *other == "SAME" { format!("\"{asked}\"") } else { (*other).to_owned() };
    }
    let list = match fault {
        Some(Fault::Items(other)) => (*other).to_owned(),
        _ => format!("[{}]", items.join(",")),
    };
    let body = format!(r#"{{"items":{list},"next":{next},"more":{more}}}"#).into_bytes();
    let json = ("content-type", "application/json");
    match fault {
        Some(Fault::Status(status)) => fake::answer(*status, &[json], body),
        Some(Fault::Body(other)) => fake::answer(200, &[json], other.clone()),
        Some(Fault::Cut(at)) => fake::answer(200, &[json], body[..at.index(body.len())].to_vec()),
        Some(Fault::Gzip { really, cut }) => {
            let body = if *really { gzip(&body) } else { body };
            let body = cut.map_or(&body[..], |cut| &body[..cut.index(body.len())]).to_vec();
            fake::answer(200, &[json, ("content-encoding", "gzip")], body)
        }
        Some(Fault::Header(name, value)) => {
            let usual = [json, (*name, *value)];
            let headers = if *name == json.0 { &usual[1..] } else { &usual[..] };
            fake::answer(200, headers, body)
        }
        _ => fake::answer(200, &[json], body),
    }
}

/// How many records were handed over, and the ids of those that have a form.
fn handed_over(memory: &Memory) -> (usize, Vec<String>) {
    let records: Vec<&MappedRecord> = memory.pages.iter().flat_map(|page| &page.records).collect();
    let ids =
        memory.records("feed").into_iter().filter_map(|record| record["id"].as_str().map(str::to_owned));
    (records.len(), ids.collect())
}

fn all() -> BTreeSet<String> {
    (0..ROWS).map(|row| format!("r{row}")).collect()
}

/// Runs against a provider whose answer to one request, or to all from there on, is faulty; then against one in order.
async fn check(from: usize, always: bool, fault: Fault) {
    let faulty: Arc<Mutex<Option<Fault>>> = Arc::new(Mutex::new(Some(fault.clone())));
    let (current, asked) = (Arc::clone(&faulty), Mutex::new(0));
    let fake = bank(move |received| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        let meets = *asked == from + 1 || (always && *asked > from);
        answer(received, current.lock().unwrap().as_ref().filter(|_| meets))
    })
    .await;
    let mut memory = Memory::default();
    let run = connection(&fake.url, STREAM);
    let ran = tokio::time::timeout(Duration::from_secs(120), run.run(&mut memory)).await.expect("a run ends");
    let (count, ids) = handed_over(&memory);
    let distinct: BTreeSet<String> = ids.iter().cloned().collect();
    match &ran {
        Ok(_) if fault.spoils_an_item() => {
            assert_eq!(count, ROWS, "every record is handed over, or put aside: {fault:?}")
        }
        Ok(_) => assert_eq!((ids.len(), &distinct), (ROWS, &all()), "every record once: {fault:?}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    *faulty.lock().unwrap() = None;
    // a provider of its own: the pause that the first one asked for is not what this is about
    let again = connection(&fake.url, STREAM);
    if ran.is_err() {
        again.run(&mut memory).await.unwrap_or_else(|error| panic!("after {fault:?}: {error}"));
        let (_, ids) = handed_over(&memory);
        let missing: Vec<String> = all().into_iter().filter(|id| !ids.contains(id)).collect();
        let spoilt = usize::from(fault.spoils_an_item()) * ROWS.div_ceil(PAGE);
        assert!(missing.len() <= spoilt, "lost after {fault:?}: {missing:?}");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number: {text:?}")))
}

#[test]
fn every_record_is_handed_over_once_or_the_run_fails_whatever_is_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cases = number("FUZZ_CASES").map_or(60, |cases| cases.try_into().unwrap());
    let until = Instant::now() + Duration::from_secs(60 * number("FUZZ_MINUTES").unwrap_or(0));
    let mut seed = number("FUZZ_SEED").unwrap_or_else(rand::random);
    loop {
        println!("answers: {cases} cases of FUZZ_SEED={seed}");
        let config = Config {
            cases,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            max_shrink_iters: 100,
            ..Config::default()
        };
        let ran =
            TestRunner::new(config).run(&(0_usize..6, any::<bool>(), fault()), |(from, always, fault)| {
                runtime.block_on(check(from, always, fault));
                Ok(())
            });
        if let Err(error) = ran {
            panic!("FUZZ_SEED={seed}: {error}");
        }
        if Instant::now() >= until {
            return;
        }
        seed = seed.wrapping_add(1);
    }
}
