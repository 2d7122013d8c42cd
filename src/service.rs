//! A serving process: everything that it does, put together, and its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Notify, Provider, SingleSignOn, Source};
use crate::console;
use crate::feed::{PollWriter, Publisher};
use crate::health;
use crate::http::{
    self, AppState, ConnectionLimits, Draining, Listening, Patience, ServedProvider, Serving, Stop, Trusted,
};
use crate::notify::Notifier;
#[cfg(feature = "oidc")]
use crate::oidc::SignOn;
use crate::payments::{Payer, PaymentSecret, Payments, Settings, audit};
use crate::supervision::{Part, Parts};
use crate::sync::{FileFetcher, Housekeeper, Instance, ProviderRetention, Retention, Scheduler};
use crate::telemetry::{self, Gauges, Metrics, ProcessGauges};
use tributary_domain::ProviderName;
use tributary_manifest::Period;

/// How long a stop waits for runs of the background to end, once no request is left.
const RUNS_END: Duration = Duration::from_secs(25);
/// And for the publisher, which goes last.
const PUBLISHER_ENDS: Duration = Duration::from_secs(5);

impl From<Provider> for ServedProvider {
    /// The provider as its file declares it.
    fn from(declared: Provider) -> Self {
        Self {
            pulled: !matches!(declared.source, Source::Push),
            pushed: declared.pushed.clone(),
            webhook: declared.compiled().and_then(|compiled| compiled.webhook().cloned()),
            file: declared.file.clone(),
            compiled: declared.compiled().cloned(),
            groups: declared.compiled().map(|compiled| health::groups_of(compiled)).unwrap_or_default(),
            files: declared.files.clone(),
            formance: declared.formance,
            keys: declared.keys,
            limit: declared.limit,
            payment_limit: declared.payment_limit,
        }
    }
}

/// Everything that a serving process does, ready to run.
pub struct Service {
    publisher: Publisher,
    housekeeper: Housekeeper,
    schedulers: Vec<Scheduler>,
    fetchers: Vec<FileFetcher>,
    payments: Payments,
    audit: audit::Watch,
    notifier: Option<Notifier>,
    state: Arc<AppState>,
    pool: PgPool,
    recorded: PrometheusHandle,
}

/// The sockets that a server listens on.
pub struct Listeners {
    /// For Formance, whoever pushes, and FSPs that call.
    pub public: Listening,
    /// For operators.
    pub operator: Listening,
}

impl Service {
    /// How large a pool is of a process that may have so many connections: pages are read on others, half as many.
    pub fn pool_of(connections: u32) -> u32 {
        connections * 2 / 3
    }

    /// Makes ready to serve `providers`, behind the proxies that are `trusted`, and to delete what is past
    /// `retention`. Without a `secret` nothing new is ordered. Once in a process: it records metrics from then on.
    pub fn new(
        pool: &PgPool,
        providers: Vec<Provider>,
        secret: Option<PaymentSecret>,
        instance: &Instance,
        retention: Retention,
        trusted: Trusted,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let recorded = telemetry::start_metrics()?;
        telemetry::begin_counters(providers.iter(), &http::routes());
        let (schedulers, payers) = pulled(pool, &providers, instance);
        let fetchers = providers.iter().filter_map(|provider| fetcher(pool, provider, instance)).collect();
        let names: Vec<ProviderName> = providers.iter().map(|provider| provider.name.clone()).collect();
        let kept = providers.iter().map(provider_retention).collect();
        let housekeeper = Housekeeper::new(pool.clone(), kept, retention);
        let paces = providers.iter().map(|provider| (provider.name.clone(), provider.pace)).collect();
        let served = providers.into_iter().map(|provider| (provider.name.clone(), provider.into()));
        let payments =
            Payments::new(pool.clone(), instance.name.clone(), payers, secret, Settings::default());
        let gauges = Gauges::new(pool.clone(), names, payments.clone());
        let state = AppState::new(pool.clone(), served.collect(), payments.clone());
        let process = ProcessGauges::new(pool.clone(), state.readers.clone());
        let state =
            AppState { trusted, metrics: Some(Metrics::new(recorded.clone(), gauges, process)), ..state };
        Ok(Self {
            publisher: Publisher::new(pool.clone(), paces),
            housekeeper,
            schedulers,
            fetchers,
            payments,
            audit: audit::Watch::new(pool.clone()),
            notifier: None,
            state: Arc::new(state),
            pool: pool.clone(),
            recorded,
        })
    }

    /// Has it tell `notify` what waits for a person.
    pub fn notify(&mut self, notify: Notify) -> Result<(), String> {
        let providers = self.state.providers.keys().cloned().collect();
        self.notifier = Some(Notifier::new(self.pool.clone(), providers, notify)?);
        Ok(())
    }

    /// Has people sign in at the console through an OpenID provider, which is not asked yet.
    ///
    /// # Errors
    /// This build cannot, or there can be no client for HTTP.
    #[cfg(feature = "oidc")]
    pub fn sign_in_through(&mut self, provider: SingleSignOn) -> Result<(), String> {
        let state = Arc::get_mut(&mut self.state).expect("nothing has begun yet that would share it");
        state.single_sign_on = Some(Arc::new(SignOn::new(provider)?));
        Ok(())
    }

    /// The same, in a build that cannot.
    #[cfg(not(feature = "oidc"))]
    pub fn sign_in_through(&mut self, _: SingleSignOn) -> Result<(), String> {
        Err("TRIBUTARY_OIDC_ISSUER is set, and this build has no single sign-on: take one with the feature oidc, or unset it"
            .to_owned())
    }

    /// What to watch the runs of the first provider that is pulled by, and how many of them its
    /// first full sync takes.
    #[cfg(feature = "standin")]
    pub fn progress(&self) -> Option<(Arc<crate::sync::SyncProgress>, u64)> {
        self.schedulers.first().map(|scheduler| (scheduler.progress(), scheduler.groups() as u64))
    }

    /// Begins to serve on `listeners`, and with everything that goes on behind it. `limits` are those
    /// of the public one.
    pub fn start(self, listeners: Listeners, limits: ConnectionLimits) -> std::io::Result<Running> {
        let Listeners { public, operator } = listeners;
        let (stop_runs, stop_publisher) = (CancellationToken::new(), CancellationToken::new());
        let (mut runs, mut publisher) = (JoinSet::new(), JoinSet::new());
        let Self { state, recorded, payments, .. } = self;
        let keep = |part| (state.parts.clone(), part);
        keep_going(&mut publisher, keep(Part::Publisher), &stop_publisher, self.publisher, Publisher::run);
        // until the last request is answered
        let polls = PollWriter::new(self.pool, state.polls.clone());
        keep_going(&mut publisher, keep(Part::Consumers), &stop_publisher, polls, PollWriter::run);
        keep_going(&mut publisher, keep(Part::Metrics), &stop_publisher, recorded, upkeep);
        keep_going(&mut runs, keep(Part::Housekeeping), &stop_runs, self.housekeeper, Housekeeper::run);
        let worker = payments.worker();
        keep_going(&mut runs, keep(Part::Payments), &stop_runs, worker, crate::payments::Worker::run);
        keep_going(&mut runs, keep(Part::Audit), &stop_runs, self.audit, audit::Watch::run);
        if let Some(notifier) = self.notifier {
            keep_going(&mut runs, keep(Part::Notifications), &stop_runs, notifier, Notifier::run);
        }
        for scheduler in self.schedulers {
            let part = Part::Sync(scheduler.provider().clone());
            keep_going(&mut runs, keep(part), &stop_runs, scheduler, Scheduler::run);
        }
        for fetcher in self.fetchers {
            let part = Part::Files(fetcher.provider().clone());
            keep_going(&mut runs, keep(part), &stop_runs, fetcher, FileFetcher::run);
        }
        tracing::info!(address = %public.address()?, operator_address = %operator.address()?,
            providers = state.providers.len(), "serving");
        let (draining, trusted) = (state.draining.clone(), state.trusted.clone());
        let app = http::app(Arc::clone(&state));
        let public = Serving::start(public, app, draining, limits, trusted.clone());
        // with a stop of its own: nobody is to leave the other one earlier because of it
        let app = http::operator_app(state, console::router);
        let limits = ConnectionLimits::for_operators();
        let operator = Serving::start(operator, app, Draining::default(), limits, trusted);
        Ok(Running { public, operator, payments, runs, stop_runs, publisher, stop_publisher })
    }
}

/// What pulls those of `providers` that are pulled, and who pays there.
fn pulled(
    pool: &PgPool,
    providers: &[Provider],
    instance: &Instance,
) -> (Vec<Scheduler>, HashMap<ProviderName, Payer>) {
    let (mut schedulers, mut payers) = (Vec::new(), HashMap::new());
    for provider in providers {
        for warning in &provider.warnings {
            tracing::warn!(provider = %provider.name, "{warning}");
        }
        if let Some(compiled) = provider.compiled() {
            let payer = Payer { apis: compiled.payments(), policy: provider.payments.clone() };
            payers.insert(provider.name.clone(), payer);
            schedulers.push(Scheduler::new(pool.clone(), Arc::clone(compiled), instance.clone()));
        }
    }
    (schedulers, payers)
}

/// What fetches the statement files of a provider, if anything does.
fn fetcher(pool: &PgPool, provider: &Provider, instance: &Instance) -> Option<FileFetcher> {
    let (files, source) = (provider.files.clone()?, provider.file_source.clone()?);
    Some(FileFetcher::new(pool.clone(), provider.name.clone(), files, source, instance.clone()))
}

/// What the housekeeper has to know of a provider.
fn provider_retention(declared: &Provider) -> ProviderRetention {
    let provider = declared.name.clone();
    match &declared.source {
        Source::Pull(manifest) => ProviderRetention {
            provider,
            raw: manifest.keep_raw,
            longest_budget: manifest.rate_limit.budgets.iter().map(|budget| budget.per).max(),
        },
        // what is there of a provider that is not pulled just now is left alone
        Source::Push | Source::Unset => {
            ProviderRetention { provider, raw: Some(Period::LONGEST), longest_budget: Some(Period::LONGEST) }
        }
    }
}

/// Has `run` of `worker` go on until `stop`, whatever happens.
fn keep_going<T, W>(
    tasks: &mut JoinSet<()>,
    (parts, part): (Parts, Part),
    stop: &CancellationToken,
    worker: T,
    run: fn(T, CancellationToken) -> W,
) where
    T: Clone + Send + Sync + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let until = stop.clone();
    tasks.spawn(parts.keep(part, stop.clone(), move || run(worker.clone(), until.clone())));
}

/// A server at work.
pub struct Running {
    public: Serving,
    operator: Serving,
    payments: Payments,
    runs: JoinSet<()>,
    stop_runs: CancellationToken,
    publisher: JoinSet<()>,
    stop_publisher: CancellationToken,
}

impl Running {
    /// The sockets that it serves on: the public one, and the operators'.
    pub fn sockets(&self) -> [&Listening; 2] {
        [self.public.listening(), self.operator.listening()]
    }

    /// Waits until one of them accepts no connections any more, which only a fault does. There is
    /// nothing left to do then but to end, for whoever looks after the process to start another.
    pub async fn deaf(&self) {
        tokio::select! {
            () = self.public.ended() => {}
            () = self.operator.ended() => {}
        }
    }

    /// Ends it: requests first, then what they may have set going, and last the publisher, which
    /// carries on what both of them committed. `hurry` ends the lame duck's time early.
    pub async fn stop(mut self, why: Stop, patience: Patience, hurry: impl Future<Output = ()>) {
        tracing::info!(?why, "stopping: requests that were accepted are finished first");
        let hurried = CancellationToken::new();
        let hurrying = async {
            hurry.await;
            hurried.cancel();
            std::future::pending().await
        };
        let stopping = async {
            let public = self.public.stop(why, patience, hurried.cancelled());
            tokio::join!(public, self.operator.stop(why, patience, hurried.cancelled()))
        };
        tokio::select! {
            ((), ()) = stopping => {}
            () = hurrying => {}
        }
        self.stop_runs.cancel();
        join_within(RUNS_END, &mut self.runs).await;
        // requests of payments go on when nobody waits for them any more
        if tokio::time::timeout(RUNS_END, self.payments.drained()).await.is_err() {
            tracing::warn!(
                "a payment is still under way: another instance, or the next start, continues with it"
            );
        }
        self.stop_publisher.cancel();
        join_within(PUBLISHER_ENDS, &mut self.publisher).await;
        tracing::info!("stopped");
    }
}

/// Waits for `tasks`; whatever is left after `limit` is dropped where it stands.
async fn join_within(limit: Duration, tasks: &mut JoinSet<()>) {
    if tokio::time::timeout(limit, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("stopped background work that did not end within {} s", limit.as_secs());
        tasks.abort_all();
    }
}

/// Histograms gather samples until somebody drains them.
async fn upkeep(recorded: PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(5))).await.is_some() {
        recorded.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_is_what_the_file_was_compiled_to() {
        let file = "
provider: acme
api: https://bank.example
auth: { bearer: token }
every: 1m
webhook: { header: { name: X-Secret, value: s3cret }, reads: all }
pull: { accounts: { all: { get: /all, rows: ., map: . } } }
";
        let provider = Provider::parse(file, &|_| None).unwrap();
        let compiled = Arc::clone(provider.compiled().unwrap());
        let served = ServedProvider::from(provider);
        assert!(Arc::ptr_eq(&served.webhook.unwrap(), compiled.webhook().unwrap()));
    }
}
