//! The promise, within one process: a ledger in every format with every fault of banks, in random order, by two instances
//! that are stopped anywhere in the middle of a file. What is published is the ledger, under the same ids in every
//! order; and every broken statement is put aside, and nothing else.

use std::collections::BTreeSet;
use std::sync::Mutex;

use axum::http::StatusCode;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tributary::sync::FilesAgain;
use tributary_standin::bank::{Fired, Format, Ledger, Mail, Sent};

use super::again::reread;
use super::books::Published;
use super::{FILE, instance};
use crate::support::TestApp;

/// Posts `sent` through both instances, each of which is stopped now and then in the middle of it.
async fn deliver(apps: [&TestApp; 2], sent: Vec<Sent>, seed: u64, stops: bool) {
    let left = Mutex::new(sent);
    let work = |which: usize| {
        let (left, apps) = (&left, &apps);
        async move {
            let mut rng = StdRng::seed_from_u64(seed + which as u64);
            loop {
                let Some(file) = left.lock().unwrap().pop() else { return };
                let posting =
                    apps[which].post("/ingest/files", "application/octet-stream", file.bytes.clone());
                let polls = if stops && rng.random_bool(0.3) { rng.random_range(1..60) } else { usize::MAX };
                let (status, answer) = tokio::select! {
                    biased;
                    answered = posting => answered,
                    () = turns(polls) => {
                        // stopped: whoever sent it got no answer, and sends it again
                        left.lock().unwrap().push(file);
                        continue;
                    }
                };
                match (status, file.refused) {
                    (StatusCode::SERVICE_UNAVAILABLE, _) => left.lock().unwrap().push(file),
                    (StatusCode::BAD_REQUEST, true) | (StatusCode::OK, false) => {}
                    (status, _) => {
                        panic!("{}: {status}: {answer}\n{}", file.name, String::from_utf8_lossy(&file.bytes))
                    }
                }
            }
        }
    };
    tokio::join!(work(0), work(1));
}

/// Ready after so many turns of everything else.
async fn turns(polls: usize) {
    if polls == usize::MAX {
        std::future::pending::<()>().await;
    }
    for _ in 0..polls {
        tokio::task::yield_now().await;
    }
}

/// The id of an account by its number, as [`FILE`] has it.
fn account(number: &str, _: &str) -> String {
    if number.starts_with("DE") { "main" } else { number }.to_owned()
}

async fn check(format: Format, seed: u64) -> Fired {
    let mut rng = StdRng::seed_from_u64(seed);
    let lines = rng.random_range(0..8);
    let books = Ledger::random(&mut rng, 6, lines);
    let mail = Mail::send(&books, format, rng.random_bool(0.8), rng.random());
    let told = format!("{format:?}, seed {seed}");
    // what is sent first is the last of the list
    let in_order: Vec<Sent> = mail.files.iter().rev().cloned().collect();
    let alone = TestApp::with_file(FILE).await;
    deliver([&alone, &alone], in_order, seed, false).await;
    let mut mixed = mail.files.clone();
    mixed.shuffle(&mut rng);
    let one = TestApp::with_file(FILE).await;
    let other = instance(&one, FILE);
    deliver([&one, &other], mixed, seed, true).await;
    let (expected, rows) = (Published::of(&alone.pool, "acme").await, Published::of(&one.pool, "acme").await);
    expected.hold(&mail, account, &told);
    rows.hold(&mail, account, &format!("{told}, in another order"));
    assert_eq!(rows.ids(&mail), expected.ids(&mail), "{told}: under the same ids");
    // what was taken can be read again: nothing comes of that
    let again = reread(&one, FILE).await;
    let (left, files) = (Published::of(&one.pool, "acme").await, again.files);
    assert_eq!(again, FilesAgain { files, unchanged: again.unchanged, ..FilesAgain::default() }, "{told}");
    assert!(left == rows && files > 0, "{told}");
    let kept = rows.ids(&mail).len() as u64;
    assert!(again.unchanged > 0 || kept == 0, "{told}: {kept} movements were told again");
    one.publish_all().await;
    let feed = one.feed("transactions").await;
    let served: BTreeSet<&str> = feed.iter().map(|body| body["id"].as_str().unwrap()).collect();
    assert!(rows.ids(&mail).is_subset(&served), "{told}: and in the feed");
    for app in [&alone, &one] {
        app.close().await;
    }
    mail.fired
}

#[tokio::test]
async fn one_ledger_in_every_format_with_every_fault_is_published_once() {
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1);
    let first = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = first.unwrap_or(1);
    for seed in first..first + cases {
        for format in Format::ALL {
            eprintln!("FUZZ_SEED={seed}, {format:?}");
            check(format, seed).await;
        }
    }
}
