//! Naive ways to serve the Generic Connector's API, and Tributary, under one workload: what
//! Formance loses, and how often it asks. `make naive` prints the table of docs/feed.md.

mod consumer;
mod play;
mod variants;
mod workload;

use consumer::Outcome;
use futures::StreamExt as _;
use variants::VARIANTS;
use workload::{Size, Workload};

use crate::support::TestApp;

const SEED: u64 = 20_261_122;

#[tokio::test]
async fn every_naive_server_loses_rows_and_tributary_none() {
    let workload = Workload::new(SEED, Size { rounds: 1, bulk: 500 });
    // a few at a time: each has a server of its own
    let naive = futures::stream::iter(VARIANTS.map(|variant| play::naive(&workload, variant)));
    let naive = naive.buffered(3).collect::<Vec<_>>();
    let tributary = async { play::tributary(&workload, TestApp::fast().await).await };
    let (naive, tributary) = tokio::join!(naive, tributary);
    for (variant, outcomes) in VARIANTS.iter().zip(naive) {
        for outcome in outcomes {
            assert!(outcome.stale > 0, "{}: {outcome:?}", variant.name);
        }
    }
    for outcome in tributary {
        let (delivered, requests) = (workload.written(), outcome.requests);
        assert_eq!(outcome, Outcome { delivered, lost: 0, stale: 0, doubled: 0, requests, ended: true });
    }
}

#[test]
fn a_seed_makes_one_workload() {
    let steps = |seed| Workload::new(seed, Size { rounds: 2, bulk: 10 }).steps;
    assert_eq!(steps(1), steps(1));
    assert_ne!(steps(1), steps(2));
}

/// Prints the table of docs/feed.md; takes some minutes.
#[tokio::test]
#[ignore = "a measurement, not a check: make naive"]
async fn table() {
    let seed = std::env::var("NAIVE_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    let workload = Workload::new(seed, Size { rounds: 4, bulk: 20_000 });
    println!("\nSeed {seed}, {} versions of {} records.", workload.written(), records(&workload));
    println!("Each cell: v3.4 / EN-1095, where they differ.\n");
    println!(
        "| server | delivered | lost | records left wrong | twice | requests | per 100 rows | gets to the last record |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for variant in VARIANTS {
        println!("{}", line(variant.name, play::naive(&workload, variant).await));
    }
    println!("{}", line("**Tributary**", play::tributary(&workload, TestApp::new().await).await));
}

fn records(workload: &Workload) -> usize {
    workload.versions.iter().filter(|count| **count > 0).count()
}

fn line(name: &str, outcomes: [Outcome; 2]) -> String {
    let cell = |show: fn(&Outcome) -> String| {
        let [released, en1095] = [show(&outcomes[0]), show(&outcomes[1])];
        if released == en1095 { released } else { format!("{released} / {en1095}") }
    };
    let cells = [
        name.to_owned(),
        cell(|o| o.delivered.to_string()),
        cell(|o| o.lost.to_string()),
        cell(|o| o.stale.to_string()),
        cell(|o| o.doubled.to_string()),
        cell(|o| o.requests.to_string()),
        cell(|o| format!("{:.1}", o.requests as f64 * 100.0 / o.delivered as f64)),
        cell(|o| if o.ended { "yes".into() } else { "no".into() }),
    ];
    format!("| {} |", cells.join(" | "))
}
