//! One history: a ledger that lives, a provider that lies about it, and an end to the lies.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use tributary::store::StoreError;
use tributary::store::quarantine::{Chosen, Which};
use tributary::store::request_log;
use tributary::sync::{Busy, Instance, Puller, RunOutcome, SyncRequest, Synced, run_once};
use tributary_formance::Kind;
use tributary_formance::kept::Kept;
use tributary_manifest::CompiledProvider;
use tributary_standin::kit::{self, Clock, Lie, Lies, ManualClock, Running, Standin, StandinConfig, When};

use super::outcome::{End, Outcome};
use crate::providers::ledger::{Difference, differences};
use crate::providers::shipped::{self, Shipped};
use crate::support::jobs::replay;
use crate::support::{Consumer, Loop, TestApp, with_fast_feed};

/// So many rounds at most until each lie was told.
const MOST_ROUNDS: u32 = 12;
/// Rows of a page: so few that there are many pages.
const PAGE_ROWS: usize = 10;
/// So many runs until a provider that tells the truth again is read without a word.
const MOST_RUNS: u32 = 4;

/// What is to happen; follows from its number.
#[derive(Clone)]
pub struct History {
    number: u64,
    shipped: Shipped,
    lies: Vec<Lie>,
    rng: SmallRng,
}

impl History {
    /// As many histories in a row have each lie first once.
    pub const ROUND: u64 = Lie::ALL.len() as u64;

    pub fn draw(number: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(number);
        let lie = Lie::ALL[(number % Self::ROUND) as usize];
        let suiting = |lie: Lie| shipped::ALL.iter().filter(move |shipped| lie.suits(&shipped.fsp.terms()));
        let count = suiting(lie).count() as u64;
        let turn = number / Self::ROUND + number % Self::ROUND;
        let shipped = *suiting(lie).nth((turn % count) as usize).expect("each lie is told by one");
        let mut lies = vec![lie];
        while rng.random_bool(0.25) {
            let more = Lie::ALL[rng.random_range(0..Lie::ALL.len())];
            if more.suits(&shipped.fsp.terms()) && !lies.contains(&more) {
                lies.push(more);
            }
        }
        Self { number, shipped, lies, rng }
    }

    /// Lives through it; the error says what neither arrived nor was told.
    pub async fn live(mut self) -> Result<Outcome, String> {
        let scene = Scene::open(self.shipped, self.number).await;
        let outcome = self.live_in(&scene).await;
        scene.app.close().await;
        outcome
    }

    async fn live_in(&mut self, scene: &Scene) -> Result<Outcome, String> {
        let described = format!("{} {:?}", self.shipped.fsp.name(), self.lies);
        if self.rng.random() {
            let quiet = scene.sync_in_truth().await;
            if let Some(told) = told(&quiet) {
                return Err(format!("{described}: a run told of something before any lie: {told}"));
            }
        }
        let (mut reports, mut missing, mut round) = (Vec::new(), self.lies.clone(), 0);
        while !missing.is_empty() && round < MOST_ROUNDS {
            scene.live_on(self.rng.random_range(5..30));
            let per_mille = [150, 400, 1_000][self.rng.random_range(0..3)];
            let (when, seed) = (When::chance(per_mille, self.rng.random()), self.rng.random());
            // one may hide another: who gets an error sees no row
            let kinds = if round % 2 == 0 { self.lies.clone() } else { vec![missing[0]] };
            scene.standin.set_lies(Lies { kinds, when, seed });
            reports.extend(told(&scene.sync().await));
            // somebody lifts what was closed for half a day, or nothing would be asked any more
            scene.lift_limits().await;
            round += 1;
            let fired = scene.standin.told();
            missing.retain(|lie| !fired.contains_key(lie));
        }
        if !missing.is_empty() {
            return Err(format!("{described}: never told: {missing:?}"));
        }
        let apart = self.apart(scene).await;
        let unseen = self.unexplained(scene, apart.clone());
        if reports.is_empty() && !unseen.is_empty() {
            return Err(format!("{described}: nobody was told in {round} rounds\n{}", lines(&unseen)));
        }
        let end = self.end_of_lies(scene, apart.is_empty(), !reports.is_empty()).await;
        let end = end.map_err(|why| format!("{described}: {why}\nwhile lies were told: {reports:#?}"))?;
        Ok(Outcome { end, told: !reports.is_empty(), lies: scene.standin.told() })
    }

    /// What is not as in the provider's ledger, and could be.
    async fn apart(&self, scene: &Scene) -> Vec<Difference> {
        let mut apart = scene.differences().await;
        if self.lies.contains(&Lie::RowTwice) {
            apart.retain(|difference| !is_one_more_of_equals(difference));
        }
        apart
    }

    /// What is not explained by rows that the provider left out: nobody can see those.
    fn unexplained(&self, scene: &Scene, mut apart: Vec<Difference>) -> Vec<Difference> {
        if self.lies.iter().any(|lie| lie.omits()) {
            let omitted = scene.standin.omitted();
            if scene.standin.truth().accounts.keys().any(|account| omitted.contains(account)) {
                // and with it all that happened there
                return Vec::new();
            }
            let nameless = self.shipped.id.is_none();
            apart.retain(|difference| {
                let mut ids = difference.family.iter().chain([&difference.id]);
                // what names a row may be a part of the id only
                let is_omitted = |id: &String| {
                    omitted.iter().any(|part| {
                        id.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
                    })
                };
                // a row without an id is of an account; that may be a currency, in letters of any size
                let of_account = format!("of {}", difference.id);
                let is_of_omitted = omitted.iter().any(|row| row.eq_ignore_ascii_case(&of_account));
                !(nameless || is_of_omitted || ids.any(is_omitted))
            });
        }
        apart
    }

    /// The provider tells the truth again.
    async fn end_of_lies(&self, scene: &Scene, held: bool, told_before: bool) -> Result<End, String> {
        scene.standin.end_faults();
        scene.lift_limits().await;
        let mut reports = Vec::new();
        for _ in 0..MOST_RUNS {
            let outcome = scene.sync_in_truth().await;
            let failed = matches!(outcome, RunOutcome::Failed { .. });
            reports.extend(told(&outcome));
            if !failed && self.apart(scene).await.is_empty() {
                return Ok(if held { End::Held } else { End::Healed });
            }
        }
        // what operations.md says to do: read everything again, and replay what was put aside
        let full = told(&scene.sync_full().await);
        scene.replay().await;
        let apart = self.apart(scene).await;
        match full {
            // a page that happens to be full, and names no other: the operator has to say that it can be everything
            Some(told) if told.contains("`may_end_full: true`") => Ok(End::Told),
            Some(told) if told.starts_with("failed") => {
                Err(format!("the truth cannot be read after the lies: {told}, before it {reports:#?}"))
            }
            _ if apart.is_empty() => Ok(End::Mended),
            None if reports.is_empty() && told_before => Ok(End::ToldBefore),
            None if reports.is_empty() => {
                Err(format!("apart for ever, and nobody is told\n{}", lines(&apart)))
            }
            _ => Ok(End::Told),
        }
    }
}

/// Two equal rows without an id are two payments, or one that is listed twice: nobody can tell. The second is known by
/// a digest of its text, and its number.
fn is_one_more_of_equals(difference: &Difference) -> bool {
    let id = difference.id.rsplit('/').next().unwrap_or_default();
    let named = id.rsplit_once('-').filter(|(digest, _)| digest.len() == 32);
    let number = named.and_then(|(_, number)| number.parse::<u32>().ok());
    number.is_some_and(|number| number > 1) && difference.what.starts_with("the ledger has no")
}

/// The pace alone counts.
const LIMITS: &str = "{ pace: 1000/s }";

/// Many changes made at once are dated one after the other: further back than they take.
fn a_moment_ago() -> DateTime<Utc> {
    Utc::now() - TimeDelta::seconds(2)
}

/// What a run told of, if anything.
fn told(outcome: &RunOutcome) -> Option<String> {
    match outcome {
        RunOutcome::Failed { error, .. } => Some(format!("failed: {error}")),
        RunOutcome::Succeeded { warned, .. } if warned.total() > 0 => {
            let kinds: BTreeMap<_, _> =
                warned.iter().map(|(stream, kind, warned)| ((stream, kind), &*warned.text)).collect();
            Some(format!("warned: {kinds:?}"))
        }
        RunOutcome::Succeeded { quarantined, .. } => {
            (*quarantined > 0).then(|| format!("{quarantined} in quarantine"))
        }
        RunOutcome::Interrupted => Some("interrupted".to_owned()),
    }
}

fn lines(differences: &[Difference]) -> String {
    let lines: Vec<String> = differences.iter().take(10).map(ToString::to_string).collect();
    format!("{} differences:\n{}", differences.len(), lines.join("\n"))
}

/// A provider and the application that pulls it.
struct Scene {
    shipped: Shipped,
    standin: Arc<Standin>,
    _running: Running,
    clock: ManualClock,
    app: TestApp,
    connection: Arc<CompiledProvider>,
}

impl Scene {
    async fn open(shipped: Shipped, seed: u64) -> Self {
        let clock = ManualClock::new(a_moment_ago());
        let config = StandinConfig {
            items: 60,
            beneficiaries: PAGE_ROWS + 2,
            spaces: 1,
            limit: None,
            clock: Clock::Manual(clock.clone()),
            ..shipped.config(seed)
        };
        let standin = Arc::new(Standin::new(shipped.fsp, config).unwrap());
        let running = kit::start(Arc::clone(&standin)).await.unwrap();
        let app = TestApp::with_file(&with_fast_feed(shipped.manifest)).await;
        let connection = Arc::new(shipped.connect_with(&running.url, &app.pool, LIMITS, PAGE_ROWS, 2));
        Self { shipped, standin, _running: running, clock, app, connection }
    }

    /// Makes changes, which are over when they are asked for.
    fn live_on(&self, changes: usize) {
        self.clock.move_to(a_moment_ago());
        self.standin.advance(changes);
    }

    /// A run; once more where the database, of which nobody lies, was away.
    async fn sync(&self) -> RunOutcome {
        loop {
            match run_once(&self.app.pool, self.app.name(), &self.connection, &Arc::default()).await {
                Ok(RunOutcome::Failed { error, .. }) if error.contains("could not be stored") => {}
                Err(StoreError::Unavailable(_)) => {}
                outcome => return outcome.unwrap(),
            }
        }
    }

    /// A run while no lies are told. A first page that is full and everything there is looks like one
    /// whose next page was looked for in the wrong place; so the ledger goes on until there is another.
    async fn sync_in_truth(&self) -> RunOutcome {
        for _ in 0..5 {
            match self.sync().await {
                RunOutcome::Failed { error, .. } if error.contains("may_end_full") => self.live_on(20),
                outcome => return outcome,
            }
        }
        self.sync().await
    }

    /// `tributary sync --full`.
    async fn sync_full(&self) -> RunOutcome {
        let (pool, provider) = (self.app.pool.clone(), self.app.name().clone());
        let puller = Puller::over(pool, provider, Arc::clone(&self.connection), Instance::default());
        let request = SyncRequest { stream: None, forget: true, busy: Busy::Wait(&|_, _| {}) };
        match puller.sync_now(&request, &CancellationToken::new()).await.unwrap() {
            Synced::Ran(outcome) => outcome,
            Synced::Busy { .. } => RunOutcome::Interrupted,
        }
    }

    /// `tributary limits lift`.
    async fn lift_limits(&self) {
        request_log::open(&self.app.pool, self.app.name(), None).await.unwrap();
    }

    /// `tributary quarantine replay`.
    async fn replay(&self) {
        let providers = [(self.app.name().clone(), Arc::clone(&self.connection))];
        let which = Which { provider: Some(self.app.name()), resource: None };
        replay(&self.app.pool, providers, Chosen::All(which)).await;
    }

    /// Where what Formance holds is not the ledger.
    async fn differences(&self) -> Vec<Difference> {
        self.app.publish_all().await;
        let mut kept = Kept::default();
        for kind in [Kind::Accounts, Kind::Beneficiaries, Kind::Transactions] {
            let mut consumer = Consumer::new(&self.app, kind, Loop::Released).await;
            while !consumer.try_poll().await {}
            kept.take(kind, &consumer.rows);
        }
        differences(&self.shipped, &self.standin.truth(), &kept, &self.app).await
    }
}
