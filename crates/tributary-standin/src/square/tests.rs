use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Square;
use crate::kit::testing::*;
use crate::kit::{Faults, Standin, StandinConfig, When, spec};
use tributary_domain::{Status, TransactionType};

fn text<'a>(row: &'a Value, pointer: &str) -> &'a str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| text(row, "/id").to_owned()).collect()
}

async fn walk(standin: &Arc<Standin>, path: &str, list: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let body = get(standin, &format!("{path}{cursor}")).await.ok();
        all.extend(body[list].as_array().into_iter().flatten().cloned());
        match body["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// The rows of all locations of a list that gives one location at a time.
async fn of_all_locations(standin: &Arc<Standin>, path: &str, list: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for location in texts(&get(standin, "/v2/locations").await.ok()["locations"], "/id") {
        all.extend(walk(standin, &format!("{path}&location_id={location}"), list).await);
    }
    all
}

/// Type, status, asset, amount and parent of a row as the facts about Square have it.
fn canonical(list: &str, row: &Value) -> Option<(TransactionType, Status, String, i64, Option<String>)> {
    let status = match (list, row["status"].as_str().or(row["state"].as_str()).unwrap()) {
        ("refunds", "PENDING") => return None,
        ("refunds", "COMPLETED") => Status::Refunded,
        ("refunds", "REJECTED" | "FAILED") => Status::RefundedFailure,
        ("payments", "APPROVED") => Status::Authorisation,
        // whether it was approved before is not in the answer: who saw it knows
        ("payments", "COMPLETED") => Status::Succeeded,
        ("payments", "CANCELED") => Status::Cancelled,
        ("payments", "PENDING") | ("payouts", "SENT") => Status::Pending,
        ("payments" | "payouts", "FAILED") => Status::Failed,
        ("payouts", "PAID") => Status::Succeeded,
        ("disputes", "WON") => Status::DisputeWon,
        ("disputes", "LOST" | "ACCEPTED") => Status::DisputeLost,
        ("disputes", _) => Status::Dispute,
        other => panic!("{other:?}"),
    };
    let kind = if list == "payouts" { TransactionType::Payout } else { TransactionType::Payin };
    let parent = row["payment_id"].as_str().or(row["disputed_payment"]["payment_id"].as_str());
    let asset = match text(row, "/amount_money/currency") {
        "JPY" => "JPY".to_owned(),
        code => format!("{code}/2"),
    };
    let amount = row["amount_money"]["amount"].as_i64().unwrap();
    Some((kind, status, asset, amount, parent.map(str::to_owned)))
}

#[tokio::test]
async fn the_lists_together_hold_the_ledger() {
    let standin = open(&Square);
    standin.advance(200);
    let mut listed = BTreeMap::new();
    for list in ["payments", "payouts", "refunds", "disputes"] {
        let path = format!("/v2/{list}?limit=30");
        let rows = match list {
            "payments" | "payouts" => of_all_locations(&standin, &path, list).await,
            _ => walk(&standin, &path, list).await,
        };
        each_once(ids(&rows));
        listed
            .extend(rows.iter().filter_map(|row| Some((text(row, "/id").to_owned(), canonical(list, row)?))));
    }
    let truth = standin.truth().transactions;
    let as_listed = |status| if status == Status::Capture { Status::Succeeded } else { status };
    let expected: BTreeMap<_, _> = truth
        .iter()
        .map(|(id, one)| {
            let status = as_listed(one.status);
            (id.clone(), (one.kind, status, one.asset.clone(), one.amount_minor, one.parent.clone()))
        })
        .collect();
    assert_eq!(listed, expected);
    assert!(
        truth.values().any(|one| one.status == Status::Capture && one.passed[0] == Status::Authorisation)
    );
    assert!(truth.values().any(|one| one.asset == "JPY"));
    assert!(truth.values().any(|one| one.status == Status::Dispute || one.status == Status::DisputeLost));
}

#[tokio::test]
async fn payments_are_those_of_the_main_location_unless_another_is_named() {
    let standin = open(&Square);
    let locations = texts(&get(&standin, "/v2/locations").await.ok()["locations"], "/id");
    let rows = walk(&standin, "/v2/payments?limit=100", "payments").await;
    assert!(!rows.is_empty() && rows.iter().all(|row| text(row, "/location_id") == locations[0]));
    let rows = walk(&standin, "/v2/refunds?limit=100", "refunds").await;
    assert!(rows.iter().any(|row| text(row, "/location_id") != locations[0]));
}

#[tokio::test]
async fn a_window_of_updates_has_its_begin_and_not_its_end_oldest_first() {
    let standin = open(&Square);
    let order = "sort_field=UPDATED_AT&sort_order=ASC";
    let all = walk(&standin, &format!("/v2/payments?{order}"), "payments").await;
    assert!(all.is_sorted_by(|a, b| text(a, "/updated_at") <= text(b, "/updated_at")));
    let (begin, end) = (text(&all[10], "/updated_at"), text(&all[40], "/updated_at"));
    let path = format!("/v2/payments?{order}&updated_at_begin_time={begin}&updated_at_end_time={end}");
    assert_eq!(ids(&walk(&standin, &format!("{path}&limit=7"), "payments").await), ids(&all[10..40]));

    let descending = walk(&standin, "/v2/payments?limit=9", "payments").await;
    assert!(descending.is_sorted_by(|a, b| text(a, "/created_at") >= text(b, "/created_at")));
    let (begin, end) = (text(&descending[30], "/created_at"), text(&descending[10], "/created_at"));
    let window = walk(&standin, &format!("/v2/payments?begin_time={begin}&end_time={end}"), "payments").await;
    assert_eq!(ids(&window), ids(&descending[11..=30]));
}

#[tokio::test]
async fn what_is_older_than_a_year_is_only_seen_by_who_says_since_when() {
    let config = StandinConfig { history_days: 800, ..config() };
    let standin = Arc::new(Standin::new(&Square, config).unwrap());
    let lately = of_all_locations(&standin, "/v2/payments?limit=100", "payments").await;
    let all = of_all_locations(&standin, "/v2/payments?begin_time=2020-01-01T00:00:00Z", "payments").await;
    assert!(lately.len() * 3 < all.len() * 2, "{} of {}", lately.len(), all.len());
    assert!(lately.iter().all(|row| text(row, "/created_at") >= "2025-03-01T12:00:00.000Z"));
}

#[tokio::test]
async fn a_refund_changes_its_payment() {
    let (standin, clock) = open_with_clock(&Square);
    let before = standin.truth().transactions.len();
    clock.advance(Duration::from_secs(60));
    standin.advance(300);
    assert!(standin.truth().transactions.len() > before);
    let since = "updated_at_begin_time=2026-03-01T12:01:00Z&sort_field=UPDATED_AT&sort_order=ASC";
    let changed = of_all_locations(&standin, &format!("/v2/payments?{since}"), "payments").await;
    let refunds = walk(&standin, "/v2/refunds?begin_time=2026-03-01T12:01:00Z", "refunds").await;
    assert!(!refunds.is_empty());
    for refund in &refunds {
        let payment = changed.iter().find(|row| text(row, "/id") == text(refund, "/payment_id")).unwrap();
        assert!(payment["refund_ids"].as_array().unwrap().contains(&refund["id"]));
        assert!(payment["refunded_money"]["amount"].as_i64() >= refund["amount_money"]["amount"].as_i64());
    }
}

#[tokio::test]
async fn payouts_have_entries_that_make_them_up_and_go_to_bank_accounts() {
    let standin = open(&Square);
    let payouts = of_all_locations(&standin, "/v2/payouts?limit=100", "payouts").await;
    let banks = walk(&standin, "/v2/bank-accounts?limit=6", "bank_accounts").await;
    assert_eq!(each_once(ids(&banks)), standin.truth().beneficiaries.into_keys().collect::<Vec<_>>());
    for payout in payouts.iter().take(5) {
        let path = format!("/v2/payouts/{}/payout-entries", text(payout, "/id"));
        let entries = walk(&standin, &format!("{path}?limit=100"), "payout_entries").await;
        let sum: i64 = entries.iter().map(|row| row["net_amount_money"]["amount"].as_i64().unwrap()).sum();
        assert_eq!(payout["amount_money"]["amount"], sum);
        assert!(ids(&banks).contains(&text(payout, "/destination/id").to_owned()));
    }
}

#[tokio::test]
async fn errors_come_in_squares_words_also_under_status_200() {
    let standin = open(&Square);
    let code = |answer: &Answer| (answer.status.as_u16(), text(&answer.json(), "/errors/0/code").to_owned());
    for (path, expected) in [
        ("/v2/payments?cursor=x", (400, "INVALID_CURSOR")),
        ("/v2/payments?sort_order=UP", (400, "INVALID_VALUE")),
        ("/v2/payments?begin_time=then", (400, "INVALID_VALUE")),
        ("/v2/payments/none", (404, "NOT_FOUND")),
    ] {
        assert_eq!(code(&get(&standin, path).await), (expected.0, expected.1.to_owned()), "{path}");
    }
    assert_eq!(code(&get_with(&standin, "/v2/payments", "wrong").await), (401, "UNAUTHORIZED".to_owned()));
    let only = Some(When::every(2).at_most(1));
    standin.set_faults(Faults { error_in_200: only, ..Faults::default() });
    get(&standin, "/v2/payments").await.ok();
    assert_eq!(code(&get(&standin, "/v2/payments").await), (200, "INTERNAL_SERVER_ERROR".to_owned()));
    assert_eq!(standin.fired().errors_in_200, 1);
}

#[tokio::test]
async fn an_empty_list_is_left_out() {
    let standin = open(&Square);
    let answer = get(&standin, "/v2/payments?begin_time=2030-01-01T00:00:00Z").await;
    assert_eq!(answer.text, "{}");
}

#[tokio::test]
async fn a_row_that_changes_during_a_walk_by_update_is_met_again_and_none_is_missed() {
    let (standin, clock) = open_with_clock(&Square);
    let changes_while_reading = Some(When::every(1).at_most(20));
    standin.set_faults(Faults { changes_while_reading, changes: 8, ..Faults::default() });
    clock.advance(Duration::from_secs(1));
    let order = "sort_field=UPDATED_AT&sort_order=ASC&limit=10";
    let walked = of_all_locations(&standin, &format!("/v2/payments?{order}"), "payments").await;
    // the last word on each payment of what was read first changes while the others are read
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    for row in walked {
        last.insert(text(&row, "/id").to_owned(), row);
    }
    let since = "updated_at_begin_time=2026-03-01T12:00:01Z";
    for row in of_all_locations(&standin, &format!("/v2/payments?{order}&{since}"), "payments").await {
        last.insert(text(&row, "/id").to_owned(), row);
    }
    for row in of_all_locations(&standin, "/v2/payments?limit=100", "payments").await {
        assert_eq!(last.get(text(&row, "/id")), Some(&row));
    }
}

#[tokio::test]
async fn the_answers_are_what_squares_own_file_says() {
    let Some(file) = spec::load("square.connect.api.json") else { return };
    let standin = open(&Square);
    standin.advance(200);
    for list in ["locations", "payments", "refunds", "disputes", "payouts", "bank-accounts"] {
        let answer = get(&standin, &format!("/v2/{list}")).await.ok();
        assert!(answer[list.replace('-', "_")].as_array().unwrap().len() > 1, "{list}");
        assert_eq!(spec::broken(&file, &format!("/v2/{list}"), "200", &answer), [""; 0], "{list}");
    }
    let payout = text(&get(&standin, "/v2/payouts").await.ok(), "/payouts/0/id").to_owned();
    let answer = get(&standin, &format!("/v2/payouts/{payout}/payout-entries")).await.ok();
    assert_eq!(spec::broken(&file, "/v2/payouts/{payout_id}/payout-entries", "200", &answer), [""; 0]);
    let answer = get(&standin, "/v2/payments/none").await.json();
    assert_eq!(spec::broken(&file, "/v2/payments", "200", &answer), [""; 0], "errors have the same place");
    let bad = serde_json::json!({ "payments": [{ "id": 5, "made_up": true, "status": "x" }] });
    assert_eq!(spec::broken(&file, "/v2/payments", "200", &bad).len(), 2, "the check can fail");
}
