use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Stripe;
use crate::kit::Standin;
use crate::kit::testing::*;
use tributary_domain::Status;

/// All rows of a list from the newest to the oldest.
async fn walk(bank: &Arc<Standin>, path: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut after) = (Vec::<Value>::new(), String::new());
    loop {
        let page = get(bank, &format!("{path}&limit={limit}{after}")).await.ok();
        all.extend(page["data"].as_array().unwrap().iter().cloned());
        if page["has_more"] == false {
            return all;
        }
        after = format!("&starting_after={}", all.last().unwrap()["id"].as_str().unwrap());
    }
}

fn by_id(rows: &[Value]) -> BTreeMap<String, &Value> {
    rows.iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)).collect()
}

/// What a payout or a refund means, as the facts about Stripe have it; `None` of what is not decided.
fn status(row: &Value) -> Option<Status> {
    Some(match (row["object"].as_str().unwrap(), row["status"].as_str().unwrap()) {
        ("payout", "paid") if row["reversed_by"].is_string() => Status::Refunded,
        ("payout", "paid") => Status::Succeeded,
        ("payout", "failed") => Status::Failed,
        ("payout", "canceled") => Status::Cancelled,
        ("payout", _) => Status::Pending,
        ("refund", "pending") => return None,
        ("refund", "succeeded") => Status::Refunded,
        ("refund", _) if row["failure_balance_transaction"].is_string() => Status::RefundReversed,
        ("refund", _) => Status::RefundedFailure,
        _ => Status::Succeeded,
    })
}

#[tokio::test]
async fn the_lists_together_give_every_movement_of_the_ledger_once() {
    let bank = open(&Stripe);
    bank.advance(300);
    let mut lines = walk(&bank, "/v1/balance_transactions?", 37).await;
    let refunds = walk(&bank, "/v1/refunds?expand[]=data.charge", 37).await;
    let payouts = walk(&bank, "/v1/payouts?", 37).await;
    let parents: BTreeMap<_, _> = refunds
        .iter()
        .map(|row| (row["id"].as_str().unwrap(), row["charge"]["balance_transaction"].as_str().unwrap()))
        .collect();
    let sources = |rows: &[Value], name: &str| {
        let of_kind = rows.iter().filter(|row| row["type"] == name);
        each_once(of_kind.map(|row| row["source"].as_str().unwrap().to_owned()).collect())
    };
    assert_eq!(sources(&lines, "payout"), by_id(&payouts).into_keys().collect::<Vec<_>>());
    assert_eq!(sources(&lines, "refund"), by_id(&refunds).into_keys().collect::<Vec<_>>());
    lines.retain(|row| row["type"] != "payout" && row["type"] != "refund");
    let listed: BTreeMap<_, _> = lines
        .iter()
        .chain(&refunds)
        .chain(&payouts)
        .filter_map(|row| {
            let id = row["id"].as_str().unwrap();
            let amount = row["amount"].as_i64().unwrap().abs();
            let parent = parents.get(id).map(|&parent| parent.to_owned());
            Some((id.to_owned(), (status(row)?, amount, parent)))
        })
        .collect();
    let truth = bank.truth();
    let expected: BTreeMap<_, _> = truth
        .transactions
        .iter()
        .map(|(id, one)| (id.clone(), (one.status, one.amount_minor, one.parent.clone())))
        .collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn before_a_row_are_those_that_are_newer_and_next_to_it() {
    let bank = open(&Stripe);
    let all = walk(&bank, "/v1/payouts?", 100).await;
    let id = all[20]["id"].as_str().unwrap();
    let page = get(&bank, &format!("/v1/payouts?limit=5&ending_before={id}")).await.ok();
    assert_eq!(page["data"].as_array().unwrap()[..], all[15..20]);
    assert_eq!(page["has_more"], true);
    let newest = all[0]["id"].as_str().unwrap();
    let none = get(&bank, &format!("/v1/payouts?ending_before={newest}")).await.ok();
    assert!(none["data"].as_array().unwrap().is_empty() && none["has_more"] == false);
    let both = format!("/v1/payouts?ending_before={id}&starting_after={id}");
    assert_eq!(get(&bank, &both).await.status, 400);
    let (newer, older) = (&all[10]["created"], &all[30]["created"]);
    let window =
        get(&bank, &format!("/v1/payouts?limit=100&created[gte]={older}&created[lte]={newer}")).await;
    assert_eq!(window.ok()["data"].as_array().unwrap()[..], all[10..=30]);
}

#[tokio::test]
async fn each_change_of_a_payout_is_an_event_until_a_month_has_passed() {
    let (bank, clock) = open_with_clock(&Stripe);
    let path = "/v1/events?type=payout.*";
    let last = walk(&bank, path, 100).await[0]["id"].as_str().unwrap().to_owned();
    bank.advance(100);
    let mut newer = get(&bank, &format!("{path}&limit=100&ending_before={last}")).await.ok();
    let newer = newer["data"].as_array_mut().unwrap();
    assert!(newer.is_sorted_by(|a, b| a["created"].as_i64() >= b["created"].as_i64()) && newer.len() > 10);
    // what the newest event of a payout says of it is what it is
    let payouts = walk(&bank, "/v1/payouts?", 100).await;
    let payouts = by_id(&payouts);
    let mut seen = std::collections::BTreeSet::new();
    for event in newer.iter() {
        let id = event["data"]["object"]["id"].as_str().unwrap();
        if seen.insert(id) {
            assert_eq!(&event["data"]["object"], payouts[id]);
        }
    }
    clock.advance(std::time::Duration::from_secs(31 * 86_400));
    assert_eq!(get(&bank, &format!("{path}&ending_before={last}")).await.status, 404);
    assert!(walk(&bank, path, 100).await.is_empty());
}

#[tokio::test]
async fn what_is_available_follows_from_the_ledger() {
    let bank = open(&Stripe);
    bank.advance(300);
    let balance = get(&bank, "/v1/balance").await.ok();
    for row in balance["available"].as_array().unwrap() {
        let id = row["currency"].as_str().unwrap().to_uppercase();
        assert_eq!(row["amount"].as_i64().unwrap(), bank.truth().accounts[&id].balance_minor);
    }
    let business = get(&bank, "/v1/account").await.ok();
    let path = format!("/v1/accounts/{}/external_accounts?", business["id"].as_str().unwrap());
    let accounts = walk(&bank, &path, 3).await;
    let expected: Vec<_> = bank.truth().beneficiaries.into_keys().collect();
    assert_eq!(by_id(&accounts).into_keys().collect::<Vec<_>>(), expected);
}
