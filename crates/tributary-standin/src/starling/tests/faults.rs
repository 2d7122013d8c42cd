use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::starling::{Faults, Fired, Late, ManualClock, RetryAfter, When};

const ACCOUNTS: &str = "/api/v2/accounts";
const PAYEES: &str = "/api/v2/payees";

/// The statuses of as many requests for one path.
async fn statuses(bank: &Arc<Starling>, path: &str, requests: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..requests {
        statuses.push(get(bank, path).await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn without_faults_nothing_fires() {
    let bank = bank();
    bank.tick(100);
    assert_eq!(statuses(&bank, ACCOUNTS, 3).await, [200, 200, 200]);
    assert_eq!(bank.fired(), Fired::default());
}

#[tokio::test]
async fn rate_limits_say_how_long_to_wait_each_in_its_turn() {
    let bank = bank();
    let retry_after = vec![RetryAfter::Seconds(3), RetryAfter::Date(2), RetryAfter::Zero, RetryAfter::Absent];
    bank.set_faults(Faults { rate_limited: Some(When::next(4)), retry_after, ..Faults::default() });
    let asked = SystemTime::now();
    let mut said = Vec::new();
    for _ in 0..4 {
        let answer = get(&bank, ACCOUNTS).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.json()["success"], false);
        said.push(answer.headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned()));
    }
    assert_eq!(said[0].as_deref(), Some("3"));
    let until = httpdate::parse_http_date(said[1].as_ref().unwrap()).unwrap();
    let wait = until.duration_since(asked).unwrap();
    assert!((Duration::from_secs(2)..Duration::from_secs(60)).contains(&wait), "{wait:?}");
    assert_eq!((said[2].as_deref(), said[3].as_deref()), (Some("0"), None));

    assert_eq!(statuses(&bank, ACCOUNTS, 2).await, [200, 200]);
    let fired = bank.fired();
    assert_eq!(fired.rate_limited(), 4);
    let expected = Fired {
        rate_limited_seconds: 1,
        rate_limited_date: 1,
        rate_limited_zero: 1,
        rate_limited_absent: 1,
        ..Fired::default()
    };
    assert_eq!(fired, expected);
}

#[tokio::test]
async fn server_errors_hit_every_nth_request_of_the_named_path_at_most_so_often() {
    let bank = bank();
    let when = When::every(3).at_most(2).on("/payees");
    bank.set_faults(Faults { server_error: Some(when), ..Faults::default() });
    assert_eq!(statuses(&bank, ACCOUNTS, 4).await, [200; 4], "another path");
    assert_eq!(statuses(&bank, PAYEES, 9).await, [200, 200, 500, 200, 200, 500, 200, 200, 200]);
    assert_eq!(bank.fired(), Fired { server_errors: 2, ..Fired::default() });

    bank.set_faults(Faults { server_error: Some(When::every(0)), ..Faults::default() });
    assert_eq!(statuses(&bank, PAYEES, 3).await, [200; 3], "every 0th is never");
    assert_eq!(bank.fired().server_errors, 2, "the tally goes on");
}

#[tokio::test]
async fn requests_without_a_token_neither_fire_nor_use_up_a_fault() {
    let bank = bank();
    bank.set_faults(Faults { server_error: Some(When::next(1)), ..Faults::default() });
    assert_eq!(ask(&bank, ACCOUNTS, None).await.unwrap().status, StatusCode::FORBIDDEN);
    assert_eq!(bank.fired().server_errors, 0);
    assert_eq!(statuses(&bank, ACCOUNTS, 2).await, [500, 200]);
}

#[tokio::test]
async fn a_request_is_hit_by_the_first_fault_whose_turn_it_is() {
    let bank = bank();
    bank.set_faults(Faults {
        rate_limited: Some(When::every(2)),
        server_error: Some(When::every(2)),
        ..Faults::default()
    });
    assert_eq!(statuses(&bank, ACCOUNTS, 6).await, [200, 429, 500, 429, 200, 429]);
}

#[tokio::test]
async fn a_cut_body_ends_in_an_error_after_its_first_half() {
    let bank = bank();
    let whole = get(&bank, ACCOUNTS).await.text;
    bank.set_faults(Faults { cut_body: Some(When::next(1)), ..Faults::default() });
    let request = Request::get(ACCOUNTS).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
    let response = router(Arc::clone(&bank)).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
    let parts: Vec<_> = futures::StreamExt::collect(response.into_body().into_data_stream()).await;
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].as_ref().unwrap(), &whole.as_bytes()[..whole.len() / 2]);
    assert!(parts[1].is_err());
    assert_eq!(bank.fired(), Fired { cut_bodies: 1, ..Fired::default() });
    assert_eq!(get(&bank, ACCOUNTS).await.text, whole);
}

#[tokio::test]
async fn latency_makes_each_answer_wait() {
    let bank = bank();
    let latency = Duration::from_millis(30);
    bank.set_faults(Faults { latency: Some(latency), ..Faults::default() });
    let asked = Instant::now();
    assert_eq!(statuses(&bank, ACCOUNTS, 2).await, [200, 200]);
    assert!(asked.elapsed() >= latency * 2);
    assert_eq!(bank.fired(), Fired { delayed: 2, ..Fired::default() });
}

/// What the one account's feed answers, item by item.
async fn seen(bank: &Arc<Starling>) -> Vec<String> {
    let category = categories(&bank.ledger())[0];
    let items = changes_since(bank, &category, noon() - chrono::Duration::days(364)).await;
    sorted(items.iter().map(line_of_answer))
}

#[tokio::test]
async fn a_late_change_is_missed_by_so_many_requests_and_seen_by_the_next() {
    let bank = open(StarlingConfig { accounts: 1, goals_per_account: 0, items: 300, ..config() });
    let truth = |bank: &Starling| sorted(bank.ledger().items.iter().map(line_of_ledger));
    let before = truth(&bank);
    bank.set_faults(Faults { late: Some(Late { every: 1, requests: 2 }), ..Faults::default() });
    bank.tick(40);
    bank.set_faults(Faults::default());
    let after = truth(&bank);
    let unseen = after.iter().filter(|line| !before.contains(line)).count() as u64;
    assert!(unseen > 20);

    assert_eq!(seen(&bank).await, before, "new items are missing, moved ones still as they were");
    assert_eq!(bank.fired().shown_late, unseen);
    assert_eq!(seen(&bank).await, before);
    assert_eq!(bank.fired().shown_late, unseen * 2);
    assert_eq!(seen(&bank).await, after);
    assert_eq!(bank.fired().shown_late, unseen * 2, "nothing is late any more");
}

#[tokio::test]
async fn a_late_change_keeps_its_own_updated_at_behind_what_was_seen_before_it() {
    let clock = ManualClock::new(noon());
    let config =
        StarlingConfig { accounts: 1, goals_per_account: 0, clock: Clock::Manual(clock.clone()), ..config() };
    let bank = open(config);
    let category = categories(&bank.ledger())[0];
    // Every second change is late, so others with a later updatedAt are seen before it.
    bank.set_faults(Faults { late: Some(Late { every: 2, requests: 1 }), ..Faults::default() });
    clock.advance(Duration::from_secs(60));
    bank.tick(40);
    let first = changes_since(&bank, &category, noon() + chrono::Duration::seconds(30)).await;
    let watermark = first.iter().map(|item| item["updatedAt"].as_str().unwrap()).max().unwrap();
    let since = stamp(noon() + chrono::Duration::seconds(30));
    let earlier = first.iter().filter(|item| item["updatedAt"].as_str().unwrap() < since.as_str());
    assert_eq!(earlier.count(), 0, "a late item's version before is no change since then");
    let second = changes_since(&bank, &category, noon() + chrono::Duration::seconds(30)).await;
    let behind =
        second.iter().filter(|item| !first.contains(item) && item["updatedAt"].as_str().unwrap() < watermark);
    assert!(behind.count() > 10, "a client without a lookback loses these");
    assert!(bank.fired().shown_late > 10);
}

#[tokio::test]
async fn a_single_item_is_as_late_as_its_feed() {
    let bank = open(StarlingConfig { accounts: 1, goals_per_account: 0, items: 0, ..config() });
    bank.set_faults(Faults { late: Some(Late { every: 1, requests: 1 }), ..Faults::default() });
    bank.tick(1);
    let item = bank.ledger().items[0].clone();
    let path = format!("{}/{}", feed(item.account, item.category), item.uid);
    assert_eq!(get(&bank, &path).await.status, StatusCode::NOT_FOUND);
    assert!(seen(&bank).await.is_empty());
    assert_eq!(get(&bank, &path).await.status, StatusCode::OK);
    assert_eq!(seen(&bank).await.len(), 1);
}

#[tokio::test]
async fn the_next_change_of_a_late_item_is_seen_at_once() {
    let bank = open(StarlingConfig { accounts: 1, goals_per_account: 0, items: 0, ..config() });
    bank.set_faults(Faults { late: Some(Late { every: 1, requests: 1_000 }), ..Faults::default() });
    bank.tick(50);
    assert!(seen(&bank).await.is_empty());
    bank.set_faults(Faults::default());
    bank.tick(50);
    let late = bank.ledger();
    let visible: std::collections::BTreeSet<_> = seen(&bank).await.into_iter().collect();
    let (moved, still_late): (Vec<_>, Vec<_>) = late.items.iter().partition(|item| {
        let last_50 = noon() + chrono::Duration::milliseconds(49);
        item.updated_at > last_50
    });
    assert!(moved.iter().any(|item| item.versions.len() > 1) && !still_late.is_empty());
    assert!(moved.iter().all(|item| visible.contains(&line_of_ledger(item))));
    assert_eq!(visible.len(), moved.len());
}
