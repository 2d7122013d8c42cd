//! A provider that lives and fails, pulled by two instances that are killed: in the end everything
//! has arrived, and no more was asked than is allowed.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tributary::sync::{RunOutcome, run_once};
use tributary_manifest::CompiledProvider;
use tributary_standin::kit::Spent;

use super::TestApp;

/// Each history goes on for some rounds, and until each kind of fault has happened.
const LEAST_ROUNDS: u32 = 8;
const MOST_ROUNDS: u32 = 60;

/// A provider, and an application that two instances pull into.
pub trait Survival {
    fn app(&self) -> &TestApp;
    fn instances(&self) -> &[Arc<CompiledProvider>; 2];
    /// Draws what goes wrong from now on.
    fn fail(&self, rng: &mut SmallRng);
    fn live_on(&self, changes: usize);
    /// Ends all faults and shows what was late.
    fn end_faults(&self);
    fn spent(&self) -> Spent;
    /// The kinds of faults that have not happened yet.
    fn missing(&self) -> Vec<&'static str>;
    /// How often each happened.
    fn fired(&self) -> String;
    /// Holds what Formance gets against the provider's ledger.
    async fn check(&self);

    async fn sync(&self, instance: usize) -> RunOutcome {
        let (app, connection) = (self.app(), &self.instances()[instance]);
        run_once(&app.pool, app.name(), connection, &Arc::default()).await.unwrap()
    }

    /// Waits until the provider was asked so many times more.
    async fn asked(&self, requests: u64) {
        let before = self.spent().requests;
        while self.spent().requests - before < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Syncs until a run that began when all was quiet has read everything: the first one may
    /// go on with walks that were begun before.
    async fn sync_to_the_end(&self) {
        self.end_faults();
        for _ in 0..2 {
            let outcome = self.sync(0).await;
            assert!(matches!(outcome, RunOutcome::Succeeded { quarantined: 0, .. }), "{outcome:?}");
        }
        self.app().publish_all().await;
    }

    /// Syncs by two instances while the ledger lives, the provider fails and runs are killed: until
    /// each kind of fault has happened, and for some rounds at least.
    async fn survive(&self, name: &str, seed: u64) {
        println!("{name} seed {seed}");
        let mut rng = SmallRng::seed_from_u64(seed);
        let (mut round, mut killed) = (0, 0);
        while round < LEAST_ROUNDS || !self.missing().is_empty() {
            assert!(round < MOST_ROUNDS, "never happened: {:?}", self.missing());
            self.fail(&mut rng);
            self.live_on(rng.random_range(0..40));
            // every other run is killed after some requests
            let requests = if round % 2 == 0 { rng.random_range(1..30) } else { u64::MAX };
            tokio::select! {
                () = self.asked(requests) => killed += 1,
                _ = async { tokio::join!(self.sync(0), self.sync(1)) } => {}
            }
            self.app().publish().await;
            round += 1;
        }
        assert!(killed > 0, "no run was killed");
        self.sync_to_the_end().await;
        self.check().await;
        let RunOutcome::Succeeded { tally, .. } = self.sync(1).await else { panic!("a quiet run succeeds") };
        assert_eq!((tally.created, tally.updated), (0, 0), "a repeated sync writes nothing");
        let spent = self.spent();
        println!("{name} seed {seed}: {round} rounds, {killed} runs killed, {spent:?}, {}", self.fired());
        assert!(
            spent.most_in_window > 0 && spent.over_limit == 0,
            "the limit on requests is kept: {spent:?}"
        );
    }
}
