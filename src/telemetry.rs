//! Logs and metrics of the process.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Starts logging to standard error. `filter` is a tracing filter such as `info` or
/// `info,tributary=debug`; without a format, people see text and pipes get JSON.
pub fn start_logs(filter: &str, format: Option<LogFormat>) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("{filter:?} is no log filter: {error}"))?;
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Pretty } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Pretty => builder.with_ansi(terminal).with_target(false).try_init(),
    };
    started.map_err(|error| format!("cannot start logging: {error}"))
}

/// Seconds at which request times are counted; 10 s is where Formance gives up.
const REQUEST_SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Starts recording metrics; the handle renders them.
pub fn start_metrics() -> Result<PrometheusHandle, String> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("tributary_http_request_seconds".into()), &REQUEST_SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| format!("cannot record metrics: {error}"))?;
    describe();
    Ok(handle)
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("tributary_http_requests_total", "Requests by method, route and status");
    describe_histogram!("tributary_http_request_seconds", "Time to answer a request");
    describe_counter!(
        "tributary_rate_limited_total",
        "Requests answered with 429 by provider; those without a valid key have none"
    );
    describe_counter!("tributary_pages_total", "Pages served by provider and feed");
    describe_counter!("tributary_entries_served_total", "Feed entries served, repeated ones counted again");
    describe_gauge!(
        "tributary_last_poll_timestamp_seconds",
        "When a consumer last asked for a page (Unix time)"
    );
    describe_gauge!("tributary_watermark_ahead", "1 while a consumer has seen more than the feed remembers");
    describe_counter!(
        "tributary_watermarks_ahead_total",
        "Polls of consumers that have seen more than the feed remembers"
    );
    describe_counter!("tributary_published_total", "Versions published");
    describe_gauge!("tributary_changes_queued", "Committed changes not yet published");
    describe_gauge!("tributary_changes_oldest_age_seconds", "How long the oldest queued change has waited");
    describe_gauge!("tributary_changes_waiting_for_parent", "Children whose parent has no entry yet");
    describe_gauge!(
        "tributary_feed_clock_behind_seconds",
        "How far the database clock is below what was issued"
    );
    describe_counter!("tributary_ingested_total", "Records ingested by resource and outcome");
    describe_counter!("tributary_sync_runs_total", "Runs against a provider's API by outcome");
    describe_counter!("tributary_sync_warnings_total", "Oddities in runs by stream and kind");
    describe_counter!("tributary_webhooks_total", "Calls of providers by outcome");
    describe_gauge!("tributary_sync_last_success_timestamp_seconds", "When a run last succeeded (Unix time)");
    describe_gauge!("tributary_sync_breaker_open", "1 while a group is paused since its runs keep failing");
    describe_gauge!("tributary_sync_failures_in_a_row", "Runs of a group that failed since one succeeded");
    describe_gauge!("tributary_quarantine_records", "Records in quarantine");
}
