//! Answers that seem to be what was asked for and are not.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::walk_tests::{MAP, bank, connection, connection_of, failure, ids};
use crate::compiled::CompiledProvider;
use crate::fake::{self, Fake, Memory};
use crate::read::Warning;

/// Two events, of which the answer to the second one's payment may be changed.
async fn events(second: &Arc<Mutex<serde_json::Value>>) -> (Fake, CompiledProvider) {
    let second = Arc::clone(second);
    let fake = bank(move |received| match received.path.strip_prefix("/payments/") {
        Some("q") => fake::json(second.lock().unwrap().clone()),
        Some(id) => fake::json(json!({"id": id})),
        None => {
            let after: usize = received.query.get("after").map_or(0, |after| after.parse().unwrap());
            let events = [(1, "p"), (2, "q"), (3, "r")].into_iter().filter(|(event, _)| *event > after);
            fake::json(events.map(|(event, payment)| json!({"event": event, "payment": payment})).collect())
        }
    })
    .await;
    let connection = connection_of(
        &fake.url,
        r#"
  - name: feed
    resource: transactions
    map: '{ id, createdAt: "2026-01-01T00:00:00Z", type: "PAYIN", status: "SUCCEEDED", currency: "EUR/2", amount: "1" }'
    request: { path: /events }
    records: .[]
    incremental: { kind: event_feed, mark: .event, param: after }
    detail: { request: { path: "/payments/{payment}" }, record: . }
"#,
    );
    (fake, connection)
}

#[tokio::test]
async fn an_error_object_in_the_place_of_a_named_record_moves_no_mark() {
    let second = Arc::new(Mutex::new(json!({"code": "INTERNAL", "message": "try again"})));
    let (_fake, connection) = events(&second).await;
    let mut memory = Memory::default();
    let error = failure(connection.run(&mut memory).await);
    assert!(error.contains("not the record that is asked for"), "{error}");
    assert_eq!((ids(&memory).len(), memory.reasons("feed").len()), (0, 0));
    *second.lock().unwrap() = json!({"id": "q"});
    let report = connection.run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory), ["p", "q", "r"]);
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[tokio::test]
async fn a_named_record_that_never_comes_goes_to_quarantine_in_the_third_run() {
    let second = Arc::new(Mutex::new(json!({"code": "INTERNAL"})));
    let (_fake, connection) = events(&second).await;
    let mut memory = Memory::default();
    for _ in 0..2 {
        failure(connection.run(&mut memory).await);
    }
    connection.run(&mut memory).await.unwrap();
    assert_eq!((ids(&memory), memory.reasons("feed").len()), (vec!["p".to_owned(), "r".to_owned()], 1));
    *second.lock().unwrap() = json!({"id": "q"});
    connection.run(&mut memory).await.unwrap();
    assert_eq!(ids(&memory).len(), 2, "the mark stands behind all of them");
}

#[tokio::test]
async fn a_limit_that_cannot_be_read_is_told() {
    let fake = bank(|_| {
        fake::answer(200, &[("x-ratelimit-remaining", "none"), ("x-ratelimit-reset", "9")], r#"[{"id":"a"}]"#)
    })
    .await;
    let lines = "    request: { path: /feed }\n    records: .[]\n";
    let report = connection(&fake.url, lines).run(&mut Memory::default()).await.unwrap();
    assert_eq!(report.warnings, [(Warning::UnreadLimit("x-ratelimit-remaining".to_owned()), 1)].into());
}

#[tokio::test]
async fn a_broken_text_makes_no_second_payment_of_one_that_is_known_by_its_text() {
    let broken = Arc::new(Mutex::new(true));
    let is_broken = Arc::clone(&broken);
    let fake = bank(move |_| {
        let text = if *is_broken.lock().unwrap() { "Caf\\ud83d" } else { "Cafe" };
        fake::answer(200, &[], format!(r#"[{{"text":"{text}"}},{{"text":"Tea"}}]"#))
    })
    .await;
    let lines =
        "    request: { path: /feed }\n    records: .[]\n    identity: { id: .id, fields: '[.text]' }\n";
    let connection = connection(&fake.url, lines);
    let mut memory = Memory::default();
    connection.run(&mut memory).await.unwrap();
    assert_eq!((ids(&memory).len(), memory.reasons("feed").len()), (1, 1));
    assert!(memory.reasons("feed")[0].contains("broken"), "{:?}", memory.reasons("feed"));
    *broken.lock().unwrap() = false;
    connection.run(&mut memory).await.unwrap();
    let mut all = ids(&memory);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn a_refund_of_a_status_that_nobody_knows_does_not_show_on_its_payment() {
    let fake = bank(|_| {
        fake::json(json!([
            {"id": "p", "status": "odd"},
            {"id": "r", "of": "p", "status": "odd"},
            {"id": "s", "of": "p", "status": "done"}
        ]))
    })
    .await;
    let map = MAP.replace("id: (.id // $identity)", "id, relatedTransactionID: .of");
    let streams = format!(
        "  - name: feed\n    resource: transactions\n    request: {{ path: /feed }}\n    records: .[]\n    map: {map}\n    \
         status_map: {{ done: REFUNDED }}\n"
    );
    let mut memory = Memory::default();
    connection_of(&fake.url, &streams).run(&mut memory).await.unwrap();
    let records = memory.records("feed");
    let told: Vec<_> =
        records.iter().map(|one| (one["id"].as_str().unwrap(), one["status"].as_str().unwrap())).collect();
    assert_eq!(told, [("p", "OTHER"), ("s", "REFUNDED")]);
    assert!(memory.reasons("feed")[0].contains("in no list"), "{:?}", memory.reasons("feed"));
}
