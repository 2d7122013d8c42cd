//! Starling under every fault that its API can show, pulled by two instances that are killed: what
//! Formance holds in the end is the bank's own ledger, and the bank was asked no more often than it
//! allows.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use tributary::config::{Provider, Source};
use tributary::provider::Connection;
use tributary::standin::starling::{
    self, Direction, Faults, Late, LedgerItem, Limit, RetryAfter, Spent, Starling, StarlingConfig, Status,
    When,
};
use tributary::sync::DatabaseShared;
use tributary_formance::kept::Kept;
use tributary_formance::{Kind, PaymentType};

use crate::support::survival::Survival;
use crate::support::till::{MANIFEST, TOKEN};
use crate::support::{Consumer, Loop, TestApp, edited, with_fast_feed};

/// In the place of what the bank allows in a day.
const LIMIT: Limit = Limit { requests: 100, seconds: 5 };
const BUDGET: &str = "rate_limit: { per_second: 1000, budgets: [{ requests: 100, per: 5s }] }";

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
        let file = edited(MANIFEST, declared.trim(), BUDGET);
        let app = TestApp::with_file(&with_fast_feed(&file)).await;
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
}

impl Survival for Setup {
    fn app(&self) -> &TestApp {
        &self.app
    }

    fn instances(&self) -> &[Arc<Connection>; 2] {
        &self.instances
    }

    fn fail(&self, rng: &mut SmallRng) {
        self.bank.set_faults(faults(rng));
    }

    fn live_on(&self, changes: usize) {
        self.bank.tick(changes);
    }

    fn settle(&self) {
        self.bank.settle();
    }

    fn spent(&self) -> Spent {
        self.bank.spent()
    }

    fn missing(&self) -> Vec<&'static str> {
        let fired = self.bank.fired();
        let kinds = [
            ("rate_limited_zero", fired.rate_limited_zero),
            ("rate_limited_absent", fired.rate_limited_absent),
            ("server_errors", fired.server_errors),
            ("cut_bodies", fired.cut_bodies),
            ("shown_late", fired.shown_late),
            ("ties", fired.ties),
        ];
        kinds.into_iter().filter(|(_, count)| *count == 0).map(|(kind, _)| kind).collect()
    }

    fn fired(&self) -> String {
        format!("{:?}", self.bank.fired())
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

#[tokio::test]
async fn starlings_ledger_arrives_whatever_happens() {
    Setup::new(0).await.survive("starling", 0).await;
}
