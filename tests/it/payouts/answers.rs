//! What a request to pay is answered with.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use serde_json::{Value, json};
use tributary::payments::Policy;
use tributary_domain::Status;
use tributary_standin::kit::PaymentFault;

use crate::support::TestApp;
use crate::support::app::read;
use crate::support::till::{Till, number, quick};

/// POSTs `body` to `/payouts`.
async fn post(app: &TestApp, body: &Value) -> (StatusCode, Value) {
    post_to(app, "/payouts", body.to_string()).await
}

async fn post_to(app: &TestApp, path: &str, body: String) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", app.connector_key))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .unwrap();
    read(app.call(request).await).await
}

fn order(till: &Till, key: &str, amount: &str) -> Value {
    json!({"idempotencyKey": key, "amount": amount, "currency": "GBP/2", "sourceAccountId": till.account,
           "destinationAccountId": till.payees[0], "description": "rent", "metadata": {"invoice": key}})
}

fn time(answer: &Value) -> DateTime<Utc> {
    answer["createdAt"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn s19_fifty_requests_of_one_key_on_two_instances_move_money_once() {
    let till = Till::open(Policy::GUARD).await;
    let (one, first) = till.instance("one", quick());
    let (two, second) = till.instance("two", quick());
    till.bank.set_payment_faults([PaymentFault::Late(Duration::from_millis(200))]);
    let body = order(&till, "k", "1500");
    let calls = (0..50).map(|i| post(if i % 2 == 0 { &one } else { &two }, &body));
    let answers = join_all(calls).await;
    let mut ids: Vec<&str> = Vec::new();
    for (status, answer) in &answers {
        match status.as_u16() {
            201 => ids.push(answer["id"].as_str().unwrap()),
            425 | 503 => {}
            other => panic!("{other}: {answer}"),
        }
    }
    assert!(!ids.is_empty());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1, "the same id in every 201");
    assert_eq!(till.bank.payment_requests(), 1, "one call upstream");
    assert_eq!(till.moved("k").await, 1);
    let (status, answer) = post(&one, &body).await;
    assert_eq!((status, answer["id"].as_str()), (StatusCode::CREATED, Some(ids[0])));
    first.drained().await;
    second.drained().await;
}

#[tokio::test]
async fn s20_the_same_key_is_the_same_order_only_with_the_same_content() {
    let till = Till::open(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let body = order(&till, "k", "1500");
    let (status, first) = post(&app, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    // other order of members, and 30 days later
    let turned = format!(
        r#"{{"metadata":{{"invoice":"k"}},"description":"rent","destinationAccountId":"{}","sourceAccountId":"{}",
            "currency":"GBP/2","amount":"1500","idempotencyKey":"k"}}"#,
        till.payees[0], till.account
    );
    app.sql("set session_replication_role = replica; update payment_orders set created_at = created_at - interval '30 days', status_at = status_at - interval '30 days'; set session_replication_role = origin").await;
    let (status, again) = post_to(&app, "/payouts", turned).await;
    assert_eq!((status, &again["id"]), (StatusCode::CREATED, &first["id"]));
    assert_eq!((again["status"].clone(), till.bank.payment_requests()), (json!("PENDING"), 1));
    for (member, value) in [
        ("amount", json!("1501")),
        ("currency", json!("EUR/2")),
        ("destinationAccountId", json!(till.payees[1])),
        ("description", json!("other")),
        ("metadata", json!({"invoice": "l"})),
    ] {
        let mut other = body.clone();
        other[member] = value;
        let (status, answer) = post(&app, &other).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{member}: {answer}");
        assert!(answer["Title"].is_string() && answer["Detail"].as_str().unwrap().contains("another order"));
    }
    assert_eq!(till.bank.payment_requests(), 1, "no call upstream");
    assert_eq!(number(&app.pool, "select count(*) from payment_refusals where status = 422").await, 5);
    // a transfer is another kind, which this provider cannot
    let mut transfer = body.clone();
    transfer["destinationAccountId"] = json!(till.account);
    let (status, answer) = post_to(&app, "/transfers", transfer.to_string()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "final for Formance: {answer}");
    assert!(answer["Detail"].as_str().unwrap().contains("transfers"));
    payments.drained().await;
}

#[tokio::test]
async fn s20_a_definite_refusal_can_be_tried_anew_by_a_person_and_not_by_a_repetition() {
    let till = Till::open(Duration::from_millis(500)).await;
    let (app, _) = till.instance("one", quick());
    till.bank.set_payment_faults([PaymentFault::Refuse("not enough money".to_owned())]);
    let body = order(&till, "k", "1500");
    let (status, refused) = post(&app, &body).await;
    assert_eq!((status, &refused["status"]), (StatusCode::CREATED, &json!("FAILED")));
    assert_eq!(refused["metadata"]["tributary.reason"], "not enough money");
    assert_eq!(refused["metadata"]["invoice"], "k");
    let (status, repeated) = post(&app, &body).await;
    assert_eq!((status, &repeated), (StatusCode::CREATED, &refused), "a repetition is told the same");
    assert_eq!(till.bank.payment_requests(), 1);
    // the guard is over
    tokio::time::sleep(Duration::from_millis(600)).await;
    till.bank.set_payment_outcome(Some(Status::Succeeded));
    let (status, retried) = post(&app, &body).await;
    assert_eq!((status, &retried["status"]), (StatusCode::CREATED, &json!("PENDING")), "{retried}");
    assert_eq!(retried["id"], refused["id"]);
    assert!(time(&retried) > time(&refused));
    assert_eq!((till.bank.payment_requests(), till.moved("k").await), (2, 1));
    let keys = till.bank_keys("k").await;
    assert!(keys.len() == 2 && keys[0] != keys[1], "another key for another attempt: {keys:?}");
    // and never a third
    tokio::time::sleep(Duration::from_millis(600)).await;
    post(&app, &body).await;
    assert_eq!(till.moved("k").await, 1);
}

#[tokio::test]
async fn s20_an_unknown_outcome_is_never_tried_anew() {
    let till = Till::open(Duration::ZERO).await;
    let (app, _) = till.instance("one", quick());
    till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    let body = order(&till, "k", "1500");
    for _ in 0..5 {
        let (status, answer) = post(&app, &body).await;
        assert_eq!((status, &answer["status"]), (StatusCode::CREATED, &json!("PENDING")));
    }
    assert_eq!(
        (till.state("k").await.as_str(), till.bank.payment_requests(), till.moved("k").await),
        ("unknown", 1, 1)
    );
}

#[tokio::test]
async fn what_is_no_order_is_refused_with_a_reason_that_the_operator_finds() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    for (member, value, about) in [
        ("amount", json!("0"), "amount"),
        ("amount", json!("10.50"), "amount"),
        ("amount", json!(10), "expected a string"),
        ("currency", json!("pounds"), "currency"),
        ("currency", json!("GBP/4"), "not what the provider counts in"),
        ("sourceAccountId", json!("unknown"), "there is no account"),
        ("destinationAccountId", json!("unknown"), "there is no account or beneficiary"),
        ("destinationAccountId", json!(till.account), "is the account that pays"),
        ("idempotencyKey", json!(""), "idempotencyKey"),
        ("idempotencyKey", json!("k".repeat(1001)), "at most 1000"),
        ("metadata", json!({"a": 1}), "expected a string"),
    ] {
        let mut body = order(&till, "k", "1500");
        body[member] = value;
        let (status, answer) = post(&app, &body).await;
        let unknown = about.starts_with("there is no account");
        let expected = if unknown { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        assert_eq!(status, expected, "{member}: {answer}");
        let detail = answer["Detail"].as_str().unwrap();
        assert!(detail.contains(about), "{about}: {detail}");
    }
    assert_eq!(post_to(&app, "/payouts", "{".to_owned()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(till.bank.payment_requests(), 0);
    assert_eq!(number(&app.pool, "select count(*) from payment_orders").await, 0);
    assert_eq!(number(&app.pool, "select count(*) from payment_refusals").await, 12);
    let (status, _) = post(&app, &order(&till, &"k".repeat(1000), "1500")).await;
    assert_eq!(status, StatusCode::CREATED, "a key of 1,000 characters is one");
}

#[tokio::test]
async fn every_change_of_an_order_is_audited_and_no_audit_is_changed() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    post(&app, &order(&till, "k", "1500")).await;
    let audit: Vec<(String, String)> = sqlx::query_as("select actor, what from payment_audit order by id")
        .fetch_all(&app.pool)
        .await
        .unwrap();
    let what: Vec<&str> = audit.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(what[..3], ["recorded", "about to send", "answered by the provider"]);
    assert!(audit.iter().all(|(actor, _)| actor == "one"), "{audit:?}");
    for sql in [
        "update payment_audit set actor = 'me'",
        "delete from payment_audit",
        "truncate payment_audit",
        "delete from payment_orders",
        "update payment_orders set amount = 1",
        "update payment_orders set idempotency_key = 'other'",
        "update payment_orders set provider_key = 'other'",
        "update payment_orders set request = request || '{\"url\": \"https://elsewhere.example/\"}'",
        "update payment_orders set request = jsonb_set(request, '{body}', '\"{}\"')",
    ] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&app.pool).await;
        assert!(refused.is_err(), "{sql}");
    }
    app.sql("update payment_orders set reason = 'by hand'").await;
    let last: (String, Value) =
        sqlx::query_as("select actor, after from payment_audit order by id desc limit 1")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert!(last.0.starts_with("sql "), "{}", last.0);
    assert_eq!(last.1, json!({"reason": "by hand"}));
}
