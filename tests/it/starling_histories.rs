//! Starling under every fault that its API can show, pulled by two instances that are killed: what
//! Formance holds in the end is the bank's own ledger, and the bank was asked no more often than it
//! allows.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tributary::config::{Provider, Source};
use tributary::formance::kept::Kept;
use tributary::formance::{Kind, PaymentType};
use tributary::ingest::{DatabaseShared, RunOutcome, run_once};
use tributary::provider::Connection;
use tributary::standin::starling::{
    self, Direction, Faults, Fired, Late, LedgerItem, Limit, RetryAfter, Starling, StarlingConfig, Status,
    When,
};

use crate::support::till::{MANIFEST, TOKEN};
use crate::support::{Consumer, Loop, TestApp};

/// In the place of what the bank allows in a day.
const LIMIT: Limit = Limit { requests: 100, seconds: 5 };
const BUDGET: &str = "rate_limit: { per_second: 1000, budgets: [{ requests: 100, per: 5s }] }";
/// The history goes on for some rounds, and until each kind of fault has happened.
const LEAST_ROUNDS: u32 = 8;
const MOST_ROUNDS: u32 = 60;

struct Setup {
    bank: Arc<Starling>,
    app: TestApp,
    instances: [Arc<Connection>; 2],
}

impl Setup {
    async fn new(seed: u64) -> Self {
        let mut config = StarlingConfig::new(seed, TOKEN);
        (config.items, config.ties, config.limit) = (400, 3, Some(LIMIT));
        let bank = Arc::new(Starling::new(config).unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(starling::serve(listener, Arc::clone(&bank), std::future::pending()));
        let declared = MANIFEST.lines().find(|line| line.contains("rate_limit:")).unwrap();
        let file = MANIFEST.replace(declared.trim(), BUDGET);
        let app =
            TestApp::with_file(&file.replace("source:\n", "feed: { max_per_second: 1000 }\nsource:\n")).await;
        let lookup = |name: &str| match name {
            "STARLING_URL" => Some(url.clone()),
            "STARLING_TOKEN" => Some(TOKEN.to_owned()),
            _ => None,
        };
        let connect = |()| {
            let Source::Pull(mut manifest) = Provider::parse(&file, &lookup).unwrap().source else {
                panic!("it is pulled")
            };
            manifest.retry.attempts = 3;
            let shared = Arc::new(DatabaseShared::new(app.pool.clone(), app.name().clone()));
            Arc::new(Connection::with_shared(app.name(), &manifest, shared).unwrap())
        };
        let instances = [(); 2].map(connect);
        Self { bank, app, instances }
    }

    async fn sync(&self, instance: usize) -> RunOutcome {
        run_once(&self.app.pool, self.app.name(), &self.instances[instance], &Arc::default()).await.unwrap()
    }

    /// Waits until the bank was asked so many times more.
    async fn asked(&self, requests: u64) {
        let before = self.bank.spent().requests;
        while self.bank.spent().requests - before < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Holds every item of the accounts' own feeds against what Formance keeps of it.
    async fn check(&self) {
        let ledger = self.bank.ledger();
        let own: Vec<_> = ledger.accounts.iter().map(|account| account.default_category).collect();
        let items: Vec<_> = ledger.items.iter().filter(|item| own.contains(&item.category)).collect();
        for form in Loop::BOTH {
            let mut consumer = Consumer::new(&self.app, Kind::Transactions, form).await;
            consumer.poll().await;
            consumer.check(&self.app).await;
            let mut kept = Kept::default();
            kept.take(Kind::Transactions, &consumer.rows);
            assert_eq!(kept.payments().len(), items.len(), "payments that the ledger does not have");
            for item in &items {
                check_item(&kept, item);
            }
        }
    }
}

fn check_item(kept: &Kept, item: &LedgerItem) {
    let id = item.uid.to_string();
    let kinds = match item.direction {
        Direction::In => [PaymentType::PayIn, PaymentType::Transfer],
        Direction::Out => [PaymentType::Payout, PaymentType::Transfer],
    };
    let payment = kinds.into_iter().find_map(|kind| kept.payment(&id, kind));
    let payment = payment.unwrap_or_else(|| panic!("missing: {item:?}"));
    let (status, amount) = match item.status {
        Status::Upcoming | Status::Pending => ("PENDING", item.amount_minor),
        Status::Settled => ("SUCCEEDED", item.amount_minor),
        Status::Declined => ("FAILED", item.amount_minor),
        Status::Reversed | Status::Refunded => ("REFUNDED", 0),
    };
    let held = (payment.status().as_wire(), payment.amount.to_string());
    assert_eq!(held, (status, amount.to_string()), "{item:?} {payment:?}");
}

fn faults(rng: &mut SmallRng) -> Faults {
    let seed = rng.random();
    let sometimes = |rng: &mut SmallRng| rng.random_bool(0.5).then(|| When::chance(30, seed));
    let mut retry_after = vec![RetryAfter::Zero, RetryAfter::Absent];
    retry_after.rotate_left(rng.random_range(0..2));
    Faults {
        rate_limited: sometimes(rng),
        retry_after,
        server_error: sometimes(rng),
        cut_body: sometimes(rng),
        late: Some(Late { every: 3, requests: 2 }),
        ties: rng.random_range(1..4),
        latency: None,
    }
}

fn everything_happened(fired: Fired) -> bool {
    [
        fired.rate_limited_zero,
        fired.rate_limited_absent,
        fired.server_errors,
        fired.cut_bodies,
        fired.shown_late,
        fired.ties,
    ]
    .iter()
    .all(|count| *count > 0)
}

#[tokio::test]
async fn starlings_ledger_arrives_whatever_happens() {
    let seed = 0;
    println!("starling seed {seed}");
    let setup = Setup::new(seed).await;
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut round, mut killed) = (0, 0);
    while round < LEAST_ROUNDS || !everything_happened(setup.bank.fired()) {
        assert!(round < MOST_ROUNDS, "not everything happened: {:?}", setup.bank.fired());
        setup.bank.set_faults(faults(&mut rng));
        setup.bank.tick(rng.random_range(0..40));
        // every other run is killed after some requests
        let requests = if round % 2 == 0 { rng.random_range(1..30) } else { u64::MAX };
        tokio::select! {
            () = setup.asked(requests) => killed += 1,
            _ = async { tokio::join!(setup.sync(0), setup.sync(1)) } => {}
        }
        setup.app.publish().await;
        round += 1;
    }
    assert!(killed > 0, "no run was killed");
    setup.bank.settle();
    for _ in 0..2 {
        let outcome = setup.sync(0).await;
        assert!(matches!(outcome, RunOutcome::Succeeded { quarantined: 0, .. }), "{outcome:?}");
    }
    setup.app.publish_all().await;
    setup.check().await;
    let RunOutcome::Succeeded { tally, .. } = setup.sync(1).await else { panic!("a quiet run succeeds") };
    assert_eq!((tally.created, tally.updated), (0, 0), "a repeated sync writes nothing");
    let spent = setup.bank.spent();
    println!(
        "starling seed {seed}: {round} rounds, {killed} runs killed, {spent:?}, {:?}",
        setup.bank.fired()
    );
    assert!(spent.most_in_window > 0 && spent.over_limit == 0, "the limit on requests is kept: {spent:?}");
}
