//! S17: whatever is synced twice, replayed from zero or told out of turn, what Formance keeps
//! in the end is the provider's own ledger: payments, amounts and statuses.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tributary_formance::Kind;
use tributary_formance::histories::{History, Telling};
use tributary_formance::kept::Kept;

use crate::support::{Consumer, Loop, TestApp};

/// Formance: a consumer and what it keeps.
struct Formance {
    consumer: Consumer,
    kept: Kept,
}

impl Formance {
    async fn poll(&mut self) {
        let before = self.consumer.rows.len();
        self.consumer.poll().await;
        self.kept.take(Kind::Transactions, &self.consumer.rows[before..]);
    }
}

/// Tells the history in batches, with replays of what was told before, while Formance polls
/// now and then. Gives how many records were replayed.
async fn tell(app: &TestApp, history: &History, formance: &mut [Formance], rng: &mut SmallRng) -> usize {
    let records = history.records();
    let (mut told, mut replayed) = (0, 0);
    while told < records.len() {
        let end = (told + rng.random_range(1..6)).min(records.len());
        let batch = &records[told..end];
        // a sync that overlaps may be ahead of this one, but no sync begins past what it was told
        // last; and only what carries the provider's own time can be told from news
        let from = rng.random_range(0..=told);
        let replay: Vec<Value> = records[from..end]
            .iter()
            .filter(|record| record["updatedAt"].is_string())
            .take(30)
            .cloned()
            .collect();
        if rng.random_bool(0.5) {
            app.push("transactions", batch).await;
            app.push("transactions", &replay).await;
        } else {
            // a slow sync that overlaps with a faster one
            tokio::join!(app.push("transactions", batch), app.push("transactions", &replay));
        }
        told = end;
        replayed += replay.len();
        if rng.random_bool(0.3) {
            app.publish_all().await;
            let whose = rng.random_range(0..formance.len());
            formance[whose].poll().await;
        }
    }
    replayed
}

#[tokio::test]
async fn s17_what_formance_keeps_is_the_providers_ledger() {
    let mut replayed = 0;
    for seed in 0..8 {
        for telling in [Telling::InTurn, Telling::Interleaved] {
            println!("seed {seed}, {telling:?}");
            let app = TestApp::fast().await;
            let history = History::new(seed, 12, telling);
            let mut formance = Vec::new();
            for form in Loop::BOTH {
                let consumer = Consumer::new(&app, Kind::Transactions, form).await;
                formance.push(Formance { consumer, kept: Kept::default() });
            }
            replayed += tell(&app, &history, &mut formance, &mut SmallRng::seed_from_u64(seed)).await;
            app.publish_all().await;
            for formance in &mut formance {
                formance.poll().await;
                formance.consumer.check(&app).await;
                let wrong = history.disagreements(&formance.kept);
                assert!(wrong.is_empty(), "seed {seed}, {telling:?}: {}", wrong.join("; "));
            }
        }
    }
    assert!(replayed > 100, "{replayed} records were replayed");
}
