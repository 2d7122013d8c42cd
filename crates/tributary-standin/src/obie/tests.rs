use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Obie;
use crate::kit::testing::*;
use crate::kit::{Faults, Standin, When, spec};
use tributary_domain::{Status, TransactionType};

const BASE: &str = "/open-banking/v3.1/aisp";

/// All rows from `path` on, page by page.
async fn walk(standin: &Arc<Standin>, path: &str) -> Vec<Value> {
    let (mut all, mut path) = (Vec::new(), path.to_owned());
    loop {
        let body = get(standin, &path).await.ok();
        let rows = body["Data"].as_object().unwrap().values().next().unwrap();
        all.extend(rows.as_array().unwrap().iter().cloned());
        match body["Links"]["Next"].as_str() {
            Some(next) => path = next.strip_prefix("http://standin").unwrap().to_owned(),
            None => return all,
        }
    }
}

async fn account_ids(standin: &Arc<Standin>) -> Vec<String> {
    let accounts = walk(standin, &format!("{BASE}/accounts")).await;
    accounts.iter().map(|row| row["AccountId"].as_str().unwrap().to_owned()).collect()
}

fn text<'a>(row: &'a Value, pointer: &str) -> &'a str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Type, status, asset and amount.
type Meaning = (TransactionType, Status, String, i64);

fn canonical(row: &Value) -> Meaning {
    let kind = match text(row, "/CreditDebitIndicator") {
        "Credit" => TransactionType::Payin,
        _ => TransactionType::Payout,
    };
    let status = match text(row, "/Status") {
        "Booked" => Status::Succeeded,
        "Pending" => Status::Pending,
        other => panic!("{other:?}"),
    };
    (kind, status, format!("{}/2", text(row, "/Amount/Currency")), minor(text(row, "/Amount/Amount"), 2))
}

fn sorted(meanings: impl Iterator<Item = Meaning>) -> Vec<String> {
    let mut lines: Vec<String> = meanings.map(|meaning| format!("{meaning:?}")).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn the_lists_hold_the_ledger_but_for_what_was_dropped() {
    let standin = open(&Obie);
    standin.advance(200);
    let mut rows = Vec::new();
    for id in account_ids(&standin).await {
        rows.extend(walk(&standin, &format!("{BASE}/accounts/{id}/transactions")).await);
    }
    let truth = standin.truth().transactions;
    let kept = truth.values().filter(|one| one.status != Status::Cancelled);
    let expected = sorted(kept.map(|one| (one.kind, one.status, one.asset.clone(), one.amount_minor)));
    assert_eq!(sorted(rows.iter().map(canonical)), expected);
    assert!(truth.values().any(|one| one.status == Status::Cancelled), "nothing was dropped");
    for row in rows.iter().filter(|row| row["TransactionId"].is_string()) {
        assert!(truth.contains_key(text(row, "/TransactionId")));
    }
}

#[tokio::test]
async fn every_other_account_tells_no_ids_and_holds_equal_rows() {
    let standin = open(&Obie);
    let ids = account_ids(&standin).await;
    let mut visible = BTreeMap::<String, usize>::new();
    for row in walk(&standin, &format!("{BASE}/accounts/{}/transactions", ids[1])).await {
        assert!(row.get("TransactionId").is_none());
        *visible.entry(row.to_string()).or_default() += 1;
    }
    assert!(visible.values().any(|&times| times > 1), "no two rows are equal");
    let with_ids = walk(&standin, &format!("{BASE}/accounts/{}/transactions", ids[0])).await;
    each_once(with_ids.iter().map(|row| text(row, "/TransactionId").to_owned()).collect());
}

#[tokio::test]
async fn windows_go_by_the_day_and_ignore_the_zone() {
    let standin = open(&Obie);
    let path = format!("{BASE}/accounts/{}/transactions", account_ids(&standin).await[0]);
    let all = walk(&standin, &path).await;
    let day = &text(&all[40], "/BookingDateTime")[..10];
    let since: Vec<Value> =
        all.iter().filter(|row| &text(row, "/BookingDateTime")[..10] >= day).cloned().collect();
    for from in [day.to_owned(), format!("{day}T00:00:00"), format!("{day}T00:00:00%2B05:00")] {
        assert_eq!(walk(&standin, &format!("{path}?fromBookingDateTime={from}")).await, since, "{from}");
    }
    let until = walk(&standin, &format!("{path}?toBookingDateTime={day}T00:00:00Z")).await;
    assert!(until.iter().all(|row| &text(row, "/BookingDateTime")[..10] <= day));
    assert!(until.len() < all.len() && !until.is_empty());
}

#[tokio::test]
async fn a_page_holds_its_place_while_rows_come() {
    let standin = open(&Obie);
    let path = format!("{BASE}/accounts/{}/transactions", account_ids(&standin).await[0]);
    let before = walk(&standin, &path).await;
    standin.set_faults(Faults {
        changes_while_reading: Some(When::next(1)),
        changes: 60,
        ..Faults::default()
    });
    let first = get(&standin, &path).await.ok();
    let next = text(&first, "/Links/Next").strip_prefix("http://standin").unwrap().to_owned();
    let second = get(&standin, &next).await.ok();
    let visible: Vec<&str> = before[..25].iter().map(|row| text(row, "/TransactionId")).collect();
    let rows = second["Data"]["Transaction"].as_array().unwrap();
    assert!(rows.iter().all(|row| !visible.contains(&text(row, "/TransactionId"))));
}

#[tokio::test]
async fn balances_are_what_is_booked() {
    let standin = open(&Obie);
    standin.advance(100);
    for (id, account) in standin.truth().accounts {
        let rows = walk(&standin, &format!("{BASE}/accounts/{id}/balances")).await;
        let booked = rows.iter().find(|row| row["Type"] == "InterimBooked").unwrap();
        let sign = if booked["CreditDebitIndicator"] == "Debit" { -1 } else { 1 };
        assert_eq!(sign * minor(text(booked, "/Amount/Amount"), 2), account.balance_minor);
        let people = walk(&standin, &format!("{BASE}/accounts/{id}/beneficiaries")).await;
        let people = people.iter().map(|row| text(row, "/BeneficiaryId").to_owned()).collect();
        assert_eq!(each_once(people), standin.truth().beneficiaries.into_keys().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn errors_come_in_open_bankings_words() {
    let standin = open(&Obie);
    for (path, token, status) in [
        ("/accounts", "wrong", 401),
        ("/accounts/none/balances", TOKEN, 404),
        ("/accounts/none/transactions?fromBookingDateTime=then", TOKEN, 404),
    ] {
        let answer = get_with(&standin, &format!("{BASE}{path}"), token).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(text(&answer.json(), "/Errors/0/ErrorCode").starts_with("UK.OBIE."), "{path}");
    }
}

#[tokio::test]
async fn the_answers_are_what_open_bankings_own_file_says() {
    let Some(file) = spec::load("uk-obie-account-info-3.1.7.json") else { return };
    let standin = open(&Obie);
    let id = &account_ids(&standin).await[0];
    for path in ["", "/{AccountId}/balances", "/{AccountId}/transactions", "/{AccountId}/beneficiaries"] {
        let asked = format!("{BASE}/accounts{}", path.replace("{AccountId}", id));
        let answer = get(&standin, &asked).await.ok();
        let broken = spec::broken(&file, &format!("/accounts{path}"), "200", &answer);
        assert!(broken.is_empty(), "{path}: {broken:#?}");
    }
}
