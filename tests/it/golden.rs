//! What each manifest that ships makes of its provider's records, held against what it made of
//! them when somebody last looked: the files in `tests/golden`. `UPDATE_GOLDEN=1` (`make golden`)
//! writes them anew, for the next reader of the diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, Utc};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tributary::config::{Provider, Source};
use tributary::statements::preview;
use tributary_domain::{Record, Resource, parse_record};
use tributary_manifest::{CompiledProvider, EachPage, MappedRecord, RecordPage};
use tributary_standin::bank::{Cut, Format, Group, Ledger, Message, Style, exports};
use tributary_standin::kit::{self, Clock, Standin, StandinConfig};

use crate::providers::shipped::{self, Shipped};
use crate::statements::shipped::{self as banks, Bank};
use crate::support::edited;

/// Where the clock of the stand-ins stands.
fn then() -> DateTime<Utc> {
    "2025-03-01T12:00:00Z".parse().unwrap()
}

/// What one run read, stream by stream.
#[derive(Default)]
struct Gathered(BTreeMap<String, Stream>);

/// The records of a stream as they came, and the rows they became.
struct Stream {
    resource: Resource,
    records: Vec<String>,
    rows: Vec<String>,
}

impl Gathered {
    fn add(&mut self, page: RecordPage) {
        let empty = Stream { resource: page.resource, records: Vec::new(), rows: Vec::new() };
        let Stream { records, rows, .. } = self.0.entry(page.stream).or_insert(empty);
        records.extend(page.raw.into_iter().map(|raw| String::from_utf8(raw.origin.record).unwrap()));
        rows.extend(page.records.into_iter().map(|record| match record {
            MappedRecord::Canonical(record) => written(&record),
            MappedRecord::Unmappable { origin, reason } => {
                panic!("{reason}: {}", String::from_utf8_lossy(&origin.record));
            }
            MappedRecord::Refused { record, reason } => panic!("{reason}: {}", record.to_json()),
        }));
    }
}

/// The line of a row.
fn written(record: &Record) -> String {
    let mut row = record.to_json();
    hide_now(&mut row);
    row.to_string()
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
        let streams = self.0.iter().map(|(stream, Stream { records, rows, .. })| {
            format!(
                "  \"{stream}\": {{\n    \"records\": {},\n    \"rows\": {}\n  }}",
                list(records),
                list(rows)
            )
        });
        format!("{{\n{}\n}}\n", streams.collect::<Vec<_>>().join(",\n"))
    }

    /// The file `golden` with its rows in the form of those here: rows are the same where their
    /// records are, however the file writes their times and what they do not have.
    fn as_written(&self, golden: &str) -> String {
        #[derive(Deserialize)]
        struct Lines {
            records: Vec<Box<RawValue>>,
            rows: Vec<Value>,
        }
        let streams: BTreeMap<String, Lines> = serde_json::from_str(golden).unwrap();
        let streams = streams.into_iter().map(|(name, Lines { records, rows })| {
            let resource = self.0.get(&name).map(|stream| stream.resource);
            let rows = rows.iter().map(|row| match resource {
                Some(resource) => {
                    let row = row.to_string().replace("$now", &Utc::now().to_rfc3339());
                    written(&parse_record(resource, row.as_bytes()).unwrap())
                }
                None => row.to_string(),
            });
            let records = records.iter().map(|record| record.get().to_owned()).collect();
            let resource = resource.unwrap_or(Resource::Transactions);
            (name, Stream { resource, records, rows: rows.collect() })
        });
        Self(streams.collect()).text()
    }
}

/// Reads everything by `manifest`, which may go as far back as [`then`] and keeps records.
async fn gather(manifest: &str, lookup: &(dyn Fn(&str) -> Option<String> + Sync)) -> Gathered {
    let since_ever = regex::Regex::new(r"\bback: \w+").unwrap();
    let text = since_ever.replace_all(manifest, "back: 9000d");
    let text = edited(&text, "\napi: ", "\nkeep_raw: 1d\napi: ");
    let provider = Provider::parse(&text, lookup).unwrap();
    let Source::Pull(mut manifest) = provider.source else { panic!("the manifest is pulled") };
    manifest.rate_limit.per_second = 1000;
    let compiled = CompiledProvider::new(&provider.name, &manifest).unwrap();
    let mut gathered = Gathered::default();
    let report = compiled.run(&mut EachPage(|page| gathered.add(page))).await.unwrap();
    assert_eq!((report.unmappable, report.warnings.len()), (0, 0), "{:?}", report.warnings);
    gathered
}

/// Holds `gathered`, which came from `url`, against the file of this name.
fn check(name: &str, gathered: &Gathered, url: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let text = gathered.text().replace(url, "http://standin");
    let golden = std::fs::read_to_string(&path).map(|golden| gathered.as_written(&golden));
    if golden.as_ref().is_ok_and(|golden| *golden == text) {
        return;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let golden = golden.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    panic!(
        "{name} makes something else of its records; if that is right, `make golden`\n{}",
        diff(&golden, &text)
    );
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
    hold_of(shipped, StandinConfig { accounts: 3, ..shipped.config(7) }).await;
}

/// As [`hold`], of as many accounts and spaces as `config` says.
async fn hold_of(shipped: Shipped, config: StandinConfig) {
    let config = StandinConfig {
        items: 30,
        beneficiaries: 3,
        history_days: 20,
        clock: Clock::manual(then()),
        ..config
    };
    let standin = Arc::new(Standin::new(shipped.fsp, config).unwrap());
    let running = kit::start(Arc::clone(&standin)).await.unwrap();
    let gathered = gather(shipped.manifest, &|name| shipped.lookup(name, &running.url)).await;
    check(shipped.fsp.name(), &gathered, &running.url);
}

#[tokio::test]
async fn airwallexs_records_become_what_they_became() {
    hold(shipped::AIRWALLEX).await;
}

#[tokio::test]
async fn gocardlesss_records_become_what_they_became() {
    hold(shipped::GOCARDLESS).await;
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
async fn paypals_records_become_what_they_became() {
    hold(shipped::PAYPAL).await;
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
    let config = StandinConfig { accounts: 1, spaces: 1, ..shipped::STARLING.config(7) };
    hold_of(shipped::STARLING, config).await;
}

#[tokio::test]
async fn stripes_records_become_what_they_became() {
    hold(shipped::STRIPE).await;
}

#[tokio::test]
async fn wises_records_become_what_they_became() {
    hold(shipped::WISE).await;
}

#[tokio::test]
async fn xendits_records_become_what_they_became() {
    hold(shipped::XENDIT).await;
}

/// What three days of a bank's account become, which are one file.
fn hold_file(bank: Bank, style: Style) {
    // a ledger of long before now
    let ledgers = (0..).map(|seed| Ledger::random(&mut StdRng::seed_from_u64(seed), 5, 3));
    let ledger = ledgers.into_iter().find(|ledger| ledger.first_day.year() == 2024).unwrap();
    let account = &ledger.accounts[usize::from(bank.format == Format::Bai2) * 2];
    let cut = Cut { number: Some(61), ..exports(&ledger, account, &[(0, 2)]).remove(0) };
    let (text, files) = (style.write(&[cut]), bank.provider().files.unwrap());
    let statements = tributary_statements::read(text.as_bytes(), &files.settings).unwrap();
    let rows = preview(&files, &statements);
    let rows =
        rows.iter().map(|row| parse_record(Resource::Transactions, row.to_string().as_bytes()).unwrap());
    let stream = Stream {
        resource: Resource::Transactions,
        records: text.lines().map(|line| Value::from(line).to_string()).collect(),
        rows: rows.map(|row| written(&row)).collect(),
    };
    check(bank.name, &Gathered(BTreeMap::from([("statement files".to_owned(), stream)])), "nowhere");
}

#[test]
fn the_camt_file_of_a_bank_becomes_what_it_became() {
    hold_file(banks::CAMT, Style::Camt { message: Message::Statement, version: 8 });
}

#[test]
fn the_mt940_file_of_a_bank_becomes_what_it_became() {
    hold_file(banks::MT940, Style::Mt940 { envelope: true });
}

#[test]
fn the_bai2_file_of_a_bank_becomes_what_it_became() {
    hold_file(banks::BAI2, Style::Bai2(Group::Final));
}

#[test]
fn the_table_of_a_bank_becomes_what_it_became() {
    hold_file(banks::CSV, Style::Csv { newest_first: true });
}

#[test]
fn a_difference_is_told_line_by_line() {
    let golden = "[\n  {\"id\":\"a\"},\n  {\"id\":\"b\"}\n]\n";
    assert_eq!(diff(golden, &golden.replace("\"b\"", "\"c\"")), "- {\"id\":\"b\"}\n+ {\"id\":\"c\"}\n");
}
