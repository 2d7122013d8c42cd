//! Providers that lie, and what comes of it: whatever an FSP answers, Formance ends with its ledger, or
//! somebody was told.
//!
//! Each history is a ledger that lives, a provider that ships, and lies out of a few. `LIAR_HISTORIES`
//! is how many there are (a round of all lies, if not given), `LIAR_FIRST` the first of them: a history
//! follows from its number alone.

mod documents;
mod history;
mod outcome;
mod symptoms;

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::task::JoinSet;

use self::history::History;
use self::outcome::Outcomes;

/// Histories under way at the same time: much of each is waiting.
const AT_ONCE: usize = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_a_provider_answers_its_ledger_arrives_or_somebody_is_told() {
    let first = number("LIAR_FIRST").unwrap_or(0);
    let count = number("LIAR_HISTORIES").unwrap_or(History::ROUND);
    let (mut outcomes, mut under_way, mut wrong) = (Outcomes::default(), JoinSet::new(), Vec::new());
    let mut numbers = first..first + count;
    loop {
        while under_way.len() < AT_ONCE
            && let Some(number) = numbers.next()
        {
            under_way.spawn(async move {
                let lived = AssertUnwindSafe(History::draw(number).live()).catch_unwind().await;
                (number, lived.unwrap_or_else(|_| Err("a panic, see above".to_owned())))
            });
        }
        let Some(ended) = under_way.join_next().await else { break };
        match ended.unwrap() {
            (_, Ok(outcome)) => outcomes.add(outcome),
            (number, Err(why)) => {
                eprintln!("LIAR_FIRST={number} LIAR_HISTORIES=1: {why}");
                wrong.push(number);
            }
        }
    }
    println!("{count} histories from {first} on\n{outcomes}");
    assert!(wrong.is_empty(), "histories {wrong:?}: each is drawn again by LIAR_FIRST and LIAR_HISTORIES=1");
}
