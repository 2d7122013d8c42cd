//! Places that an API forgets: what cannot be gone on from is not asked for in every run for ever.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::walk_tests::{
    CURSOR, Killed, MAP, bank, connection, connection_with, failure, ids, minutes_ago, query,
};
use crate::fake::{self, Fake, Memory, Received};
use crate::read::{RunError, Warning};

/// Three pages of two records each, of which a kept second one is answered with `status`.
async fn forgetful(status: u16) -> (Fake, Arc<Mutex<bool>>) {
    let forgets = Arc::new(Mutex::new(false));
    let bank_side = Arc::clone(&forgets);
    let resumed = Mutex::new(true);
    let fake = bank(move |received: &Received| {
        let page: i64 = received.query.get("after").map_or(0, |after| after.parse().unwrap());
        let mut resumed = resumed.lock().unwrap();
        // of a new walk, every page is there
        *resumed &= page != 0 || !*bank_side.lock().unwrap();
        if page == 1 && *bank_side.lock().unwrap() && *resumed {
            return fake::answer(status, &[], "broken");
        }
        let items: Vec<_> =
            (0..2).map(|n| json!({"id": format!("{page}-{n}"), "at": minutes_ago(30 - 10 * page)})).collect();
        fake::json(json!({"items": items, "next": (page < 2).then(|| (page + 1).to_string())}))
    })
    .await;
    (fake, forgets)
}

#[tokio::test]
async fn a_kept_cursor_that_fails_in_every_run_is_given_up_after_three() {
    let (fake, forgets) = forgetful(500).await;
    let provider = connection(&fake.url, CURSOR);
    let mut memory = Memory::default();
    provider.run(&mut Killed { memory: &mut memory, pages: 1 }).await.unwrap_err();
    *forgets.lock().unwrap() = true;
    for _ in 0..2 {
        let error = failure(provider.run(&mut memory).await);
        assert!(error.contains("500"), "{error}");
    }
    let asked = query(&fake, "after").len();
    let report = provider.run(&mut memory).await.unwrap();
    assert_eq!(query(&fake, "after")[asked..], ["1", "", "1", "2"]);
    assert_eq!(report.warnings.keys().map(Warning::kind).collect::<Vec<_>>(), ["walk_begun_anew"]);
    let mut ids = ids(&memory);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn an_outage_takes_no_place_from_a_walk() {
    let down = Arc::new(Mutex::new(false));
    let bank_side = Arc::clone(&down);
    let fake = bank(move |received: &Received| {
        let page: i64 = received.query.get("after").map_or(0, |after| after.parse().unwrap());
        if *bank_side.lock().unwrap() {
            return fake::answer(503, &[], "down");
        }
        fake::json(json!({"items": [{"id": page.to_string(), "at": minutes_ago(30)}], "next": (page < 2).then(|| (page + 1).to_string())}))
    })
    .await;
    let provider = connection(&fake.url, CURSOR);
    let mut memory = Memory::default();
    provider.run(&mut Killed { memory: &mut memory, pages: 1 }).await.unwrap_err();
    *down.lock().unwrap() = true;
    for _ in 0..5 {
        failure(provider.run(&mut memory).await);
    }
    *down.lock().unwrap() = false;
    let asked = query(&fake, "after").len();
    assert_eq!(provider.run(&mut memory).await.unwrap().warnings, [].into());
    assert_eq!(query(&fake, "after")[asked..], ["1", "2"]);
}

/// Events of which the API has forgotten those before the third.
async fn aged(status: u16, rule: &str) -> (Vec<String>, Memory, Result<Vec<Warning>, String>) {
    let aged = Arc::new(Mutex::new(false));
    let bank_side = Arc::clone(&aged);
    let fake = bank(move |received| match received.path.strip_prefix("/payments/") {
        Some(id) => fake::json(json!({"id": id})),
        None => {
            let after: i64 = received.query.get("after").map_or(0, |after| after.parse().unwrap());
            let aged = *bank_side.lock().unwrap();
            if aged && after > 0 && after < 3 {
                return fake::answer(status, &[], r#"{"error":"unknown event"}"#);
            }
            let events = if aged { 3..6 } else { 1..3 };
            fake::json(
                events
                    .filter(|event| *event > after)
                    .map(|event| json!({"event": event, "payment": event.to_string()}))
                    .collect(),
            )
        }
    })
    .await;
    let lines = format!(
        r#"
    request: {{ path: /events }}
    records: .[]
    incremental: {{ kind: event_feed, mark: .event, param: after }}
    detail: {{ request: {{ path: "/payments/{{payment}}" }}, record: . }}
    errors: [{rule}]
"#
    );
    let provider = connection(&fake.url, &lines);
    let mut memory = Memory::default();
    provider.run(&mut memory).await.unwrap();
    *aged.lock().unwrap() = true;
    let report = provider.run(&mut memory).await;
    let told = report.map(|report| report.warnings.into_keys().collect()).map_err(|error| error.to_string());
    (ids(&memory), memory, told)
}

#[tokio::test]
async fn an_event_that_has_aged_out_is_told_and_the_events_that_are_left_are_read() {
    for (status, rule) in [
        (400, ""),
        (410, ""),
        (404, ""),
        (400, "{ when: { status: [400] }, do: reset_paging, reason: it is too old }"),
        (200, "{ when: { body: 'has(\"error\")' }, do: reset_paging }"),
    ] {
        let (ids, memory, told) = aged(status, rule).await;
        assert_eq!(ids, ["1", "2", "3", "4", "5"], "{status} {rule}");
        let told = told.unwrap();
        assert_eq!(told.len(), 1);
        assert!(
            told[0].kind() == "mark_lost" && told[0].to_string().contains("tributary sync bank --full"),
            "{told:?}"
        );
        assert_eq!(memory.cursors[&("feed".to_owned(), String::new())]["mark"], "5");
    }
}

#[tokio::test]
async fn credentials_that_are_refused_take_no_event_from_a_stream() {
    for status in [401, 403] {
        let (ids, memory, told) = aged(status, "").await;
        assert!(ids == ["1", "2"] && told.is_err());
        assert_eq!(memory.cursors[&("feed".to_owned(), String::new())]["mark"], "2");
    }
}

/// Two accounts, the first of which is answered with `status` and `headers`.
async fn limited(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    scope: &str,
) -> (Fake, Vec<String>, Vec<String>) {
    let fake = bank(move |received: &Received| match received.path.as_str() {
        "/accounts" => fake::json(json!([{"id": "a"}, {"id": "b"}])),
        "/feed/a" => fake::answer(status, headers, r#"[{"id":"of-a"}]"#),
        "/other/a" => fake::json(json!([{"id": "other-of-a"}])),
        path => fake::json(json!([{"id": path.replace('/', "-")}])),
    })
    .await;
    let streams = format!(
        "  - name: accounts\n    request: {{ path: /accounts }}\n    records: .[]\n\
         \x20 - name: feed\n    resource: transactions\n    for_each: accounts\n    partition: .id\n    request: {{ path: \"/feed/{{id}}\" }}\n    records: .[]\n    map: {MAP}\n\
         \x20 - name: other\n    resource: transactions\n    for_each: accounts\n    partition: .id\n    request: {{ path: \"/other/{{id}}\" }}\n    records: .[]\n    map: {MAP}\n"
    );
    let provider = connection_with(&fake.url, &format!("per_second: 1000, scope: {scope}"), &streams);
    let mut memory = Memory::default();
    let failures = |ended: Result<_, RunError<Infallible>>| match ended {
        Ok(_) => Vec::new(),
        Err(RunError::Incomplete(report)) => report
            .failures
            .iter()
            .map(|failure| format!("{}({})", failure.stream, failure.partition))
            .collect(),
        Err(RunError::Sink(never)) => match never {},
    };
    let mut failed = failures(provider.run(&mut memory).await);
    failed.extend(failures(provider.run(&mut memory).await));
    let asked: Vec<String> = fake.received().iter().map(|received| received.path.clone()).collect();
    (fake, failed, asked)
}

#[tokio::test]
async fn a_limit_of_one_account_closes_only_what_the_file_says() {
    let far: &[(&str, &str)] = &[("retry-after", "85092")];
    let spent: &[(&str, &str)] = &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "43200")];
    let first = ["/accounts", "/feed/a", "/feed/b", "/other/a", "/other/b"];
    // what is asked by two runs, of which the second finds closed what the first was told of
    for (status, headers, scope, failed, again) in [
        (
            429,
            far,
            "partition",
            &["feed(a)", "feed(a)"][..],
            &["/accounts", "/feed/b", "/other/a", "/other/b"][..],
        ),
        (200, spent, "partition", &["feed(a)"], &["/accounts", "/feed/b", "/other/a", "/other/b"]),
    ] {
        let (_fake, failures, asked) = limited(status, headers, scope).await;
        assert_eq!(failures, failed, "{scope}");
        assert_eq!(asked, [&first[..], again].concat(), "{scope}");
    }
    let (_fake, failures, asked) = limited(429, far, "endpoint").await;
    assert_eq!(failures, ["feed(a)", "feed(b)", "feed(a)", "feed(b)"]);
    assert_eq!(asked, ["/accounts", "/feed/a", "/other/a", "/other/b", "/accounts", "/other/a", "/other/b"]);
    let (_fake, failures, asked) = limited(429, far, "provider").await;
    assert_eq!(asked, ["/accounts", "/feed/a"]);
    assert!(failures.len() > 4, "{failures:?}");
}

#[tokio::test]
async fn events_of_which_none_was_read_yet_are_at_no_place_that_could_be_lost() {
    let fake = bank(|_| fake::answer(410, &[], "gone")).await;
    let lines = "    request: { path: /events }\n    records: .[]\n    incremental: { kind: event_feed, mark: .event, param: after }\n    detail: { request: { path: \"/payments/{payment}\" }, record: . }\n";
    let error = failure(connection(&fake.url, lines).run(&mut Memory::default()).await);
    assert!(error.contains("410"), "{error}");
    assert_eq!(fake.received().len(), 1);
}
