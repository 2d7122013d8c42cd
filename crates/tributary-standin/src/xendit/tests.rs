use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::Xendit;
use crate::kit::testing::*;
use crate::kit::{Faults, Standin, When};
use tributary_domain::Status;

/// All transactions of a currency, with further parameters.
async fn walk(bank: &Arc<Standin>, code: &str, with: &str) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/transactions?currency={code}&limit=37{with}{after}");
        let page = get(bank, &path).await.ok();
        all.extend(page["data"].as_array().unwrap().iter().cloned());
        if page["has_more"] != true {
            return all;
        }
        after = format!("&after_id={}", all.last().unwrap()["id"].as_str().unwrap());
        assert!(page["links"][0]["href"].as_str().unwrap().ends_with(&after[1..]));
    }
}

fn status(word: &str) -> Status {
    match word {
        "PENDING" => Status::Pending,
        "SUCCESS" => Status::Succeeded,
        "FAILED" => Status::Failed,
        "VOIDED" => Status::Cancelled,
        "REVERSED" => Status::Refunded,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_currencies_walks_give_every_transaction_of_the_ledger_once_as_it_is() {
    let bank = open(&Xendit);
    bank.advance(100);
    let mut listed = BTreeMap::new();
    for (code, decimals) in [("PHP", 2), ("VND", 0)] {
        let all = walk(&bank, code, "").await;
        assert!(all.is_sorted_by(|a, b| a["created"].as_str() >= b["created"].as_str()), "newest first");
        for row in all {
            let is = (status(row["status"].as_str().unwrap()), minor(&row["amount"].to_string(), decimals));
            assert!(listed.insert(row["id"].as_str().unwrap().to_owned(), is).is_none(), "twice: {row}");
        }
        let balance = get(&bank, &format!("/balance?account_type=CASH&currency={code}")).await.ok();
        let held = minor(&balance["balance"].to_string(), decimals);
        assert_eq!(held, bank.truth().accounts[code].balance_minor);
    }
    let truth = bank.truth();
    let expected: BTreeMap<_, _> =
        truth.transactions.iter().map(|(id, one)| (id.clone(), (one.status, one.amount_minor))).collect();
    assert!(listed.len() > 400 && listed == expected);
}

#[tokio::test]
async fn who_has_several_currencies_has_to_say_which_and_the_key_is_a_user_without_a_password() {
    let bank = open(&Xendit);
    let refused = get(&bank, "/transactions").await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error_code"]),
        (400, &json!("API_VALIDATION_ERROR"))
    );
    assert_eq!(get(&bank, "/balance?currency=USD").await.status, 400);
    let bearer = axum::http::Request::get("/balance").header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(send(&bank, bearer.body(axum::body::Body::empty()).unwrap()).await.unwrap().status, 401);
}

#[tokio::test]
async fn what_changed_since_is_what_was_updated_then_or_later() {
    let bank = open(&Xendit);
    let all = walk(&bank, "PHP", "").await;
    let mut times: Vec<&str> = all.iter().map(|row| row["updated"].as_str().unwrap()).collect();
    times.sort_unstable();
    let since = times[times.len() / 2];
    let changed: BTreeSet<String> = walk(&bank, "PHP", &format!("&updated[gte]={since}"))
        .await
        .iter()
        .map(|row| row["id"].to_string())
        .collect();
    let expected = all.iter().filter(|row| row["updated"].as_str().unwrap() >= since);
    assert_eq!(changed, expected.map(|row| row["id"].to_string()).collect());
    assert!(changed.len() >= all.len() / 2 && changed.len() < all.len());
}

#[tokio::test]
async fn a_payout_is_found_by_its_reference_and_shown_by_its_transaction() {
    let bank = open(&Xendit);
    let payee = bank.truth().beneficiaries.into_keys().next().unwrap();
    let body = |member: &str, value: Value| {
        let channel = json!({"account_number": payee, "account_holder_name": "Ann"});
        let mut body = json!({"reference_id": "k", "channel_code": "PH_BDO", "channel_properties": channel,
                              "amount": 15.01, "currency": "PHP", "description": "Rent"});
        body[member] = value;
        body
    };
    let key = ("idempotency-key", "k");
    let none = get(&bank, "/v2/payouts?reference_id=k").await.ok();
    assert_eq!(none, json!([]));
    let first = post_with(&bank, "/v2/payouts", key, &body("amount", json!(15.01))).await.ok();
    assert_eq!((&first["status"], &first["amount"]), (&json!("ACCEPTED"), &json!(15.01)));
    let again = post_with(&bank, "/v2/payouts", key, &body("amount", json!(15.01))).await.ok();
    assert_eq!((&again["id"], bank.movements().len()), (&first["id"], 1));
    let another = post_with(&bank, "/v2/payouts", key, &body("currency", json!("VND"))).await;
    assert_eq!(another.status, 400, "no decimals: {}", another.text);
    let mut other = body("currency", json!("VND"));
    other["amount"] = json!(15);
    let another = post_with(&bank, "/v2/payouts", key, &other).await;
    assert_eq!((another.status.as_u16(), &another.json()["error_code"]), (409, &json!("DUPLICATE_ERROR")));
    bank.move_payment("k", Status::Succeeded);
    let found = get(&bank, "/v2/payouts?reference_id=k").await.ok();
    assert_eq!((&found[0]["id"], &found[0]["status"]), (&first["id"], &json!("SUCCEEDED")));
    let by_id = get(&bank, &format!("/v2/payouts/{}", first["id"].as_str().unwrap())).await.ok();
    assert_eq!(by_id, found[0]);
    let shown = walk(&bank, "PHP", "").await.remove(0);
    assert_eq!(
        (&shown["type"], &shown["reference_id"], &shown["product_id"], &shown["status"]),
        (&json!("DISBURSEMENT"), &json!("k"), &first["id"], &json!("SUCCESS"))
    );
    for (member, value) in [
        ("reference_id", json!("l")),
        ("channel_code", json!("")),
        ("channel_properties", json!({"account_number": "nobody", "account_holder_name": "Ann"})),
        ("unknown", json!(1)),
    ] {
        assert_eq!(post_with(&bank, "/v2/payouts", key, &body(member, value)).await.status, 400, "{member}");
    }
}

#[tokio::test]
async fn a_page_goes_on_behind_the_row_it_names_whatever_happened_meanwhile() {
    let bank = open(&Xendit);
    let ids = |page: &Value| texts(&page["data"], "/id");
    let changes_while_reading = Some(When::next(1).on("/transactions"));
    bank.set_faults(Faults { changes_while_reading, changes: 40, ..Faults::default() });
    let first = ids(&get(&bank, "/transactions?currency=PHP&limit=10").await.ok());
    let path = format!("/transactions?currency=PHP&limit=10&after_id={}", first[9]);
    let second = ids(&get(&bank, &path).await.ok());
    assert!(second.iter().all(|id| !first.contains(id)));
    assert_eq!(get(&bank, "/transactions?currency=PHP&after_id=txn_nothing").await.status, 400);
    assert_eq!(bank.fired().changes_while_reading, 40);
}
