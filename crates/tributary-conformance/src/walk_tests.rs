use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::extract::RawQuery;
use serde_json::{Value, json};

use super::*;
use crate::progress::Silent;

fn account(number: usize) -> Value {
    json!({"id": format!("a{number}"), "createdAt": format!("2026-03-01T{:02}:{:02}:{:02}Z",
        number / 3_600, number / 60 % 60, number % 60)})
}

/// Walks a server that answers a page (from 1) of a request (from 1) with the rows of `page`.
async fn walk_over(page: impl Fn(usize, usize) -> Vec<usize> + Send + Sync + 'static) -> Walk {
    let requests = Arc::new(AtomicUsize::new(0));
    let page = Arc::new(page);
    let handler = move |RawQuery(query): RawQuery| async move {
        let query = query.unwrap_or_default();
        let number = query.split('&').find_map(|pair| pair.strip_prefix("page=")).unwrap().parse().unwrap();
        let request = requests.fetch_add(1, Ordering::Relaxed) + 1;
        Json(page(number, request).into_iter().map(account).collect::<Vec<_>>())
    };
    let router = axum::Router::new().fallback(handler);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let options = Options::default();
    let mut probe = Probe::new(&endpoint, "key", &options, &Silent).unwrap();
    walk(&mut probe, Kind::Accounts, &options).await
}

/// The rows of a page of a log that holds `total`.
fn log(total: usize, page: usize) -> Vec<usize> {
    (0..total).skip((page - 1) * PAGE_SIZE).take(PAGE_SIZE).collect()
}

fn ids(walk: &Walk) -> Vec<String> {
    walk.rows.iter().map(|seen| seen.ok().unwrap().reference.clone()).collect()
}

fn expected(total: usize) -> Vec<String> {
    (0..total).map(|number| format!("a{number}")).collect()
}

#[tokio::test]
async fn a_log_is_read_to_its_end() {
    for total in [0, 99, 100, 101, 200] {
        let walk = walk_over(move |page, _| log(total, page)).await;
        assert_eq!(ids(&walk), expected(total));
        assert!(walk.short.is_empty() && walk.broken.is_none() && !walk.truncated, "{total}");
        assert_eq!(walk.past_end, PastEnd::Empty, "{total}");
    }
}

#[tokio::test]
async fn a_short_page_that_grew_before_the_next_was_asked_is_no_defect() {
    // the second page is asked first with 199 rows there, then with 230, then again
    let walk = walk_over(|page, request| log(if request <= 2 { 199 } else { 230 }, page)).await;
    assert!(walk.short.is_empty(), "{:?}", walk.short);
    assert_eq!(ids(&walk), expected(230));
}

#[tokio::test]
async fn a_short_page_before_rows_is_found_also_behind_an_empty_one() {
    let filtered = |page: usize, _| match page {
        2 => log(400, 2)[..90].to_vec(),
        _ => log(400, page),
    };
    let walk = walk_over(filtered).await;
    assert_eq!((walk.short[0].len, walk.short[0].next, walk.short[0].next_len), (90, 3, 100));
    assert_eq!(walk.rows.len(), 390, "what lies behind is read all the same");
    let emptied = |page: usize, _| if page == 2 { Vec::new() } else { log(300, page) };
    let walk = walk_over(emptied).await;
    assert_eq!((walk.short[0].len, walk.short[0].next), (0, 3));
    assert_eq!(walk.rows.len(), 200);
}

#[tokio::test]
async fn a_server_that_repeats_itself_is_not_read_for_ever() {
    let walk = walk_over(|_, _| log(100, 1)).await;
    assert!(walk.broken.unwrap().contains("once more"));
    assert_eq!(walk.rows.len(), 100);
    // the last page for every page past the end
    let walk = walk_over(|page, _| log(130, page.min(2))).await;
    assert!(matches!(walk.past_end, PastEnd::Wrong(what) if what.contains("repeated 30 rows")));
    assert_eq!(walk.rows.len(), 130);
}
