//! A bank that pays, Tributary in front of it, and a person in Formance who orders.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::Notify;
use tributary::config::{Provider, Source};
use tributary::payments::{AssetLimit, Payer, PaymentSecret, Payments, Point, Policy, Settings};
use tributary::store::{Tally, payment_orders};
use tributary::sync::{DatabaseShared, RunOutcome, run_once};
use tributary_domain::OrderState;
use tributary_formance::{
    CallError, Client, GoTime, Initiation, Integer, Kept, Kind, Movement, PaymentStatus, Row, State,
};
use tributary_manifest::{CompiledProvider, Manifest, Period};
use tributary_standin::kit::{self, Limit, Movement as Moved, Running, Standin, StandinConfig};

use super::logins::{self, ANN};
use super::{TestApp, edited, with_fast_feed};
use crate::providers::shipped::{STARLING, Shipped};

pub use crate::providers::shipped::TOKEN;

pub const MANIFEST: &str = STARLING.manifest;

/// A bank with payees, and an application that has read who they are.
pub struct Till {
    pub bank: Arc<Standin>,
    shipped: Shipped,
    running: Arc<Running>,
    /// What is ordered here.
    pub movement: Movement,
    /// Without payments of its own: see [`Till::instance`].
    pub app: TestApp,
    /// Of the instances that pay.
    pool: PgPool,
    manifest: Manifest,
    /// Made once: to compile a manifest takes long.
    connection: Arc<CompiledProvider>,
    pub policy: Policy,
    /// What keys at the bank are made with.
    pub secret: PaymentSecret,
    /// The account that pays, its asset, and who can be paid.
    pub account: String,
    pub asset: String,
    pub payees: Vec<String>,
}

/// The bank's manifest, with little patience.
pub fn impatient(manifest: &str) -> String {
    [
        (", budgets: [1000/d]", ""),
        ("within: 5m", "within: 1s"),
        ("every: 1m", "every: 1s"),
        // as of a bank that documents for how long it knows a key
        ("    key: { length: 18 }", "    timeout: 1s\n    key: { length: 18, kept: 24h }"),
        ("\npay:\n", "\npay:\n  limits: [{ asset: GBP/2 }]\n"),
    ]
    .into_iter()
    .fold(manifest.to_owned(), |text, (from, to)| edited(&text, from, to))
}

/// Has `manifest` read what the bank's file has read, with `change` made to it.
pub fn read_as(manifest: &mut Manifest, change: impl Fn(&str) -> String) {
    let variable = |_: &str| Some("http://bank.example".to_owned());
    let provider = Provider::parse(&change(MANIFEST), &variable).unwrap();
    let Source::Pull(other) = provider.source else { panic!("it is pulled") };
    manifest.streams = other.streams;
}

/// The bank's file, were its records not to repeat the key.
pub fn without_keys(file: &str) -> String {
    edited(file, "\n    order: { key: .reference, where: $out, always: true }", "")
}

/// The payment secret of the tests, as a variable has it.
pub const SECRET: &str = "dGhlIHNlY3JldCBvZiB0aGUgdGVzdHMsIG9mIDQwIGJ5dGVzLi4uLi4=";

/// The payment secret of the tests.
pub fn secret() -> PaymentSecret {
    PaymentSecret::parse(SECRET).unwrap()
}

/// Lets these assets be paid, in whatever amount.
pub fn unlimited<'a>(assets: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, AssetLimit> {
    assets.into_iter().map(|asset| (asset.to_owned(), AssetLimit::default())).collect()
}

/// What nobody pays in: it is the provider that has to refuse it.
pub const ODD_ASSETS: [&str; 3] = ["USD/4", "JPY/2", "GBP/4"];

/// How long a request to the bank may take, in the tests.
pub const TIMEOUT: Duration = Duration::from_millis(400);
/// How long after its request a payment shows at the latest, in the tests.
pub const SETTLE: Duration = Duration::from_millis(200);

/// Opens Starling with one account and two payees, for processes that pull it by [`impatient`].
pub async fn small_bank() -> (Arc<Standin>, Running) {
    let config = StandinConfig::new(7, TOKEN);
    let config = StandinConfig { accounts: 1, spaces: 0, items: 5, beneficiaries: 2, ..config };
    let bank = Arc::new(Standin::new(STARLING.fsp, config).unwrap());
    let running = kit::start(Arc::clone(&bank)).await.unwrap();
    (bank, running)
}

/// As fast as it goes.
pub fn quick() -> Settings {
    Settings {
        wait: Duration::from_millis(700),
        claim: Duration::from_secs(3),
        tick: Duration::from_millis(30),
        pause: Duration::from_millis(50),
        at: None,
    }
}

/// Stops for ever at `point`: what goes on there is as good as dead. Also gives what is notified when
/// the point is reached.
pub fn dead_at(point: Point) -> (Settings, Arc<Notify>) {
    let dead = Arc::new(Notify::new());
    let told = Arc::clone(&dead);
    let at = move |reached: Point| -> futures::future::BoxFuture<'static, ()> {
        if reached != point {
            return Box::pin(std::future::ready(()));
        }
        told.notify_one();
        Box::pin(std::future::pending())
    };
    (Settings { at: Some(Arc::new(at)), ..quick() }, dead)
}

/// Waits until the point of [`dead_at`] is reached.
pub async fn died(dead: &Notify) {
    tokio::time::timeout(Duration::from_secs(30), dead.notified()).await.expect("the point is reached");
}

impl Till {
    /// Opens one at a bank of few records, for payouts; the guard before another attempt is `guard`.
    pub async fn open(guard: Duration) -> Self {
        Self::at(STARLING, Movement::Payout, guard).await
    }

    /// Opens one at a provider that ships, for one kind of movement.
    pub async fn at(shipped: Shipped, movement: Movement, guard: Duration) -> Self {
        let mut config = shipped.config(7);
        (config.items, config.ties, config.spaces) = (20, 1, 0);
        // a transfer needs another account of the same currency
        config.accounts = if movement == Movement::Transfer { 4 } else { 2 };
        config.limit = Some(Limit { requests: u64::MAX, seconds: 1 });
        let bank = Arc::new(Standin::new(shipped.fsp, config).unwrap());
        bank.allow_alike(true);
        let running = Arc::new(kit::start(Arc::clone(&bank)).await.unwrap());
        let manifest = hurried(shipped.manifest, &|name| shipped.lookup(name, &running.url));
        let truth = bank.truth();
        let account = bank.view().accounts[0].id.clone();
        let asset = truth.accounts[&account].asset.clone();
        let others = truth.accounts.iter().filter(|(id, other)| other.asset == asset && **id != account);
        let payees = match movement {
            Movement::Payout => truth.beneficiaries.keys().cloned().collect(),
            Movement::Transfer => others.map(|(id, _)| id.clone()).collect(),
        };
        let app = app_of(shipped).await;
        let till = Self {
            bank,
            running,
            shipped,
            movement,
            pool: many_connections(&app).await,
            connection: connect(&app, &manifest),
            app,
            manifest,
            policy: Policy {
                guard,
                limits: unlimited(ODD_ASSETS.into_iter().chain([asset.as_str()])),
                ..Policy::default()
            },
            secret: secret(),
            account,
            asset,
            payees,
        };
        till.sync().await;
        till.push_payees().await;
        till
    }

    /// Pushes who can be paid, where the provider does not list them.
    async fn push_payees(&self) {
        if self.shipped.has_beneficiaries {
            return;
        }
        let payee = |(id, name): (&String, &String)| {
            let metadata = json!({"channel_code": "PH_BDO", "account_number": id});
            json!({"id": id, "ownerName": name, "createdAt": Utc::now().to_rfc3339(), "metadata": metadata})
        };
        let payees: Vec<_> = self.bank.truth().beneficiaries.iter().map(payee).collect();
        let answer = self.app.push("beneficiaries", &payees).await;
        assert_eq!(answer["quarantined"].as_array().unwrap().len(), 0, "{answer}");
    }

    /// Another Tributary before the same bank, with a database of its own that knows nothing.
    pub async fn anew(&self) -> Self {
        let app = app_of(self.shipped).await;
        let till = Self {
            bank: Arc::clone(&self.bank),
            running: Arc::clone(&self.running),
            pool: many_connections(&app).await,
            connection: connect(&app, &self.manifest),
            app,
            manifest: self.manifest.clone(),
            policy: self.policy.clone(),
            secret: self.secret.clone(),
            account: self.account.clone(),
            asset: self.asset.clone(),
            payees: self.payees.clone(),
            ..*self
        };
        till.sync().await;
        till.push_payees().await;
        till
    }

    /// The same till, whose instances reach the database by `pool`.
    pub fn over(&self, pool: PgPool) -> Self {
        let keys = (self.app.connector_key.clone(), self.app.ingest_key.clone());
        Self {
            bank: Arc::clone(&self.bank),
            running: Arc::clone(&self.running),
            app: TestApp::with_keys(&self.app, pool.clone(), keys),
            pool,
            connection: Arc::clone(&self.connection),
            manifest: self.manifest.clone(),
            policy: self.policy.clone(),
            account: self.account.clone(),
            asset: self.asset.clone(),
            payees: self.payees.clone(),
            secret: self.secret.clone(),
            ..*self
        }
    }

    /// Formance before `app`, which orders what is ordered here.
    pub async fn formance(&self, app: &TestApp) -> Formance {
        Formance { movement: self.movement, ..Formance::of(app).await }
    }

    /// Changes the manifest.
    pub fn change(&mut self, change: impl FnOnce(&mut Manifest)) {
        change(&mut self.manifest);
        self.connection = connect(&self.app, &self.manifest);
    }

    /// Has a person approve the held order of this idempotency key, which is all that it takes.
    pub async fn approve(&self, key: &str) {
        let id = payment_orders::of_idempotency_key(&self.app.pool, key).await.unwrap()[0].id;
        let ann = PgPool::connect(&logins::person(&self.app.url, ANN).await).await.unwrap();
        let decided = payment_orders::approve(&ann, id).await.unwrap().unwrap();
        ann.close().await;
        assert_eq!(decided.state, OrderState::Recorded, "{key} is held");
    }

    /// The payments of another instance.
    pub fn payments(&self, name: &str, settings: Settings) -> Payments {
        self.payments_over(&self.pool, name, settings)
    }

    /// As [`Till::payments`], of one that reaches its database by `pool`.
    pub fn payments_over(&self, pool: &PgPool, name: &str, settings: Settings) -> Payments {
        let payer = Payer { apis: self.connection.payments(), policy: self.policy.clone() };
        let payers = HashMap::from([(self.app.name().clone(), payer)]);
        Payments::new(pool.clone(), name.to_owned(), payers, Some(self.secret.clone()), settings)
    }

    /// Another instance, which serves the API.
    pub fn instance(&self, name: &str, settings: Settings) -> (TestApp, Payments) {
        let payments = self.payments(name, settings);
        (TestApp::paying(&self.app, payments.clone()), payments)
    }

    /// Reads what the bank has, and gives what came of it.
    pub async fn sync(&self) -> Tally {
        let outcome =
            run_once(&self.app.service, self.app.name(), &self.connection, &Arc::default()).await.unwrap();
        let RunOutcome::Succeeded { quarantined: 0, tally, .. } = outcome else { panic!("{outcome:?}") };
        tally
    }

    /// Reads what the bank has, as far as a busy database lets it.
    pub async fn try_sync(&self) {
        run_once(&self.pool, self.app.name(), &self.connection, &Arc::default()).await.ok();
    }

    /// An order of `amount` minor units under `key`.
    pub fn initiation(&self, key: &str, amount: u32) -> Initiation {
        let order = order_of(key, amount, &self.account, &self.payees[0]);
        Initiation { asset: self.asset.clone(), ..order }
    }

    /// The state of an order.
    pub async fn state(&self, key: &str) -> String {
        sqlx::query_scalar("select state from payment_orders where idempotency_key = $1")
            .bind(key)
            .fetch_one(&self.app.pool)
            .await
            .unwrap()
    }

    /// The bank's keys of an order's attempts, the latest last.
    pub async fn bank_keys(&self, key: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select a.provider_key from payment_attempts a join payment_orders o on o.id = a.order_id
             where o.idempotency_key = $1 order by a.attempt",
        )
        .bind(key)
        .fetch_all(&self.app.pool)
        .await
        .unwrap()
        .into_iter()
        .chain(
            sqlx::query_scalar("select provider_key from payment_orders where idempotency_key = $1")
                .bind(key)
                .fetch_optional(&self.app.pool)
                .await
                .unwrap(),
        )
        .collect()
    }

    /// The money that moved for an order.
    pub async fn movements(&self, key: &str) -> Vec<Moved> {
        let keys = self.bank_keys(key).await;
        self.bank.movements().into_iter().filter(|movement| keys.contains(&movement.key)).collect()
    }

    /// How often money moved for an order.
    pub async fn moved(&self, key: &str) -> usize {
        self.movements(key).await.len()
    }

    /// Carries orders on by `payments` until the one of `key` is in one of `states`.
    pub async fn carry_on(&self, payments: &Payments, key: &str, states: &[&str]) -> String {
        let arrived = async {
            loop {
                payments.worker().run_once().await.unwrap();
                let state = self.state(key).await;
                if states.contains(&state.as_str()) {
                    return state;
                }
                // what is due is due by the database's clock
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(30), arrived).await {
            Ok(state) => state,
            Err(_) => {
                panic!("the order {key} stays {} and gets to none of {states:?}", self.state(key).await)
            }
        }
    }
}

async fn app_of(shipped: Shipped) -> TestApp {
    TestApp::with_file(&with_fast_feed(shipped.manifest)).await
}

async fn many_connections(app: &TestApp) -> PgPool {
    tributary::store::connect(&super::logins::service(&app.url).await, 40).await.unwrap()
}

fn connect(app: &TestApp, manifest: &Manifest) -> Arc<CompiledProvider> {
    let shared = Arc::new(DatabaseShared::new(app.service.clone(), app.name().clone()));
    Arc::new(CompiledProvider::with_shared(app.name(), manifest, shared).unwrap())
}

/// What `file` says, with the patience of the tests and no limit on requests.
fn hurried(file: &str, lookup: &(dyn Fn(&str) -> Option<String> + Sync)) -> Manifest {
    let Source::Pull(mut manifest) = Provider::parse(file, lookup).unwrap().source else {
        panic!("the manifest is pulled")
    };
    (manifest.rate_limit.per_second, manifest.rate_limit.burst, manifest.retry.attempts) = (1000, 100, 2);
    manifest.rate_limit.budgets.clear();
    for pays in [&mut manifest.payouts, &mut manifest.transfers].into_iter().flatten() {
        // as of a provider that documents for how long it knows a key
        pays.key.lifetime = Some(Period::from_seconds(24 * 3600));
        pays.timeout = Period::from_millis(TIMEOUT.as_millis() as u64);
        let look = pays.lookup.as_mut().expect("it looks");
        look.settle = Period::from_millis(SETTLE.as_millis() as u64);
        look.every = Period::from_millis(100);
    }
    *manifest
}

/// An order of `amount` pence under `key`.
pub fn order_of(key: &str, amount: u32, source: &str, destination: &str) -> Initiation {
    Initiation {
        reference: key.to_owned(),
        amount: Integer::parse(&amount.to_string()).unwrap(),
        asset: "GBP/2".to_owned(),
        source: source.to_owned(),
        destination: destination.to_owned(),
        description: "rent".to_owned(),
        metadata: BTreeMap::from([("invoice".to_owned(), key.to_owned())]),
    }
}

/// Formance's time now.
pub fn now() -> GoTime {
    let now = Utc::now();
    GoTime::from_unix(now.timestamp(), now.timestamp_subsec_nanos())
}

/// Formance: a person who orders, a connector that sends and polls, and the tables behind.
pub struct Formance {
    pub client: Client,
    pub kept: Kept,
    pub movement: Movement,
    state: State,
}

impl Formance {
    /// Over the API of `app`.
    pub async fn of(app: &TestApp) -> Self {
        Self::over(&app.listen().await, &app.connector_key)
    }

    /// Over the API at `endpoint`.
    pub fn over(endpoint: &str, key: &str) -> Self {
        let (kept, state) = (Kept::default(), State::default());
        Self { client: Client::new(endpoint, key), kept, movement: Movement::Payout, state }
    }

    /// Over the API of `app`, with what it has already.
    pub async fn at(app: &TestApp, kept: Kept, state: State) -> Self {
        Self { kept, state, ..Self::of(app).await }
    }

    /// Goes on over the API of another instance.
    pub async fn move_to(&mut self, app: &TestApp) {
        self.client = Client::new(&app.listen().await, &app.connector_key);
    }

    /// One request of the connector; what comes of it is kept.
    pub async fn send(&mut self, initiation: &Initiation) -> Result<Row, CallError> {
        let outcome = self.client.create(self.movement, initiation).await;
        self.kept.conclude(&initiation.reference, &outcome, now());
        outcome
    }

    /// A person orders, or presses Retry; the connector sends until it has an answer that counts.
    pub async fn pay(&mut self, initiation: &Initiation) -> Result<Row, CallError> {
        assert!(self.kept.initiate(&initiation.reference, now()), "Formance sends it");
        loop {
            match self.send(initiation).await {
                Err(error) if !error.class().is_final() => {
                    tokio::time::sleep(Duration::from_millis(50)).await
                }
                outcome => return outcome,
            }
        }
    }

    /// Publishes what there is and polls it.
    pub async fn poll(&mut self, app: &TestApp) -> Vec<Row> {
        app.publish_all().await;
        self.take().await
    }

    /// Polls what is published.
    pub async fn take(&mut self) -> Vec<Row> {
        let rows = self
            .client
            .drain(Kind::Transactions, &mut self.state)
            .await
            .expect("a poll that Formance accepts");
        self.kept.take(Kind::Transactions, &rows);
        rows
    }

    /// Status of the only payment of `key`, and of its initiation.
    pub fn shows(&self, key: &str) -> (PaymentStatus, tributary_formance::kept::InitiationStatus) {
        let of_idempotency_key: Vec<_> = self
            .kept
            .payments()
            .iter()
            .filter(|payment| {
                payment.key.identity == key
                    || payment.metadata.as_ref().is_some_and(|metadata| {
                        metadata.iter().any(|(name, value)| name == "invoice" && value == key)
                    })
            })
            .collect();
        assert_eq!(of_idempotency_key.len(), 1, "one payment of {key}: {of_idempotency_key:#?}");
        let initiation = self.kept.initiation(key).expect("it was ordered");
        (of_idempotency_key[0].status(), initiation.status())
    }
}

/// The number that `sql` gives.
pub async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}
