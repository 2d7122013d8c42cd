use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Wise;
use crate::kit::testing::*;
use crate::kit::{Expected, OnDuplicate, PaymentFault, Standin};
use tributary_domain::{Status, TransactionType};

const PROFILE: &str = "14599371";

async fn transfers(bank: &Arc<Standin>, with: &str) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let path = format!("/v1/transfers?profile={PROFILE}&limit=17&offset={}{with}", all.len());
        let page = get(bank, &path).await.ok();
        let rows = page.as_array().unwrap();
        if rows.is_empty() {
            return all;
        }
        all.extend(rows.iter().cloned());
    }
}

async fn lines(bank: &Arc<Standin>, balance: &Value) -> Vec<Value> {
    let path = format!(
        "/v1/profiles/{PROFILE}/balance-statements/{}/statement.json?currency={}&type=COMPACT\
         &intervalStart=2025-10-01T00:00:00.000Z&intervalEnd=2026-12-31T00:00:00.000Z",
        balance["id"],
        balance["currency"].as_str().unwrap()
    );
    let statement = get(bank, &path).await.ok();
    statement["transactions"].as_array().unwrap().clone()
}

async fn balances(bank: &Arc<Standin>) -> Vec<Value> {
    let path = format!("/v4/profiles/{PROFILE}/balances?types=STANDARD");
    get(bank, &path).await.ok().as_array().unwrap().clone()
}

fn status(word: &str) -> Option<Status> {
    Some(match word {
        "incoming_payment_waiting" => return None,
        "processing" | "funds_converted" => Status::Pending,
        "outgoing_payment_sent" => Status::Succeeded,
        "cancelled" => Status::Cancelled,
        "bounced_back" | "funds_refunded" => Status::Refunded,
        other => panic!("{other}"),
    })
}

fn cents(money: &Value) -> i64 {
    minor(&money["value"].to_string(), 2)
}

#[tokio::test]
async fn transfers_and_the_lines_of_statements_are_the_ledger() {
    let bank = open(&Wise);
    bank.advance(100);
    let is = |one: &Expected| (one.kind, one.status, one.amount_minor);
    let mut listed = BTreeMap::new();
    for row in transfers(&bank, "").await {
        let Some(status) = status(row["status"].as_str().unwrap()) else { continue };
        let amount = minor(&row["sourceValue"].to_string(), 2);
        let before = listed.insert(row["id"].to_string(), (TransactionType::Payout, status, amount));
        assert_eq!(before, None);
    }
    for balance in balances(&bank).await {
        let mut held = 5_000_000;
        for line in lines(&bank, &balance).await.iter().rev() {
            let amount = cents(&line["amount"]);
            held += amount;
            assert_eq!(cents(&line["runningBalance"]), held);
            let kind = match line["details"]["type"].as_str().unwrap() {
                "TRANSFER" => continue,
                "CONVERSION" => TransactionType::Transfer,
                "BALANCE_INTEREST" => TransactionType::Other,
                _ if amount < 0 => TransactionType::Payout,
                _ => TransactionType::Payin,
            };
            assert_eq!(line["type"], if amount < 0 { "DEBIT" } else { "CREDIT" });
            let id =
                format!("{}-{}", line["referenceNumber"].as_str().unwrap(), line["type"].as_str().unwrap());
            assert_eq!(listed.insert(id, (kind, Status::Succeeded, amount.abs())), None);
        }
        assert_eq!(cents(&balance["amount"]), held, "a balance is the sum of its lines");
    }
    let truth = bank.truth();
    let expected: BTreeMap<_, _> = truth.transactions.iter().map(|(id, one)| (id.clone(), is(one))).collect();
    assert!(listed.len() > 350 && listed == expected);
}

#[tokio::test]
async fn a_statement_is_of_469_days_at_most_and_of_one_balance_of_the_profile() {
    let bank = open(&Wise);
    let balance = &balances(&bank).await[0];
    let path = |profile: &str, currency: &str, end: &str| {
        format!(
            "/v1/profiles/{profile}/balance-statements/{}/statement.json?currency={currency}\
             &intervalStart=2025-01-01T00:00:00Z&intervalEnd={end}",
            balance["id"]
        )
    };
    get(&bank, &path(PROFILE, "GBP", "2026-04-15T00:00:00Z")).await.ok();
    for (profile, currency, end, status) in [
        (PROFILE, "GBP", "2026-04-15T00:00:01Z", 422),
        (PROFILE, "EUR", "2025-02-01T00:00:00Z", 422),
        ("14599372", "GBP", "2025-02-01T00:00:00Z", 404),
    ] {
        assert_eq!(
            get(&bank, &path(profile, currency, end)).await.status,
            status,
            "{profile} {currency} {end}"
        );
    }
}

#[tokio::test]
async fn profiles_have_their_own_and_the_last_one_has_nothing() {
    let bank = open(&Wise);
    let profiles = get(&bank, "/v2/profiles").await.ok();
    assert_eq!((profiles[0]["id"].to_string().as_str(), &profiles[1]["type"]), (PROFILE, &json!("PERSONAL")));
    let empty = profiles[1]["id"].to_string();
    assert_eq!(get(&bank, &format!("/v4/profiles/{empty}/balances?types=STANDARD")).await.ok(), json!([]));
    assert_eq!(get(&bank, &format!("/v1/transfers?profile={empty}")).await.ok(), json!([]));
    assert_eq!(get(&bank, &format!("/v2/accounts?profileId={empty}")).await.ok()["content"], json!([]));
    let (mut ids, mut next) = (Vec::new(), String::new());
    loop {
        let page = get(&bank, &format!("/v2/accounts?profileId={PROFILE}&size=7{next}")).await.ok();
        ids.extend(page["content"].as_array().unwrap().iter().map(|row| row["id"].to_string()));
        match &page["seekPositionForNext"] {
            Value::Null => break,
            position => next = format!("&seekPosition={position}"),
        }
    }
    assert_eq!(each_once(ids), bank.truth().beneficiaries.into_keys().collect::<Vec<_>>());
}

/// Quotes and drafts, and gives the id of the transfer.
async fn drafted(bank: &Arc<Standin>, key: &str) -> String {
    let quote = json!({"sourceCurrency": "GBP", "targetCurrency": "GBP", "targetAmount": 15.01,
                       "targetAccount": 40_000_003, "preferredPayIn": "BALANCE"});
    let quote = post(bank, &format!("/v3/profiles/{PROFILE}/quotes"), &quote).await.ok();
    let transfer = json!({"targetAccount": 40_000_003, "quoteUuid": quote["id"], "customerTransactionId": key,
                          "details": {"reference": "Rent"}});
    post(bank, "/v1/transfers", &transfer).await.ok()["id"].to_string()
}

async fn fund(bank: &Arc<Standin>, id: &str) -> Answer {
    let path = format!("/v3/profiles/{PROFILE}/transfers/{id}/payments");
    post(bank, &path, &json!({"type": "BALANCE"})).await
}

const KEY: &str = "54a6bc09-cef9-49a8-9041-f1f0c654cd88";

#[tokio::test]
async fn a_key_drafts_one_transfer_which_is_funded_once() {
    let bank = open(&Wise);
    let before = bank.truth();
    let id = drafted(&bank, KEY).await;
    assert_eq!(drafted(&bank, KEY).await, id);
    bank.advance(300);
    let waiting = get(&bank, &format!("/v1/transfers/{id}")).await.ok();
    assert_eq!((&waiting["status"], bank.movements().len()), (&json!("incoming_payment_waiting"), 0));
    assert_eq!(bank.truth().transactions.get(&id), None, "what nobody paid for is no movement");
    assert_eq!(fund(&bank, &id).await.ok()["status"], "COMPLETED");
    let again = fund(&bank, &id).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["errors"][0]["code"]),
        (422, &json!("transfer.invalid-state"))
    );
    let shown = get(&bank, &format!("/v1/transfers/{id}")).await.ok();
    assert_eq!(
        (&shown["status"], &shown["targetValue"], &shown["targetAccount"], &shown["customerTransactionId"]),
        (&json!("processing"), &json!(15.01), &json!(40_000_003), &json!(KEY))
    );
    let moved = bank.movements();
    assert_eq!((moved.len(), moved[0].amount_minor, moved[0].id.as_str()), (1, 1501, id.as_str()));
    assert!(before.transactions.len() < bank.truth().transactions.len());
}

#[tokio::test]
async fn a_draft_is_funded_otherwise_or_twice_where_a_test_asks_for_it() {
    let bank = open(&Wise);
    let id = drafted(&bank, KEY).await;
    bank.set_payment_faults([PaymentFault::OtherAmount(7)]);
    fund(&bank, &id).await.ok();
    bank.set_on_duplicate(OnDuplicate::Forget);
    fund(&bank, &id).await.ok();
    assert_eq!(bank.movements().iter().map(|moved| moved.amount_minor).collect::<Vec<_>>(), [7, 7]);
    bank.move_payment(KEY, Status::Succeeded);
    bank.return_payment(KEY);
    assert!(bank.movements().iter().all(|moved| moved.status == Status::Refunded));
}
