//! What is measured from the first moment on.

use std::collections::BTreeSet;

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
