use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::Airwallex;
use crate::kit::money::{self, Currency};
use crate::kit::testing::*;
use crate::kit::{Clock, OAuth, Standin, StandinConfig};
use tributary_domain::{Status, TransactionType};

const MOVEMENTS: &str = "/api/v1/financial_transactions";
const TRANSFERS: &str = "/api/v1/transfers";

/// All rows of a list, page by page.
async fn walk(bank: &Arc<Standin>, path: &str, size: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for number in 0.. {
        let page = get(bank, &format!("{path}?page_size={size}&page_num={number}")).await.ok();
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        if page["has_more"] == false {
            break;
        }
    }
    all
}

fn currency(row: &Value, member: &str) -> &'static Currency {
    let all = [&money::USD, &money::EUR, &money::JPY, &money::GBP];
    all.into_iter().find(|one| row[member] == one.code).unwrap()
}

/// A row in canonical terms, as the facts about Airwallex have it.
fn canonical(row: &Value) -> (TransactionType, Status, String, i64) {
    let is_transfer = row["transaction_type"].is_null();
    let (amount, code) =
        if is_transfer { ("source_amount", "source_currency") } else { ("amount", "currency") };
    let currency = currency(row, code);
    let amount = currency.minor(&row[amount].to_string()).unwrap();
    let kind = match row["transaction_type"].as_str() {
        None => TransactionType::Payout,
        Some("CONVERSION_SELL" | "CONVERSION_BUY") => TransactionType::Transfer,
        Some("FEE") => TransactionType::Other,
        Some(_) if amount < 0 => TransactionType::Payout,
        Some(_) => TransactionType::Payin,
    };
    let status = match row["status"].as_str().unwrap() {
        "PAID" | "SETTLED" => Status::Succeeded,
        "FAILED" => Status::Failed,
        "CANCELLED" => Status::Cancelled,
        _ => Status::Pending,
    };
    (kind, status, currency.asset(), amount.abs())
}

#[tokio::test]
async fn both_lists_together_give_every_movement_of_the_ledger_once() {
    let bank = open(&Airwallex);
    bank.advance(200);
    let mut movements = walk(&bank, MOVEMENTS, 37).await;
    let transfers = walk(&bank, TRANSFERS, 37).await;
    let told_twice: Vec<_> = movements.extract_if(.., |row| row["transaction_type"] == "PAYOUT").collect();
    let sources = each_once(texts(&Value::from(told_twice), "/source_id"));
    assert_eq!(
        sources,
        each_once(texts(&Value::from(transfers.clone()), "/id")),
        "each transfer moves money once"
    );
    let listed: BTreeMap<_, _> = movements
        .iter()
        .chain(&transfers)
        .map(|row| (row["id"].as_str().unwrap().to_owned(), canonical(row)))
        .collect();
    let truth = bank.truth();
    let expected: BTreeMap<_, _> = truth
        .transactions
        .iter()
        .map(|(id, one)| (id.clone(), (one.kind, one.status, one.asset.clone(), one.amount_minor)))
        .collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_window_goes_by_the_second_of_creation_and_includes_its_ends() {
    let bank = open(&Airwallex);
    let all = walk(&bank, TRANSFERS, 1_000).await;
    let (last, first) = (&all[20], &all[60]);
    // `+0000` is no RFC 3339, and a plus is a blank in a query
    let time = |row: &Value| row["created_at"].as_str().unwrap().replace("+0000", "Z");
    let path =
        format!("{TRANSFERS}?page_size=1000&from_created_at={}&to_created_at={}", time(first), time(last));
    let window = get(&bank, &path).await.ok();
    assert_eq!(window["items"].as_array().unwrap()[..], all[20..=60]);
    assert_eq!(get(&bank, &format!("{TRANSFERS}?page_num=2001")).await.status, 400);
}

#[tokio::test]
async fn balances_follow_from_what_was_settled() {
    let bank = open(&Airwallex);
    bank.advance(200);
    let balances = get(&bank, "/api/v1/balances/current").await.ok();
    for row in balances.as_array().unwrap() {
        let currency = currency(row, "currency");
        let minor = |member: &str| currency.minor(&row[member].to_string()).unwrap();
        assert_eq!(minor("total_amount"), bank.truth().accounts[currency.code].balance_minor);
        assert_eq!(minor("available_amount") + minor("reserved_amount"), minor("total_amount"));
    }
    let beneficiaries = walk(&bank, "/api/v1/beneficiaries", 3).await;
    let expected: Vec<_> = bank.truth().beneficiaries.into_keys().collect();
    assert_eq!(each_once(texts(&Value::from(beneficiaries), "/id")), expected);
}

#[tokio::test]
async fn both_sides_of_a_conversion_name_the_same_pair_and_source() {
    let bank = open(&Airwallex);
    let all = walk(&bank, MOVEMENTS, 1_000).await;
    let sold = all.iter().find(|row| row["transaction_type"] == "CONVERSION_SELL").unwrap();
    let is_other = |row: &&Value| row["source_id"] == sold["source_id"] && row["id"] != sold["id"];
    let bought = all.iter().find(is_other).unwrap();
    let text = |row: &Value| row["currency"].as_str().unwrap().to_owned();
    assert_eq!(sold["currency_pair"], format!("{}{}", text(bought), text(sold)));
    assert_eq!(sold["currency_pair"], bought["currency_pair"]);
}

#[tokio::test]
async fn a_login_gives_a_token_that_ends() {
    let clock = crate::kit::ManualClock::new(noon());
    let oauth = OAuth {
        client_id: "client".to_owned(),
        client_secret: "key".to_owned(),
        refresh_token: String::new(),
        lifetime_seconds: 1_800,
        rotates: false,
    };
    let config = StandinConfig { oauth: Some(oauth), clock: Clock::Manual(clock.clone()), ..config() };
    let bank = Arc::new(Standin::new(&Airwallex, config).unwrap());
    let log_in = async |client: &str, key: &str| {
        let request = Request::post("/api/v1/authentication/login");
        let request = request.header("x-client-id", client).header("x-api-key", key);
        send(&bank, request.body(Body::empty()).unwrap()).await.unwrap()
    };
    for (client, key) in [("client", "other"), ("other", "key"), ("client", "")] {
        let refused = log_in(client, key).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json()["code"].as_str()),
            (401, Some("credentials_invalid"))
        );
    }
    let given = log_in("client", "key").await.ok();
    assert_eq!(given["expires_at"], "2026-03-01T12:30:00+0000");
    let token = given["token"].as_str().unwrap();
    get_with(&bank, TRANSFERS, token).await.ok();
    clock.advance(Duration::from_secs(1_800));
    assert_eq!(get_with(&bank, TRANSFERS, token).await.status, 401);
    // without tokens that end, the key of the API is the token
    let bank = open(&Airwallex);
    let request = Request::post("/api/v1/authentication/login").header("x-api-key", TOKEN);
    let given = send(&bank, request.body(Body::empty()).unwrap()).await.unwrap().ok();
    assert_eq!(given["token"], TOKEN);
}
