//! A key that pushes records never decides about money: of an order at a provider that is pulled,
//! only what was read from the provider is news.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tributary::payments::Payments;
use tributary::records::{self, Batch};
use tributary_domain::{Resource, Status, parse_record};
use tributary_formance::kept::InitiationStatus;
use tributary_formance::{PaymentStatus, PaymentType};
use tributary_standin::kit::PaymentFault;

use crate::support::app::TestApp;
use crate::support::till::{Formance, Till, number, quick};

/// A till whose orders may be tried anew at once, an order of 1,500 that the bank has as pending,
/// and who saw it placed.
async fn placed() -> (Till, TestApp, Payments, Formance) {
    let till = Till::open(std::time::Duration::ZERO).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    formance.poll(&app).await;
    (till, app, payments, formance)
}

/// What a liar with a push key says of the order `k`, `with` its own words.
async fn lie(till: &Till, with: Value) -> Value {
    let mut record = json!({"id": "lie", "type": "PAYOUT", "status": "FAILED", "currency": "GBP/2",
        "amount": "1500", "orderReference": till.bank_keys("k").await[0],
        "createdAt": chrono::Utc::now().to_rfc3339()});
    let members = with.as_object().unwrap().clone();
    record.as_object_mut().unwrap().extend(members);
    record
}

#[tokio::test]
async fn a_pushed_failure_of_an_order_moves_no_money_again_after_retry() {
    for with in [
        json!({"amount": "1"}),
        json!({}),
        json!({"currency": "EUR/2"}),
        json!({"sourceAccountID": "another"}),
        json!({"status": "CANCELLED", "updatedAt": chrono::Utc::now().to_rfc3339()}),
    ] {
        let (till, one, _, mut formance) = placed().await;
        let answer = one.push("transactions", &[lie(&till, with.clone()).await]).await;
        formance.poll(&one).await;
        let (two, payments) = till.instance("two", quick());
        formance.move_to(&two).await;
        // Formance sends it again, whatever it shows
        let _ = formance.send(&till.initiation("k", 1500)).await;
        payments.worker().run_once().await.unwrap();
        assert_eq!(till.moved("k").await, 1, "{with}: money moved");
        assert_eq!(answer["quarantined"].as_array().unwrap().len(), 1, "{with}: {answer}");
        till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
        till.sync().await;
        formance.poll(&two).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed), "{with}");
    }
}

#[tokio::test]
async fn no_record_takes_the_id_of_an_order() {
    let (till, app, _, mut formance) = placed().await;
    let id: String =
        sqlx::query_scalar("select id::text from payment_orders").fetch_one(&app.pool).await.unwrap();
    for status in ["FAILED", "SUCCEEDED", "PENDING"] {
        let record = lie(&till, json!({"id": id, "status": status, "orderReference": null})).await;
        let answer = app.push("transactions", &[record]).await;
        let reason = answer["quarantined"][0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("the id of a payment that was ordered"), "{status}: {answer}");
    }
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
}

#[tokio::test]
async fn a_pushed_child_neither_fails_nor_ends_an_order() {
    let (till, app, _, mut formance) = placed().await;
    for (parent, status) in [("k", "FAILED"), ("k", "SUCCEEDED"), ("k", "REFUNDED"), ("k", "CANCELLED")] {
        let record = lie(
            &till,
            json!({"id": format!("child {status}"), "status": status, "orderReference": null,
                "relatedTransactionID": parent}),
        )
        .await;
        let answer = app.push("transactions", &[record]).await;
        assert_eq!(answer["quarantined"].as_array().unwrap().len(), 1, "{status}: {answer}");
        formance.poll(&app).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing), "{status}");
    }
}

#[tokio::test]
async fn a_pushed_record_that_waits_stays_a_pushed_one() {
    let till = Till::open(std::time::Duration::ZERO).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let item = till.bank.movements()[0].id.clone();
    // it names no order, but may be the movement of this one, and bears its id
    app.push("transactions", &[lie(&till, json!({"id": item, "orderReference": null})).await]).await;
    assert_eq!(number(&app.pool, "select count(*) from unmatched_records").await, 1);
    till.sync().await;
    till.carry_on(&payments, "k", &["pending"]).await;
    payments.worker().run_once().await.unwrap();
    till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
    till.sync().await;
    payments.worker().run_once().await.unwrap();
    assert_eq!(number(&app.pool, "select count(*) from unmatched_records").await, 0);
    assert_eq!(number(&app.pool, "select count(*) from quarantine").await, 1);
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    assert_eq!(till.moved("k").await, 1);
}

#[tokio::test]
async fn what_is_pushed_as_it_is_known_changes_nothing() {
    let (till, app, _, mut formance) = placed().await;
    let answer = app.push("transactions", &[lie(&till, json!({"status": "PENDING"})).await]).await;
    assert_eq!(answer, json!({"created": 0, "updated": 0, "unchanged": 1, "older": 0, "quarantined": []}));
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
    assert!(formance.kept.payment("lie", PaymentType::Payout).is_none());
    let body = serde_json::to_vec(&[lie(&till, json!({"amount": "7"})).await]).unwrap();
    let (status, _) = app.post("/ingest/transactions", "application/json", body).await;
    assert_eq!(status, StatusCode::OK, "the rest of a call flows");
}

/// Writes a record as a sync does.
async fn read_of_the_provider(app: &TestApp, record: &Value) {
    let record = parse_record(Resource::Transactions, record.to_string().as_bytes()).unwrap();
    let batch = Batch { records: vec![record], decides: true, ..Batch::default() };
    let mut transaction = tributary::store::begin(&app.pool).await.unwrap();
    records::write(&mut transaction, app.name(), Resource::Transactions, &batch).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_record_of_another_amount_leaves_the_order_to_a_person() {
    let (till, app, payments, mut formance) = placed().await;
    // the provider itself says so, under our key
    let item = till.bank.movements()[0].id.clone();
    let record = lie(&till, json!({"id": item, "status": "SUCCEEDED", "amount": "1400"})).await;
    read_of_the_provider(&app, &record).await;
    payments.worker().run_once().await.unwrap();
    assert_eq!(till.state("k").await, "parked");
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
    assert_eq!(number(&app.pool, "select count(*) from unmatched_records").await, 1, "the record waits, too");
    app.sql(&format!(
        "update payment_orders set state = 'succeeded', status = 'SUCCEEDED', provider_payment_id = '{item}'"
    ))
    .await;
    payments.worker().run_once().await.unwrap();
    assert_eq!(number(&app.pool, "select count(*) from unmatched_records").await, 0);
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    assert_eq!(formance.kept.payments().iter().filter(|payment| payment.key.identity == item).count(), 0);
}
