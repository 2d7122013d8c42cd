//! Alarms, their tests, the board and the runbook hold together, and each can be raised by a process that has just started.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::support::process::{FILE_KEY, Place, stop};

const OPERATIONS: &str = include_str!("../../docs/operations.md");

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn rules() -> Vec<Value> {
    let file = yaml(include_str!("../../deploy/prometheus/alerts.yaml"));
    file["groups"][0]["rules"].as_array().unwrap().clone()
}

fn board() -> Value {
    serde_json::from_str(include_str!("../../deploy/grafana/tributary.json")).unwrap()
}

/// What the rules and the board ask Prometheus.
fn expressions() -> Vec<String> {
    let board = board();
    let panels = board["panels"].as_array().unwrap();
    let asked = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let asked = asked.map(|target| target["expr"].as_str().unwrap().to_owned());
    asked.chain(rules().iter().map(|rule| rule["expr"].as_str().unwrap().to_owned())).collect()
}

/// The metrics that an expression names, by the names under which they are described.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    let names = Regex::new(r"(?-u)\b(?:tributary|process)_\w+").unwrap();
    let found = names.find_iter(expression).map(|found| found.as_str());
    found.map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned()).collect()
}

const PULLED: &str = "provider: pulled\napi: http://127.0.0.1:9\nauth: { bearer: token }\nevery: 1h\n\
                      webhook: { header: { name: X-Secret, value: s3cret }, reads: list }\n\
                      pull: { accounts: { list: { get: /list, rows: ., map: . } } }\n";

#[tokio::test]
async fn everything_that_is_asked_of_a_fresh_start_is_described_and_what_counts_is_at_0() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("alarms");
    std::fs::write(place.0.join("providers/pulled.yaml"), PULLED).unwrap();
    let (server, address) = place.serve(None).await;
    let url = format!("http://{}/metrics", place.operator(&address));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = client.get(url).bearer_auth(FILE_KEY).send().await.unwrap().text().await.unwrap();
    stop(server).await;

    let asked: BTreeSet<_> = expressions().iter().flat_map(|expression| metrics_of(expression)).collect();
    assert!(asked.len() > 30, "{asked:?}");
    let described = |name: &&String| metrics.contains(&format!("# HELP {name} "));
    let missing: Vec<_> = asked.iter().filter(|name| !described(name)).collect();
    assert!(missing.is_empty(), "{missing:?} in\n{metrics}");

    // a counter that is born at its first event has not increased by then
    let increases = Regex::new(r"(?:increase|rate)\((tributary_\w+_total)(\{[^}]*\})?\[").unwrap();
    let wanted = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    let mut counted = 0;
    for rule in rules() {
        for found in increases.captures_iter(rule["expr"].as_str().unwrap()) {
            let labels = found.get(2).map_or("", |labels| labels.as_str());
            let labels: Vec<_> = wanted.captures_iter(labels).map(|label| label[0].to_owned()).collect();
            let begun = metrics.lines().any(|line| {
                line.strip_prefix(&found[1]).is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && labels.iter().all(|label| line.contains(label))
            });
            assert!(begun, "{} of {} in\n{metrics}", &found[0], rule["alert"]);
            counted += 1;
        }
    }
    assert!(counted >= 12, "{counted}");
    for series in [
        r#"tributary_provider_requests_total{provider="pulled",status="4xx"} 0"#,
        r#"tributary_sync_runs_total{provider="pulled",group="list",outcome="failed"}"#,
        r#"tributary_sync_period_seconds{provider="pulled",group="list"} 3600"#,
        r#"tributary_webhooks_total{provider="pulled",outcome="refused"} 0"#,
        r#"tributary_http_requests_total{method="GET",route="/transactions",status="401"} 0"#,
        r#"tributary_provider_request_seconds_count{provider="pulled"}"#,
        concat!(r#"tributary_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
        r#"tributary_database_connections_max{pool="pages"} 5"#,
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "process_start_time_seconds ",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(series)), "{series} in\n{metrics}");
    }
}

#[test]
fn each_alarm_says_how_grave_it_is_what_it_means_and_what_to_type() {
    let rules = rules();
    assert!(rules.len() >= 14, "{}", rules.len());
    let mut names = BTreeSet::new();
    for rule in &rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        let annotations = &rule["annotations"];
        assert!(!annotations["summary"].as_str().unwrap().is_empty(), "{name}");
        let description = annotations["description"].as_str().unwrap();
        let types = [
            "Type: `",
            "Type on its machine: `",
            "Type on the database's machine: `",
            "with the same content: `",
        ];
        assert!(types.iter().any(|types| description.contains(types)), "{name}: {description}");
        let link = format!("docs/operations.md#{}", name.to_lowercase());
        assert_eq!(annotations["runbook_url"], link, "{name}");
        assert!(
            OPERATIONS.contains(&format!("\n### {name}\n")),
            "{name} has no section in docs/operations.md"
        );
    }
    let sections = OPERATIONS.lines().filter_map(|line| line.strip_prefix("### Tributary"));
    let sections: BTreeSet<_> = sections.map(|rest| format!("Tributary{rest}")).collect();
    assert_eq!(sections, names, "a section for each alarm, and no other");
}

#[test]
fn each_alarm_is_tested_to_fire_and_to_stay_quiet() {
    let file = yaml(include_str!("../../deploy/prometheus/alerts.test.yaml"));
    let tests = file["tests"].as_array().unwrap();
    let cases = tests.iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let cases: Vec<_> = cases
        .map(|case| (case["alertname"].as_str().unwrap(), case["exp_alerts"].as_array().unwrap().len()))
        .collect();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        let of: Vec<_> = cases.iter().filter(|(alert, _)| *alert == name).map(|(_, fired)| *fired).collect();
        assert!(of.contains(&1) && of.contains(&0), "{name}: {of:?}");
    }
}

#[test]
fn whatever_is_to_be_watched_has_an_alarm_or_is_on_the_board() {
    let (_, watched) = OPERATIONS.split_once("## What to watch").unwrap();
    let (watched, _) = watched.split_once("Prometheus finds all of them").unwrap();
    let names = Regex::new(r"(?m)^\| `(tributary_\w+)").unwrap();
    let watched: BTreeSet<_> = names.captures_iter(watched).map(|found| found[1].to_owned()).collect();
    assert!(watched.len() > 20, "{watched:?}");
    let alarmed: BTreeSet<_> =
        rules().iter().flat_map(|rule| metrics_of(rule["expr"].as_str().unwrap())).collect();
    // the same as its counter, until another consumer's poll
    let unalarmed: Vec<_> = watched.difference(&alarmed).collect();
    assert_eq!(unalarmed, ["tributary_watermark_ahead"]);
}
