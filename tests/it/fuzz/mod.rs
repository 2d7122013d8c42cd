//! What strangers and clients may send, drawn at random: whatever it is, the process lives, every
//! answer is one that the description knows, and every record is stored, put aside or refused.
//!
//! `FUZZ_CASES` says how many cases each test draws, `FUZZ_SEED` (printed with each run) which ones, and
//! `FUZZ_MINUTES` for how long to go on with other seeds: `make fuzz`.

mod pushes;
mod requests;
mod webhooks;

use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::Value;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number: {text:?}")))
}

/// Draws `cases` (or as many as the environment says) of `strategy` and has each checked. What fails is
/// made small, and told with the seed that draws it again.
fn fuzz<S: Strategy>(test: &str, cases: u32, strategy: &S, check: impl Fn(S::Value)) {
    let cases = number("FUZZ_CASES").map_or(cases, |cases| cases.try_into().unwrap());
    let until = Instant::now() + Duration::from_secs(60 * number("FUZZ_MINUTES").unwrap_or(0));
    let mut seed = number("FUZZ_SEED").unwrap_or_else(rand::random);
    loop {
        println!("{test}: {cases} cases of FUZZ_SEED={seed}");
        let config = Config {
            cases,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            max_shrink_iters: 300,
            ..Config::default()
        };
        let ran = TestRunner::new(config).run(strategy, |case| {
            check(case);
            Ok(())
        });
        if let Err(error) = ran {
            panic!("FUZZ_SEED={seed}: {error}");
        }
        if Instant::now() >= until {
            return;
        }
        seed = seed.wrapping_add(1);
    }
}

/// An error has the one body that all have.
fn assert_error(status: u16, body: &Value, what: &str) {
    assert_ne!(status, 500, "a fault of ours: {what}: {body}");
    for member in ["Title", "Detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{what}: {status}: {body}");
    }
}
