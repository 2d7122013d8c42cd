use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Mollie;
use crate::kit::testing::*;
use crate::kit::{Faults, Standin, When};
use tributary_domain::{Status, TransactionType};

/// One page: its rows, and the path of the next.
async fn page(standin: &Arc<Standin>, path: &str) -> (Vec<Value>, Option<String>) {
    let body = get(standin, path).await.ok();
    let (_, rows) = body["_embedded"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(body["count"], rows.as_array().unwrap().len());
    let next = body["_links"]["next"]["href"].as_str();
    (
        rows.as_array().unwrap().clone(),
        next.map(|href| href.strip_prefix("http://standin").unwrap().to_owned()),
    )
}

async fn walk(standin: &Arc<Standin>, path: &str) -> Vec<Value> {
    let (mut all, mut path) = (Vec::new(), Some(path.to_owned()));
    while let Some(this) = path {
        let (rows, next) = page(standin, &this).await;
        all.extend(rows);
        path = next;
    }
    all
}

fn text<'a>(row: &'a Value, pointer: &str) -> &'a str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| text(row, "/id").to_owned()).collect()
}

/// Type, status, asset, amount and parent of a row as the facts about Mollie have it.
fn canonical(row: &Value) -> Option<(TransactionType, Status, String, i64, Option<String>)> {
    let status = match (text(row, "/resource"), text(row, "/status")) {
        ("payment", "open" | "pending") => Status::Pending,
        ("payment", "authorized") => Status::Authorisation,
        ("payment", "paid") if row.get("authorizedAt").is_some() => Status::Capture,
        ("payment", "paid") | ("payout", "completed") => Status::Succeeded,
        ("payment", "expired") => Status::Expired,
        ("payout", "requested" | "initiated" | "processing-at-bank") => Status::Pending,
        ("payment" | "payout", "canceled") => Status::Cancelled,
        ("payment" | "payout", "failed") => Status::Failed,
        ("refund", "refunded") => Status::Refunded,
        ("refund", "failed") => Status::RefundedFailure,
        ("refund", "queued" | "pending" | "processing") => return None,
        ("chargeback", "") if row["reversedAt"].is_null() => Status::Dispute,
        ("chargeback", "") => Status::DisputeWon,
        other => panic!("{other:?}"),
    };
    let kind =
        if text(row, "/resource") == "payout" { TransactionType::Payout } else { TransactionType::Payin };
    let parent = row.get("paymentId").and_then(Value::as_str).map(str::to_owned);
    let asset = format!("{}/2", text(row, "/amount/currency"));
    Some((kind, status, asset, minor(text(row, "/amount/value"), 2), parent))
}

#[tokio::test]
async fn the_lists_together_hold_the_ledger() {
    let standin = open(&Mollie);
    standin.advance(200);
    let mut listed = BTreeMap::new();
    for path in ["/v2/payments?limit=30", "/v2/refunds?limit=7", "/v2/chargebacks?limit=3", "/v2/payouts"] {
        let rows = walk(&standin, path).await;
        assert!(rows.is_sorted_by(|a, b| text(a, "/createdAt") >= text(b, "/createdAt")), "{path}");
        each_once(ids(&rows));
        listed.extend(rows.iter().filter_map(|row| Some((text(row, "/id").to_owned(), canonical(row)?))));
    }
    let truth = standin.truth().transactions;
    let expected: BTreeMap<_, _> = truth
        .iter()
        .map(|(id, one)| {
            (id.clone(), (one.kind, one.status, one.asset.clone(), one.amount_minor, one.parent.clone()))
        })
        .collect();
    assert_eq!(listed, expected);
    let statuses: Vec<Status> = truth.values().map(|one| one.status).collect();
    for status in [Status::Capture, Status::Refunded, Status::RefundedFailure, Status::Dispute] {
        assert!(statuses.contains(&status), "{status:?}");
    }
}

#[tokio::test]
async fn from_is_part_of_its_page() {
    let standin = open(&Mollie);
    let all = walk(&standin, "/v2/payments?limit=250").await;
    let from = text(&all[10], "/id");
    let (rows, next) = page(&standin, &format!("/v2/payments?from={from}&limit=5")).await;
    assert_eq!(rows, all[10..15]);
    assert_eq!(next, Some(format!("/v2/payments?from={}&limit=5", text(&all[15], "/id"))));
    let mut reversed = walk(&standin, "/v2/payments?sort=asc").await;
    reversed.reverse();
    assert_eq!(ids(&reversed), ids(&all));
    assert_eq!(page(&standin, "/v2/payments").await.0.len(), 50, "the default");
}

#[tokio::test]
async fn what_is_not_allowed_is_told_in_mollies_words() {
    let standin = open(&Mollie);
    let answer = get(&standin, "/v2/payments?limit=251").await;
    assert_eq!(answer.headers["content-type"], "application/hal+json");
    assert_eq!((answer.status.as_u16(), answer.json()["field"].as_str()), (400, Some("limit")));
    for path in ["/v2/payments?from=tr_none", "/v2/payments/tr_none", "/v2/nothing", "/v2/balances/bal_x"] {
        let answer = get(&standin, path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["title"].as_str()),
            (404, Some("Not Found")),
            "{path}"
        );
    }
    let answer = get_with(&standin, "/v2/payments", "wrong").await;
    assert_eq!((answer.status.as_u16(), answer.json()["status"].as_u64()), (401, Some(401)));
}

#[tokio::test]
async fn a_balance_is_the_sum_of_its_transactions() {
    let standin = open(&Mollie);
    standin.advance(300);
    let balances = walk(&standin, "/v2/balances").await;
    assert_eq!(balances.len(), 3);
    for balance in &balances {
        let id = text(balance, "/id");
        let rows = walk(&standin, &format!("/v2/balances/{id}/transactions?limit=40")).await;
        each_once(ids(&rows));
        let sum: i64 = rows.iter().map(|row| minor(text(row, "/resultAmount/value"), 2)).sum();
        assert_eq!(minor(text(balance, "/availableAmount/value"), 2), 5_000_000 + sum);
        let expected = &standin.truth().accounts[id];
        assert_eq!(expected.balance_minor, 5_000_000 + sum);
        assert_eq!(expected.asset, format!("{}/2", text(balance, "/currency")));
    }
    let primary = get(&standin, "/v2/balances/primary").await.ok();
    assert_eq!(primary["id"], balances[0]["id"]);
}

#[tokio::test]
async fn a_payment_tells_what_became_of_it_and_can_be_asked_for_again() {
    let standin = open(&Mollie);
    let payments = walk(&standin, "/v2/payments?limit=250").await;
    let refunded = payments.iter().filter(|row| !matches!(text(row, "/amountRefunded/value"), "" | "0.00"));
    let refunded: Vec<_> = refunded.collect();
    assert!(!refunded.is_empty());
    for payment in refunded {
        let id = text(payment, "/id");
        let refunds = walk(&standin, &format!("/v2/payments/{id}/refunds")).await;
        let sum: i64 = refunds.iter().map(|row| minor(text(row, "/amount/value"), 2)).sum();
        assert_eq!(minor(text(payment, "/amountRefunded/value"), 2), sum);
        let left = minor(text(payment, "/amount/value"), 2) - sum;
        assert_eq!(minor(text(payment, "/amountRemaining/value"), 2), left);
        assert_eq!(&get(&standin, &format!("/v2/payments/{id}")).await.ok(), payment);
    }
}

#[tokio::test]
async fn rows_that_come_while_a_list_is_walked_do_not_shift_it() {
    let standin = open(&Mollie);
    let before = walk(&standin, "/v2/payments?limit=20").await;
    let changes_while_reading = Some(When::every(1));
    standin.set_faults(Faults { changes_while_reading, changes: 5, ..Faults::default() });
    let walked = walk(&standin, "/v2/payments?limit=20").await;
    each_once(ids(&walked));
    assert_eq!(ids(&walked), ids(&before), "new payments come before the first page");
    assert!(standin.fired().changes_while_reading > 50);
}

#[tokio::test]
async fn the_last_page_may_link_to_itself() {
    let standin = open(&Mollie);
    let count = walk(&standin, "/v2/payments?limit=20").await.len();
    standin.set_faults(Faults { last_page_again: Some(When::next(2)), ..Faults::default() });
    let walked = ids(&walk(&standin, "/v2/payments?limit=20").await);
    let last_page = if count % 20 == 0 { 20 } else { count % 20 };
    assert_eq!(walked.len(), count + 2 * last_page);
    assert_eq!(standin.fired().last_pages_again, 2);
}
