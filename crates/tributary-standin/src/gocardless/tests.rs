use std::sync::Arc;

use serde_json::Value;

use super::GoCardless;
use crate::kit::Standin;
use crate::kit::testing::*;
use tributary_domain::{Status, TransactionType};

/// All rows of a list, page by page.
async fn walk(standin: &Arc<Standin>, name: &str, query: &str) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let body = get(standin, &format!("/{name}?limit=50{query}{after}")).await.ok();
        all.extend(body[name].as_array().unwrap().iter().cloned());
        match body["meta"]["cursors"]["after"].as_str() {
            Some(id) => after = format!("&after={id}"),
            None => return all,
        }
    }
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_lists_hold_the_ledger() {
    let standin = open(&GoCardless);
    standin.advance(300);
    let mut listed = Vec::new();
    for name in ["payments", "refunds", "payouts"] {
        for row in walk(&standin, name, "").await {
            listed.push((name, row));
        }
    }
    let truth = standin.truth().transactions;
    let mut told = 0;
    for (name, row) in &listed {
        let Some(expected) = truth.get(row["id"].as_str().unwrap()) else {
            assert_eq!(*name, "refunds", "only a refund that is on its way is nothing yet: {row}");
            continue;
        };
        told += 1;
        assert_eq!(row["amount"].as_i64(), Some(expected.amount_minor));
        assert_eq!(format!("{}/2", row["currency"].as_str().unwrap()), expected.asset);
        assert_eq!(row["links"]["payment"].as_str(), expected.parent.as_deref(), "{row}");
    }
    assert_eq!(told, truth.len());
    each_once(listed.iter().map(|(_, row)| row["id"].as_str().unwrap().to_owned()).collect());
    for status in [Status::Refunded, Status::RefundReversed, Status::DisputeLost, Status::Cancelled] {
        assert!(truth.values().any(|one| one.status == status), "nothing is {status:?}");
    }
    let sole = |one: &&crate::kit::Expected| one.kind == TransactionType::Payout && one.parent.is_none();
    assert!(truth.values().filter(sole).count() > 0);
}

#[tokio::test]
async fn lists_go_newest_first_by_creation_and_windows_include_their_ends() {
    let standin = open(&GoCardless);
    let all = walk(&standin, "payments", "").await;
    let times: Vec<&str> = all.iter().map(|row| row["created_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one >= next));
    let since = walk(&standin, "payments", &format!("&created_at%5Bgte%5D={}", times[60])).await;
    assert_eq!(ids(&since), ids(&all[..=60]));
    let until = walk(&standin, "payments", &format!("&created_at%5Blte%5D={}", times[60])).await;
    assert_eq!(ids(&until), ids(&all[60..]));
}

#[tokio::test]
async fn one_record_comes_under_the_name_of_its_list() {
    let standin = open(&GoCardless);
    for name in ["payments", "refunds", "payouts"] {
        let row = walk(&standin, name, "").await.remove(0);
        let id = row["id"].as_str().unwrap();
        assert_eq!(get(&standin, &format!("/{name}/{id}")).await.ok()[name], row);
    }
}

#[tokio::test]
async fn balances_are_what_is_confirmed() {
    let standin = open(&GoCardless);
    standin.advance(100);
    for (id, account) in standin.truth().accounts {
        let body = get(&standin, &format!("/balances?creditor={id}")).await.ok();
        let rows = body["balances"].as_array().unwrap();
        let confirmed = rows.iter().find(|row| row["balance_type"] == "confirmed_funds").unwrap();
        assert_eq!(confirmed["amount"].as_i64(), Some(account.balance_minor));
    }
    let people = walk(&standin, "creditor_bank_accounts", "").await;
    assert_eq!(each_once(ids(&people)), standin.truth().beneficiaries.into_keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn errors_come_in_gocardlesss_words() {
    let standin = open(&GoCardless);
    for (path, token, status, kind) in [
        ("/payments", "wrong", 401, "invalid_api_usage"),
        ("/payments/PM1", TOKEN, 404, "invalid_api_usage"),
        ("/payments?limit=501", TOKEN, 422, "validation_failed"),
        ("/payments?after=PM1", TOKEN, 422, "validation_failed"),
        ("/payments?created_at%5Bgte%5D=then", TOKEN, 422, "validation_failed"),
    ] {
        let answer = get_with(&standin, path, token).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(answer.json()["error"]["type"], kind, "{path}");
    }
}
