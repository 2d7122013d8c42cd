//! One page is read ahead: while it is, the one before is committed, whatever becomes of it.

use std::sync::Arc;

use axum::response::IntoResponse;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::walk_tests::{CURSOR, MAP, bank, connection, connection_of, failure, ids, query, watermark};
use super::*;
use crate::fake::{self, Fake, Memory};
use crate::read::selection::Wanted;
use crate::read::{OpenRecord, RecordPage, Warnings};
use tributary_domain::Resource;

const LAST: u64 = 3;

/// Pages 0 to [`LAST`], of one record each, all of one name; `broken` is answered with 500. Each answer to a request
/// for a page behind the first is counted in `answered`.
async fn paged(broken: Option<u64>, answered: &Arc<Semaphore>) -> Fake {
    let answered = Arc::clone(answered);
    bank(move |received| {
        let page: u64 = received.query.get("after").map_or(0, |after| after.parse().unwrap());
        if page > 0 {
            answered.add_permits(1);
        }
        if broken == Some(page) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let at = Utc::now().to_rfc3339();
        fake::json(json!({"items": [{"id": page.to_string(), "name": "coffee", "at": at}], "next": (page < LAST).then(|| (page + 1).to_string())}))
    })
    .await
}

/// Takes a page only once the one behind it was asked for, where there is one.
struct Waiting<'a> {
    memory: Memory,
    answered: &'a Semaphore,
    fake: &'a Fake,
    /// How many requests there were when each page was taken.
    asked: Vec<usize>,
    /// The page that cannot be taken.
    refused: Option<usize>,
}

impl<'a> Waiting<'a> {
    fn new(answered: &'a Semaphore, fake: &'a Fake) -> Self {
        Self { memory: Memory::default(), answered, fake, asked: Vec::new(), refused: None }
    }
}

impl PageSink for Waiting<'_> {
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
        if (self.asked.len() as u64) < LAST {
            let patience = std::time::Duration::from_secs(30);
            let behind = tokio::time::timeout(patience, self.answered.acquire()).await;
            behind.expect("the page behind is asked for meanwhile").unwrap().forget();
        }
        self.asked.push(self.fake.received().len());
        if self.refused == Some(self.asked.len() - 1) {
            return Err(std::io::Error::other("killed"));
        }
        self.memory.page(page).await.unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn the_next_page_is_read_while_one_is_handed_over_and_none_beyond_it() {
    let answered = Arc::new(Semaphore::new(0));
    let fake = paged(None, &answered).await;
    let mut sink = Waiting::new(&answered, &fake);
    let without_ids = format!("{CURSOR}    identity: {{ id: 'null', fields: '[.name]' }}\n");
    let without_ids = without_ids.replace("records: .items[]", "records: .items[] | del(.id)");
    connection(&fake.url, &without_ids).run(&mut sink).await.unwrap();
    assert_eq!(sink.asked, [2, 3, 4, 4]);
    assert_eq!(query(&fake, "after"), ["", "1", "2", "3"]);
    let (ids, requests) = (ids(&sink.memory), sink.memory.pages.iter().map(|page| page.requests));
    assert_eq!(requests.collect::<Vec<_>>(), [1, 1, 1, 1], "each page has its own request");
    let counted: Vec<&str> = ids.iter().map(|id| id.rsplit_once('-').unwrap().1).collect();
    assert_eq!(counted, ["1", "2", "3", "4"], "equal records are counted through the pages");
}

#[tokio::test]
async fn a_page_ahead_that_fails_takes_nothing_from_the_one_before_it() {
    let answered = Arc::new(Semaphore::new(0));
    let fake = paged(Some(2), &answered).await;
    let mut sink = Waiting::new(&answered, &fake);
    let error = connection(&fake.url, CURSOR).run(&mut sink).await.unwrap_err().to_string();
    assert!(error.contains("500"), "{error}");
    assert_eq!(sink.asked, [2, 3], "the second page was taken when the answer to the third was there");
    assert_eq!((ids(&sink.memory).len(), watermark(&sink.memory, "")), (2, None));

    let mended = paged(None, &answered).await;
    let mut memory = sink.memory;
    connection(&mended.url, CURSOR).run(&mut memory).await.unwrap();
    assert_eq!(query(&mended, "after"), ["2", "3"], "it goes on behind what was committed");
    assert_eq!(ids(&memory), ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn what_was_read_ahead_of_a_page_that_cannot_be_kept_is_kept_neither() {
    let answered = Arc::new(Semaphore::new(0));
    let fake = paged(None, &answered).await;
    let mut sink = Waiting { refused: Some(1), ..Waiting::new(&answered, &fake) };
    connection(&fake.url, CURSOR).run(&mut sink).await.unwrap_err();
    assert_eq!(query(&fake, "after"), ["", "1", "2"]);
    let mut memory = sink.memory;
    assert_eq!(ids(&memory).len(), 1);
    connection(&fake.url, CURSOR).run(&mut memory).await.unwrap();
    assert_eq!(query(&fake, "after")[3..], ["1", "2", "3"]);
    assert_eq!(ids(&memory), ["0", "1", "2", "3"], "each page once");
}

#[tokio::test]
async fn of_a_sample_no_page_is_asked_for_that_nobody_looks_at() {
    let answered = Arc::new(Semaphore::new(0));
    let fake = paged(None, &answered).await;
    let mut memory = Memory::default();
    let connection = connection(&fake.url, CURSOR);
    let everything = connection.select([("feed".to_owned(), Wanted::Whole)]);
    connection
        .sample(&everything, Most { partitions: 1, pages: 2, newest: None }, &mut memory)
        .await
        .unwrap();
    assert_eq!(query(&fake, "after"), ["", "1"]);
}

#[tokio::test]
async fn a_sample_of_all_partitions_that_there_are_is_the_stream() {
    let fake = bank(|received| {
        fake::json(match received.path.as_str() {
            "/accounts" => json!([{"id": "a"}, {"id": "b"}]),
            path => json!([{"id": path}]),
        })
    })
    .await;
    let streams = format!(
        "  - {{ name: accounts, request: {{ path: /accounts }}, records: '.[]' }}\n  - {{ name: feed, resource: transactions, for_each: accounts, partition: .id, request: {{ path: '/feed/{{id}}' }}, records: '.[]', map: {MAP} }}\n"
    );
    let connection = connection_of(&fake.url, &streams);
    let everything = connection.select([("feed".to_owned(), Wanted::Whole)]);
    for (partitions, read, ends) in [(1, 1, 0), (2, 2, 1), (3, 2, 1)] {
        let mut memory = Memory::default();
        let most = Most { partitions, pages: 5, newest: None };
        connection.sample(&everything, most, &mut memory).await.unwrap();
        let ended = memory.pages.iter().filter(|page| page.stream == "feed" && page.end_of_stream).count();
        assert_eq!((ids(&memory).len(), ended), (read, ends), "{partitions}");
    }
}

#[tokio::test]
async fn equal_records_are_counted_anew_where_a_walk_begins_anew() {
    let down = std::sync::atomic::AtomicBool::new(true);
    let fake = bank(move |received| {
        let page: u64 = received.query.get("after").map_or(0, |after| after.parse().unwrap());
        if page == 1 && down.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let at = Utc::now().to_rfc3339();
        fake::json(json!({"items": [{"name": "coffee", "at": at}], "next": (page < 2).then(|| (page + 1).to_string())}))
    })
    .await;
    let lines = format!(
        "{CURSOR}    identity: {{ id: 'null', fields: '[.name]' }}\n    errors: [{{ when: {{ status: [500] }}, do: reset_paging }}]\n"
    );
    let mut memory = Memory::default();
    connection(&fake.url, &lines).run(&mut memory).await.unwrap();
    let ids: std::collections::BTreeSet<String> = ids(&memory).into_iter().collect();
    let counted: Vec<&str> = ids.iter().map(|id| id.rsplit_once('-').unwrap().1).collect();
    assert_eq!(counted, ["1", "2", "3"], "three purchases, however often they were listed");
}

#[tokio::test]
async fn a_walk_whose_page_ahead_is_lost_begins_anew_behind_the_page_before_it() {
    let answered = Arc::new(Semaphore::new(0));
    let fake = paged(Some(1), &answered).await;
    let rule = "    errors: [{ when: { status: [500] }, do: reset_paging }]\n";
    let mut memory = Memory::default();
    let error = failure(connection(&fake.url, &format!("{CURSOR}{rule}")).run(&mut memory).await);
    assert!(!error.is_empty());
    // 3 times anew, and the warning of each comes with the page that is read then
    assert_eq!(query(&fake, "after"), ["", "1"].repeat(4));
    let anew = |page: &&RecordPage| page.warnings.keys().any(|warning| warning.kind() == "walk_begun_anew");
    assert_eq!((memory.pages.len(), memory.pages.iter().filter(anew).count()), (4, 3));
}
