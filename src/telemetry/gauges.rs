//! Gauges of what is in the database, read when somebody looks: none of them can stand still because
//! the task that used to set it does.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::payments::Payments;
use crate::store::database::{self, within};
use crate::store::quarantine::{self, Which};
use crate::store::statements::{self, Alarms};
use crate::store::{
    StoreError, changes, consumers, feeds, leases, payment_orders, provider_pauses, sync_runs,
};
use crate::sync;
use tributary_domain::{FeedName, OrderState, ProviderName};

/// For how long they are not read again, however often somebody looks.
const FRESH: Duration = Duration::from_secs(1);
/// How long the reading may take. Without an answer by then they are left out.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What there is, with what it tells.
const DESCRIBED: [(&str, &str); 20] = [
    ("tributary_database_size_bytes", "Size of the database on disk"),
    ("tributary_consumer_lag_entries", "Entries that a consumer has not been served"),
    ("tributary_consumer_lag_seconds", "For how long the first of them has waited for it"),
    ("tributary_consumer_last_poll_timestamp_seconds", "When a consumer last asked for a page (Unix time)"),
    ("tributary_consumer_period_seconds", "How often a consumer polls, once that is learnt"),
    ("tributary_consumer_silent", "1 while a consumer has not polled for two of its periods"),
    ("tributary_changes_queued", "Committed changes not yet published"),
    ("tributary_changes_oldest_age_seconds", "How long the oldest queued change has waited"),
    ("tributary_changes_waiting_for_parent", "Children whose parent has no entry yet"),
    ("tributary_feed_clock_behind_seconds", "How far the database clock is below what was issued"),
    ("tributary_quarantine_records", "Records in quarantine"),
    ("tributary_open_payments", "Payouts and transfers that have not ended, by state"),
    ("tributary_abandoned_payments", "Open payments of providers that no file says how to pay at"),
    ("tributary_provider_paused", "1 while an operator wants nothing read of a provider"),
    ("tributary_sync_breaker_open", "1 while a group is paused since its runs keep failing"),
    ("tributary_sync_failures_in_a_row", "Runs of a group that failed since one succeeded"),
    ("tributary_sync_last_success_timestamp_seconds", "When a run last succeeded (Unix time)"),
    ("tributary_statement_gap", "Bank statements that do not follow on one another, and numbers left out"),
    ("tributary_statement_late", "Accounts whose bank statement is late"),
    (
        "tributary_statement_unbalanced",
        "Bank statements that were put aside or lack pages, and accounts whose balance is not what was booked",
    ),
];

/// The gauges of some providers.
#[derive(Debug)]
pub struct Gauges {
    pool: PgPool,
    providers: Vec<ProviderName>,
    payments: Payments,
    /// When they were last read, and how that went. Whoever looks meanwhile waits for it.
    read: Mutex<Option<(Instant, Arc<str>)>>,
}

/// A value of each gauge and its labels.
type Values = Vec<(&'static str, String, f64)>;

impl Gauges {
    /// Of `providers`, in the database of `pool`; `payments` knows which orders go on.
    pub fn new(pool: PgPool, providers: Vec<ProviderName>, payments: Payments) -> Self {
        Self { pool, providers, payments, read: Mutex::new(None) }
    }

    /// All of them as Prometheus reads them, a second old at most. Where the database does not answer,
    /// `tributary_database_up` alone, and 0: a value that nobody could read is no value.
    pub async fn render(&self) -> Arc<str> {
        let mut read = self.read.lock().await;
        if let Some((_, text)) = read.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Arc::clone(text);
        }
        let values = within(ANSWER_LIMIT, self.values()).await.inspect_err(|error| {
            tracing::warn!(%error, "the gauges of the database cannot be read");
        });
        let text: Arc<str> = rendered(values.ok()).into();
        *read = Some((Instant::now(), Arc::clone(&text)));
        text
    }

    async fn values(&self) -> Result<Values, StoreError> {
        let mut values = Values::new();
        self.of_feeds(&mut values).await?;
        let size = database::size(&self.pool).await?;
        values.push(("tributary_database_size_bytes", String::new(), size as f64));
        self.of_consumers(&mut values).await?;
        self.of_payments(&mut values).await?;
        let pauses = provider_pauses::of(&self.pool, &self.providers).await?;
        for provider in &self.providers {
            let paused = pauses.iter().any(|pause| pause.provider == provider.as_str());
            values.push((
                "tributary_provider_paused",
                labels(&[("provider", provider.as_str())]),
                f64::from(u8::from(paused)),
            ));
            let which = Which { provider: Some(provider), resource: None };
            let size = quarantine::count(&self.pool, which).await?;
            values.push((
                "tributary_quarantine_records",
                labels(&[("provider", provider.as_str())]),
                size as f64,
            ));
            self.of_groups(provider, &mut values).await?;
            self.of_statements(provider, &mut values).await?;
        }
        Ok(values)
    }

    async fn of_feeds(&self, values: &mut Values) -> Result<(), StoreError> {
        let backlogs = changes::backlogs(&self.pool, &self.providers).await?;
        let behind = feeds::clocks_behind(&self.pool, &self.providers).await?;
        for (provider, feed) in self.providers.iter().flat_map(|p| FeedName::ALL.map(|feed| (p, feed))) {
            let (name, resource) = (provider.as_str(), feed.as_str());
            let labels = labels(&[("provider", name), ("feed", resource)]);
            let backlog = backlogs.iter().find(|b| b.provider == name && b.resource == resource);
            let waited =
                backlog.and_then(|b| b.oldest).map(|oldest| (Utc::now() - oldest).num_milliseconds());
            let age = waited.unwrap_or_default().max(0) as f64 / 1000.0;
            let behind = behind.iter().find(|b| b.provider == name && b.resource == resource);
            values.extend([
                ("tributary_changes_queued", labels.clone(), backlog.map_or(0, |b| b.queued) as f64),
                ("tributary_changes_oldest_age_seconds", labels.clone(), age),
                (
                    "tributary_changes_waiting_for_parent",
                    labels.clone(),
                    backlog.map_or(0, |b| b.without_parent) as f64,
                ),
                ("tributary_feed_clock_behind_seconds", labels, behind.map_or(0.0, |b| b.seconds)),
            ]);
        }
        Ok(())
    }

    async fn of_consumers(&self, values: &mut Values) -> Result<(), StoreError> {
        for consumer in consumers::list(&self.pool, None).await? {
            let (provider, feed) = (consumer.provider.as_str(), consumer.feed.as_str());
            let labels = labels(&[("provider", provider), ("feed", feed), ("key", &consumer.key)]);
            values.extend([
                ("tributary_consumer_lag_entries", labels.clone(), consumer.lag_entries as f64),
                ("tributary_consumer_lag_seconds", labels.clone(), consumer.lag_seconds),
                (
                    "tributary_consumer_last_poll_timestamp_seconds",
                    labels.clone(),
                    consumer.polled_at.timestamp_micros() as f64 / 1e6,
                ),
                ("tributary_consumer_silent", labels.clone(), f64::from(u8::from(consumer.silent))),
            ]);
            let period = consumer.period_seconds;
            values.extend(period.map(|seconds| ("tributary_consumer_period_seconds", labels, seconds)));
        }
        Ok(())
    }

    async fn of_payments(&self, values: &mut Values) -> Result<(), StoreError> {
        let counts = payment_orders::open_counts(&self.pool).await?;
        let abandoned = counts.iter().filter(|open| !self.payments.carry_on(&open.provider, open.kind));
        let abandoned: i64 = abandoned.map(|open| open.count).sum();
        values.push(("tributary_abandoned_payments", String::new(), abandoned as f64));
        // orders of a provider whose file is gone wait, too
        let gone = counts.iter().map(|open| &open.provider).filter(|p| !self.providers.contains(p));
        let mut gone: Vec<&ProviderName> = gone.collect();
        gone.dedup();
        for provider in self.providers.iter().chain(gone) {
            for state in OrderState::ALL.into_iter().filter(|state| !state.has_ended()) {
                let of = counts.iter().filter(|open| open.provider == *provider && open.state == state);
                let count: i64 = of.map(|open| open.count).sum();
                let labels = labels(&[("provider", provider.as_str()), ("state", state.as_str())]);
                values.push(("tributary_open_payments", labels, count as f64));
            }
        }
        Ok(())
    }

    async fn of_statements(&self, provider: &ProviderName, values: &mut Values) -> Result<(), StoreError> {
        let Alarms { gaps, late, unbalanced } = statements::alarms(&self.pool, provider).await?;
        let labels = labels(&[("provider", provider.as_str())]);
        values.extend([
            ("tributary_statement_gap", labels.clone(), gaps as f64),
            ("tributary_statement_late", labels.clone(), late as f64),
            ("tributary_statement_unbalanced", labels, unbalanced as f64),
        ]);
        Ok(())
    }

    async fn of_groups(&self, provider: &ProviderName, values: &mut Values) -> Result<(), StoreError> {
        for state in leases::states(&self.pool, provider).await? {
            let labels = labels(&[("provider", provider.as_str()), ("group", &state.group)]);
            let open = state.paused && state.failures >= i64::from(sync::PATIENCE);
            let success = sync_runs::last_success(&self.pool, provider, &state.group).await?;
            let success = success.map_or(0.0, |at| at.timestamp() as f64);
            values.extend([
                ("tributary_sync_breaker_open", labels.clone(), f64::from(u8::from(open))),
                ("tributary_sync_failures_in_a_row", labels.clone(), state.failures as f64),
                ("tributary_sync_last_success_timestamp_seconds", labels, success),
            ]);
        }
        Ok(())
    }
}

/// The labels of a series, as `/metrics` writes them.
pub fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let pairs = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// In the text format of Prometheus.
fn rendered(values: Option<Values>) -> String {
    let mut text = String::new();
    let head = |text: &mut String, name: &str, help: &str| {
        // a String takes whatever is written
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    };
    head(&mut text, "tributary_database_up", "Whether the database answered when it was last looked at");
    let _ = writeln!(text, "tributary_database_up {}", u8::from(values.is_some()));
    let Some(values) = values else { return text };
    for (name, help) in DESCRIBED {
        // also of what there is nothing of yet
        head(&mut text, name, help);
        for (_, labels, value) in values.iter().filter(|(gauge, ..)| *gauge == name) {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_is_left_out() {
        let gone = rendered(None);
        assert!(
            gone.ends_with("\ntributary_database_up 0\n") && !gone.contains("tributary_quarantine"),
            "{gone}"
        );
        let there =
            rendered(Some(vec![("tributary_quarantine_records", labels(&[("provider", "acme")]), 3.0)]));
        assert!(there.contains("\ntributary_database_up 1\n"), "{there}");
        assert!(there.contains("# TYPE tributary_quarantine_records gauge\ntributary_quarantine_records{provider=\"acme\"} 3\n"), "{there}");
        assert!(
            there.contains("\n# HELP tributary_consumer_silent "),
            "described before there is any: {there}"
        );
    }

    #[test]
    fn labels_that_a_file_chose_cannot_break_out() {
        assert_eq!(labels(&[("group", "a\"} 1\nx\\")]), r#"{group="a\"} 1\nx\\"}"#);
    }
}
