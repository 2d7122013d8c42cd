use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Revolut;
use crate::kit::testing::*;
use crate::kit::{Faults, Standin, StandinConfig};
use tributary_domain::{Status, TransactionType};

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    state: String,
    created_at: String,
    related_transaction_id: Option<String>,
    legs: Vec<Leg>,
}

#[derive(Deserialize)]
struct Leg {
    leg_id: String,
    account_id: String,
    amount: Box<RawValue>,
    currency: String,
    counterparty: Option<Counterparty>,
}

#[derive(Deserialize)]
struct Counterparty {
    account_type: String,
}

fn decimals(currency: &str) -> usize {
    if currency == "JPY" { 0 } else { 2 }
}

async fn rows(standin: &Arc<Standin>, query: &str) -> Vec<Row> {
    let answer = get(standin, &format!("/api/1.0/transactions?{query}")).await;
    answer.ok();
    serde_json::from_str(&answer.text).unwrap()
}

fn ids(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.id.clone()).collect()
}

/// The legs of all rows in canonical terms, as the facts about Revolut have it.
fn canonical(rows: &[Row]) -> BTreeMap<String, (TransactionType, Status, String, i64, Option<String>)> {
    let by_id: BTreeMap<_, _> = rows.iter().map(|row| (&row.id, row)).collect();
    let mut legs = BTreeMap::new();
    for (row, leg) in rows.iter().flat_map(|row| row.legs.iter().map(move |leg| (row, leg))) {
        let is_own = leg.counterparty.as_ref().is_some_and(|other| other.account_type == "self");
        let kind = match row.kind.as_str() {
            "topup" => TransactionType::Payin,
            "exchange" => TransactionType::Transfer,
            _ if is_own => TransactionType::Transfer,
            _ => TransactionType::Payout,
        };
        let status = match (row.state.as_str(), &row.related_transaction_id) {
            ("created" | "pending", _) => Status::Pending,
            ("declined" | "failed", _) => Status::Failed,
            ("reverted", _) | ("completed", Some(_)) => Status::Refunded,
            ("completed", None) => Status::Succeeded,
            other => panic!("{other:?}"),
        };
        let asset = if leg.currency == "JPY" { "JPY".to_owned() } else { format!("{}/2", leg.currency) };
        let amount = minor(leg.amount.get(), decimals(&leg.currency)).abs();
        let parent = row.related_transaction_id.as_ref().map(|id| by_id[id].legs[0].leg_id.clone());
        assert!(legs.insert(leg.leg_id.clone(), (kind, status, asset, amount, parent)).is_none());
    }
    legs
}

#[tokio::test]
async fn the_legs_are_the_ledger_each_once() {
    let standin = open(&Revolut);
    standin.advance(200);
    let all = rows(&standin, "count=1000").await;
    let expected: BTreeMap<_, _> = standin
        .truth()
        .transactions
        .into_iter()
        .map(|(id, one)| (id, (one.kind, one.status, one.asset, one.amount_minor, one.parent)))
        .collect();
    assert_eq!(canonical(&all), expected);
    assert!(all.iter().any(|row| row.related_transaction_id.is_some()));
    assert!(all.iter().any(|row| row.state == "reverted"));
}

#[tokio::test]
async fn an_exchange_has_two_legs_in_two_currencies() {
    let standin = open(&Revolut);
    let exchanges = rows(&standin, "type=exchange&count=1000").await;
    assert!(exchanges.len() > 10);
    for row in &exchanges {
        let [out, back] = &row.legs[..] else { panic!("{} has not two legs", row.id) };
        assert_ne!(out.currency, back.currency);
        assert_ne!(out.account_id, back.account_id);
        assert!(out.amount.get().starts_with('-') && !back.amount.get().starts_with('-'));
    }
    let account = &exchanges[0].legs[1].account_id;
    let of_account = rows(&standin, &format!("account={account}&count=1000")).await;
    assert!(of_account.iter().all(|row| row.legs.iter().any(|leg| &leg.account_id == account)));
    assert!(ids(&of_account).contains(&exchanges[0].id));
}

#[tokio::test]
async fn own_accounts_of_one_currency_move_money_by_a_transfer_to_oneself() {
    let standin = Arc::new(Standin::new(&Revolut, StandinConfig { accounts: 4, ..config() }).unwrap());
    let transfers = rows(&standin, "type=transfer&count=1000").await;
    let own: Vec<_> = transfers.iter().filter(|row| row.legs.len() == 2).collect();
    assert!(!own.is_empty() && own.len() < transfers.len());
    for row in own {
        assert_eq!(row.legs[0].amount.get().trim_start_matches('-'), row.legs[1].amount.get());
    }
}

#[tokio::test]
async fn from_is_part_of_the_window_and_to_is_not() {
    let standin = open(&Revolut);
    let all = rows(&standin, "count=1000").await;
    assert!(all.is_sorted_by(|a, b| a.created_at >= b.created_at), "newest first");
    let (from, to) = (&all[50].created_at, &all[20].created_at);
    assert_eq!(ids(&rows(&standin, &format!("from={from}&to={to}")).await), ids(&all[21..=50]));
    assert_eq!(rows(&standin, "").await.len(), 100, "the default");
    assert_eq!(get(&standin, "/api/1.0/transactions?count=1001").await.status, 400);
    let one = get(&standin, &format!("/api/1.0/transaction/{}", all[7].id)).await.ok();
    assert_eq!(one["legs"][0]["leg_id"], all[7].legs[0].leg_id.as_str());
}

/// All transactions as the API tells clients to walk them: on from the time of the last row.
async fn walk_by_time(standin: &Arc<Standin>, count: usize) -> Vec<Row> {
    let (mut all, mut to) = (Vec::<Row>::new(), String::new());
    loop {
        let page = rows(standin, &format!("count={count}{to}")).await;
        let Some(last) = page.last() else {
            return all;
        };
        to = format!("&to={}", last.created_at);
        all.extend(page);
    }
}

#[tokio::test]
async fn a_walk_by_time_is_whole_without_ties_and_loses_rows_that_tie_at_a_cut() {
    let standin = open(&Revolut);
    let all = rows(&standin, "count=1000").await;
    let walked = walk_by_time(&standin, 7).await;
    assert_eq!(ids(&walked), ids(&all));
    standin.set_faults(Faults { ties: 10, ..Faults::default() });
    standin.advance(100);
    let all = rows(&standin, "count=1000").await;
    let walked = ids(&walk_by_time(&standin, 7).await);
    each_once(walked.clone());
    assert!(walked.len() < all.len(), "{} of {}", walked.len(), all.len());
    assert!(standin.spent().over_limit > 0, "such small pages break the limit of 60 a minute");
}

#[tokio::test]
async fn balances_are_in_the_accounts_and_counterparties_go_by_time() {
    #[derive(Deserialize)]
    struct Account {
        id: String,
        balance: Box<RawValue>,
        currency: String,
    }
    let standin = open(&Revolut);
    let answer = get(&standin, "/api/1.0/accounts").await;
    let accounts: Vec<Account> = serde_json::from_str(&answer.text).unwrap();
    let all = rows(&standin, "count=1000").await;
    for account in &accounts {
        let places = decimals(&account.currency);
        let legs = all.iter().filter(|row| row.state == "completed").flat_map(|row| &row.legs);
        let of_account = legs.filter(|leg| leg.account_id == account.id);
        let sum: i64 = of_account.map(|leg| minor(leg.amount.get(), places)).sum();
        assert_eq!(minor(account.balance.get(), places), 5_000_000 + sum, "{}", account.currency);
        assert_eq!(standin.truth().accounts[&account.id].balance_minor, 5_000_000 + sum);
    }
    let first = get(&standin, "/api/1.0/counterparties?limit=12").await.ok();
    let before = texts(&first, "/created_at").pop().unwrap();
    let rest = get(&standin, &format!("/api/1.0/counterparties?limit=12&created_before={before}")).await.ok();
    let listed = [texts(&first, "/id"), texts(&rest, "/id")].concat();
    assert_eq!(each_once(listed), standin.truth().beneficiaries.into_keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn errors_come_in_revoluts_words() {
    let standin = open(&Revolut);
    let refused = get_with(&standin, "/api/1.0/accounts", "wrong").await;
    assert_eq!((refused.status.as_u16(), refused.json().get("message").is_some()), (401, true));
    let missing = get(&standin, "/api/1.0/transaction/none").await;
    assert_eq!((missing.status.as_u16(), missing.json()["code"].as_i64()), (404, Some(2_101)));
    let bad = get(&standin, "/api/1.0/transactions?from=then").await;
    assert_eq!((bad.status.as_u16(), bad.json()["code"].as_i64()), (400, Some(3_000)));
}
