//! The movement in the provider's records is the payment that was ordered.

use tributary::payments::Policy;
use tributary_domain::Status;
use tributary_formance::PaymentStatus;
use tributary_formance::kept::InitiationStatus;
use tributary_standin::kit::PaymentFault;

use crate::support::edited;
use crate::support::till::{Formance, Till, number, quick, read_as, without_keys};

#[tokio::test]
async fn s22_an_order_is_in_the_transactions_before_anybody_hears_of_it() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let row = formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let rows = formance.poll(&app).await;
    let shown: Vec<_> = rows.iter().filter(|shown| shown.reference == row.reference).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].payment_reference(), "k");
    assert_eq!(shown[0].created_at.to_string(), row.created_at.to_string(), "the same status, the same date");
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
}

#[tokio::test]
async fn s23_the_records_of_the_provider_move_the_order_on_whenever_they_come() {
    for synced_before_poll in [true, false] {
        let till = Till::open(Policy::GUARD).await;
        let (app, _) = till.instance("one", quick());
        let mut formance = Formance::of(&app).await;
        formance.pay(&till.initiation("k", 1500)).await.unwrap();
        if !synced_before_poll {
            formance.poll(&app).await;
        }
        till.sync().await;
        formance.poll(&app).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
        till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
        let tally = till.sync().await;
        assert_eq!(tally.of_orders, 1, "what a record says of an order is counted as its news: {tally:?}");
        formance.poll(&app).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
        till.bank.move_payment(&till.bank_keys("k").await[0], Status::Refunded);
        till.sync().await;
        formance.poll(&app).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Refunded, InitiationStatus::Reversed));
        assert_eq!(till.moved("k").await, 1);
    }
}

/// Formance puts the statuses of an order in the order of their dates, whatever it hears first.
#[tokio::test]
async fn each_status_is_dated_at_least_5_s_after_the_one_before() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let row = formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let date = |text: String| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let mut last = date(row.created_at.to_string());
    for status in [Status::Succeeded, Status::Refunded] {
        till.bank.move_payment(&till.bank_keys("k").await[0], status);
        till.sync().await;
        let rows = formance.poll(&app).await;
        let shown = rows.iter().rfind(|shown| shown.payment_reference() == "k").unwrap();
        let dated = date(shown.created_at.to_string());
        assert!(dated >= last + chrono::TimeDelta::seconds(5), "{status:?}: {dated} after {last}");
        last = dated;
    }
}

#[tokio::test]
async fn s23_a_payment_that_is_said_to_have_failed_after_it_arrived_is_shown_as_come_back() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let key = till.bank_keys("k").await.remove(0);
    till.bank.move_payment(&key, Status::Succeeded);
    till.sync().await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    till.bank.move_payment(&key, Status::Failed);
    for _ in 0..2 {
        till.sync().await;
        formance.poll(&app).await;
        assert_eq!(formance.shows("k"), (PaymentStatus::Refunded, InitiationStatus::Reversed));
    }
    assert_eq!((till.state("k").await.as_str(), till.moved("k").await), ("succeeded", 1));
}

#[tokio::test]
async fn s23_a_payment_that_is_declined_later_fails_its_initiation() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    formance.poll(&app).await;
    till.bank.move_payment(&till.bank_keys("k").await[0], Status::Failed);
    till.sync().await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Failed, InitiationStatus::Failed));
}

#[tokio::test]
async fn a_late_or_repeated_sync_changes_nothing_of_what_was_told() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
    till.sync().await;
    formance.poll(&app).await;
    let told = number(&app.pool, "select count(*) from feed where resource = 'transactions'").await;
    // everything is read again, and written again
    app.sql("delete from sync_cursors; delete from sync_open_records").await;
    till.sync().await;
    assert!(formance.poll(&app).await.is_empty());
    assert_eq!(number(&app.pool, "select count(*) from feed where resource = 'transactions'").await, told);
    // even where the row itself is lost and made again
    app.sql("delete from transactions where type = 'PAYOUT' and related_transaction_id = 'k'").await;
    app.sql("update payment_orders set provider_updated_at = provider_updated_at - interval '1 hour'").await;
    app.sql("delete from sync_cursors").await;
    till.sync().await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    let adjustments =
        &formance.kept.payment("k", tributary_formance::PaymentType::Payout).unwrap().adjustments;
    assert_eq!(adjustments.len(), 2, "{adjustments:#?}");
}

#[tokio::test]
async fn a_record_that_may_be_the_movement_waits_until_that_is_known() {
    let mut till = Till::open(Policy::GUARD).await;
    // a bank whose records do not repeat the key
    till.change(|manifest| read_as(manifest, without_keys));
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    till.sync().await;
    assert_eq!(number(&app.pool, "select count(*) from unmatched_records").await, 1);
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
    // a look finds it; what waited is news of the order
    till.carry_on(&payments, "k", &["pending"]).await;
    till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
    till.sync().await;
    payments.worker().run_once().await.unwrap();
    assert_eq!(number(&app.pool, "select count(*) from unmatched_records").await, 0);
    till.sync().await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    assert_eq!(till.moved("k").await, 1);
}

#[tokio::test]
async fn a_refund_that_names_the_providers_id_belongs_to_the_order() {
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
    till.sync().await;
    let item = till.bank.movements()[0].id.clone();
    let refund = serde_json::json!({"id": "refund-1", "relatedTransactionID": item, "type": "PAYIN", "status": "REFUNDED",
        "currency": "GBP/2", "amount": "500", "createdAt": chrono::Utc::now().to_rfc3339()});
    app.push("transactions", &[refund]).await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Refunded, InitiationStatus::Reversed));
    let payment = formance.kept.payment("k", tributary_formance::PaymentType::Payout).unwrap();
    assert_eq!(payment.amount.as_str(), "1000");
}

#[tokio::test]
async fn the_providers_own_id_in_order_reference_makes_one_payment_of_an_order() {
    let mut till = Till::open(Policy::GUARD).await;
    // records under ids of their own, which refer to the id that a look tells
    let other_ids = |file: &str| {
        let file =
            edited(file, "\n    id: .feedItemUid\n    created:", "\n    id: tx_{feedItemUid}\n    created:");
        edited(&file, "order: { key: .reference, where: $out, always: true }", "order: .feedItemUid")
    };
    till.change(|manifest| read_as(manifest, other_ids));
    for (key, synced_first) in [("looked at first", false), ("read first", true)] {
        let (app, payments) = till.instance("one", quick());
        let mut formance = Formance::of(&app).await;
        formance.pay(&till.initiation(key, 1500)).await.unwrap();
        if synced_first {
            till.sync().await;
        }
        till.bank.move_payment(&till.bank_keys(key).await[0], Status::Succeeded);
        till.carry_on(&payments, key, &["succeeded"]).await;
        till.sync().await;
        payments.worker().run_once().await.unwrap();
        formance.poll(&app).await;
        assert_eq!(formance.shows(key), (PaymentStatus::Succeeded, InitiationStatus::Processed), "{key}");
        let ours = till.movements(key).await[0].id.clone();
        let other = formance.kept.payments().iter().any(|payment| payment.key.identity.contains(&ours));
        assert!(!other, "{key}: one payment in Formance");
    }
}
