//! Manifests over an [`Upstream`], and what pulls them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tributary::config::{Provider, Source};
use tributary::store::quarantine::Chosen;
use tributary::sync::{Instance, Puller, Scheduler};
use tributary::verbs::quarantine::Outcome;
use tributary::verbs::{self, Actor, Declared, OfFile, On};
use tributary_domain::ProviderName;
use tributary_manifest::{CompiledProvider, Manifest};

use super::{TestApp, Upstream};

/// A provider file of the transactions `streams` over `upstream`; `more` goes before them.
pub fn file(upstream: &Upstream, more: &str, streams: &str) -> String {
    format!(
        "provider: acme\nfeed: {{ pace: 1000/s }}\napi: {}\nauth: {{ bearer: token-of-the-test }}\n\
         limits: {{ pace: 1000/s }}\nattempts: 1\nevery: 1h\n{more}pull:\n  transactions:\n{streams}",
        upstream.url
    )
}

/// A stream of transactions of the path `/name`, each given as `{id, status}`.
pub fn stream(name: &str, more: &str) -> String {
    format!(
        "    {name}:\n      get: /{name}\n      rows: .\n{more}      \
         map: '{{ id, status, createdAt: \"2026-03-01T12:00:00Z\", type: \"PAYIN\", currency: \"EUR/2\", amount: \"100\" }}'\n"
    )
}

/// One record of [`stream`].
pub fn record(id: &str) -> Value {
    json!({"id": id, "status": "SUCCEEDED"})
}

/// The manifest of a provider file.
pub fn manifest(file: &str) -> Manifest {
    match Provider::parse(file, &|_| None).unwrap().source {
        Source::Pull(manifest) => *manifest,
        other => panic!("it is pulled: {other:?}"),
    }
}

/// An instance called `name`, whose leases hold for `time` without a sign of life.
pub fn instance(name: &str, time: Duration) -> Instance {
    Instance { name: name.to_owned(), lease_time: time }
}

fn compiled(app: &TestApp, file: &str) -> Arc<CompiledProvider> {
    Arc::new(CompiledProvider::new(app.name(), &manifest(file)).unwrap())
}

/// Replays what was `chosen` of the quarantine, as the command does, with what maps the records of each provider.
pub async fn replay(
    pool: &PgPool,
    providers: impl IntoIterator<Item = (ProviderName, Arc<CompiledProvider>)>,
    chosen: Chosen<'_>,
) -> Outcome {
    let of =
        |(name, compiled)| (name, OfFile { compiled: Some(compiled), has_api: true, ..OfFile::default() });
    let declared: Declared = providers.into_iter().map(of).collect();
    let actor = Actor::Command { user: "ann".to_owned() };
    verbs::quarantine::replay(On::to_the_end(pool, &declared), &actor, chosen).await.unwrap()
}

/// What pulls the provider of `file` into the database of `app`.
pub fn puller(app: &TestApp, file: &str, name: &str) -> Puller {
    let instance = instance(name, Duration::from_secs(3600));
    Puller::new(app.service.clone(), compiled(app, file), instance)
}

/// A scheduler at work.
pub struct Working {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Working {
    /// Starts one that pulls the provider of `file`.
    pub fn start(app: &TestApp, file: &str, instance: Instance) -> Self {
        let scheduler = Scheduler::new(app.service.clone(), compiled(app, file), instance);
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(scheduler.run(stop.clone())), stop }
    }

    /// Stops it, and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Who waits for an advisory lock in this database: others have their own.
pub const WAIT_FOR_LOCKS: &str = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
     where d.datname = current_database() and l.locktype = 'advisory' and not l.granted";
/// Who has the advisory lock 1 of this database, or waits for it: the gate of a test.
pub const AT_THE_GATE: &str = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
     where d.datname = current_database() and l.locktype = 'advisory' and l.objid = 1";

/// Waits until `sql`, which counts, gives `wanted`.
pub async fn until(pool: &PgPool, sql: &'static str, wanted: i64) {
    let counted = async {
        while count(pool, sql).await != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // long: what is published waits for whoever writes in any database of the server, and tests share one
    if tokio::time::timeout(Duration::from_secs(180), counted).await.is_err() {
        panic!("{sql} gives {} and not {wanted}", count(pool, sql).await);
    }
}

/// What `sql`, which counts, gives.
pub async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}
