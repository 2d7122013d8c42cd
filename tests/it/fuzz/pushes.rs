//! The push API: nothing that is sent stops a feed, and every record of a call is accounted for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use axum::http::StatusCode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;
use tributary_domain::{Record, Resource, parse_record};
use tributary_formance::{Client, Kind};

use super::{assert_error, fuzz};
use crate::support::TestApp;

/// A record: its members as they are written.
type Members = Vec<(String, Vec<u8>)>;

/// What becomes of a good record.
#[derive(Debug, Clone)]
enum Change {
    None,
    Set(prop::sample::Index, Vec<u8>),
    Drop(prop::sample::Index),
    /// A member that is there twice.
    Twice(prop::sample::Index, Vec<u8>),
    /// A member that no record has.
    Extra(Vec<u8>),
    Cut(prop::sample::Index),
    Replace(Vec<u8>),
}

fn good(resource: Resource, id: u8) -> Members {
    let text = |text: &str| format!("{text:?}").into_bytes();
    let id = text(&format!("r{id}"));
    let at = text("2026-03-01T12:00:00Z");
    let members: Vec<(&str, Vec<u8>)> = match resource {
        Resource::Accounts => {
            vec![("id", id), ("accountName", text("Main")), ("createdAt", at), ("metadata", b"{}".to_vec())]
        }
        Resource::Beneficiaries => vec![("id", id), ("ownerName", text("Ann")), ("createdAt", at)],
        Resource::Balances => vec![
            ("accountID", id),
            ("at", at),
            ("balances", br#"[{"currency":"EUR/2","amount":"-1"},{"currency":"JPY","amount":"7"}]"#.to_vec()),
        ],
        Resource::Transactions => vec![
            ("id", id),
            ("createdAt", at),
            ("type", text("PAYIN")),
            ("status", text("PENDING")),
            ("currency", text("EUR/2")),
            ("amount", text("1050")),
            ("metadata", br#"{"k":"v"}"#.to_vec()),
        ],
    };
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Values that no field, or only some, may have.
fn odd() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        "null",
        "true",
        "[]",
        "{}",
        "-1",
        "0",
        "1e999",
        "-0.0",
        "1.5",
        r#""""#,
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\ud800""#,
        r#""\udfff\ud800""#,
        r#""\ud83d\ude00""#,
        r#""10.50""#,
        r#""1E5""#,
        r#""+1""#,
        r#""007""#,
        r#""-0""#,
        r#""NaN""#,
        r#""99999999999999999999999999999999999999""#,
        r#""999999999999999999999999999999999999999""#,
        r#""EUR/999999""#,
        r#""EUR/1000000""#,
        r#""euro""#,
        r#""JPY""#,
        r#""REFUNDED""#,
        r#""refunded""#,
        r#""DISPUTE""#,
        r#""TRANSFER""#,
        r#""r1""#,
        r#""0000-01-01T00:00:00Z""#,
        r#""0001-01-01T00:00:00Z""#,
        r#""9999-12-31T23:59:59.999999999Z""#,
        r#""9999-12-31T23:59:59-14:00""#,
        r#""0001-01-01T00:00:00+14:00""#,
        r#""2016-12-31T23:59:60Z""#,
        r#""2026-03-01T12:00:00.123456789123Z""#,
        r#""2026-02-30T12:00:00Z""#,
        r#""infinity""#,
        r#""+262143-01-01T00:00:00Z""#,
        r#"{"k":1}"#,
        r#"{"k":"v","k":"w"}"#,
        r#"{"":"v"}"#,
        r#"{"k":"\u0000"}"#,
        r#"{"tributary.reason":"x"}"#,
        r#"[{"currency":"EUR/2","amount":"1"},{"currency":"EUR/2","amount":"2"}]"#,
        r#"[{"currency":"EUR/2","amount":1}]"#,
        r#"[{"currency":"USD/2","amount":"5"}]"#,
        "\"\u{202e}\u{feff}\"",
    ];
    let nested =
        |depth: usize, (open, close): (&str, &str)| (open.repeat(depth) + &close.repeat(depth)).into_bytes();
    prop_oneof![
        12 => select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => (1_usize..1_000_000).prop_map(|digits| "7".repeat(digits).into_bytes()),
        1 => (1_usize..1_000_000).prop_map(|digits| format!("\"{}\"", "7".repeat(digits)).into_bytes()),
        1 => (1_usize..50_000).prop_map(move |depth| nested(depth, ("[", "]"))),
        1 => (1_usize..5_000).prop_map(move |depth| nested(depth, ("{\"a\":[", "]}"))),
        1 => (1_usize..200_000).prop_map(|size| format!("\"{}\"", "é".repeat(size)).into_bytes()),
        // what is no UTF-8
        1 => vec(0x20_u8.., 0..20).prop_map(|bytes| [b"\"", &bytes[..], b"\""].concat()),
        2 => "[a-zA-Z0-9:/+. -]{0,30}".prop_map(|text| format!("\"{text}\"").into_bytes()),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => Just(Change::None),
        8 => (index(), odd()).prop_map(|(at, value)| Change::Set(at, value)),
        1 => index().prop_map(Change::Drop),
        2 => (index(), odd()).prop_map(|(at, value)| Change::Twice(at, value)),
        1 => odd().prop_map(Change::Extra),
        1 => index().prop_map(Change::Cut),
        1 => odd().prop_map(Change::Replace),
    ]
}

fn written(resource: Resource, id: u8, change: &Change) -> Vec<u8> {
    let mut members = good(resource, id);
    let count = members.len();
    match change {
        Change::Set(at, value) => members[at.index(count)].1.clone_from(value),
        Change::Drop(at) => drop(members.remove(at.index(count))),
        Change::Twice(at, value) => members.push((members[at.index(count)].0.clone(), value.clone())),
        Change::Extra(value) => members.push(("surprise".to_owned(), value.clone())),
        Change::Replace(value) => return value.clone(),
        Change::None | Change::Cut(_) => {}
    }
    let members: Vec<Vec<u8>> = members
        .into_iter()
        .map(|(name, value)| [format!("{name:?}:").as_bytes(), &value[..]].concat())
        .collect();
    let record = [&b"{"[..], &members.join(&b','), &b"}"[..]].concat();
    match change {
        Change::Cut(at) => record[..at.index(record.len())].to_vec(),
        _ => record,
    }
}

/// Under which the records that were put aside are counted.
const ASIDE: &str = "quarantine";

/// How many rows a record is counted as.
fn weight(resource: Resource, record: &[u8]) -> u64 {
    match parse_record(resource, record) {
        Ok(Record::Balances(balances)) => balances.balances.len() as u64,
        _ => 1,
    }
}

type Call = (Resource, bool, Vec<(u8, Change)>);

fn call() -> impl Strategy<Value = Call> {
    let resources = [Resource::Accounts, Resource::Balances, Resource::Beneficiaries, Resource::Transactions];
    (select(resources.to_vec()), any::<bool>(), vec((0_u8..6, change()), 0..6))
}

/// Sends a call, and accounts for its records; adds up what it created.
async fn check(
    app: &TestApp,
    (resource, lines, records): Call,
    created: &RefCell<BTreeMap<&'static str, u64>>,
) {
    let records: Vec<Vec<u8>> = records.iter().map(|(id, change)| written(resource, *id, change)).collect();
    let (kind, body) = match lines {
        true => ("application/x-ndjson", records.join(&b'\n')),
        false => ("application/json", [&b"["[..], &records.join(&b','), &b"]"[..]].concat()),
    };
    let (status, answer) = app.post(&format!("/ingest/{}", resource.as_str()), kind, body.clone()).await;
    let shown = String::from_utf8_lossy(&body[..body.len().min(2_000)]).into_owned();
    let sent: Vec<Vec<u8>> = match lines {
        true => body.split(|byte| *byte == b'\n').map(|line| line.trim_ascii().to_vec()).collect(),
        false => match serde_json::from_slice::<Vec<Box<RawValue>>>(&body) {
            Ok(items) => items.iter().map(|item| item.get().as_bytes().to_vec()).collect(),
            Err(_) => {
                assert_eq!(status, StatusCode::BAD_REQUEST, "{shown}: {answer}");
                return assert_error(400, &answer, &shown);
            }
        },
    };
    let sent: Vec<Vec<u8>> = sent.into_iter().filter(|record| !record.is_empty()).collect();
    assert_eq!(status, StatusCode::OK, "{shown}: {answer}");
    let count = |name: &str| answer[name].as_u64().unwrap();
    let aside: Vec<usize> = answer["quarantined"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| usize::try_from(one["index"].as_u64().unwrap()).unwrap())
        .collect();
    assert!(
        aside.is_sorted_by(|a, b| a < b) && aside.last().is_none_or(|last| *last < sent.len()),
        "{answer}"
    );
    let kept = sent.iter().enumerate().filter(|(index, _)| !aside.contains(index));
    let expected: u64 = kept.map(|(_, record)| weight(resource, record)).sum();
    assert_eq!(count("created") + count("updated") + count("unchanged"), expected, "{shown}: {answer}");
    *created.borrow_mut().entry(resource.as_str()).or_default() += count("created");
    *created.borrow_mut().entry(ASIDE).or_default() += aside.len() as u64;
}

async fn rows(app: &TestApp, table: &'static str) -> u64 {
    let sql = format!("select count(*) from {table}");
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&app.pool).await.unwrap();
    count.unsigned_abs()
}

#[test]
fn every_pushed_record_is_stored_put_aside_or_refused_and_no_feed_stops() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::fast());
    let created = RefCell::default();
    fuzz("pushes", 150, &call(), |call| runtime.block_on(check(&app, call, &created)));
    runtime.block_on(async {
        let mut created: BTreeMap<&str, u64> = created.into_inner();
        println!("created and put aside: {created:?}");
        assert!(created.remove(ASIDE).is_some_and(|aside| aside > 0), "nothing was put aside");
        assert!(
            created.len() == 4 && created.values().all(|count| *count > 0),
            "nothing was stored: {created:?}"
        );
        for (table, count) in created {
            assert_eq!(rows(&app, table).await, count, "{table}: as many rows as were answered to be new");
        }
        app.publish_all().await;
        let client = Client::new(&app.listen().await, &app.connector_key);
        for kind in [Kind::Accounts, Kind::Beneficiaries, Kind::Transactions] {
            let taken = client.drain(kind, &mut tributary_formance::State::default()).await;
            assert!(taken.is_ok(), "{kind:?}: {:?}", taken.err());
        }
        for account in app.feed("accounts").await {
            client.balances(account["id"].as_str().unwrap()).await.unwrap();
        }
    });
}
