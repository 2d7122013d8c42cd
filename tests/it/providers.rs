//! The manifests that ship, against stand-ins of their providers that misbehave as real ones do:
//! what Formance holds in the end is the provider's own ledger.

pub mod ledger;
pub mod shipped;

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use tributary_formance::Kind;
use tributary_formance::kept::Kept;
use tributary_manifest::CompiledProvider;
use tributary_standin::kit::{self, Faults, Late, RetryAfter, Running, Spent, Standin, When};

use self::ledger::differences;
use self::shipped::{
    AIRWALLEX, GOCARDLESS, MERCURY, MOLLIE, OBIE, PAYPAL, PAYSTACK, REVOLUT, SQUARE, STARLING, STRIPE,
    Shipped, WISE, XENDIT,
};
use crate::support::survival::Survival;
use crate::support::{Consumer, Loop, TestApp, with_fast_feed};

/// A provider, and an application that two instances pull into.
struct Setup {
    shipped: Shipped,
    standin: Arc<Standin>,
    _running: Running,
    app: TestApp,
    instances: [Arc<CompiledProvider>; 2],
}

impl Setup {
    async fn new(shipped: Shipped, seed: u64) -> Self {
        let standin = Arc::new(Standin::new(shipped.fsp, shipped.config(seed)).unwrap());
        let running = kit::start(Arc::clone(&standin)).await.unwrap();
        let file = with_fast_feed(shipped.manifest);
        let app = TestApp::with_file(&file).await;
        let instances = [(); 2].map(|()| Arc::new(shipped.connect(&running.url, &app.pool)));
        Self { shipped, standin, _running: running, app, instances }
    }
}

/// Faults of all kinds, as the seed has them.
fn faults(rng: &mut SmallRng, shipped: &Shipped) -> Faults {
    let seed = rng.random();
    let sometimes =
        |rng: &mut SmallRng, per_mille| rng.random_bool(0.5).then(|| When::chance(per_mille, seed));
    Faults {
        expired_token: sometimes(rng, 20).filter(|_| shipped.has_oauth),
        rate_limited: sometimes(rng, 30),
        retry_after: if rng.random() {
            vec![RetryAfter::Zero, RetryAfter::Absent]
        } else {
            vec![RetryAfter::Absent, RetryAfter::Zero]
        },
        server_error: sometimes(rng, 30),
        error_in_200: sometimes(rng, 20),
        cut_body: sometimes(rng, 30),
        changes_while_reading: Some(When::chance(300, seed)),
        changes: 3,
        short_page: sometimes(rng, 100),
        last_page_again: sometimes(rng, 400),
        late: Some(When::chance(300, seed)),
        late_by: Late { milliseconds: 0, changes: 20 },
        new_id_when_booked: Some(When::chance(300, seed)).filter(|_| shipped.id.is_none()),
        ties: rng.random_range(1..4),
        ..Faults::default()
    }
}

/// The names in `Fired` of all that [`faults`] lets happen to this provider.
fn kinds(shipped: &Shipped) -> BTreeSet<&'static str> {
    let mut kinds = BTreeSet::from([
        "rate_limited_zero",
        "rate_limited_absent",
        "server_errors",
        "errors_in_200",
        "cut_bodies",
        "changes_while_reading",
        "short_pages",
        "last_pages_again",
        "shown_late",
        "ties",
    ]);
    kinds.extend(shipped.has_oauth.then_some("expired_tokens"));
    kinds.extend(shipped.id.is_none().then_some("new_ids"));
    for spared in shipped.spared {
        assert!(kinds.remove(spared), "{spared}");
    }
    kinds
}

impl Survival for Setup {
    fn app(&self) -> &TestApp {
        &self.app
    }

    fn instances(&self) -> &[Arc<CompiledProvider>; 2] {
        &self.instances
    }

    fn fail(&self, rng: &mut SmallRng) {
        self.standin.set_faults(faults(rng, &self.shipped));
    }

    fn live_on(&self, changes: usize) {
        self.standin.advance(changes);
    }

    fn end_faults(&self) {
        self.standin.end_faults();
    }

    fn spent(&self) -> Spent {
        self.standin.spent()
    }

    fn missing(&self) -> Vec<&'static str> {
        let fired = serde_json::to_value(self.standin.fired()).unwrap();
        let happened = |kind: &str| fired[kind].as_u64().unwrap() > 0;
        kinds(&self.shipped).into_iter().filter(|kind| !happened(kind)).collect()
    }

    fn fired(&self) -> String {
        format!("{:?}", self.standin.fired())
    }

    async fn check(&self) {
        for form in Loop::BOTH {
            let mut kept = Kept::default();
            for kind in [Kind::Accounts, Kind::Beneficiaries, Kind::Transactions] {
                let mut consumer = Consumer::new(&self.app, kind, form).await;
                consumer.poll().await;
                consumer.check(&self.app).await;
                kept.take(kind, &consumer.rows);
            }
            let found = differences(&self.shipped, &self.standin.truth(), &kept, &self.app).await;
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert!(found.is_empty(), "{}", found.join("\n"));
        }
    }
}

/// Has a provider survive with some seeds: with all those of `PROVIDER_SEEDS` (such as `100-120`), if given.
async fn survive_all(shipped: Shipped) {
    let given = std::env::var("PROVIDER_SEEDS").ok();
    let given = given.as_deref().and_then(|seeds| {
        let (first, last) = seeds.split_once('-')?;
        Some(first.parse::<u64>().ok()?..=last.parse().ok()?)
    });
    for seed in given.unwrap_or(0..=0) {
        Setup::new(shipped, seed).await.survive(shipped.fsp.name(), seed).await;
    }
}

#[tokio::test]
async fn airwallexs_ledger_arrives_whatever_happens() {
    survive_all(AIRWALLEX).await;
}

#[tokio::test]
async fn gocardlesss_ledger_arrives_whatever_happens() {
    survive_all(GOCARDLESS).await;
}

#[tokio::test]
async fn mercurys_ledger_arrives_whatever_happens() {
    survive_all(MERCURY).await;
}

#[tokio::test]
async fn mollies_ledger_arrives_whatever_happens() {
    survive_all(MOLLIE).await;
}

#[tokio::test]
async fn squares_ledger_arrives_whatever_happens() {
    survive_all(SQUARE).await;
}

#[tokio::test]
async fn paypals_ledger_arrives_whatever_happens() {
    survive_all(PAYPAL).await;
}

#[tokio::test]
async fn paystacks_ledger_arrives_whatever_happens() {
    survive_all(PAYSTACK).await;
}

#[tokio::test]
async fn revoluts_ledger_arrives_whatever_happens() {
    survive_all(REVOLUT).await;
}

#[tokio::test]
async fn the_ledger_of_a_bank_without_lasting_ids_arrives_whatever_happens() {
    survive_all(OBIE).await;
}

#[tokio::test]
async fn starlings_ledger_arrives_whatever_happens() {
    survive_all(STARLING).await;
}

#[tokio::test]
async fn stripes_ledger_arrives_whatever_happens() {
    survive_all(STRIPE).await;
}

#[tokio::test]
async fn wises_ledger_arrives_whatever_happens() {
    survive_all(WISE).await;
}

#[tokio::test]
async fn xendits_ledger_arrives_whatever_happens() {
    survive_all(XENDIT).await;
}
