//! Pages that go on at the time of a record: nothing lies between two of them, whatever an API makes of the time.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::walk_tests::{bank, connection, failure, ids, watermark};
use crate::fake::{self, Fake, Memory};

const FEED: &str = r#"
    request: { path: /feed }
    records: .[]
    paging: { kind: keyset, param: to, field: .at, bound: exclusive, format: seconds, order: newest_first, size: { value: 50 }, stop: short_page }
    incremental:
      kind: updated_window
      cursor: .at
      from: { param: since, bound: inclusive }
      lookback: 1h
      settle: 0s
      start: 30d
      order: newest_first
"#;

/// Rows that were created so many seconds before `now`, the newest first.
fn created(now: DateTime<Utc>, seconds_ago: &[i64]) -> Vec<(String, DateTime<Utc>)> {
    let rows = seconds_ago.iter().enumerate();
    rows.map(|(number, seconds)| (number.to_string(), now - TimeDelta::seconds(*seconds))).collect()
}

/// An API that gives `cap` of the `rows` before `to`, whatever size is asked for, and shows each time `shown` seconds
/// later than it is.
async fn capped(rows: Vec<(String, DateTime<Utc>)>, cap: usize, shown: i64) -> Fake {
    bank(move |received| {
        let to = received.query.get("to").map(|to| to.parse::<DateTime<Utc>>().unwrap());
        let listed = rows.iter().filter(|(_, at)| to.is_none_or(|to| *at < to)).take(cap);
        let at =
            |at: &DateTime<Utc>| (*at + TimeDelta::seconds(shown)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let rows: Vec<Value> = listed.map(|(id, time)| json!({"id": id, "at": at(time)})).collect();
        fake::json(Value::from(rows))
    })
    .await
}

fn hours_ago() -> DateTime<Utc> {
    Utc::now() - TimeDelta::hours(20)
}

async fn refused(fake: &Fake) -> String {
    let mut memory = Memory::default();
    let error = failure(connection(&fake.url, FEED).run(&mut memory).await);
    assert_eq!(watermark(&memory, ""), None, "a walk that did not end moves no watermark");
    error
}

#[tokio::test]
async fn an_api_that_gives_fewer_rows_than_asked_for_is_read_to_its_end() {
    for times in [&[][..], &[10], &[10, 20], &[10, 10], &[10, 10, 20, 20, 30, 40, 40, 50], &[10, 20, 30, 30]]
    {
        let fake = capped(created(hours_ago(), times), 3, 0).await;
        let mut memory = Memory::default();
        connection(&fake.url, FEED)
            .run(&mut memory)
            .await
            .unwrap_or_else(|error| panic!("{times:?}: {error}"));
        let mut read = ids(&memory);
        read.sort();
        read.dedup();
        assert_eq!(read.len(), times.len(), "{times:?}");
        assert_eq!(watermark(&memory, "").is_some(), !times.is_empty());
    }
}

#[tokio::test]
async fn an_api_whose_clock_is_another_than_that_of_its_parameter_leaves_no_row_out() {
    let times = [10, 20, 30, 40, 50, 60, 70, 80];
    for (shown, told) in [(25, "does not look at the parameter"), (-25, "does not begin with the record")] {
        let fake = capped(created(hours_ago(), &times), 3, shown).await;
        let error = refused(&fake).await;
        assert!(error.contains("page.before: ") && error.contains(told), "{shown}: {error}");
    }
}

#[tokio::test]
async fn as_many_rows_of_one_second_as_an_api_gives_at_once_are_not_taken_for_all_of_it() {
    let fake = capped(created(hours_ago(), &[10, 20, 20, 20, 20, 30]), 3, 0).await;
    let error = refused(&fake).await;
    assert!(error.contains("page.size: ") && error.contains("others follow"), "{error}");
}
