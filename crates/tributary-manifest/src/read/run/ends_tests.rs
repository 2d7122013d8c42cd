//! Walks that could end too early: whatever an API answers, all of its records arrive or the run
//! fails and says what to do.

use axum::response::Response;
use serde_json::{Value, json};

use super::walk_tests::{bank, connection, failure, ids, query, watermark};
use crate::fake::{self, Fake, Memory, Received};

/// A feed of pages of 50 with `paging` as its further fields.
fn feed(paging: &str) -> String {
    format!(
        r#"
    request: {{ path: /feed }}
    records: .items[]
    paging: {{ {paging} }}
    incremental:
      kind: updated_window
      cursor: .at
      from: {{ param: since, bound: inclusive }}
      lookback: 1h
      settle: 0s
      start: 3650d
      order: newest_first
"#
    )
}

fn by_cursor(next: &str, more: &str) -> String {
    let size = "size: { param: limit, value: 50 }";
    feed(&format!(
        "kind: cursor, param: after, next: {{ body: {next} }}, bound: exclusive, {size}, stop: no_next{more}"
    ))
}

fn row(number: usize) -> Value {
    json!({"id": number.to_string(), "at": "2026-03-01T12:00:00Z"})
}

/// So many rows in pages of 50 by a cursor.
async fn rows(count: usize) -> Fake {
    bank(move |received| {
        let from: usize = received.query.get("after").map_or(0, |after| after.parse().unwrap());
        let until = count.min(from + 50);
        let more = until < count;
        let items: Vec<Value> = (from..until).map(row).collect();
        fake::json(json!({"items": items, "has_more": more, "next": more.then(|| until.to_string())}))
    })
    .await
}

/// Reads with `lines`, which has to fail; gives why.
async fn refused(fake: &Fake, lines: &str) -> String {
    let mut memory = Memory::default();
    let error = failure(connection(&fake.url, lines).run(&mut memory).await);
    assert_eq!(watermark(&memory, ""), None, "a walk that did not end moves no watermark");
    error
}

#[tokio::test]
async fn a_misspelt_next_fails_where_the_answer_says_that_there_is_more() {
    let fake = rows(183).await;
    let error = refused(&fake, &by_cursor(".nxt", ", more: .has_more")).await;
    assert!(error.contains("page.next") && error.contains("manifest read"), "{error}");
    let mut memory = Memory::default();
    connection(&fake.url, &by_cursor(".next", ", more: .has_more")).run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory).len(), 183);
}

#[tokio::test]
async fn a_misspelt_next_fails_where_the_first_page_is_full() {
    let fake = rows(183).await;
    let error = refused(&fake, &by_cursor(".nxt", "")).await;
    assert!(error.contains("page.next") && error.contains("may_end_full: true"), "{error}");
}

#[tokio::test]
async fn one_full_page_is_everything_where_something_says_so() {
    let fake = rows(50).await;
    refused(&fake, &by_cursor(".next", "")).await;
    for said in [", more: .has_more", ", may_end_full: true"] {
        let mut memory = Memory::default();
        connection(&fake.url, &by_cursor(".next", said)).run(&mut memory).await.unwrap();
        assert_eq!(ids(&memory).len(), 50, "{said}");
    }
}

#[tokio::test]
async fn a_next_that_was_seen_once_is_remembered_for_the_stream_and_only_for_its_filter() {
    let (many, few) = (rows(183).await, rows(50).await);
    let mut memory = Memory::default();
    connection(&many.url, &by_cursor(".next", "")).run(&mut memory).await.unwrap();
    connection(&few.url, &by_cursor(".next", "")).run(&mut memory).await.unwrap();
    // the file was changed since, and perhaps not for the better
    let error = failure(connection(&few.url, &by_cursor(".nxt", "")).run(&mut memory).await);
    assert!(error.contains("page.next"), "{error}");
}

/// Five rows in pages of two; what names the next page is written by `next`.
async fn numbered(next: fn(usize) -> String) -> Fake {
    bank(move |received| {
        let asked = received.query.get("after").cloned();
        let page =
            asked.map_or(0, |asked| (0..3).find(|page| next(*page).trim_matches('"') == asked).unwrap());
        let items: Vec<Value> = (2 * page..5.min(2 * page + 2)).map(row).collect();
        let told = if page < 2 { next(page + 1) } else { "null".to_owned() };
        let body = format!(r#"{{"items": {}, "next": {told}}}"#, Value::from(items));
        fake::answer(200, &[("content-type", "application/json")], body)
    })
    .await
}

#[tokio::test]
async fn a_number_tells_the_next_page_by_the_digits_that_the_provider_wrote() {
    for (next, asked) in [
        ((|page| format!("{page}.0")) as fn(usize) -> String, "2.0"),
        (|page| format!("900719925474099{page}"), "9007199254740992"),
        (
            |page| format!("1234567890123456789012345678901234567{page}"),
            "12345678901234567890123456789012345672",
        ),
        (|page| format!("{page}e3"), "2e3"),
        (|page| format!("\"{page}\""), "2"),
    ] {
        let fake = numbered(next).await;
        let mut memory = Memory::default();
        connection(&fake.url, &by_cursor(".next", "")).run(&mut memory).await.unwrap();
        assert_eq!((ids(&memory).len(), query(&fake, "after")[2].as_str()), (5, asked));
    }
}

#[tokio::test]
async fn a_next_of_another_type_is_an_error_and_not_the_end() {
    for (next, said) in [
        ((|_| "false".to_owned()) as fn(usize) -> String, "yields false"),
        (|_| "true".to_owned(), "yields true"),
        (|_| "[2]".to_owned(), "yields a list"),
        (|_| r#"{"page": 2}"#.to_owned(), "yields an object"),
    ] {
        let error = refused(&numbered(next).await, &by_cursor(".next", "")).await;
        assert!(error.contains("page.next") && error.contains(said), "{error}");
    }
    let fake = numbered(|page| format!("{page}.0")).await;
    let error = refused(&fake, &by_cursor("\".next + 0.5\"", "")).await;
    assert!(error.contains("page.next") && error.contains("calculated"), "{error}");
}

#[tokio::test]
async fn what_should_say_whether_there_is_more_has_to_say_yes_or_no() {
    for more in [".hasMore", ".items", ".next"] {
        let error = refused(&rows(183).await, &by_cursor(".next", &format!(", more: {more}"))).await;
        assert!(error.contains("page.more") && error.contains("not true or false"), "{error}");
    }
}

#[tokio::test]
async fn an_api_that_ignores_the_number_of_the_page_is_not_read_as_if_it_had_one() {
    let ignoring =
        |_: &Received| -> Response { fake::json(json!({"items": (0..50).map(row).collect::<Vec<_>>()})) };
    for kind in ["kind: page, param: page, first: 1", "kind: offset, param: skip"] {
        for stop in ["short_page", "empty_page"] {
            let fake = bank(ignoring).await;
            let error = refused(&fake, &feed(&format!("{kind}, size: {{ value: 50 }}, stop: {stop}"))).await;
            assert!(error.contains("page: "), "{error}");
            assert_eq!(fake.received().len(), 2);
        }
    }
}

#[tokio::test]
async fn an_api_that_names_a_next_page_for_ever_and_sends_nothing_is_not_asked_for_ever() {
    let fake = Fake::start(|n, _| fake::json(json!({"items": [], "next": format!("page {n}")}))).await;
    let error = refused(&fake, &by_cursor(".next", "")).await;
    assert!(error.contains("1000 pages in a row hold no record"), "{error}");
    assert_eq!(fake.received().len(), 1_001);
}

#[tokio::test]
async fn a_next_page_that_no_request_could_name_is_an_error_and_is_not_kept() {
    let fake = Fake::start(|_, _| fake::json(json!({"items": [row(1)], "next": "x".repeat(20_000)}))).await;
    let error = refused(&fake, &by_cursor(".next", "")).await;
    assert!(error.contains("page.next") && error.contains("20000 bytes"), "{error}");
}

/// 250 rows by the parameter `skip`; no answer has more than `cap` of them, and `cut` leaves one out of the
/// second page.
async fn capped(cap: usize, cut: bool, fetched_at: bool) -> Fake {
    Fake::start(move |n, received| {
        let from: usize = received.query.get("skip").map_or(0, |skip| skip.parse().unwrap());
        let end = 250.min(from + cap - usize::from(cut && from > 0 && from < 150));
        let rows = (from.min(end)..end).map(row).map(|mut row| {
            if fetched_at {
                row["fetched"] = json!(n);
            }
            row
        });
        fake::json(json!({"items": rows.collect::<Vec<_>>()}))
    })
    .await
}

#[tokio::test]
async fn a_short_page_is_the_end_only_where_something_else_says_so() {
    let lines = feed("kind: offset, param: skip, size: { param: limit, value: 100 }, stop: short_page");
    for (cap, cut) in [(50, false), (100, true), (100, false), (7, true)] {
        let fake = capped(cap, cut, false).await;
        let mut memory = Memory::default();
        connection(&fake.url, &lines).run(&mut memory).await.unwrap();
        let mut ids = ids(&memory);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 250, "at most {cap} a page");
    }
}

#[tokio::test]
async fn an_api_that_ignores_the_number_of_the_page_is_noticed_whatever_else_changes_in_its_answers() {
    let fake = Fake::start(|n, _| {
        let rows: Vec<Value> = (0..50)
            .map(|number| json!({"id": number.to_string(), "at": "2026-03-01T12:00:00Z", "fetched": n}))
            .collect();
        fake::json(json!({"items": rows}))
    })
    .await;
    let error =
        refused(&fake, &feed("kind: page, param: page, first: 1, size: { value: 50 }, stop: short_page"))
            .await;
    assert!(error.contains("page: "), "{error}");
    assert_eq!(fake.received().len(), 2);
}

#[tokio::test]
async fn a_feed_that_begins_with_the_oldest_does_not_end_with_them() {
    let fake = bank(|received| {
        let page: usize = received.query["page"].parse().unwrap();
        let day = |n: usize| {
            format!(
                "{}T12:00:00Z",
                chrono::NaiveDate::from_ymd_opt(2026, 3, 1).unwrap() + chrono::TimeDelta::days(n as i64)
            )
        };
        let rows: Vec<Value> =
            (2 * page..6.min(2 * page + 2)).map(|n| json!({"id": n.to_string(), "at": day(n)})).collect();
        fake::json(json!({"items": rows}))
    })
    .await;
    let lines = r#"
    request: { path: /feed }
    records: .items[]
    paging: { kind: page, param: page, first: 0, size: { value: 2 }, stop: empty_page }
    incremental: { kind: descending_feed, cursor: .at, lookback: 1h, start: 3650d }
"#;
    let mut memory = Memory::default();
    connection(&fake.url, lines).run(&mut memory).await.unwrap();
    let error = failure(connection(&fake.url, lines).run(&mut memory).await);
    assert!(error.contains("newest first"), "{error}");
}

#[tokio::test]
async fn a_time_of_another_type_is_an_error_that_names_its_field() {
    let fake = bank(|_| fake::json(json!({"items": [{"id": "1", "at": 1772366400}]}))).await;
    let error =
        refused(&fake, &feed("kind: offset, param: skip, size: { value: 50 }, stop: empty_page")).await;
    assert!(error.contains("changes.by") && error.contains("yields a number"), "{error}");
}

/// `count` rows by numbers of pages: of the size that was asked for where the page `heeds` it, else of the API's own.
async fn counted(count: usize, heeds: fn(usize) -> bool, own_size: usize) -> Fake {
    bank(move |received| {
        let number: usize = received.query["page"].parse().unwrap();
        let asked: usize = received.query["size"].parse().unwrap();
        let size = if heeds(number) { asked } else { own_size };
        let items: Vec<Value> = ((number - 1) * size..count.min(number * size)).map(row).collect();
        fake::json(json!({"items": items, "more": number * size < count, "total": count}))
    })
    .await
}

fn by_number(more: &str) -> String {
    feed(&format!(
        "kind: page, param: page, first: 1, size: {{ param: size, value: 50 }}, stop: {{ when: .more | not }}{more}"
    ))
}

#[tokio::test]
async fn pages_whose_size_changes_on_the_way_leave_no_row_out() {
    // page 2 of the API's own size begins behind row 100
    let behind_all = counted(90, |page| page == 1, 100).await;
    for more in ["", ", more: .more"] {
        let error = refused(&behind_all, &by_number(more)).await;
        assert!(error.contains("empty of which the one before said that it is there"), "{error}");
    }
    let larger = counted(180, |page| page == 1, 100).await;
    let error = refused(&larger, &by_number("")).await;
    assert!(error.contains("80 records, more than was asked for"), "{error}");
    // an API that never heeds the size has its own, and loses nothing
    let own = counted(250, |_| false, 100).await;
    let mut memory = Memory::default();
    connection(&own.url, &by_number("")).run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory).len(), 250);
}

#[tokio::test]
async fn a_walk_that_brings_less_than_the_answer_counts_is_no_walk_to_the_end() {
    // what is smaller than was asked for on the way looks like the end
    let smaller = counted(120, |page| page > 2, 40).await;
    let lines = by_number("") + "    total: .total\n";
    let error = refused(&smaller, &lines).await;
    assert!(
        error.contains("page.total: the answer says that there are 120 records, and its pages brought"),
        "{error}"
    );
    let whole = counted(120, |_| true, 40).await;
    let mut memory = Memory::default();
    connection(&whole.url, &lines).run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory).len(), 120);
}

#[tokio::test]
async fn a_feed_of_one_instant_is_in_no_wrong_order() {
    let row = |id: &str| json!({"id": id, "at": "2026-03-01T12:00:00Z"});
    let fake = bank(move |received| match received.query["page"].as_str() {
        "0" => fake::json(json!({"items": [row("a"), row("b")]})),
        "1" => fake::json(json!({"items": [row("c"), row("d")]})),
        _ => fake::json(json!({"items": []})),
    })
    .await;
    let lines = r#"
    request: { path: /feed }
    records: .items[]
    paging: { kind: page, param: page, first: 0, size: { value: 2 }, stop: empty_page }
    incremental: { kind: descending_feed, cursor: .at, lookback: 1h, start: 30d }
"#;
    let mut memory = Memory::default();
    for run in 0..2 {
        connection(&fake.url, lines).run(&mut memory).await.unwrap_or_else(|error| panic!("{run}: {error}"));
    }
}

#[tokio::test]
async fn the_pages_of_one_window_are_not_those_of_the_one_before() {
    let fake = bank(|_| fake::json(json!({"items": []}))).await;
    let paging = "kind: page, param: page, first: 1, size: { param: size, value: 50 }, stop: empty_page";
    let lines = feed(paging)
        .replace(
            "order: newest_first",
            "order: newest_first\n      to: { param: until, bound: exclusive }\n      step: 4d",
        )
        .replace("start: 3650d", "start: 10d");
    let mut memory = Memory::default();
    connection(&fake.url, &lines).run(&mut memory).await.unwrap();
    assert_eq!(fake.received().len(), 3, "each window is empty");
}

#[tokio::test]
async fn a_stream_that_never_named_a_next_page_is_not_taken_for_one_that_did() {
    let more = std::sync::atomic::AtomicBool::new(false);
    let fake = bank(move |_| {
        let count = if more.swap(true, std::sync::atomic::Ordering::SeqCst) { 50 } else { 10 };
        fake::json(json!({"items": (0..count).map(row).collect::<Vec<_>>()}))
    })
    .await;
    let provider = connection(&fake.url, &by_cursor(".next", ""));
    let mut memory = Memory::default();
    provider.run(&mut memory).await.unwrap();
    let error = failure(provider.run(&mut memory).await);
    assert!(error.contains("the first page is full (50 records)"), "{error}");
}
