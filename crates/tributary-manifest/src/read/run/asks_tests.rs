//! What can be asked for: files of the language that walk through an upstream which answers only to who asks
//! as it wants to be asked.

use std::convert::Infallible;

use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::walk_tests::{Killed, bank, failure, ids, watermark};
use super::*;
use crate::compiled::CompiledProvider;
use crate::fake::{self, Fake, Memory, Received, answer};
use crate::language::{self, Node};
use tributary_domain::ProviderName;

/// A file with the stream `feed` of transactions, of which `lines` are given.
pub(super) fn written(url: &str, lines: &str) -> Result<CompiledProvider, String> {
    let text = format!(
        "api: {url}\nauth: none\nevery: 1m\nattempts: 1\nlimits: {{ pace: 1000/s }}\npull:\n  transactions:\n    feed:\n{lines}{FIELDS}"
    );
    of_file(&text)
}

pub(super) fn of_file(text: &str) -> Result<CompiledProvider, String> {
    let file = Node::parse(text).map_err(|mistake| mistake.to_string())?;
    let manifest = language::read(&file).map_err(|mistakes| mistakes.to_string())?;
    let manifest = manifest.interpolated(|_| None).map_err(|error| error.to_string())?;
    let name = ProviderName::try_from("bank".to_owned()).unwrap();
    CompiledProvider::new(&name, &manifest).map_err(|error| error.to_string())
}

pub(super) const FIELDS: &str = r#"
      id: .id
      created: "2026-01-01T00:00:00Z"
      type: PAYIN
      status: SUCCEEDED
      to: ours
      money: { minor: 1, currency: EUR }
"#;

/// Rows `from..until` as a list.
pub(super) fn rows(numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|n| json!({ "id": n.to_string(), "at": "2026-03-01T12:00:00Z" })).collect()
}

async fn read(provider: &CompiledProvider) -> Memory {
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap_or_else(|error| panic!("{error}"));
    sink
}

fn bodies(fake: &Fake) -> Vec<Value> {
    fake.received().iter().map(|received| serde_json::from_slice(&received.body).unwrap()).collect()
}

#[tokio::test]
async fn graphql_takes_the_number_and_the_size_of_a_page_as_numbers_among_its_variables() {
    let fake = bank(|received| {
        let asked: Value = serde_json::from_slice(&received.body).unwrap();
        let (page, size) =
            (asked["variables"]["page"].as_u64(), asked["variables"]["paging"]["size"].as_u64());
        let (Some(page), Some(size)) = (page, size) else { return StatusCode::BAD_REQUEST.into_response() };
        let begin = page as usize * size as usize;
        fake::json(json!({ "data": { "list": rows(begin.min(5)..(begin + size as usize).min(5)) } }))
    })
    .await;
    let provider = written(
        &fake.url,
        r#"
      post: /graphql
      body: { query: "query($page: Int) {{ list(page: $page) {{ id } }", variables: { region: EU } }
      rows: .data.list
      page: { number: { body: variables.page }, first: 0, size: { body: { variables.paging.size: 2 } }, ends: empty }
"#,
    );
    let sink = read(&provider.unwrap()).await;
    assert_eq!(ids(&sink), ["0", "1", "2", "3", "4"]);
    let sent = bodies(&fake);
    assert_eq!(sent[1]["variables"], json!({ "region": "EU", "page": 1, "paging": { "size": 2 } }));
}

#[tokio::test]
async fn a_cursor_that_is_a_number_stays_one_in_a_body_whatever_its_digits() {
    const BIG: &str = "90071992547409931234";
    let fake = bank(|received| {
        let body = String::from_utf8(received.body.clone()).unwrap();
        match body.as_str() {
            "{\"limit\":2}" => answer(200, &[], format!("{{\"list\":[{{\"id\":\"a\"}}],\"next\":{BIG}}}")),
            other if other == format!("{{\"limit\":2,\"after\":{BIG}}}") => {
                fake::json(json!({ "list": [{ "id": "b" }], "next": null }))
            }
            other => panic!("{other}"),
        }
    })
    .await;
    let lines = r#"
      post: /search
      body: { limit: 2, after: $page }
      rows: .list
      page: { cursor: $page, next: .next }
"#;
    assert_eq!(ids(&read(&written(&fake.url, lines).unwrap()).await), ["a", "b"]);
}

#[tokio::test]
async fn a_body_may_be_jq_or_a_list() {
    let fake = bank(|_| fake::json(json!(rows(0..1)))).await;
    for (body, sent) in [
        ("'. | [1, {a: $now[0:2]}]'", json!([1, { "a": "20" }])),
        ("[1, { a: x }]", json!([1, { "a": "x" }])),
    ] {
        let lines = format!("      post: /search\n      body: {body}\n      rows: .\n");
        assert_eq!(ids(&read(&written(&fake.url, &lines).unwrap()).await), ["0"]);
        assert_eq!(bodies(&fake).last(), Some(&sent));
    }
}

#[tokio::test]
async fn a_form_is_read_by_pages_and_windows_that_go_into_its_fields() {
    let fake = bank(|received| {
        assert_eq!(received.headers["content-type"], "application/x-www-form-urlencoded");
        let form = received.form();
        assert!(form["filter[since]"].parse::<i64>().is_ok(), "{form:?}");
        assert_eq!((form["kinds[0]"].as_str(), form["kinds[1]"].as_str()), ("in", "out"));
        let skip: usize = form["skip"].parse().unwrap();
        fake::json(json!({ "list": rows(skip.min(3)..(skip + 2).min(3)) }))
    })
    .await;
    let lines = r#"
      post: /list
      form: { kinds: [in, out], filter: { state: .missing? }, skip: 0, limit: 2 }
      rows: .list
      page: { offset: { body: skip }, size: 2, ends: empty }
      changes: { by: .at, since: { param: { body: filter.since }, format: unix_seconds }, late: 1h, back: 30d, order: newest_first }
"#;
    assert_eq!(ids(&read(&written(&fake.url, lines).unwrap()).await), ["0", "1", "2"]);
}

#[tokio::test]
async fn a_query_language_takes_pages_and_edges_of_windows_within_its_text() {
    let fake = bank(|received| {
        let text = &received.query["query"];
        let begin: usize = text.rsplit(' ').nth(2).unwrap().parse().unwrap();
        fake::json(json!({ "list": rows(begin - 1..(begin + 1).min(3)) }))
    })
    .await;
    let lines = r#"
      get: /query
      query: { query: "select * from T where At >= '{$since}' and At < '{$until}' startposition {$page + 1} maxresults 2" }
      rows: .list
      page: { offset: $page, size: 2, ends: short }
      changes:
        by: .at
        since: { param: $since, bound: inclusive, format: seconds }
        until: { param: $until, bound: exclusive, format: date }
        late: 1h
        back: 30d
        order: newest_first
"#;
    assert_eq!(ids(&read(&written(&fake.url, lines).unwrap()).await), ["0", "1", "2"]);
    let asked: Vec<String> = fake.received().iter().map(|received| received.query["query"].clone()).collect();
    let (since, rest) = asked[0].split_once("At >= '").unwrap().1.split_once('\'').unwrap();
    assert!(since.parse::<DateTime<Utc>>().is_ok(), "{since}");
    assert!(rest.starts_with(" and At < '20") && rest.ends_with("startposition 1 maxresults 2"), "{rest}");
    assert!(asked[2].ends_with("startposition 4 maxresults 2"), "{asked:?}");
}

#[tokio::test]
async fn if_modified_since_is_a_date_of_http_and_an_answer_of_304_is_an_empty_list() {
    let fake = bank(|received| match received.headers["if-modified-since"].to_str().unwrap() {
        date if httpdate::parse_http_date(date).is_err() => panic!("{date}"),
        _ if received.path == "/some" => fake::json(json!(rows(0..1))),
        _ => answer(304, &[], ""),
    })
    .await;
    let lines = |path: &str, more: &str| {
        format!(
            "      get: {path}\n      rows: .\n{more}      changes: {{ by: .at, since: {{ param: {{ header: If-Modified-Since }}, format: http_date }}, late: 1h, back: 30d }}\n"
        )
    };
    assert_eq!(ids(&read(&written(&fake.url, &lines("/some", "")).unwrap()).await), ["0"]);
    let provider = written(&fake.url, &lines("/none", "      empty: [304]\n")).unwrap();
    assert_eq!(ids(&read(&provider).await), [""; 0]);
    let error = failure(written(&fake.url, &lines("/none", "")).unwrap().run(&mut Memory::default()).await);
    assert!(error.contains("304"), "{error}");
}

/// A walk whose second page has no body, with this status.
async fn ends_with(status: u16, empty: &str) -> (Result<RunReport, RunError<Infallible>>, Memory) {
    let fake = bank(move |received| match received.query["page"].as_str() {
        "1" => fake::json(json!(rows(0..2))),
        _ => answer(status, &[], ""),
    })
    .await;
    let lines = format!(
        "      get: /feed\n      rows: .\n      page: {{ number: page, first: 1, size: 2, ends: short }}\n{empty}"
    );
    let mut sink = Memory::default();
    let result = written(&fake.url, &lines).unwrap().run(&mut sink).await;
    (result, sink)
}

#[tokio::test]
async fn an_empty_body_is_an_empty_list_only_where_the_file_says_so() {
    for status in [200, 204] {
        let (result, sink) = ends_with(status, "      empty: [200, 204]\n").await;
        result.unwrap();
        assert_eq!(ids(&sink), ["0", "1"]);
        let (result, _) = ends_with(status, "").await;
        failure(result);
    }
    let (result, _) = ends_with(200, "      empty: [204]\n").await;
    assert!(failure(result).contains("`empty: [200]`"));
    let (result, _) = ends_with(404, "      empty: [200, 204]\n").await;
    assert!(failure(result).contains("404"));
}

#[tokio::test]
async fn an_empty_body_ends_the_pages_whatever_else_ends_them() {
    let fake = bank(|_| answer(204, &[], "")).await;
    let lines = "      get: /feed\n      rows: .items\n      page: { number: page, first: 1, size: 2, ends: .done }\n      empty: [204]\n";
    assert_eq!(ids(&read(&written(&fake.url, lines).unwrap()).await), [""; 0]);
    assert_eq!(fake.received().len(), 1);
}

#[tokio::test]
async fn what_is_asked_for_again_is_read_as_what_the_stream_is_written_in() {
    let listed = std::sync::atomic::AtomicBool::new(true);
    let fake = bank(move |received| match received.path.as_str() {
        "/feed" if listed.swap(false, std::sync::atomic::Ordering::SeqCst) => {
            answer(200, &[], "id;status\na;open\n")
        }
        "/feed" => answer(200, &[], "id;status\n"),
        _ => answer(200, &[], "id;status\na;done\n"),
    })
    .await;
    let text = format!(
        r#"
api: {}
auth: none
every: 1m
attempts: 1
pull:
  transactions:
    get: /feed
    rows: .
    answer: {{ as: csv, separator: ';', columns: [id, status] }}
    refresh: {{ open: [open], get: "/feed/{{id}}", row: '.[0]', every: 1m, give_up: 30d }}
    id: .id
    created: "2026-01-01T00:00:00Z"
    type: PAYIN
    status: .status
    statuses: {{ PENDING: open, SUCCEEDED: done }}
    to: ours
    money: {{ minor: 1, currency: EUR }}
"#,
        fake.url
    );
    let provider = of_file(&text).unwrap_or_else(|error| panic!("{error}"));
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    for open in sink.open.values_mut() {
        open.checked_at = open.checked_at.map(|at| at - chrono::TimeDelta::hours(1));
        open.first_seen = open.checked_at;
    }
    provider.run(&mut sink).await.unwrap();
    let statuses: Vec<_> =
        sink.records("transactions").iter().map(|record| record["status"].clone()).collect();
    assert_eq!(statuses, ["PENDING", "SUCCEEDED"]);
}

#[tokio::test]
async fn a_status_that_is_in_no_list_is_told_each_time_and_its_record_says_so() {
    let fake =
        bank(|_| fake::json(json!([{ "id": "a", "status": "new" }, { "id": "b", "status": "new" }]))).await;
    let text = format!(
        "api: {}\nauth: none\nevery: 1m\npull:\n  transactions:\n    get: /feed\n    rows: .\n    id: .id\n    created: $now\n    type: PAYIN\n    status: .status\n    statuses: {{ SUCCEEDED: done }}\n    to: ours\n    money: {{ minor: 1, currency: EUR }}\n",
        fake.url
    );
    let mut sink = Memory::default();
    let report = of_file(&text).unwrap().run(&mut sink).await.unwrap();
    assert_eq!(report.warnings, [(Warning::UnmappedStatus("new".to_owned()), 2)].into());
    let records = sink.pages.iter().flat_map(|page| &page.records);
    let unknown = records.filter(|record| match record {
        crate::read::MappedRecord::Canonical(tributary_domain::Record::Transaction(transaction)) => {
            transaction.status_unknown
        }
        _ => false,
    });
    assert_eq!(unknown.count(), 2);
}

#[tokio::test]
async fn why_a_record_has_no_place_begins_with_the_field_that_the_file_has() {
    let fake = bank(|_| fake::json(json!([{ "id": "a" }, { "id": "b", "at": 1 }]))).await;
    let text = format!(
        "api: {}\nauth: none\nevery: 1m\npull:\n  transactions:\n    feed:\n      get: /feed\n      rows: .\n{}",
        fake.url,
        FIELDS.replace("minor: 1", "minor: .at")
    );
    let mut sink = Memory::default();
    let report = of_file(&text).unwrap().run(&mut sink).await.unwrap();
    assert_eq!((report.records, report.unmappable), (1, 1));
    let reasons = sink.reasons("feed");
    assert!(reasons[0].starts_with("money") && !reasons[0].contains("feed"), "{reasons:?}");
}

#[tokio::test]
async fn more_and_rules_see_the_status_and_the_headers_of_an_answer() {
    let fake = bank(|received| match received.query["page"].as_str() {
        "1" => answer(206, &[("X-Pages", "2")], json!(rows(0..2)).to_string()),
        "2" => answer(200, &[("X-Pages", "2")], json!(rows(2..4)).to_string()),
        _ => answer(418, &[("X-Why", "beyond the end")], "{}"),
    })
    .await;
    let lines = |more: &str| {
        format!(
            "      get: /feed\n      rows: .\n      page: {{ number: page, first: 1, size: 2, ends: short{more} }}\n      errors:\n        - {{ where: '$status == 418 and ($headers[\"x-why\"] | test(\"end\"))', do: fatal, says: told by its header }}\n"
        )
    };
    let error = failure(written(&fake.url, &lines("")).unwrap().run(&mut Memory::default()).await);
    assert!(error.contains("told by its header"), "{error}");
    let more = ", more: '$status == 206'";
    let ends = lines(more).replace("ends: short", "ends: '$status == 200'");
    assert_eq!(ids(&read(&written(&fake.url, &ends).unwrap()).await), ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn edges_and_times_go_by_the_clock_of_the_zone_that_the_file_names() {
    let fake = bank(|received| {
        let since = &received.query["since"];
        chrono::NaiveDateTime::parse_from_str(since, "%d.%m.%Y %H:%M")
            .unwrap_or_else(|why| panic!("{since}: {why}"));
        fake::json(json!([{ "id": "a", "at": "01.07.2025 12:00" }, { "id": "b", "at": "26.10.2025 02:30" }]))
    })
    .await;
    let text = format!(
        r#"
api: {}
auth: none
every: 1m
zone: Europe/Berlin
pull:
  transactions:
    feed:
      get: /feed
      rows: .
      changes:
        by: .at | parse_time("%d.%m.%Y %H:%M")
        since: {{ param: since, format: {{ pattern: "%d.%m.%Y %H:%M" }} }}
        late: 1h
        back: 30d
      updated: .at | parse_time("%d.%m.%Y %H:%M")
{FIELDS}"#,
        fake.url
    );
    let before = Utc::now();
    let sink = read(&of_file(&text).unwrap_or_else(|error| panic!("{error}"))).await;
    let updated: Vec<Value> = sink.records("feed").iter().map(|record| record["updatedAt"].clone()).collect();
    assert_eq!(updated, ["2025-07-01T10:00:00.000000Z", "2025-10-26T00:30:00.000000-00:00"]);
    let since = fake.received()[0].query["since"].clone();
    let sent = chrono::NaiveDateTime::parse_from_str(&since, "%d.%m.%Y %H:%M").unwrap();
    let berlin =
        before.with_timezone(&chrono_tz::Tz::Europe__Berlin).naive_local() - chrono::TimeDelta::days(30);
    assert!(
        (berlin - sent).num_minutes() <= 121 && sent <= berlin,
        "{sent} is not 30 days before, in Berlin"
    );
    for (from, to, about) in [
        ("zone: Europe/Berlin", "zone: Europe/Berlim", "there is no time zone"),
        ("{ pattern: \"%d.%m.%Y %H:%M\" }", "{ pattern: \"%H:%M\" }", "does not tell days apart"),
        ("pattern: \"%d.%m.%Y %H:%M\"", "pattern: \"%d.%m.%Y %H:%M\", zone: Mars", "there is no time zone"),
        (
            "get: /feed",
            "get: /feed\n      page: { before: { param: to, format: { pattern: \"%Y-%m-%d %H:%M\" } }, time: .at, size: 2, ends: short }",
            "a clock that is put back",
        ),
    ] {
        let error = of_file(&text.replacen(from, to, 1)).err().unwrap_or_else(|| panic!("{to}"));
        assert!(error.contains(about), "{about}: {error}");
    }
}

/// Rows of every hour of the last four days, at `$at`; more than 20 of a window are too many.
fn crowded(received: &Received, says: bool) -> Response {
    let limit = |name: &str| received.query[name].parse::<i64>().unwrap();
    let (since, until) = (limit("since"), limit("until"));
    let hours = (since..until).filter(|second| second % 3_600 == 0);
    let rows: Vec<Value> = hours
        .map(
            |at| json!({ "id": at.to_string(), "at": DateTime::from_timestamp(at, 0).unwrap().to_rfc3339() }),
        )
        .collect();
    match rows.len() {
        21.. if says => answer(400, &[], r#"{"code":"TOO_MANY"}"#),
        _ => fake::json(json!(rows.into_iter().take(20).collect::<Vec<_>>())),
    }
}

fn halving(halve: &str) -> String {
    format!(
        r#"
      get: /feed
      rows: .
      changes:
        by: .at
        since: {{ param: since, bound: inclusive, format: unix_seconds }}
        until: {{ param: until, bound: exclusive, format: unix_seconds }}
        late: 0s
        settle: 1s
        back: 4d
        step: {{ longest: 2d, halve: {halve} }}
"#
    )
}

#[tokio::test]
async fn a_window_that_is_too_much_is_halved_until_it_is_not_whether_the_api_says_so_or_caps_it() {
    for (says, halve) in
        [(true, "{ where: '$status == 400 and .code == \"TOO_MANY\"' }"), (false, "{ at: 20 }")]
    {
        let fake = bank(move |received| crowded(received, says)).await;
        let sink = read(&written(&fake.url, &halving(halve)).unwrap()).await;
        let mut found = ids(&sink);
        found.sort();
        found.dedup();
        assert!((95..=97).contains(&found.len()), "{halve}: {}", found.len());
        let spans: Vec<i64> = fake
            .received()
            .iter()
            .map(|received| {
                received.query["until"].parse::<i64>().unwrap()
                    - received.query["since"].parse::<i64>().unwrap()
            })
            .collect();
        assert!(spans.iter().all(|span| *span <= 2 * 86_400), "{spans:?}");
        assert!(spans.len() < 25, "a window that did is followed by a longer one: {spans:?}");
        assert!(watermark(&sink, "").is_some());
    }
}

#[tokio::test]
async fn a_window_that_was_halved_stays_so_when_the_run_is_killed() {
    let fake = bank(|received| crowded(received, true)).await;
    let provider = written(&fake.url, &halving("{ where: $status == 400 }")).unwrap();
    let mut memory = Memory::default();
    provider.run(&mut Killed { memory: &mut memory, pages: 2 }).await.unwrap_err();
    let before = fake.received().len();
    assert_eq!(ids(&memory), [""; 0], "two halves were kept, and no row yet");
    provider.run(&mut memory).await.unwrap();
    let span = |received: &Received| {
        received.query["until"].parse::<i64>().unwrap() - received.query["since"].parse::<i64>().unwrap()
    };
    let again = span(&fake.received()[before]);
    assert!(again <= 86_400 / 2 + 1, "{again} s: it does not begin with what was too much");
    assert!(ids(&memory).len() >= 95);
}

#[tokio::test]
async fn a_window_that_cannot_be_halved_any_more_fails_and_moves_nothing() {
    let fake = bank(|_| answer(400, &[], r#"{"code":"TOO_MANY"}"#)).await;
    let provider = written(&fake.url, &halving("{ where: $status == 400, shortest: 6h }")).unwrap();
    let mut sink = Memory::default();
    let error = failure(provider.run(&mut sink).await);
    assert!(error.contains("is as short as one can be") && error.contains("halve.shortest"), "{error}");
    assert!(watermark(&sink, "").is_none());
    assert!(fake.received().len() < 8);
    let down = bank(|_| answer(500, &[], "down")).await;
    let provider = written(&down.url, &halving("{ where: $status == 400, shortest: 6h }")).unwrap();
    let error = failure(provider.run(&mut Memory::default()).await);
    assert!(error.contains("500") && !error.contains("as short as"), "nothing of it is too much: {error}");
    for (halve, about) in [
        ("{}", "give `where`"),
        ("{ at: 0 }", "give `where`"),
        ("{ at: 20, shortest: 3d }", "has to be shorter than the longest"),
    ] {
        let error = written("http://bank.example", &halving(halve)).err().unwrap();
        assert!(error.contains(about) && error.contains("changes.step.halve"), "{about}: {error}");
    }
    let no_until = halving("{ at: 20 }")
        .replace("        until: { param: until, bound: exclusive, format: unix_seconds }\n", "");
    let error = written("http://bank.example", &no_until).err().unwrap();
    assert!(error.contains("changes.step"), "{error}");
}

#[tokio::test]
async fn answers_may_be_ndjson_csv_or_xml_in_a_charset() {
    let fake = bank(|received| {
        let accepts = received.headers["accept"].to_str().unwrap();
        match received.path.as_str() {
            "/csv" => {
                assert_eq!(accepts, "text/csv");
                answer(200, &[], &b"Id;Value\n\xE9;10.50\nb;900719925474099312.10\n"[..])
            }
            "/lines" => answer(200, &[], "{\"Id\":\"\u{e9}\",\"Value\":10.50}\n{\"Id\":\"b\",\"Value\":900719925474099312.10}\n"),
            "/wrong" => answer(200, &[], "{\"error\":{\"code\":\"DOWN\"}}"),
            _ => answer(200, &[], "<D><Tx><Id>\u{e9}</Id><Value>10.50</Value></Tx><Tx><Id>b</Id><Value>900719925474099312.10</Value></Tx></D>"),
        }
    })
    .await;
    let of = |path: &str, rows: &str, form: &str| {
        let text = format!(
            "api: {}\nauth: none\nevery: 1m\nattempts: 1\npull:\n  transactions:\n    feed:\n      get: {path}\n      rows: {rows}\n      answer: {form}\n      errors: [{{ where: .error.code == \"DOWN\", do: fatal, says: it is down }}]\n      id: .Id\n      created: $now\n      type: PAYIN\n      status: SUCCEEDED\n      to: ours\n      money: {{ decimal: .Value, currency: EUR }}\n",
            fake.url
        );
        of_file(&text).unwrap_or_else(|error| panic!("{error}"))
    };
    let csv = "{ as: csv, separator: ';', columns: [Id, Value], charset: windows-1252 }";
    for (path, rows, form) in
        [("/csv", ".", csv), ("/lines", ".", "{ as: ndjson }"), ("/xml", ".D.Tx", "{ as: xml, lists: [Tx] }")]
    {
        let sink = read(&of(path, rows, form)).await;
        let told: Vec<String> = sink
            .records("feed")
            .iter()
            .map(|record| {
                format!("{} {}", record["id"].as_str().unwrap(), record["amount"].as_str().unwrap())
            })
            .collect();
        assert_eq!(told, ["\u{e9} 1050", "b 90071992547409931210"], "{path}");
    }
    for (form, told) in [
        (csv, "it is down"),
        ("{ as: xml, lists: [Tx] }", "it is down"),
        ("{ as: ndjson }", "something went wrong"),
    ] {
        let error = failure(of("/wrong", ".", form).run(&mut Memory::default()).await);
        assert!(error.contains(told), "{form}: {error}");
    }
}

#[tokio::test]
async fn a_line_that_tells_of_an_error_makes_the_others_a_part() {
    let fake = bank(|_| answer(200, &[], "{\"id\":\"a\"}\n{\"error\":\"the rest is missing\"}\n")).await;
    let provider =
        written(&fake.url, "      get: /lines\n      rows: .\n      answer: { as: ndjson }\n").unwrap();
    let error = failure(provider.run(&mut Memory::default()).await);
    assert!(error.contains("may be a part"), "{error}");
}

#[test]
fn what_cannot_be_asked_so_is_refused_with_what_to_write_instead() {
    let page = "      page: { number: $page, first: 1, size: 2, ends: empty }\n";
    for (lines, about) in [
        (format!("      get: /a\n      rows: .\n{page}"), "page.number: $page stands nowhere"),
        ("      get: /a?p={$page}\n      rows: .\n".to_owned(), "$page is seen by jq of a request whose `page`"),
        (
            "      get: /a?p={$since}\n      rows: .\n      page: { number: $since, first: 1, size: 2, ends: empty }\n".to_owned(),
            "here it can only be $page",
        ),
        (
            "      get: /a\n      rows: .\n      page: { number: { body: page }, first: 1, size: 2, ends: empty }\n".to_owned(),
            "goes into the body, but there is none",
        ),
        (
            "      post: /a\n      body: { a: 1 }\n      form: { a: 1 }\n      rows: .\n".to_owned(),
            "form: give it or `body`",
        ),
        ("      get: /a\n      form: { a: 1 }\n      rows: .\n".to_owned(), "form: belongs to `post`"),
        ("      post: /a\n      form: [1]\n      rows: .\n".to_owned(), "form: is made of fields"),
        (
            "      post: /a\n      form: { a: 1 }\n      rows: .\n      page: { number: p, first: 1, size: 2, ends: empty }\n".to_owned(),
            "goes into the query, but this request asks by its body",
        ),
        ("      get: /a\n      rows: .\n      empty: [404]\n".to_owned(), "404 is no success"),
        ("      get: /a\n      row: .\n      empty: [204]\n".to_owned(), "empty: belongs to `rows`"),
        ("      get: /a\n      rows: .\n      where: $status == 200\n".to_owned(), "$status is seen by jq on an answer"),
        (
            "      get: /a\n      rows: .\n      page: { cursor: { header: \"a b\" }, next: .n }\n".to_owned(),
            "is no name of a header",
        ),
        (
            "      get: /a\n      rows: .\n      errors: [{ on: 429, do: rate_limited, wait: { period: 1m, unit: milliseconds } }]\n"
                .to_owned(),
            "`unit` belongs to the first two",
        ),
    ] {
        let error = written("https://bank.example", &lines).err().unwrap_or_else(|| panic!("{lines}"));
        assert!(error.contains(about), "{about}: {error}");
    }
}
