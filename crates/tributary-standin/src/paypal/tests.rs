use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;

use super::PayPal;
use crate::kit::money;
use crate::kit::testing::*;
use crate::kit::times::{DAY_US, micros};
use crate::kit::{OAuth, Standin, StandinConfig};
use tributary_domain::Status;

/// The path of a window that ends now and began so many days ago.
fn window(days: i64, size: usize, page: usize) -> String {
    let now_us = noon().timestamp_micros();
    let (start, end) = (micros(now_us - days * DAY_US), micros(now_us));
    format!("/v1/reporting/transactions?start_date={start}&end_date={end}&page_size={size}&page={page}")
}

async fn walk(bank: &Arc<Standin>, days: i64, size: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for number in 1.. {
        let page = get(bank, &window(days, size, number)).await.ok();
        all.extend(
            page["transaction_details"].as_array().unwrap().iter().map(|row| row["transaction_info"].clone()),
        );
        if page["page"].as_u64() >= page["total_pages"].as_u64() {
            break;
        }
    }
    all
}

fn lately() -> Arc<Standin> {
    Arc::new(Standin::new(&PayPal, StandinConfig { history_days: 30, ..config() }).unwrap())
}

#[tokio::test]
async fn a_search_gives_every_transaction_of_the_window_once_as_it_is() {
    let bank = lately();
    let listed: BTreeMap<_, _> = walk(&bank, 31, 37)
        .await
        .iter()
        .filter(|row| row["transaction_event_code"] != "T1107" || row["transaction_status"] != "P")
        .map(|row| {
            let amount = &row["transaction_amount"];
            let all = [&money::USD, &money::EUR, &money::JPY];
            let currency = all.into_iter().find(|one| amount["currency_code"] == one.code).unwrap();
            let status = match (row["transaction_event_code"].as_str(), row["transaction_status"].as_str()) {
                (Some("T1107"), Some("S")) => Status::Refunded,
                (Some("T1107"), _) => Status::RefundedFailure,
                (_, Some("S")) => Status::Succeeded,
                (_, Some("D")) => Status::Failed,
                (_, Some("V")) => Status::Refunded,
                _ => Status::Pending,
            };
            let minor = currency.minor(amount["value"].as_str().unwrap()).unwrap().abs();
            (row["transaction_id"].as_str().unwrap().to_owned(), (status, currency.asset(), minor))
        })
        .collect();
    let truth = bank.truth();
    let expected: BTreeMap<_, _> = truth
        .transactions
        .iter()
        .map(|(id, one)| (id.clone(), (one.status, one.asset.clone(), one.amount_minor)))
        .collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_window_that_is_too_long_or_holds_too_many_is_refused() {
    let bank = lately();
    for (days, size, name) in [(32, 500, "INVALID_REQUEST"), (31, 5, "RESULTSET_TOO_LARGE")] {
        let refused = get(&bank, &window(days, size, 1)).await;
        assert_eq!((refused.status.as_u16(), refused.json()["name"].as_str()), (400, Some(name)));
    }
    get(&bank, &window(2, 5, 1)).await.ok();
    assert_eq!(get(&bank, "/v1/reporting/transactions?start_date=2026-02-01").await.status, 400);
}

#[tokio::test]
async fn one_transaction_is_found_by_its_id_and_balances_follow_from_all() {
    let bank = lately();
    bank.advance(100);
    let row = &walk(&bank, 31, 500).await[17];
    let path = format!("{}&transaction_id={}", window(31, 500, 1), row["transaction_id"].as_str().unwrap());
    let found = get(&bank, &path).await.ok();
    assert_eq!(
        (&found["transaction_details"][0]["transaction_info"], &found["total_items"]),
        (row, &1.into())
    );
    let balances = get(&bank, "/v1/reporting/balances").await.ok();
    for row in balances["balances"].as_array().unwrap() {
        let all = [&money::USD, &money::EUR, &money::JPY];
        let currency = all.into_iter().find(|one| row["currency"] == one.code).unwrap();
        let total = currency.minor(row["total_balance"]["value"].as_str().unwrap()).unwrap();
        assert_eq!(total, bank.truth().accounts[currency.code].balance_minor);
    }
}

#[tokio::test]
async fn a_client_gets_a_token_for_itself() {
    let oauth = OAuth {
        client_id: "client".to_owned(),
        client_secret: "secret".to_owned(),
        refresh_token: "unused".to_owned(),
        lifetime_seconds: 32_400,
        rotates: false,
    };
    let bank = Arc::new(Standin::new(&PayPal, StandinConfig { oauth: Some(oauth), ..config() }).unwrap());
    let ask = async |bank: &Arc<Standin>, secret: &str, form: &'static str| {
        use base64::Engine as _;
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("client:{secret}"));
        let request =
            Request::post("/v1/oauth2/token").header(header::AUTHORIZATION, format!("Basic {basic}"));
        send(bank, request.body(Body::from(form)).unwrap()).await.unwrap()
    };
    assert_eq!(ask(&bank, "other", "grant_type=client_credentials").await.status, 400);
    assert_eq!(ask(&bank, "secret", "grant_type=password").await.status, 400);
    let given = ask(&bank, "secret", "grant_type=client_credentials").await.ok();
    get_with(&bank, "/v1/reporting/balances", given["access_token"].as_str().unwrap()).await.ok();
    // without tokens that end, the secret is the token
    let bank = open(&PayPal);
    assert_eq!(ask(&bank, TOKEN, "grant_type=client_credentials").await.ok()["access_token"], TOKEN);
    assert_eq!(ask(&bank, "other", "grant_type=client_credentials").await.status, 400);
}
