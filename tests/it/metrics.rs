//! What is measured from the first moment on.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::support::Upstream;
use crate::support::process::{Place, stop};

const OPERATIONS: &str = include_str!("../../docs/operations.md");

#[tokio::test]
async fn every_counter_that_an_alarm_is_recommended_on_is_at_0_right_after_the_start() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("counters");
    let other = "provider: other\npush: all\n";
    std::fs::write(place.0.join("providers/other.yaml"), other).unwrap();
    let pulled = "provider: pulled\napi: http://127.0.0.1:9\nauth: { bearer: token }\nlimits: { pace: 1/s }\n\
                  every: 1h\nwebhook: { header: { name: X-Secret, value: s3cret }, reads: list }\npull:\n  accounts:\n    list: { get: /list, rows: ., map: . }\n";
    std::fs::write(place.0.join("providers/pulled.yaml"), pulled).unwrap();
    let (server, address) = place.serve(None).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = client
        .get(format!("http://{}/metrics", place.operator(&address)))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let begun = |series: &str| metrics.lines().any(|line| line == format!("{series} 0"));

    let (watched, _) = OPERATIONS.split_once("### Also measured").unwrap();
    let words = watched.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let counters: BTreeSet<_> =
        words.filter(|word| word.starts_with("tributary_") && word.ends_with("_total")).collect();
    assert!(counters.contains("tributary_payment_alarms_total"), "{counters:?}");
    for counter in counters {
        let is_begun = |line: &str| line.starts_with(counter) && line.ends_with(" 0");
        assert!(metrics.lines().any(is_begun), "{counter} in\n{metrics}");
    }
    assert!(begun("tributary_rate_limited_total"), "{metrics}");
    for provider in ["acme", "other"] {
        assert!(begun(&format!("tributary_payment_alarms_total{{provider=\"{provider}\"}}")), "{metrics}");
        assert!(begun(&format!("tributary_rate_limited_total{{provider=\"{provider}\"}}")), "{metrics}");
        for resource in ["accounts", "balances", "beneficiaries", "transactions"] {
            let labels = format!("provider=\"{provider}\",resource=\"{resource}\",outcome=\"quarantined\"");
            assert!(begun(&format!("tributary_ingested_total{{{labels}}}")), "{metrics}");
        }
    }
    for kind in tributary_manifest::Warning::KINDS {
        let labels = format!("provider=\"pulled\",stream=\"list\",kind=\"{kind}\"");
        assert!(begun(&format!("tributary_sync_warnings_total{{{labels}}}")), "{labels} in\n{metrics}");
    }
    for (method, route) in
        [("POST", "/payouts"), ("GET", "/accounts/{accountId}/balances"), ("GET", "/readyz")]
    {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"503\"");
        assert!(begun(&format!("tributary_http_requests_total{{{labels}}}")), "{labels} in\n{metrics}");
    }
    stop(server).await;
}

#[tokio::test]
async fn requests_to_providers_are_counted_by_class_of_status_and_timed() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (place, upstream) = (Place::new("provider_requests"), Upstream::start().await);
    upstream.set("/there", json!([]));
    let file = format!(
        "provider: pulled\napi: {}\nauth: {{ bearer: token }}\nevery: 1h\npull:\n  accounts:\n    \
         there: {{ get: /there, rows: ., map: . }}\n    missing: {{ get: /missing, rows: ., map: . }}\n",
        upstream.url
    );
    std::fs::write(place.0.join("providers/pulled.yaml"), file).unwrap();
    let (server, address) = place.serve(None).await;
    let url = format!("http://{}/metrics", place.operator(&address));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let both = async {
        loop {
            let metrics = client.get(&url).send().await.unwrap().text().await.unwrap();
            let value = |series: &str| {
                let of = |line: &str| line.strip_prefix(series)?.trim().parse::<u64>().ok();
                metrics.lines().find_map(of).unwrap_or_else(|| panic!("{series} in\n{metrics}"))
            };
            let class = |class: &str| {
                value(&format!("tributary_provider_requests_total{{provider=\"pulled\",status=\"{class}\"}}"))
            };
            if class("2xx") > 0 && class("4xx") > 0 {
                assert_eq!((class("5xx"), class("none")), (0, 0));
                return value("tributary_provider_request_seconds_count{provider=\"pulled\"}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let timed = tokio::time::timeout(Duration::from_secs(60), both).await.expect("both are asked for");
    assert!(timed >= 2, "{timed}");
    stop(server).await;
}
