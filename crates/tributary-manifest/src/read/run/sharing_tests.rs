//! Streams that share one answer: it is asked for once, and its rows reach all of them, whatever happens.

use axum::response::IntoResponse;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::asks_tests::of_file;
use super::walk_tests::{Killed, bank, failure};
use crate::compiled::CompiledProvider;
use crate::fake::{self, Fake, Memory};

const BALANCES: &str = r#"
  balances:
    shares: accounts
    rows: '[.accounts[] | .id as $id | .held[] | . + { account: $id }]'
    account: .account
    money: { minor: .amount, currency: .currency }
"#;

/// Accounts by pages of two, each with what it holds, and `more` streams.
fn file(fake: &Fake, more: &str) -> CompiledProvider {
    let text = format!(
        r#"
api: {}
auth: none
every: 1m
attempts: 1
limits: {{ pace: 1000/s }}
pull:
  accounts:
    get: /accounts
    rows: .accounts
    page: {{ cursor: after, next: .next }}
    id: .id
    name: .id
    created: "2026-01-01T00:00:00Z"
{more}"#,
        fake.url
    );
    of_file(&text).unwrap_or_else(|error| panic!("{error}"))
}

async fn accounts() -> Fake {
    bank(|received| {
        let page: usize = received.query.get("after").map_or(0, |after| after.parse().unwrap());
        let account = |n: usize| json!({ "id": n.to_string(), "held": [{ "amount": n, "currency": "EUR" }] });
        let accounts: Vec<Value> = (2 * page..2 * page + 2).map(account).collect();
        fake::json(json!({ "accounts": accounts, "next": (page < 2).then(|| (page + 1).to_string()) }))
    })
    .await
}

fn held(sink: &Memory) -> Vec<String> {
    sink.records("balances").iter().map(|record| record["accountID"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_answer_is_asked_for_once_for_all_that_share_it_and_may_hold_several_resources() {
    let fake = accounts().await;
    let provider = file(&fake, BALANCES);
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    assert_eq!(fake.received().len(), 3, "one request a page");
    assert_eq!(
        (sink.records("accounts").len(), held(&sink)),
        (6, ["0", "1", "2", "3", "4", "5"].map(str::to_owned).to_vec())
    );
    let ends: Vec<&str> =
        sink.pages.iter().filter(|page| page.end_of_stream).map(|page| page.stream.as_str()).collect();
    assert_eq!(ends, ["balances", "accounts"]);
    let groups = provider.groups();
    assert_eq!((groups.len(), groups[0].streams.join(" ")), (1, "accounts balances".to_owned()));
    let only = provider.select([("balances".to_owned(), crate::read::Wanted::Whole)]);
    let mut sink = Memory::default();
    provider.run_selected(&only, &mut sink).await.unwrap();
    assert_eq!(
        (sink.records("accounts").len(), held(&sink).len()),
        (6, 6),
        "what is due of one is read of both"
    );
}

#[tokio::test]
async fn wherever_a_run_is_killed_no_row_of_a_shared_answer_is_lost() {
    for pages in 0..6 {
        let fake = accounts().await;
        let provider = file(&fake, BALANCES);
        let mut sink = Memory::default();
        provider.run(&mut Killed { memory: &mut sink, pages }).await.unwrap_err();
        let before = fake.received().len();
        provider.run(&mut sink).await.unwrap();
        let mut held = held(&sink);
        held.sort();
        held.dedup();
        assert_eq!(held.len(), 6, "killed after {pages}");
        assert!(sink.records("accounts").len() >= 6);
        let again = fake.received()[before].query.get("after").cloned().unwrap_or_default();
        assert_eq!(again, ["", "1", "2"][pages / 2], "it goes on where all had been kept");
    }
}

#[tokio::test]
async fn what_is_read_once_more_is_history_for_none_that_shares() {
    let fake = accounts().await;
    let provider = file(&fake, BALANCES);
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    assert!(sink.pages.iter().all(|page| page.history));
    sink.pages.clear();
    provider.run(&mut sink).await.unwrap();
    assert!(sink.pages.iter().all(|page| !page.history), "{:?}", sink.pages);
}

#[tokio::test]
async fn an_answer_without_a_body_holds_nothing_of_any_stream_that_shares_it() {
    let fake = bank(|_| StatusCode::NO_CONTENT.into_response()).await;
    let mut sink = Memory::default();
    file(&fake, &format!("    empty: [204]{BALANCES}")).run(&mut sink).await.unwrap();
    assert_eq!((sink.records("accounts").len(), held(&sink).len()), (0, 0));
    assert_eq!(sink.pages.iter().filter(|page| page.end_of_stream).count(), 2);
}

#[tokio::test]
async fn a_stream_that_comes_to_share_later_gets_all_from_the_beginning() {
    let fake = accounts().await;
    let mut sink = Memory::default();
    file(&fake, "").run(&mut sink).await.unwrap();
    let mut killed = Memory::default();
    file(&fake, "").run(&mut Killed { memory: &mut killed, pages: 1 }).await.unwrap_err();
    for sink in [&mut sink, &mut killed] {
        let both = file(&fake, BALANCES);
        both.run(sink).await.unwrap();
        assert_eq!(held(sink).len(), 6);
        assert!(sink.pages.iter().filter(|page| page.stream == "balances").all(|page| page.history));
    }
}

/// The transactions of one account in one answer with the account, of which `status` is that of the first one.
const SHARED_PAYMENTS: &str = r#"
  transactions:
    shares: accounts
    rows: '[.accounts[] | .paid[]?]'
    id: .id
    created: "2026-01-01T00:00:00Z"
    type: PAYIN
    status: .status
    statuses: { PENDING: open, SUCCEEDED: done }
    to: ours
    money: { minor: 1, currency: EUR }
    refresh: { open: [open], get: "/paid/{id}", row: ., every: 1m, give_up: 30d }
"#;

#[tokio::test]
async fn what_is_open_of_a_stream_that_shares_is_asked_for_again_once_it_is_not_listed() {
    let listed = std::sync::atomic::AtomicBool::new(true);
    let fake = bank(move |received| match received.path.as_str() {
        "/accounts" => {
            let first = listed.swap(false, std::sync::atomic::Ordering::SeqCst);
            let paid = if first { json!([{ "id": "p", "status": "open" }]) } else { json!([]) };
            fake::json(json!({ "accounts": [{ "id": "a", "paid": paid }] }))
        }
        "/paid/p" => fake::json(json!({ "id": "p", "status": "done" })),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let provider = file(&fake, SHARED_PAYMENTS);
    let mut sink = Memory::default();
    provider.run(&mut sink).await.unwrap();
    for open in sink.open.values_mut() {
        open.checked_at = open.checked_at.map(|at| at - chrono::TimeDelta::hours(1));
        open.first_seen = open.checked_at;
    }
    provider.run(&mut sink).await.unwrap();
    let statuses: Vec<_> =
        sink.records("transactions").iter().map(|record| record["status"].clone()).collect();
    assert_eq!(statuses, ["PENDING", "SUCCEEDED"]);
    assert_eq!(sink.open.len(), 0);
}

#[tokio::test]
async fn an_answer_that_one_of_them_cannot_read_moves_nothing() {
    let fake = bank(|received| match received.query.get("after") {
        None => fake::json(json!({ "accounts": [{ "id": "0", "held": [] }], "next": "1" })),
        Some(_) => fake::json(json!({ "accounts": [{ "id": "1", "held": null }] })),
    })
    .await;
    let mut sink = Memory::default();
    let error = failure(file(&fake, BALANCES).run(&mut sink).await);
    assert!(error.contains("rows"), "{error}");
    assert_eq!(sink.records("accounts").len(), 1, "the page before");
    assert!(sink.pages.iter().all(|page| !page.end_of_stream));
}

#[tokio::test]
async fn streams_that_are_read_for_each_record_of_one_that_shares_are_read_too() {
    let fake = bank(|received| match received.path.as_str() {
        "/accounts" => {
            fake::json(json!({ "accounts": [{ "id": "a", "held": [{ "pocket": "p" }, { "pocket": "q" }] }] }))
        }
        path if path.starts_with("/pockets/") => fake::json(json!([{ "id": format!("{path}-1") }])),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let more = r#"
  lists:
    pockets: { shares: accounts, rows: '[.accounts[].held[]]' }
  transactions:
    each: pockets
    partition: .pocket
    get: /pockets/{pocket}
    rows: .
    id: .id
    created: $now
    type: PAYIN
    status: SUCCEEDED
    to: ours
    money: { minor: 1, currency: EUR }
"#;
    let mut sink = Memory::default();
    file(&fake, more).run(&mut sink).await.unwrap();
    assert_eq!(sink.records("transactions").len(), 2);
    assert_eq!(fake.received().len(), 3);
}

#[test]
fn what_a_stream_that_shares_cannot_say_is_refused() {
    let text = |own: &str| {
        format!(
            "api: https://bank.example\nauth: none\nevery: 1m\npull:\n  accounts: {{ get: /a, rows: ., id: .id, name: .id }}\n  balances:\n    shares: accounts\n    account: .id\n    money: {{ minor: .m, currency: EUR }}\n{own}"
        )
    };
    for (own, about) in [
        ("    page: { number: p, first: 1, size: 1, ends: empty }\n", "balances.page: is that of `accounts`"),
        ("    every: 1h\n", "balances.every: is that of `accounts`"),
        (
            "    changes: { by: .at, since: s, late: 1h, back: 1d }\n",
            "balances.changes: is that of `accounts`",
        ),
        ("    shares: nobody\n", "there"),
    ] {
        let own = if own.contains("nobody") {
            text("").replace("shares: accounts", "shares: nobody")
        } else {
            text(own)
        };
        let error = of_file(&own).err().unwrap_or_else(|| panic!("{own}"));
        assert!(error.contains(about), "{about}: {error}");
    }
    of_file(&text("")).unwrap_or_else(|error| panic!("{error}"));
}
