//! What each manifest that ships makes of its provider's records, held against what it made of
//! them when somebody last looked: the files in `tests/golden`. `UPDATE_GOLDEN=1` (`make golden`)
//! writes them anew, for the next reader of the diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tributary::config::{Provider, Source};
use tributary::provider::{Connection, EachPage, MappedRecord, Page};
use tributary::standin::kit::{self, Clock, Standin, StandinConfig};
use tributary::standin::starling::{self, Starling, StarlingConfig};

use crate::providers::shipped::{self, Shipped};
use crate::support::edited;

/// Where the clock of the stand-ins stands.
fn then() -> DateTime<Utc> {
    "2025-03-01T12:00:00Z".parse().unwrap()
}

/// What one run read, stream by stream: the records as they came, and the rows they became.
#[derive(Default)]
struct Gathered(BTreeMap<String, (Vec<String>, Vec<String>)>);

impl Gathered {
    fn add(&mut self, page: Page) {
        let (records, rows) = self.0.entry(page.stream).or_default();
        records.extend(page.raw.into_iter().map(|raw| String::from_utf8(raw.record).unwrap()));
        rows.extend(page.records.into_iter().map(|record| match record {
            MappedRecord::Canonical(json) => {
                let mut row = serde_json::from_slice(&json).unwrap();
                hide_now(&mut row);
                row.to_string()
            }
            MappedRecord::Unmappable { raw, reason } => {
                panic!("{reason}: {}", String::from_utf8_lossy(&raw.record));
            }
        }));
    }
}

/// Puts `$now` in place of the time of the request, which is long after [`then`].
fn hide_now(value: &mut Value) {
    let long_after = then() + chrono::TimeDelta::days(180);
    match value {
        Value::String(text) if text.parse::<DateTime<Utc>>().is_ok_and(|at| at > long_after) => {
            *text = "$now".to_owned();
        }
        Value::Array(values) => values.iter_mut().for_each(hide_now),
        Value::Object(members) => members.values_mut().for_each(hide_now),
        _ => {}
    }
}

impl Gathered {
    /// The file: a line for each record and each row.
    fn text(&self) -> String {
        let list = |lines: &[String]| match lines {
            [] => "[]".to_owned(),
            lines => format!("[\n      {}\n    ]", lines.join(",\n      ")),
        };
        let streams = self.0.iter().map(|(stream, (records, rows))| {
            format!(
                "  \"{stream}\": {{\n    \"records\": {},\n    \"rows\": {}\n  }}",
                list(records),
                list(rows)
            )
        });
        format!("{{\n{}\n}}\n", streams.collect::<Vec<_>>().join(",\n"))
    }
}

/// Reads everything by `manifest`, which may go as far back as [`then`] and keeps records.
async fn gather(manifest: &str, lookup: &(dyn Fn(&str) -> Option<String> + Sync)) -> Gathered {
    let since_ever = regex::Regex::new(r"\bstart: \w+").unwrap();
    let text = since_ever.replace_all(manifest, "start: 9000d");
    let text = edited(&text, "\nsource:\n", "\nsource:\n  keep_raw: 1d\n");
    let provider = Provider::parse(&text, lookup).unwrap();
    let Source::Pull(mut manifest) = provider.source else { panic!("the manifest is pulled") };
    manifest.rate_limit.per_second = 1000;
    let connection = Connection::new(&provider.name, &manifest).unwrap();
    let mut gathered = Gathered::default();
    let report = connection.run(&mut EachPage(|page| gathered.add(page))).await.unwrap();
    assert_eq!((report.unmappable, report.warnings.len()), (0, 0), "{:?}", report.warnings);
    gathered
}

/// Holds `gathered`, which came from `url`, against the file of this name.
fn check(name: &str, gathered: &Gathered, url: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let text = gathered.text().replace(url, "http://standin");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if golden != text {
        panic!(
            "{name} makes something else of its records; if that is right, `make golden`\n{}",
            diff(&golden, &text)
        );
    }
}

/// The lines that only one of the two has.
fn diff(golden: &str, text: &str) -> String {
    let set = |text: &str| {
        text.lines().map(|line| line.trim().trim_end_matches(',').to_owned()).collect::<BTreeSet<_>>()
    };
    let (before, after) = (set(golden), set(text));
    let mut shown = String::new();
    for line in before.difference(&after) {
        writeln!(shown, "- {line}").unwrap();
    }
    for line in after.difference(&before) {
        writeln!(shown, "+ {line}").unwrap();
    }
    if shown.is_empty() { "the same lines in another order".to_owned() } else { shown }
}

async fn hold(shipped: Shipped) {
    let config = StandinConfig {
        items: 30,
        beneficiaries: 3,
        history_days: 20,
        clock: Clock::manual(then()),
        ..shipped.config(7)
    };
    let standin = Arc::new(Standin::new(shipped.fsp, config).unwrap());
    let running = kit::start(Arc::clone(&standin)).await.unwrap();
    let gathered = gather(shipped.manifest, &|name| shipped.lookup(name, &running.url)).await;
    check(shipped.fsp.name(), &gathered, &running.url);
}

#[tokio::test]
async fn mercurys_records_become_what_they_became() {
    hold(shipped::MERCURY).await;
}

#[tokio::test]
async fn mollies_records_become_what_they_became() {
    hold(shipped::MOLLIE).await;
}

#[tokio::test]
async fn squares_records_become_what_they_became() {
    hold(shipped::SQUARE).await;
}

#[tokio::test]
async fn paystacks_records_become_what_they_became() {
    hold(shipped::PAYSTACK).await;
}

#[tokio::test]
async fn revoluts_records_become_what_they_became() {
    hold(shipped::REVOLUT).await;
}

#[tokio::test]
async fn the_records_of_open_banking_become_what_they_became() {
    hold(shipped::OBIE).await;
}

#[tokio::test]
async fn starlings_records_become_what_they_became() {
    let config = StarlingConfig {
        accounts: 1,
        goals_per_account: 1,
        items: 30,
        payees: 2,
        history_days: 20,
        clock: Clock::manual(then()),
        ..StarlingConfig::new(7, shipped::TOKEN)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bank = Arc::new(Starling::new(config).unwrap());
    tokio::spawn(starling::serve(listener, bank, std::future::pending()));
    let lookup = |name: &str| match name {
        "STARLING_URL" => Some(url.clone()),
        "STARLING_TOKEN" => Some(shipped::TOKEN.to_owned()),
        _ => None,
    };
    let gathered = gather(include_str!("../../providers/starling.yaml"), &lookup).await;
    check("starling", &gathered, &url);
}

#[test]
fn a_difference_is_told_line_by_line() {
    let golden = "[\n  {\"id\":\"a\"},\n  {\"id\":\"b\"}\n]\n";
    assert_eq!(diff(golden, &golden.replace("\"b\"", "\"c\"")), "- {\"id\":\"b\"}\n+ {\"id\":\"c\"}\n");
}
