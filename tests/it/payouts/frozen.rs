//! What was approved is what is sent, whatever became of the parties' names, their metadata and the
//! provider's file since.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tributary::payments::{Payments, Policy};
use tributary_domain::{Amount, Status};
use tributary_formance::{Movement, PaymentStatus};
use tributary_manifest::Manifest;
use tributary_standin::kit::{self, PaymentFault};

use crate::providers::shipped::{AIRWALLEX, MERCURY, PAYSTACK, REVOLUT, STARLING, STRIPE, Shipped};
use crate::support::TestApp;
use crate::support::till::{Formance, TOKEN, Till, number, quick};

/// A till at which everything has to be approved, with an order of 1,500 that waits for that.
async fn held_at(shipped: Shipped, guard: Duration) -> (Till, TestApp, Formance) {
    let mut till = Till::at(shipped, Movement::Payout, guard).await;
    let nothing = Some(Amount::parse("amount", "0").unwrap());
    till.policy.limits.get_mut(&till.asset).unwrap().require_approval_above = nothing;
    let (app, _) = till.instance("one", quick());
    let mut formance = till.formance(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    assert_eq!(till.state("k").await, "held");
    (till, app, formance)
}

async fn approve(till: &Till) -> Payments {
    till.approve("k").await;
    till.payments("two", quick())
}

async fn request(till: &Till) -> Value {
    let request = sqlx::query_scalar("select request from payment_orders where idempotency_key = 'k'");
    request.fetch_one(&till.app.pool).await.unwrap()
}

#[tokio::test]
async fn what_becomes_of_the_parties_after_the_order_changes_nothing_of_what_is_sent() {
    for (shipped, change) in [
        // the category that the money leaves from is in the path
        (STARLING, "update accounts set metadata = metadata || '{\"defaultCategory\": \"elsewhere\"}'"),
        // the account of the counterparty that the money goes to is in the body
        (REVOLUT, "update beneficiaries set metadata = metadata || '{\"receiverAccountId\": \"elsewhere\"}'"),
        (MERCURY, "update beneficiaries set name = 'Mallory'"),
        (STARLING, "delete from beneficiaries"),
    ] {
        let (till, app, mut formance) = held_at(shipped, Policy::GUARD).await;
        assert!(app.sql(change).await > 0, "{change}");
        let before = request(&till).await;
        let payments = approve(&till).await;
        till.carry_on(&payments, "k", &["pending"]).await;
        let moved: Vec<i64> = till.movements("k").await.iter().map(|moved| moved.amount_minor).collect();
        assert_eq!((moved, request(&till).await), (vec![1500], before), "{change}");
        // and it is looked for as it was ordered
        till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
        till.carry_on(&payments, "k", &["succeeded"]).await;
        formance.poll(&app).await;
        assert_eq!(formance.shows("k").0, PaymentStatus::Succeeded, "{change}");
    }
}

#[tokio::test]
async fn what_the_file_says_after_the_order_changes_nothing_of_what_is_sent() {
    let (mut till, ..) = held_at(STARLING, Policy::GUARD).await;
    till.change(|manifest| {
        let request = &mut manifest.payouts.as_mut().unwrap().request;
        let body = request.body.as_mut().unwrap();
        *body = body.replace("($minor\n)", "999999");
        assert!(body.contains("999999"));
        request.path = request.path.replace("/local/", "/elsewhere/");
    });
    let payments = approve(&till).await;
    till.carry_on(&payments, "k", &["pending"]).await;
    let moved: Vec<i64> = till.movements("k").await.iter().map(|moved| moved.amount_minor).collect();
    assert_eq!(moved, [1500]);
}

/// Approves an order after `change` of the file; gives why it waits for a person then.
async fn parks(change: impl FnOnce(&mut Manifest)) -> String {
    let (mut till, ..) = held_at(STARLING, Policy::GUARD).await;
    till.change(change);
    let payments = approve(&till).await;
    till.carry_on(&payments, "k", &["parked"]).await;
    assert_eq!(till.bank.payment_requests(), 0, "nothing was sent");
    let reason = sqlx::query_scalar("select reason from payment_orders").fetch_one(&till.app.pool);
    reason.await.unwrap()
}

#[tokio::test]
async fn what_may_not_go_where_it_was_to_go_any_more_is_left_to_a_person() {
    let elsewhere = kit::start(Arc::clone(&Till::open(Policy::GUARD).await.bank)).await.unwrap();
    let reason = parks(|manifest| manifest.base_url = elsewhere.url.clone()).await;
    assert!(reason.contains("can no longer be sent") && reason.contains("allow_hosts"), "{reason}");
    let reason = parks(|manifest| manifest.auth = serde_json::from_str("\"none\"").unwrap()).await;
    assert!(reason.contains("no longer says how to prove who sends it"), "{reason}");
}

#[tokio::test]
async fn what_is_kept_of_a_request_holds_no_credential_and_is_shown_to_whoever_approves_it() {
    for shipped in [STARLING, AIRWALLEX, MERCURY, REVOLUT, PAYSTACK, STRIPE] {
        let (till, app, _) = held_at(shipped, Policy::GUARD).await;
        let key = till.bank_keys("k").await.remove(0);
        let kept = request(&till).await;
        assert!(kept["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{kept}");
        assert!(kept["body"].as_str().unwrap().contains(&key), "{kept}");
        let rows = "select string_agg(o::text, '') || (select string_agg(a::text, '') from payment_audit a) from payment_orders o";
        let rows: String = sqlx::query_scalar(rows).fetch_one(&app.pool).await.unwrap();
        for secret in [TOKEN, "refresh-token-of-the-test", "key-of-the-test", "Bearer", "BEGIN"] {
            assert!(!rows.contains(secret), "{secret} in {rows}");
        }
    }
}

#[tokio::test]
async fn another_attempt_keeps_a_request_of_its_own() {
    let mut till = Till::open(Duration::ZERO).await;
    till.bank.set_payment_faults([PaymentFault::Refuse("not today".to_owned())]);
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let first = request(&till).await;
    app.sql("update beneficiaries set name = 'Another name'").await;
    till.change(|manifest| {
        manifest.payouts.as_mut().unwrap().request.headers.extend([("X-New".to_owned(), "1".to_owned())])
    });
    let (app, _) = till.instance("two", quick());
    formance.move_to(&app).await;
    formance.poll(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let second = request(&till).await;
    assert_eq!(second["order"]["destination"]["name"], "Another name");
    assert_eq!((second["headers"][0][0].as_str(), first["headers"][0][0].as_str()), (Some("x-new"), None));
    let keys = till.bank_keys("k").await;
    assert_eq!(
        (first["order"]["key"].as_str(), second["order"]["key"].as_str()),
        (Some(&*keys[0]), Some(&*keys[1]))
    );
    assert_eq!(till.moved("k").await, 1);
    assert_eq!(number(&app.pool, "select count(*) from payment_orders").await, 1);
}
