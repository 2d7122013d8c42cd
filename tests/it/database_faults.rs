//! A network that fails between Tributary and PostgreSQL, and backends that are terminated: a
//! page is whole or a 503, a push whose fate nobody heard of is told again and doubles nothing,
//! and the feed goes on.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use tributary::store;
use tributary_formance::Kind;

use crate::support::proxy::{Fault, Proxy, contains, report};
use crate::support::{Consumer, Loop, TestApp, records};

/// An application, and the same one again that reaches its database through a proxy.
async fn behind_proxy(connections: u32) -> (TestApp, TestApp, Proxy) {
    let app = TestApp::fast().await;
    let (proxy, url) = Proxy::to_postgres(&app.url).await;
    let pool = store::connect(&url, connections).await.unwrap();
    let keys = (app.connector_key.clone(), app.ingest_key.clone());
    let proxied = TestApp::with_keys(&app, pool, keys);
    (app, proxied, proxy)
}

/// A batch of which a repetition tells nothing new: two states each, dated by the provider.
fn batch(round: usize, count: usize) -> Vec<u8> {
    let states = [("PENDING", "2026-03-01T12:00:00Z"), ("SUCCEEDED", "2026-03-01T12:01:00Z")];
    let records: Vec<Value> = states
        .iter()
        .flat_map(|(status, at)| {
            (0..count).map(move |i| {
                let mut record = records::transaction(&format!("t{round}_{i}"), status);
                record["updatedAt"] = (*at).into();
                record
            })
        })
        .collect();
    serde_json::to_vec(&records).unwrap()
}

async fn push(app: &TestApp, body: &[u8]) -> (StatusCode, Value) {
    app.post("/ingest/transactions", "application/json", body.to_vec()).await
}

/// As a pusher that waits for an answer for half a second, and tries until it is acknowledged.
async fn push_until_acknowledged(app: &TestApp, body: &[u8]) -> u64 {
    for tries in 1..100 {
        match tokio::time::timeout(Duration::from_millis(500), push(app, body)).await {
            Ok((StatusCode::OK, _)) => return tries,
            Ok((status, answer)) => assert_unavailable(status, &answer),
            Err(_) => {}
        }
    }
    panic!("never acknowledged");
}

fn assert_unavailable(status: StatusCode, body: &Value) {
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert!(body["Title"].is_string() && body["Detail"].is_string(), "{body}");
}

/// Both loops get every version of `records` records with two states each, once and in order.
async fn check_all_arrived(app: &TestApp, records: usize) {
    app.publish_all().await;
    for form in Loop::BOTH {
        let mut consumer = Consumer::new(app, Kind::Transactions, form).await;
        consumer.poll().await;
        consumer.check(app).await;
        assert_eq!(consumer.rows.len(), 2 * records, "every version, and none twice");
    }
}

#[tokio::test]
async fn s14_a_page_whose_database_connection_breaks_is_whole_or_a_503() {
    let (app, proxied, proxy) = behind_proxy(4).await;
    app.push("transactions", &records::transactions("t", 300)).await;
    app.publish_all().await;
    let pages: Vec<String> =
        (1..=4).map(|page| format!("/transactions?page={page}&pageSize=100&sort=updatedAt:asc")).collect();
    let mut whole = Vec::new();
    for page in &pages {
        whole.push(app.get_ok(page).await);
    }
    let mut refused = 0;
    for after in [0, 1, 5, 40, 300, 2_000, 10_000, 20_000, 30_000] {
        for fault in [Fault::Reset { after }, Fault::Close { after }, Fault::HalfClose { after }] {
            for (page, whole) in pages.iter().zip(&whole) {
                proxy.next("transactions", fault);
                let (status, body) = proxied.get(page).await;
                if status == StatusCode::OK {
                    assert_eq!(&body, whole, "{page}, {fault:?}");
                } else {
                    assert_unavailable(status, &body);
                    refused += 1;
                }
                proxy.heal();
                assert_eq!(&proxied.get_ok(page).await, whole, "{page} after {fault:?}");
            }
        }
    }
    let mut fired = proxy.all_fired();
    fired.push(("page_refused", refused));
    report(fired);
}

#[tokio::test]
async fn s14_a_push_whose_commit_nobody_heard_of_is_told_again_and_doubles_nothing() {
    let (app, proxied, proxy) = behind_proxy(4).await;
    let faults = [
        // it never arrived; it was done, and the answer is lost; half of the answer came
        Fault::Refuse,
        Fault::Reset { after: 0 },
        Fault::Close { after: 3 },
        Fault::HalfClose { after: 0 },
        Fault::Hang { after: 0 },
        Fault::BlackHole,
    ];
    let (mut rounds, mut retried) = (0, 0);
    for fault in faults {
        for pattern in ["COMMIT", "t"] {
            proxy.next(pattern, fault);
            retried += push_until_acknowledged(&proxied, &batch(rounds, 20)).await - 1;
            rounds += 1;
        }
    }
    proxy.heal();
    check_all_arrived(&app, rounds * 20).await;
    let mut fired = proxy.all_fired();
    fired.push(("push_retried", retried));
    report(fired);
}

#[tokio::test]
async fn s14_a_publication_that_is_cut_off_publishes_all_of_it_or_nothing() {
    let (app, proxied, proxy) = behind_proxy(4).await;
    let mut failed = 0;
    let faults =
        [Fault::Refuse, Fault::Reset { after: 0 }, Fault::Close { after: 30 }, Fault::HalfClose { after: 7 }];
    for (round, fault) in faults.into_iter().cycle().take(20).enumerate() {
        let (status, answer) = push(&app, &batch(round, 20)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        proxy.next("transactions", fault);
        while proxied.publisher().publish_now().await.is_err() {
            failed += 1;
        }
    }
    check_all_arrived(&app, 20 * 20).await;
    let mut fired = proxy.all_fired();
    fired.push(("publication_failed", failed));
    report(fired);
}

#[tokio::test]
async fn s14_a_silent_database_connection_ends_in_a_503_and_does_not_stop_the_publisher() {
    let (app, proxied, proxy) = behind_proxy(4).await;
    app.push("transactions", &records::transactions("t", 150)).await;
    app.publish_all().await;
    let stop = tokio_util::sync::CancellationToken::new();
    // the first page's answer is swallowed, and the first publication itself
    let mut faults = vec![Fault::BlackHole, Fault::Hang { after: 0 }];
    proxy.choose(move |request| if contains(request, "\x0ctransactions") { faults.pop() } else { None });
    let (status, body) = tokio::join!(proxied.get("/transactions"), async {
        push(&app, &batch(0, 20)).await;
        tokio::spawn(proxied.publisher().run(stop.clone()));
    })
    .0;
    assert_unavailable(status, &body);
    assert_eq!(proxied.get_ok("/transactions").await.as_array().unwrap().len(), 100);
    let published = async {
        while app.feed("transactions").await.len() < 150 + 40 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), published).await.expect("the publisher goes on");
    stop.cancel();
    assert_eq!((proxy.fired("hang"), proxy.fired("black_hole")), (1, 1));
    report(proxy.all_fired());
}
