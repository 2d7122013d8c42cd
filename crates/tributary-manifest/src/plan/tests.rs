use super::*;
use crate::edited::edited;

const GOOD: &str = r#"
base_url: https://bank.example
auth: { bearer: token }
every: 5m
functions: "def own: .id;"
streams:
  - name: accounts
    request: { path: /accounts }
    records: .accounts[]
  - name: feed
    resource: transactions
    for_each: accounts
    partition: own
    request: { path: "/accounts/{id}/feed" }
    records: .items[]
    map: "{ id: own }"
    status_map: { DONE: SUCCEEDED }
"#;

#[test]
fn streams_know_their_parents() {
    let streams = streams(&serde_saphyr::from_str(GOOD).unwrap()).unwrap();
    assert!(streams[0].is_parent && streams[0].output.is_none());
    assert_eq!(streams[1].parent.as_ref().map(|parent| parent.index), Some(0));
}

#[test]
fn a_manifest_that_cannot_run_says_which_field_is_wrong() {
    for (from, to, about) in [
        ("for_each: accounts", "for_each: feed", "for_each of stream \"feed\""),
        ("    partition: own\n", "", "partition of stream \"feed\""),
        ("    for_each: accounts\n    partition: own\n", "", "request of stream \"feed\""),
        ("name: feed", "name: accounts", "used twice"),
        ("path: /accounts", "path: accounts", "request.path of stream \"accounts\""),
        ("map: \"{ id: own }\"", "map: \"{ id: \"", "map of stream feed: expected"),
        ("partition: own", "partition: env", "partition of stream feed: undefined filter env"),
        ("def own: .id;", "def own: .id", "functions: expected"),
        ("resource: transactions", "resource: balances", "status_map"),
        ("    resource: transactions\n", "", "map of stream \"feed\""),
        (
            "    for_each: accounts\n    partition: own\n    request: { path: \"/accounts/{id}/feed\" }",
            "    request: { path: /feed }",
            "resource of stream \"accounts\"",
        ),
    ] {
        let manifest = serde_saphyr::from_str(&edited(GOOD, from, to)).unwrap();
        let error = streams(&manifest).unwrap_err().to_string();
        assert!(error.contains(about), "{about}: {error}");
    }
}

/// A stream with `paging` and `incremental` as given, each a line of YAML.
fn stream(lines: &[&str]) -> Result<Vec<Stream>, ManifestError> {
    let mut yaml = "base_url: https://bank.example\nauth: { bearer: token }\nevery: 5m\nstreams:\n  - name: feed\n    resource: transactions\n    records: .[]\n    map: .\n".to_owned();
    for line in lines {
        yaml.push_str(&format!("    {line}\n"));
    }
    if !lines.iter().any(|line| line.starts_with("request:")) {
        yaml.push_str("    request: { path: /feed }\n");
    }
    streams(&serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}")))
}

const OFFSET: &str =
    "paging: { kind: offset, param: offset, size: { param: limit, value: 100 }, stop: short_page }";
const SEARCH: &str = "request: { path: /search, method: POST, body: \"{}\" }";
const REFRESH: &str = "refresh: { open: .open, key: .id, request: { path: \"/feed/{id}\" }, record: ., every: 1h, give_up: 90d }";
const IDENTITY: &str = "identity: { id: .id, fields: \"[.date, .amount]\" }";

fn window(kind: &str, rest: &str) -> String {
    format!(
        "incremental: {{ kind: {kind}, cursor: .at, from: {{ param: from, bound: inclusive }}, start: 90d, {rest} }}"
    )
}

#[test]
fn unsafe_combinations_are_refused_with_their_reason() {
    let updated = window("updated_window", "lookback: 1h, settle: 0s, order: oldest_first");
    let created_any = window("created_window", "lookback: 1h, settle: 0s, order: any");
    let careless = window("updated_window", "lookback: 0s, settle: 0s, order: any");
    let endless = window("updated_window", "lookback: 1h, settle: 0s, order: any, step: 7d");
    let stuck = window(
        "updated_window",
        "lookback: 7d, settle: 0s, order: any, step: 1s, to: { param: to, bound: inclusive, format: seconds }",
    );
    let no_next = edited(OFFSET, "short_page", "no_next");
    for (lines, about) in [
        (vec![OFFSET, &updated], "slide over the page cut"),
        (vec![OFFSET, &created_any, REFRESH], "has to be known for page and offset"),
        (vec![&careless], "later than its own timestamp"),
        (vec![&endless], "needs `to`"),
        (vec![&stuck], "no window would get ahead"),
        (vec![&created_any], "refresh of stream \"feed\": is missing"),
        (vec![&no_next], "no_next is for a cursor"),
        (vec![OFFSET, IDENTITY], "cannot count equal records"),
        (vec!["pending: { when: .pending }"], "needs an identity"),
        (vec![&updated, IDENTITY, "pending: { when: .pending }"], "needs a date_window or snapshot"),
        (vec![IDENTITY, "pending: { when: .pending }", REFRESH], "exclude each other"),
        (
            vec!["incremental: { kind: event_feed, mark: .id, param: after }"],
            "an event only names the record",
        ),
        (
            vec!["paging: { kind: page, param: page, first: 2, size: { value: 10 }, stop: empty_page }"],
            "begin with 0 or 1",
        ),
        (
            vec![
                "paging: { kind: cursor, param: c, next: { body: .next }, bound: exclusive, stop: short_page }",
            ],
            "short_page needs a size",
        ),
        (
            vec![
                "paging: { kind: cursor, param: { body: c }, next: { body: .next }, bound: exclusive, stop: no_next }",
            ],
            "this needs a request.body",
        ),
        (
            vec![
                "paging: { kind: keyset, param: to, field: .at, bound: exclusive, format: micros, order: any, size: { value: 10 }, stop: short_page }",
            ],
            "newest_first or oldest_first",
        ),
        (vec!["request: { path: /feed, body: \"{}\" }"], "belongs to method POST"),
        (vec![SEARCH, OFFSET], "paging.param of stream \"feed\": goes into the query"),
        (
            vec![SEARCH, &window("updated_window", "lookback: 1h, settle: 0s, order: any")],
            "incremental.from.param",
        ),
        (
            vec![&window(
                "updated_window",
                "lookback: 1h, settle: 0s, order: any, to: { param: from, bound: inclusive }",
            )],
            "that of incremental.from.param",
        ),
        (vec![&edited(OFFSET, "param: limit", "param: offset")], "that of paging.param"),
        (vec![&created_any, &edited(REFRESH, "/feed/{id}", "/feed")], "asks for the same each time"),
        (vec!["list_when: .kind == \"${KIND}\""], "would stay as it is"),
    ] {
        let error = stream(&lines).unwrap_err().to_string();
        assert!(error.contains(about), "{about}: {error}");
    }
    let newest = window("updated_window", "lookback: 1h, settle: 0s, order: newest_first");
    let created = window("created_window", "lookback: 1h, settle: 0s, order: newest_first");
    let again = window(
        "updated_window",
        "lookback: 30d, settle: 0s, order: any, step: 7d, to: { param: to, bound: exclusive }",
    );
    for lines in [
        vec![again.as_str()],
        vec![OFFSET, &newest],
        vec![OFFSET, &created, REFRESH],
        vec![IDENTITY, "pending: { when: .pending }"],
        vec![
            "request: { path: /feed, method: POST, body: \"{}\", query: { offset: \"0\", limit: \"\" } }",
            OFFSET,
        ],
        vec![
            SEARCH,
            "paging: { kind: cursor, param: { body: variables.after }, next: { body: .next }, bound: exclusive, stop: no_next }",
        ],
    ] {
        stream(&lines).unwrap();
    }
}

#[test]
fn a_walk_begins_at_a_time_that_the_database_can_keep() {
    let stream = &stream(&[]).unwrap()[0];
    let walk = stream.begin(&Position::default(), "2026-03-01T12:00:00.123456789Z".parse().unwrap());
    assert_eq!(walk.begun_at.to_rfc3339(), "2026-03-01T12:00:00.123456+00:00");
}
