//! The manifests that ship, against stand-ins of their providers that misbehave as real ones do:
//! what Formance holds in the end is the provider's own ledger.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tributary::config::{Provider, Source};
use tributary::domain::Status;
use tributary::formance::kept::Kept;
use tributary::formance::{Kind, PaymentType};
use tributary::ingest::{RunOutcome, run_once};
use tributary::provider::Connection;
use tributary::standin::kit::{self, Faults, Fsp, Late, RetryAfter, Running, Standin, StandinConfig, When};
use tributary::standin::{mercury::Mercury, mollie::Mollie, square::Square};

use crate::support::{Consumer, Loop, TestApp};

const TOKEN: &str = "the-token-of-the-test";

/// A provider that ships.
struct Shipped {
    manifest: &'static str,
    fsp: &'static dyn Fsp,
    /// The variables of its manifest: where the API is, and the token.
    variables: [&'static str; 2],
    /// Whether the API shows what accounts hold, and beneficiaries.
    has_balances: bool,
    has_beneficiaries: bool,
    /// What the manifest makes of a status of the ledger.
    shown: fn(Status) -> Status,
}

const MERCURY: Shipped = Shipped {
    manifest: include_str!("../../providers/mercury.yaml"),
    fsp: &Mercury,
    variables: ["MERCURY_URL", "MERCURY_TOKEN"],
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
};
const MOLLIE: Shipped = Shipped {
    manifest: include_str!("../../providers/mollie.yaml"),
    fsp: &Mollie,
    variables: ["MOLLIE_URL", "MOLLIE_KEY"],
    has_balances: true,
    has_beneficiaries: false,
    shown: without_authorisation,
};
const SQUARE: Shipped = Shipped {
    manifest: include_str!("../../providers/square.yaml"),
    fsp: &Square,
    variables: ["SQUARE_URL", "SQUARE_TOKEN"],
    has_balances: false,
    has_beneficiaries: true,
    shown: without_authorisation,
};

/// A payment that may have been pending before is never shown as authorised: Formance would count
/// its capture twice.
fn without_authorisation(status: Status) -> Status {
    match status {
        Status::Authorisation => Status::Pending,
        Status::Capture => Status::Succeeded,
        other => other,
    }
}

/// A provider, and an application that two instances pull into.
struct Setup {
    shipped: Shipped,
    standin: Arc<Standin>,
    _running: Running,
    app: TestApp,
    instances: [Arc<Connection>; 2],
}

impl Setup {
    async fn new(shipped: Shipped, seed: u64) -> Self {
        let mut config = StandinConfig::new(seed, TOKEN);
        config.items = 400;
        config.history_days = 20;
        config.ties = 3;
        let standin = Arc::new(Standin::new(shipped.fsp, config).unwrap());
        let running = kit::start(Arc::clone(&standin)).await.unwrap();
        let file = shipped.manifest.replace("source:\n", "feed: { max_per_second: 1000 }\nsource:\n");
        let app = TestApp::with_file(&file).await;
        let instances = [connect(&shipped, &running.url), connect(&shipped, &running.url)].map(Arc::new);
        Self { shipped, standin, _running: running, app, instances }
    }

    async fn sync(&self, instance: usize) -> RunOutcome {
        let connection = &self.instances[instance];
        run_once(&self.app.pool, self.app.name(), connection, &Arc::default()).await.unwrap()
    }

    /// Waits until the provider was asked so many times more.
    async fn asked(&self, requests: u64) {
        let before = self.standin.spent().requests;
        while self.standin.spent().requests - before < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Syncs until a run reads everything.
    async fn sync_to_the_end(&self) {
        self.standin.settle();
        let outcome = self.sync(0).await;
        assert!(matches!(outcome, RunOutcome::Succeeded { quarantined: 0, .. }), "{outcome:?}");
        self.app.publish_all().await;
    }

    async fn check(&self) {
        let truth = self.standin.truth();
        let (mut accounts, mut kept) = (Vec::new(), Kept::default());
        for form in Loop::BOTH {
            kept = Kept::default();
            for kind in [Kind::Accounts, Kind::Beneficiaries, Kind::Transactions] {
                let mut consumer = Consumer::new(&self.app, kind, form).await;
                consumer.poll().await;
                consumer.check(&self.app).await;
                kept.take(kind, &consumer.rows);
            }
            accounts = kept.accounts().iter().map(|account| account.reference.clone()).collect();
        }
        let beneficiaries = truth.beneficiaries.keys().filter(|_| self.shipped.has_beneficiaries);
        for id in truth.accounts.keys().chain(beneficiaries) {
            assert!(accounts.contains(id), "account or beneficiary {id} is missing");
        }
        self.check_payments(&kept);
        if self.shipped.has_balances {
            for (id, account) in &truth.accounts {
                let balances = self.app.get_ok(&format!("/accounts/{id}/balances")).await;
                let amount = balances["balances"][0]["amount"].as_str().unwrap().to_owned();
                assert_eq!(amount, account.balance_minor.to_string(), "balance of {id}");
            }
        }
    }

    /// Holds every payment of the ledger against what Formance keeps of it.
    fn check_payments(&self, kept: &Kept) {
        let truth = self.standin.truth();
        let mut payments = 0;
        for (id, expected) in truth.transactions.iter().filter(|(_, expected)| expected.parent.is_none()) {
            let kind = PaymentType::from_wire(expected.kind.as_str()).unwrap();
            let payment = kept.payment(id, kind).unwrap_or_else(|| panic!("{id} {kind} is missing"));
            let children: Vec<_> =
                truth.transactions.values().filter(|child| child.parent.as_deref() == Some(id)).collect();
            let refunded = |child: &&&kit::Expected| child.status == Status::Refunded;
            let back: i64 = children.iter().filter(refunded).map(|child| child.amount_minor).sum();
            let own = if expected.status == Status::Refunded { 0 } else { expected.amount_minor };
            assert_eq!(
                payment.amount.to_string(),
                (own - back).to_string(),
                "{id}: {expected:?} {payment:?}"
            );
            if children.is_empty() {
                let shown = (self.shipped.shown)(expected.status);
                assert_eq!(payment.status().as_wire(), shown.as_str(), "{id}: {expected:?} {payment:?}");
            }
            payments += 1;
        }
        assert_eq!(kept.payments().len(), payments, "payments that the ledger does not have");
    }
}

fn connect(shipped: &Shipped, url: &str) -> Connection {
    let [base, token] = shipped.variables;
    let lookup = |name: &str| {
        if name == base { Some(url.to_owned()) } else { (name == token).then(|| TOKEN.to_owned()) }
    };
    // the provider of the test takes any pace, and what is open is asked for in every run
    let manifest = shipped.manifest.replace("every: 10m", "every: 0s").replace("every: 1h", "every: 0s");
    let manifest = manifest.replacen("every: 0s", "every: 10m", 1);
    let provider = Provider::parse(&manifest, &lookup).unwrap();
    let Source::Pull(mut manifest) = provider.source else { panic!("the manifest is pulled") };
    manifest.rate_limit.per_second = 1000;
    manifest.retry.attempts = 3;
    Connection::new(&provider.name, &manifest).unwrap()
}

/// Faults of all kinds, as the seed has them.
fn faults(rng: &mut SmallRng) -> Faults {
    let seed = rng.random();
    let sometimes =
        |rng: &mut SmallRng, per_mille| rng.random_bool(0.5).then(|| When::chance(per_mille, seed));
    Faults {
        rate_limited: sometimes(rng, 60),
        retry_after: vec![RetryAfter::Zero, RetryAfter::Absent],
        server_error: sometimes(rng, 60),
        error_in_200: sometimes(rng, 60),
        cut_body: sometimes(rng, 60),
        changes_while_reading: Some(When::chance(300, seed)),
        changes: 3,
        short_page: sometimes(rng, 100),
        last_page_again: sometimes(rng, 100),
        late: Some(When::chance(300, seed)),
        late_by: Late { milliseconds: 0, changes: 20 },
        ties: rng.random_range(1..4),
        ..Faults::default()
    }
}

/// Syncs by two instances while the ledger lives, the provider fails and runs are killed.
async fn survive(shipped: Shipped, seed: u64) {
    println!("{} seed {seed}", shipped.fsp.name());
    let setup = Setup::new(shipped, seed).await;
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut killed = 0;
    for round in 0..8 {
        setup.standin.set_faults(faults(&mut rng));
        setup.standin.advance(rng.random_range(0..40));
        // every other run is killed after some requests
        let requests = if round % 2 == 0 { rng.random_range(1..15) } else { u64::MAX };
        tokio::select! {
            () = setup.asked(requests) => killed += 1,
            _ = async { tokio::join!(setup.sync(0), setup.sync(1)) } => {}
        }
        setup.app.publish().await;
    }
    assert!(killed > 0, "no run was killed");
    let fired = setup.standin.fired();
    println!("{} seed {seed}: runs killed {killed}, {fired:?}", setup.shipped.fsp.name());
    assert!(fired.changes_while_reading > 0 && fired.shown_late > 0, "{fired:?}");
    assert!(fired.rate_limited() + fired.server_errors + fired.cut_bodies > 0, "{fired:?}");
    setup.sync_to_the_end().await;
    setup.check().await;
    let RunOutcome::Succeeded { tally, .. } = setup.sync(1).await else { panic!("a quiet run succeeds") };
    assert_eq!((tally.created, tally.updated), (0, 0), "a repeated sync writes nothing");
}

#[tokio::test]
async fn mercurys_ledger_arrives_whatever_happens() {
    for seed in 0..2 {
        survive(MERCURY, seed).await;
    }
}

#[tokio::test]
async fn mollies_ledger_arrives_whatever_happens() {
    for seed in 0..2 {
        survive(MOLLIE, seed).await;
    }
}

#[tokio::test]
async fn squares_ledger_arrives_whatever_happens() {
    for seed in 0..2 {
        survive(SQUARE, seed).await;
    }
}
