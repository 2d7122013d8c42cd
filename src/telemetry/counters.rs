//! What the process counts as it goes: what each counter is, and that it begins at 0.

use metrics::{counter, gauge, histogram};

use crate::config::{Provider, Source};
use crate::notify;
use crate::sync::{self, FORGETTING, RUN_OUTCOMES, STATUS_CLASSES};
use tributary_domain::{FeedName, Resource};
use tributary_manifest::Warning;

/// Answers that an alarm is about: ours that we could not serve, and those that Formance takes for final.
const WATCHED_STATUSES: [&str; 3] = ["401", "403", "503"];

/// Counters of a provider's feed.
const FEEDS_COUNT: [&str; 4] = [
    "tributary_watermarks_ahead_total",
    "tributary_pages_total",
    "tributary_entries_served_total",
    "tributary_published_total",
];

/// Describes all of them.
pub fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("tributary_http_requests_total", "Requests by method, route and status");
    describe_histogram!("tributary_http_request_seconds", "Time to answer a request");
    describe_counter!(
        "tributary_rate_limited_total",
        "Requests answered with 429 by provider; those without a valid API key have none"
    );
    describe_counter!("tributary_pages_total", "Pages served by provider and feed");
    describe_counter!("tributary_entries_served_total", "Feed entries served, repeated ones counted again");
    describe_gauge!("tributary_watermark_ahead", "1 while a consumer's watermark is ahead of the feed");
    describe_counter!(
        "tributary_watermarks_ahead_total",
        "Polls of consumers whose watermark is ahead of the feed"
    );
    describe_counter!("tributary_published_total", "Versions published");
    describe_counter!("tributary_ingested_total", "Records ingested by resource and outcome");
    describe_counter!("tributary_sync_runs_total", "Runs against a provider's API by outcome");
    describe_gauge!(
        "tributary_sync_period_seconds",
        "How far apart a group's runs are at most, as its file says"
    );
    describe_counter!("tributary_sync_warnings_total", "Oddities in runs by stream and kind");
    describe_counter!(
        "tributary_provider_requests_total",
        "Requests to a provider by class of status; none without an answer"
    );
    describe_histogram!("tributary_provider_request_seconds", "Time that a provider took to answer");
    describe_counter!("tributary_webhooks_total", "Calls of providers by outcome");
    describe_gauge!("tributary_payment_audit_rows", "Rows of the audit of payments");
    describe_gauge!("tributary_payment_audit_head", "The first 12 hex digits of the hash of its last row");
    describe_counter!("tributary_payment_audit_alarms_total", "Times that the audit had lost what it had");
    describe_counter!(
        "tributary_deleted_rows_total",
        "Rows deleted as they were past their retention, by table"
    );
    describe_counter!("tributary_payment_alarms_total", "Payments that a person has to check");
    describe_counter!(
        "tributary_notifications_total",
        "Attempts to tell what waits for a person, by outcome"
    );
    describe_counter!("tributary_task_panics_total", "Tasks that panicked, or ended without being stopped");
}

/// Has every counter that an alarm is recommended on begin at 0, for each of `providers` and `routes`
/// (method and path). One that begins at its first count has not increased by then, and the first
/// alarm would go unheard.
pub fn begin<'a>(providers: impl Iterator<Item = &'a Provider>, routes: &[(&'static str, String)]) {
    for ((method, route), status) in
        routes.iter().flat_map(|route| WATCHED_STATUSES.map(|status| (route, status)))
    {
        counter!("tributary_http_requests_total", "method" => *method, "route" => route.clone(),
            "status" => status)
        .increment(0);
    }
    counter!("tributary_rate_limited_total").increment(0);
    counter!("tributary_payment_audit_alarms_total").increment(0);
    for outcome in notify::OUTCOMES {
        counter!("tributary_notifications_total", "outcome" => outcome).increment(0);
    }
    for table in FORGETTING {
        counter!("tributary_deleted_rows_total", "table" => table).increment(0);
    }
    providers.for_each(begin_provider);
}

fn begin_provider(declared: &Provider) {
    let provider = declared.name.to_string();
    for feed in FeedName::ALL {
        for name in FEEDS_COUNT {
            counter!(name, "provider" => provider.clone(), "feed" => feed.as_str()).increment(0);
        }
    }
    counter!("tributary_rate_limited_total", "provider" => provider.clone()).increment(0);
    counter!("tributary_payment_alarms_total", "provider" => provider.clone()).increment(0);
    for resource in Resource::ALL {
        counter!("tributary_ingested_total", "provider" => provider.clone(),
            "resource" => resource.as_str(), "outcome" => "quarantined")
        .increment(0);
    }
    if declared.compiled().is_some_and(|compiled| compiled.webhook().is_some()) {
        for outcome in ["accepted", "refused"] {
            counter!("tributary_webhooks_total", "provider" => provider.clone(), "outcome" => outcome)
                .increment(0);
        }
    }
    begin_pulled(declared, &provider);
}

/// What is counted of a provider that is pulled.
fn begin_pulled(declared: &Provider, provider: &str) {
    let Some(compiled) = declared.compiled() else { return };
    // that it is there is enough
    let _ = histogram!("tributary_provider_request_seconds", "provider" => provider.to_owned());
    for class in STATUS_CLASSES {
        counter!("tributary_provider_requests_total", "provider" => provider.to_owned(), "status" => class)
            .increment(0);
    }
    for (group, outcome) in
        compiled.groups().iter().flat_map(|group| RUN_OUTCOMES.map(|outcome| (group, outcome)))
    {
        counter!("tributary_sync_runs_total", "provider" => provider.to_owned(), "group" => group.name.clone(),
            "outcome" => outcome)
        .increment(0);
    }
    for group in compiled.groups() {
        if let Some(seconds) = sync::period(compiled, &group) {
            gauge!("tributary_sync_period_seconds", "provider" => provider.to_owned(), "group" => group.name)
                .set(seconds);
        }
    }
    let Source::Pull(manifest) = &declared.source else { return };
    for (stream, kind) in manifest
        .streams
        .iter()
        .flat_map(|stream| Warning::KINDS.iter().map(|kind| (stream.name.clone(), *kind)))
    {
        counter!("tributary_sync_warnings_total", "provider" => provider.to_owned(), "stream" => stream, "kind" => kind)
            .increment(0);
    }
}
