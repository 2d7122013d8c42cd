//! Random histories against real PostgreSQL: sessions that hold transactions open, roll back
//! and are killed, syncs that overlap, publishers that compete, backends that are terminated,
//! clocks that step, consumers of both kinds that poll meanwhile. Whatever interleaves, each
//! acknowledged version comes once, in order, and what Formance keeps is the provider's ledger.
//!
//! A failure shrinks, and is written to proptest-regressions so that it is run again first.
//! PROPTEST_CASES sets how many histories are run; SOAK_MINUTES runs for that long.

mod balances;
mod counts;
mod faults;
mod provider;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tributary_formance::Kind;

use self::balances::Balances;
use self::counts::Counts;
use self::faults::Work;
use self::provider::{Provider, is_of_provider};
use crate::support::{Consumer, Loop, TestApp, records};

const SESSIONS: usize = 3;
const IDS: u8 = 12;

#[derive(Debug, Clone)]
enum Step {
    /// A session upserts some records in its transaction, which it begins if it has none.
    Write {
        session: usize,
        ids: Vec<u8>,
    },
    Commit {
        session: usize,
    },
    RollBack {
        session: usize,
    },
    /// The session's backend is terminated, whatever it holds.
    Kill {
        session: usize,
    },
    /// The push API, as history or not.
    Push {
        ids: Vec<u8>,
        backfill: bool,
    },
    /// A sync tells the provider's next records, and an older snapshot is told at the same time
    /// or kept for later.
    Sync {
        records: usize,
        overlap: usize,
        together: bool,
    },
    /// A sync that was slow tells its snapshot.
    LateSync,
    /// Two publishers at once.
    Publish,
    /// The backend that does some work is terminated in the middle of it.
    Terminate {
        work: Work,
        ids: Vec<u8>,
        after_us: u16,
    },
    /// The database's clock steps forward.
    ClockForward {
        seconds: u16,
    },
    /// The database's clock steps back.
    ClockBack {
        milliseconds: u16,
    },
    /// One consumer polls to the end.
    Poll {
        consumer: usize,
    },
    /// A page is asked for, and kept if it is full.
    Page {
        page: u8,
        size: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    let ids = prop::collection::vec(0..IDS, 1..6);
    prop_oneof![
        6 => (session.clone(), ids.clone()).prop_map(|(session, ids)| Step::Write { session, ids }),
        4 => session.clone().prop_map(|session| Step::Commit { session }),
        1 => session.clone().prop_map(|session| Step::RollBack { session }),
        2 => session.prop_map(|session| Step::Kill { session }),
        4 => (ids.clone(), any::<bool>()).prop_map(|(ids, backfill)| Step::Push { ids, backfill }),
        4 => (1..8_usize, 0..30_usize, any::<bool>())
            .prop_map(|(records, overlap, together)| Step::Sync { records, overlap, together }),
        2 => Just(Step::LateSync),
        5 => Just(Step::Publish),
        3 => (work(), ids, 0..4_000_u16)
            .prop_map(|(work, ids, after_us)| Step::Terminate { work, ids, after_us }),
        2 => (1..5_000_u16).prop_map(|seconds| Step::ClockForward { seconds }),
        1 => (1..300_u16).prop_map(|milliseconds| Step::ClockBack { milliseconds }),
        4 => (0..CONSUMERS.len()).prop_map(|consumer| Step::Poll { consumer }),
        2 => (1..4_u8, 1..8_u8).prop_map(|(page, size)| Step::Page { page, size }),
    ]
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        Just(Work::Publish),
        Just(Work::Push),
        (0..CONSUMERS.len()).prop_map(|consumer| Work::Poll { consumer }),
    ]
}

const CONSUMERS: [(Loop, usize); 4] =
    [(Loop::Released, 100), (Loop::En1095, 100), (Loop::Released, 3), (Loop::En1095, 7)];

/// A version: the record's id and an amount that no other version has.
type Version = (String, String);

struct Session {
    connection: PgConnection,
    /// Versions written since the transaction began.
    open: Option<Vec<Version>>,
}

struct World {
    app: TestApp,
    sessions: Vec<Session>,
    consumers: Vec<Consumer>,
    provider: Provider,
    balances: Balances,
    /// Who terminates backends.
    admin: PgConnection,
    /// Versions of committed transactions, by record, in the order of its row lock.
    acknowledged: BTreeMap<String, Vec<String>>,
    /// Full pages, as they were answered.
    pages: Vec<(String, Value)>,
    next_amount: u64,
    counts: Counts,
}

/// Records to push, and the versions that they are.
struct Batch {
    versions: Vec<Version>,
    records: Vec<Value>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let app = TestApp::fast().await;
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            sessions.push(Session { connection: connect(&app.url).await, open: None });
        }
        let mut consumers = Vec::new();
        for (form, size) in CONSUMERS {
            consumers.push(Consumer::with_page_size(&app, Kind::Transactions, form, size).await);
        }
        let admin = connect(&app.url).await;
        let balances = Balances::new(&app).await;
        Self {
            app,
            sessions,
            consumers,
            provider: Provider::new(seed),
            balances,
            admin,
            acknowledged: BTreeMap::new(),
            pages: Vec::new(),
            next_amount: 1,
            counts: Counts::default(),
        }
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Write { session, ids } => self.write(*session, ids).await,
            Step::Commit { session } => self.commit(*session).await,
            Step::RollBack { session } => self.roll_back(*session).await,
            Step::Kill { session } => self.kill(*session).await,
            Step::Push { ids, backfill } => self.push(ids, *backfill).await,
            Step::Sync { records, overlap, together } => {
                let told = self.provider.sync(&self.app, *records, *overlap, *together).await;
                self.counts.fire("overlapping_sync", u64::from(told && *together));
            }
            Step::LateSync => {
                let told = self.provider.late_sync(&self.app).await;
                self.counts.fire("late_snapshot", u64::from(told));
            }
            Step::Publish => {
                let (mut a, mut b) = (self.app.publisher(), self.app.publisher());
                let (a, b) = tokio::join!(a.publish_now(), b.publish_now());
                let published = a.expect("a publication") + b.expect("a publication");
                self.counts.fire("two_publishers_at_work", u64::from(published > 0));
            }
            Step::Terminate { work, ids, after_us } => {
                self.terminate_during(*work, ids, Duration::from_micros((*after_us).into())).await;
            }
            Step::ClockForward { seconds } => self.clock_forward(*seconds).await,
            Step::ClockBack { milliseconds } => {
                // to the feed it is all the same whether the clock went back or its last entry lies ahead
                let sql = format!(
                    "update feeds set last_at = last_at + interval '{milliseconds} milliseconds'
                                   where last_position > 0"
                );
                let stepped = self.app.sql(&sql).await;
                self.counts.fire("clock_back", stepped);
            }
            Step::Poll { consumer } => {
                self.consumers[*consumer].poll().await;
            }
            Step::Page { page, size } => self.keep_page(*page, *size).await,
        }
    }

    async fn take_beside(&mut self, step: &balances::Step) {
        for (what, times) in self.balances.take(&self.app, step).await {
            self.counts.fire(what, times);
        }
    }

    /// Ids of the step, each once, with amounts that are new.
    fn versions(&mut self, ids: &[u8]) -> Vec<Version> {
        let mut seen = HashSet::new();
        let mut versions = Vec::new();
        for id in ids.iter().filter(|id| seen.insert(**id)) {
            versions.push((format!("t{id}"), self.next_amount.to_string()));
            self.next_amount += 1;
        }
        versions
    }

    async fn write(&mut self, session: usize, ids: &[u8]) {
        let versions = self.versions(ids);
        let values: Vec<String> = versions
            .iter()
            .map(|(id, amount)| {
                // the date of what is pushed: under another one it would be another payment
                format!("('acme', '{id}', 'PAYIN', 'PENDING', 'EUR/2', {amount}, '2026-03-01T12:00:00Z')")
            })
            .collect();
        let sql = format!(
            "insert into transactions (provider, id, type, status, asset, amount, created_at) values {}
             on conflict on constraint transactions_pkey do update set amount = excluded.amount",
            values.join(", ")
        );
        let session = &mut self.sessions[session];
        if session.open.is_none() {
            // two sessions may want one row: whoever would wait gives up instead
            session.connection.execute("begin; set local lock_timeout = '10ms'").await.unwrap();
            session.open = Some(Vec::new());
        }
        match session.connection.execute(sqlx::AssertSqlSafe(sql)).await {
            Ok(_) => session.open.as_mut().expect("begun").extend(versions),
            Err(_) => {
                session.connection.execute("rollback").await.unwrap();
                session.open = None;
                self.counts.fire("rolled_back", 1);
            }
        }
    }

    async fn commit(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        if let Some(versions) = session.open.take() {
            session.connection.execute("commit").await.unwrap();
            self.acknowledge(versions);
        }
    }

    fn acknowledge(&mut self, versions: Vec<Version>) {
        for (id, amount) in versions {
            self.acknowledged.entry(id).or_default().push(amount);
        }
    }

    async fn roll_back(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        if session.open.take().is_some() {
            session.connection.execute("rollback").await.unwrap();
            self.counts.fire("rolled_back", 1);
        }
    }

    async fn kill(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        let pid: i32 =
            sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut session.connection).await.unwrap();
        self.app.sql(&format!("select pg_terminate_backend({pid}, 10000)")).await;
        self.counts.fire("killed_in_transaction", u64::from(session.open.take().is_some()));
        session.connection = connect(&self.app.url).await;
    }

    /// New versions of what no session has locked: a push of that would wait for a session that
    /// this very test holds.
    fn batch(&mut self, ids: &[u8]) -> Batch {
        let open = self.sessions.iter().filter_map(|session| session.open.as_ref());
        let locked: HashSet<String> = open.flatten().map(|(id, _)| id.clone()).collect();
        let mut versions = self.versions(ids);
        versions.retain(|(id, _)| !locked.contains(id));
        let records = versions
            .iter()
            .map(|(id, amount)| {
                let mut record = records::transaction(id, "PENDING");
                record["amount"] = amount.as_str().into();
                record
            })
            .collect();
        Batch { versions, records }
    }

    async fn push(&mut self, ids: &[u8], backfill: bool) {
        let batch = self.batch(ids);
        assert!(push_is_taken(&self.app, &batch.records, backfill).await, "nothing is wrong");
        self.acknowledge(batch.versions);
    }

    async fn keep_page(&mut self, page: u8, size: u8) {
        let target = format!("/transactions?page={page}&pageSize={size}&sort=updatedAt:asc");
        let body = self.app.get_ok(&target).await;
        if body.as_array().unwrap().len() == usize::from(size) {
            self.counts.fire("full_page_kept", 1);
            self.pages.push((target, body));
        }
    }

    /// Everything that is open ends, everything is published and polled; then the promises.
    async fn finish(mut self) -> Counts {
        for session in 0..SESSIONS {
            self.roll_back(session).await;
        }
        self.provider.finish(&self.app).await;
        self.app.publish_all().await;
        for consumer in &mut self.consumers {
            consumer.poll().await;
            consumer.check(&self.app).await;
            self.counts.versions += consumer.rows.len() as u64;
            self.counts.payments += self.provider.check(&consumer.rows);
            let mut delivered: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for row in consumer.rows.iter().filter(|row| !is_of_provider(&row.reference)) {
                delivered
                    .entry(row.reference.clone())
                    .or_default()
                    .push(row.payment().amount.as_str().to_owned());
            }
            assert_eq!(
                delivered, self.acknowledged,
                "acknowledged versions, each once, in order, and no others"
            );
        }
        self.check_pages().await;
        let held = self.balances.finish(&self.app).await;
        self.counts.fire("balances_held_between_answers", held);
        self.counts.histories = 1;
        self.counts
    }

    /// Full pages are as they were; what comes from now on is compared anew.
    async fn check_pages(&mut self) {
        for (target, body) in self.pages.drain(..) {
            assert_eq!(self.app.get_ok(&target).await, body, "{target}");
        }
    }
}

/// Pushes; gives `false` if the database was not available.
async fn push_is_taken(app: &TestApp, records: &[Value], backfill: bool) -> bool {
    let target = format!("/ingest/transactions?backfill={backfill}");
    let body = serde_json::to_vec(records).unwrap();
    let (status, answer) = app.post(&target, "application/json", body).await;
    assert!(status == 200 || status == 503, "{status}: {answer}");
    status == 200
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

fn run_history(seed: u64, steps: &[(Step, Option<balances::Step>)]) -> Counts {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        for (step, beside) in steps {
            world.take(step).await;
            if let Some(beside) = beside {
                world.take_beside(beside).await;
            }
        }
        world.finish().await
    })
}

fn run_histories(config: Config, total: &RefCell<Counts>) {
    let mut runner = TestRunner::new(config);
    let step = (step(), prop::option::weighted(0.6, balances::step()));
    let histories = (any::<u64>(), prop::collection::vec(step, 5..60));
    let result = runner.run(&histories, |(seed, steps)| {
        let counts = std::panic::catch_unwind(|| run_history(seed, &steps)).map_err(|panic| {
            TestCaseError::fail(panic.downcast_ref::<String>().cloned().unwrap_or_default())
        })?;
        total.borrow_mut().add(&counts);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn random_histories_deliver_each_acknowledged_version_once_and_in_order() {
    let total = RefCell::default();
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24);
    let config =
        Config { cases, max_shrink_iters: 200, ..Config::with_source_file("tests/it/state_machine.rs") };
    match std::env::var("SOAK_MINUTES").ok().and_then(|minutes| minutes.parse::<u64>().ok()) {
        None => run_histories(config, &total),
        Some(minutes) => {
            let end = Instant::now() + Duration::from_secs(minutes * 60);
            while Instant::now() < end {
                run_histories(config.clone(), &total);
                total.borrow().print();
            }
        }
    }
    let total = total.into_inner();
    total.print();
    total.check();
}
