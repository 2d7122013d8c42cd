//! Each fault really happens, and is counted when it does.

use std::time::Duration;

use axum::http::header;

use super::*;

fn faulty(faults: Faults) -> Arc<Standin> {
    let standin = open(&Mercury);
    standin.set_faults(faults);
    standin
}

async fn statuses(standin: &Arc<Standin>, requests: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..requests {
        statuses.push(get(standin, ALL).await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn without_faults_nothing_fires() {
    let standin = faulty(Faults::default());
    standin.advance(100);
    assert_eq!(statuses(&standin, 3).await, [200; 3]);
    assert_eq!(standin.fired(), Fired::default());
    assert_eq!(standin.spent().requests, 3);
}

#[tokio::test]
async fn rate_limits_say_how_long_to_wait_each_in_its_turn() {
    let retry_after = vec![RetryAfter::Seconds(3), RetryAfter::Date(2), RetryAfter::Zero, RetryAfter::Absent];
    let standin = faulty(Faults { rate_limited: Some(When::next(4)), retry_after, ..Faults::default() });
    let mut said = Vec::new();
    for _ in 0..4 {
        let answer = get(&standin, ALL).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["errors"]["errorCode"].as_str()),
            (429, Some("tooManyRequests"))
        );
        said.push(answer.headers.get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned()));
    }
    assert_eq!(said[0].as_deref(), Some("3"));
    assert!(httpdate::parse_http_date(said[1].as_ref().unwrap()).is_ok());
    assert_eq!((said[2].as_deref(), &said[3]), (Some("0"), &None));
    assert_eq!(get(&standin, ALL).await.status, 200);
    let fired = standin.fired();
    assert_eq!(fired.rate_limited(), 4);
    assert_eq!((fired.rate_limited_seconds, fired.rate_limited_date), (1, 1));
    assert_eq!((fired.rate_limited_zero, fired.rate_limited_absent), (1, 1));
}

#[tokio::test]
async fn server_errors_come_in_turn_and_by_chance_from_the_seed() {
    let server_statuses = vec![500, 502, 503];
    let standin = faulty(Faults { server_error: Some(When::every(2)), server_statuses, ..Faults::default() });
    assert_eq!(statuses(&standin, 6).await, [200, 500, 200, 502, 200, 503]);
    assert_eq!(standin.fired().server_errors, 3);

    let by_chance = || faulty(Faults { server_error: Some(When::chance(300, 5)), ..Faults::default() });
    let first = statuses(&by_chance(), 40).await;
    assert!(first.contains(&500) && first.contains(&200));
    assert_eq!(first, statuses(&by_chance(), 40).await);
}

#[tokio::test]
async fn a_request_without_the_token_neither_meets_nor_uses_up_a_fault() {
    let standin = faulty(Faults { server_error: Some(When::next(1)), ..Faults::default() });
    assert_eq!(get_with(&standin, ALL, "wrong").await.status, 401);
    assert_eq!(standin.fired().server_errors, 0);
    assert_eq!(statuses(&standin, 2).await, [500, 200]);
}

#[tokio::test]
async fn a_request_is_hit_by_the_first_fault_whose_turn_it_is() {
    let (rate_limited, server_error) = (Some(When::every(2)), Some(When::every(2)));
    let standin = faulty(Faults { rate_limited, server_error, ..Faults::default() });
    assert_eq!(statuses(&standin, 6).await, [200, 429, 500, 429, 200, 429]);
}

#[tokio::test]
async fn an_answer_breaks_off() {
    let standin = faulty(Faults { cut_body: Some(When::next(1)), ..Faults::default() });
    let request = axum::http::Request::get(ALL).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
    assert!(send(&standin, request.body(axum::body::Body::empty()).unwrap()).await.is_err());
    assert_eq!(standin.fired().cut_bodies, 1);
    assert_eq!(get(&standin, ALL).await.status, 200);
}

#[tokio::test]
async fn pages_are_short_but_lose_nothing_and_the_last_one_comes_again() {
    let standin = faulty(Faults { short_page: Some(When::next(1)), ..Faults::default() });
    let (whole, _) = page(&open(&Mercury), ALL).await;
    let (short, next) = page(&standin, &format!("{ALL}?limit=10")).await;
    assert_eq!(short, whole[..5]);
    let (following, _) = page(&standin, &format!("{ALL}?limit=10&start_after={}", next.unwrap())).await;
    assert_eq!(following, whole[5..15]);
    assert_eq!(standin.fired().short_pages, 1);

    standin.set_faults(Faults { last_page_again: Some(When::next(1)), ..Faults::default() });
    let before_last = &whole[whole.len() - 4].0;
    let path = format!("{ALL}?limit=10&start_after={before_last}");
    let (last, next) = page(&standin, &path).await;
    assert_eq!((last.len(), next.as_ref()), (3, Some(before_last)), "the last page names itself");
    assert_eq!(page(&standin, &path).await, (last, None), "until the fault is over");
    assert_eq!(standin.fired().last_pages_again, 1);
}

#[tokio::test]
async fn a_counted_list_gives_its_last_page_again_past_the_end() {
    let standin = faulty(Faults { last_page_again: Some(When::next(1)), ..Faults::default() });
    let account = standin.truth().accounts.into_keys().next().unwrap();
    let path = format!("/api/v1/account/{account}/transactions?start=2020-01-01&limit=10");
    let total = get(&standin, &path).await.ok()["total"].as_u64().unwrap();
    let past = format!("{path}&offset={}", total.div_ceil(10) * 10);
    let again = get(&standin, &past).await.ok();
    assert!(!again["transactions"].as_array().unwrap().is_empty());
    assert!(get(&standin, &past).await.ok()["transactions"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_late_is_seen_after_its_time_or_after_as_many_changes() {
    let (standin, clock) = open_with_clock(&Mercury);
    let (before, _) = page(&standin, ALL).await;
    let late_by = Late { milliseconds: 5_000, changes: 0 };
    standin.set_faults(Faults { late: Some(When::every(1)), late_by, ..Faults::default() });
    standin.advance(30);
    assert_eq!(page(&standin, ALL).await.0, before, "neither new records nor new statuses are visible");
    assert!(standin.fired().shown_late >= 20);
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(page(&standin, ALL).await.0, before);
    clock.advance(Duration::from_millis(1));
    let (after, _) = page(&standin, ALL).await;
    assert!(after.len() > before.len());
    assert_eq!(after.len(), standin.truth().transactions.len());

    let late_by = Late { milliseconds: 0, changes: 3 };
    standin.set_faults(Faults { late: Some(When::next(1)), late_by, ..Faults::default() });
    standin.advance(1);
    let missing = standin.truth().transactions.len() - after.len();
    assert_eq!(page(&standin, ALL).await.0, after);
    standin.advance(3);
    assert!(page(&standin, ALL).await.0.len() >= after.len() + missing);
}

#[tokio::test]
async fn the_next_change_of_what_is_late_is_seen_at_once() {
    let standin = faulty(Faults {
        late: Some(When::every(1)),
        late_by: Late { milliseconds: 3_600_000, changes: 0 },
        ..Faults::default()
    });
    let before = standin.view().items.len();
    standin.advance(50);
    standin.set_faults(Faults::default());
    let late: Vec<usize> = standin.view().items[before..].iter().map(|item| item.versions.len()).collect();
    standin.advance(100);
    let (listed, _) = page(&standin, ALL).await;
    let view = standin.view();
    let (mut moved, mut unseen) = (0, 0);
    for (item, versions) in view.items[before..].iter().zip(late) {
        let is_listed = listed.iter().any(|(id, status)| id == item.id() && status == item.current().status);
        assert_eq!(is_listed, item.versions.len() > versions, "{}", item.id());
        if is_listed { moved += 1 } else { unseen += 1 }
    }
    assert!(moved > 0 && unseen > 0, "{moved} went on, {unseen} did not");
}

#[tokio::test]
async fn settling_ends_the_faults_and_shows_everything() {
    let standin = faulty(Faults {
        late: Some(When::every(2)),
        late_by: Late { milliseconds: 3_600_000, changes: 0 },
        server_error: Some(When::every(1)),
        ..Faults::default()
    });
    standin.advance(50);
    assert_eq!(get(&standin, ALL).await.status, 500);
    standin.end_faults();
    assert_eq!(page(&standin, ALL).await.0.len(), standin.truth().transactions.len());
}

#[tokio::test]
async fn changes_tie_and_records_get_other_ids_when_booked() {
    let standin = faulty(Faults { ties: 8, new_id_when_booked: Some(When::every(1)), ..Faults::default() });
    standin.advance(300);
    let fired = standin.fired();
    assert!(fired.ties > 100 && fired.new_ids > 0, "{fired:?}");
    let truth = standin.truth();
    let renamed: Vec<_> = truth.transactions.values().filter(|one| !one.earlier_ids.is_empty()).collect();
    assert_eq!(renamed.len() as u64, fired.new_ids);
    let (listed, _) = page(&standin, ALL).await;
    let listed = each_once(listed.into_iter().map(|(id, _)| id).collect());
    assert_eq!(listed, truth.transactions.keys().cloned().collect::<Vec<_>>());
    assert!(renamed.iter().all(|one| one.earlier_ids.iter().all(|id| !listed.contains(id))));
}

#[tokio::test]
async fn the_limit_on_requests_is_watched_not_enforced() {
    let clock = ManualClock::new(noon());
    let limit = Some(Limit { requests: 2, seconds: 60 });
    let config = StandinConfig { limit, clock: Clock::Manual(clock.clone()), ..config() };
    let standin = Arc::new(Standin::new(&Mercury, config).unwrap());
    assert_eq!(statuses(&standin, 3).await, [200; 3]);
    assert_eq!(standin.spent(), Spent { requests: 3, most_in_window: 3, over_limit: 1 });
    clock.advance(Duration::from_secs(60));
    assert_eq!(statuses(&standin, 2).await, [200; 2]);
    assert_eq!(standin.spent().over_limit, 1);
}

#[tokio::test]
async fn answers_wait_as_told() {
    let standin = faulty(Faults { latency_milliseconds: 20, ..Faults::default() });
    let asked = std::time::Instant::now();
    get(&standin, ALL).await.ok();
    assert!(asked.elapsed() >= Duration::from_millis(20));
    assert_eq!(standin.fired().delayed, 1);
}
