use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Paystack;
use crate::kit::testing::*;
use crate::kit::{Faults, Standin, When, spec};
use tributary_domain::{Status, TransactionType};

const TRANSFER_STATUSES: [&str; 9] =
    ["pending", "success", "failed", "otp", "abandoned", "reversed", "blocked", "rejected", "received"];

fn text<'a>(row: &'a Value, pointer: &str) -> &'a str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].to_string()).collect()
}

/// All pages by number; `path` ends with `?` or `&`.
async fn walk(standin: &Arc<Standin>, path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 1.. {
        let body = get(standin, &format!("{path}page={page}&perPage=20")).await.ok();
        all.extend(body["data"].as_array().unwrap().iter().cloned());
        if page >= body["meta"]["pageCount"].as_u64().unwrap() {
            break;
        }
    }
    all
}

async fn all_transfers(standin: &Arc<Standin>) -> Vec<Value> {
    let mut all = Vec::new();
    for status in TRANSFER_STATUSES {
        all.extend(walk(standin, &format!("/transfer?status={status}&")).await);
    }
    all
}

/// Type, status, asset, amount and parent of a row as the facts about Paystack have it.
fn canonical(list: &str, row: &Value) -> Option<(TransactionType, Status, String, i64, Option<String>)> {
    let status = match (list, text(row, "/status"), text(row, "/resolution")) {
        ("refund", "pending" | "processing", _) => return None,
        ("refund", "processed", _) => Status::Refunded,
        ("refund", "failed", _) => Status::RefundedFailure,
        ("dispute", "resolved", "declined") => Status::DisputeWon,
        ("dispute", "resolved", "merchant-accepted") => Status::DisputeLost,
        ("dispute", "awaiting-merchant-feedback" | "awaiting-bank-feedback", "") => Status::Dispute,
        (_, "success", _) => Status::Succeeded,
        (_, "failed", _) | ("transfer", "rejected" | "blocked", _) => Status::Failed,
        (_, "reversed", _) => Status::Refunded,
        ("transaction", "abandoned", _) => Status::Expired,
        ("transfer", "abandoned", _) => Status::Cancelled,
        ("transaction", "pending" | "ongoing", _) => Status::Pending,
        ("transfer", "pending" | "otp" | "received", _) => Status::Pending,
        other => panic!("{other:?}"),
    };
    let kind = if list == "transfer" { TransactionType::Payout } else { TransactionType::Payin };
    let amount = row["amount"].as_i64().or(row["refund_amount"].as_i64()).unwrap();
    let parent = match list {
        "refund" => Some(row["transaction"].to_string()),
        "dispute" => Some(row["transaction"]["id"].to_string()),
        _ => None,
    };
    Some((kind, status, format!("{}/2", text(row, "/currency")), amount, parent))
}

#[tokio::test]
async fn the_lists_together_hold_the_ledger() {
    let standin = open(&Paystack);
    standin.advance(300);
    let mut listed = BTreeMap::new();
    for list in ["transaction", "transfer", "refund", "dispute"] {
        let rows = match list {
            "transfer" => all_transfers(&standin).await,
            _ => walk(&standin, &format!("/{list}?")).await,
        };
        each_once(ids(&rows));
        listed.extend(rows.iter().filter_map(|row| Some((row["id"].to_string(), canonical(list, row)?))));
    }
    let truth = standin.truth().transactions;
    let expected: BTreeMap<_, _> = truth
        .iter()
        .map(|(id, one)| {
            (id.clone(), (one.kind, one.status, one.asset.clone(), one.amount_minor, one.parent.clone()))
        })
        .collect();
    assert_eq!(listed, expected);
    for status in [Status::Refunded, Status::Cancelled, Status::Expired] {
        assert!(truth.values().any(|one| one.status == status), "{status:?}");
    }
    let is_dispute = |status: Status| status.as_str().starts_with("DISPUTE");
    assert!(truth.values().any(|one| is_dispute(one.status) && one.parent.is_some()));
}

#[tokio::test]
async fn transfers_are_pending_ones_unless_told_otherwise() {
    let standin = open(&Paystack);
    standin.advance(50);
    let rows = walk(&standin, "/transfer?").await;
    assert!(!rows.is_empty() && rows.iter().all(|row| row["status"] == "pending"));
}

#[tokio::test]
async fn to_is_not_part_of_the_window_and_a_day_is_its_first_moment() {
    let standin = open(&Paystack);
    let all = walk(&standin, "/transaction?").await;
    assert!(all.is_sorted_by(|a, b| text(a, "/createdAt") >= text(b, "/createdAt")), "newest first");
    let (from, to) = (text(&all[60], "/createdAt"), text(&all[20], "/createdAt"));
    let window = walk(&standin, &format!("/transaction?from={from}&to={to}&")).await;
    assert_eq!(ids(&window), ids(&all[21..=60]));

    let day = &text(&all[40], "/createdAt")[..10];
    assert_eq!(walk(&standin, &format!("/transaction?from={day}&to={day}&")).await, [Value::Null; 0]);
    let since = walk(&standin, &format!("/transaction?from={day}&")).await;
    assert!(ids(&since).contains(&all[40]["id"].to_string()));
}

#[tokio::test]
async fn a_cursor_holds_its_place_where_a_page_number_slips() {
    let standin = open(&Paystack);
    let before = ids(&walk(&standin, "/transaction?").await);
    let grow = || Faults { changes_while_reading: Some(When::next(1)), changes: 60, ..Faults::default() };
    standin.set_faults(grow());
    let first = get(&standin, "/transaction?use_cursor=true&perPage=20").await.ok();
    let next = text(&first, "/meta/next");
    let second = get(&standin, &format!("/transaction?use_cursor=true&perPage=20&next={next}")).await.ok();
    assert_eq!(ids(second["data"].as_array().unwrap()), before[20..40]);

    standin.set_faults(grow());
    let first = get(&standin, "/transaction?page=1&per_page=20").await.ok();
    let second = get(&standin, "/transaction?page=2&per_page=20").await.ok();
    let visible = ids(first["data"].as_array().unwrap());
    assert!(ids(second["data"].as_array().unwrap()).iter().any(|id| visible.contains(id)));
}

#[tokio::test]
async fn the_balance_of_each_currency_follows_from_its_ledger() {
    let standin = open(&Paystack);
    standin.advance(200);
    let rows = walk(&standin, "/balance/ledger?").await;
    each_once(ids(&rows));
    let balances = get(&standin, "/balance").await.ok();
    assert_eq!(texts(&balances["data"], "/currency"), ["NGN", "GHS", "ZAR"]);
    for balance in balances["data"].as_array().unwrap() {
        let currency = text(balance, "/currency");
        let of_currency: Vec<_> = rows.iter().filter(|row| row["currency"] == currency).collect();
        let sum: i64 = of_currency.iter().map(|row| row["difference"].as_i64().unwrap()).sum();
        assert_eq!(balance["balance"], 5_000_000 + sum);
        assert_eq!(of_currency[0]["balance"], balance["balance"], "the newest row says what it came to");
        assert_eq!(standin.truth().accounts[currency].balance_minor, 5_000_000 + sum);
    }
}

#[tokio::test]
async fn one_record_can_be_asked_for_again_and_recipients_are_listed() {
    let standin = open(&Paystack);
    for row in &walk(&standin, "/transaction?").await[..3] {
        assert_eq!(&get(&standin, &format!("/transaction/{}", row["id"])).await.ok()["data"], row);
    }
    let transfer = &all_transfers(&standin).await[0];
    for name in [transfer["id"].to_string(), text(transfer, "/transfer_code").to_owned()] {
        assert_eq!(&get(&standin, &format!("/transfer/{name}")).await.ok()["data"], transfer);
    }
    let recipients = walk(&standin, "/transferrecipient?").await;
    let codes = recipients.iter().map(|row| text(row, "/recipient_code").to_owned()).collect();
    assert_eq!(each_once(codes), standin.truth().beneficiaries.into_keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn errors_come_in_paystacks_words() {
    let standin = open(&Paystack);
    for (path, token, status) in [
        ("/transaction", "wrong", 401),
        ("/transaction/1", TOKEN, 404),
        ("/transaction?from=then", TOKEN, 400),
        ("/transaction?use_cursor=true&next=x", TOKEN, 400),
    ] {
        let answer = get_with(&standin, path, token).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["status"]),
            (status, &Value::Bool(false)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_answers_are_what_paystacks_own_file_says() {
    let Some(file) = spec::load("paystack.openapi.yaml") else { return };
    let standin = open(&Paystack);
    standin.advance(300);
    for list in
        ["transaction", "transfer", "refund", "dispute", "transferrecipient", "balance", "balance/ledger"]
    {
        let answer = get(&standin, &format!("/{list}?perPage=100")).await.ok();
        assert!(answer["data"].as_array().unwrap().len() > 1, "{list}");
        let broken = spec::broken(&file, &format!("/{list}"), "200", &answer);
        // The file wants a text here, also of what was never paid; its twin `paid_at` may be null.
        let broken: Vec<_> = broken.iter().filter(|line| !line.contains(".paidAt: null")).collect();
        assert!(broken.is_empty(), "{list}: {broken:#?}");
    }
}
