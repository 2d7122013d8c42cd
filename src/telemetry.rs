//! Logs, metrics and traces of the process.

mod counters;
mod gauges;
mod lines;
mod process;
mod traces;

use std::io::IsTerminal;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

pub use counters::begin as begin_counters;
pub use gauges::{Gauges, labels};
pub use process::ProcessGauges;
pub use traces::{Exporting, Traces};

use self::lines::WithTraceId;
use tributary_traces::TARGET;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Starts logging to standard error. `filter` is `info`, or with another level for some targets,
/// `info,tributary=debug`; without a format, people see text and pipes get JSON. Where there are `traces`, their
/// spans are made for them, and lines say which trace they are of; else no span of a trace is built.
pub fn start_logs(filter: &str, format: Option<LogFormat>, traces: Option<&Traces>) -> Result<(), String> {
    let filter = targets(filter, traces.is_some())?;
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Pretty } else { LogFormat::Json });
    // where nobody reads the log, a complaint about that would panic, and end what the process is at
    let lines = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let json = |lines: fmt::Layer<_, _, _, _>| lines.json().flatten_event(true).with_span_list(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match (format, traces) {
        (LogFormat::Json, None) => registry.with(json(lines)).try_init(),
        (LogFormat::Pretty, None) => registry.with(lines.with_ansi(terminal).with_target(false)).try_init(),
        (_, Some(traces)) => {
            let lines = match format {
                LogFormat::Json => {
                    json(lines).map_event_format(|lines| WithTraceId { lines, format }).boxed()
                }
                LogFormat::Pretty => {
                    let text = lines.with_ansi(terminal).with_target(false);
                    text.map_event_format(|lines| WithTraceId { lines, format }).boxed()
                }
            };
            let lines = lines.with_filter(filter_fn(|of| of.target() != TARGET));
            // what is logged never becomes part of a span: it may say more than a span may
            let spans = filter_fn(|of| of.is_span() && of.target() == TARGET);
            let layer = tracing_opentelemetry::layer()
                .with_tracer(traces.tracer())
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_level(false)
                .with_tracked_inactivity(false);
            registry.with(lines).with(layer.with_filter(spans)).try_init()
        }
    };
    started.map_err(|error| format!("cannot start logging: {error}"))
}

/// What `filter` lets through, and the spans of traces if they are `traced`.
fn targets(filter: &str, traced: bool) -> Result<Targets, String> {
    // not EnvFilter, which looks at what it was asked for whenever a span is entered: for each row that is read
    let targets: Targets = filter.parse().map_err(|error| {
        format!("{filter:?} is no log filter, such as info or info,tributary=debug: {error}")
    })?;
    Ok(targets.with_target(TARGET, if traced { LevelFilter::INFO } else { LevelFilter::OFF }))
}

/// Seconds at which request times are counted; 10 s is where Formance gives up.
const REQUEST_SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Seconds at which the answers of providers are counted; a minute is long for one, and 5 are the limit.
const PROVIDER_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

/// What is measured: by the process as it goes, of itself and of the database when somebody looks.
pub struct Metrics {
    handle: PrometheusHandle,
    gauges: Gauges,
    process: ProcessGauges,
}

impl Metrics {
    /// What `handle` recorded, with `gauges` of the database and of the `process`.
    pub fn new(handle: PrometheusHandle, gauges: Gauges, process: ProcessGauges) -> Self {
        Self { handle, gauges, process }
    }

    /// All of it in the text format of Prometheus.
    pub async fn render(&self) -> String {
        let gauges = self.gauges.render().await;
        self.handle.render() + &self.process.render() + &gauges
    }
}

/// Starts recording metrics; the handle renders them.
pub fn start_metrics() -> Result<PrometheusHandle, String> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("tributary_http_request_seconds".into()), &REQUEST_SECONDS)
        .and_then(|builder| {
            let matcher = Matcher::Full("tributary_provider_request_seconds".into());
            builder.set_buckets_for_metric(matcher, &PROVIDER_SECONDS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| format!("cannot record metrics: {error}"))?;
    counters::describe();
    traces::describe();
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use regex::Regex;

    /// What `pattern` captures in the sources below `folder`.
    fn captured(folder: &Path, pattern: &Regex, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                captured(&path, pattern, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.extend(pattern.captures_iter(&text).map(|found| found[1].to_owned()));
            }
        }
    }

    #[test]
    fn without_an_exporter_a_page_builds_no_span_of_a_trace_whatever_is_logged() {
        use tracing_subscriber::layer::SubscriberExt as _;
        for filter in ["info", "trace", "tributary=trace"] {
            for traced in [false, true] {
                let subscriber = tracing_subscriber::registry().with(super::targets(filter, traced).unwrap());
                tracing::subscriber::with_default(subscriber, || {
                    let span = tributary_traces::request("GET", "/transactions");
                    assert_eq!(span.is_disabled(), !traced, "{filter}");
                });
            }
        }
    }

    #[test]
    fn every_metric_is_documented() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut names = BTreeSet::new();
        captured(&root.join("src"), &Regex::new(r#""(tributary_[a-z_]+)""#).unwrap(), &mut names);
        let documented = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
        let is_documented = |name: &&String| documented.contains(&format!("`{name}"));
        let missing: Vec<_> = names.iter().filter(|name| !is_documented(name)).collect();
        assert!(names.len() > 20 && missing.is_empty(), "not in docs/operations.md: {missing:?}");
    }

    #[test]
    fn every_metric_is_described_under_the_name_that_it_is_recorded_under() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let names = |macros: &str| {
            let pattern = Regex::new(&format!(r#"(?-u)\b(?:{macros})!\(\s*"(tributary_\w+)""#)).unwrap();
            let mut found = BTreeSet::new();
            captured(&sources, &pattern, &mut found);
            found
        };
        let recorded = names("counter|gauge|histogram");
        let described = names("describe_counter|describe_gauge|describe_histogram");
        assert!(recorded.len() > 12, "{recorded:?}");
        assert_eq!(recorded, described);
    }
}
