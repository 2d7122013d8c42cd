//! What is particular to the providers that ship: each pays as its own API wants to be asked.

use std::time::Duration;

use tributary::payments::{PaymentSecret, Policy};
use tributary_domain::Status;
use tributary_formance::kept::InitiationStatus;
use tributary_formance::{Initiation, Movement, PaymentStatus};
use tributary_standin::kit::PaymentFault;

use crate::providers::shipped::{AIRWALLEX, MERCURY, PAYSTACK, REVOLUT, STRIPE, Shipped, WISE, XENDIT};
use crate::support::till::{Till, now, number, quick};

/// Everything that can be ordered at them.
const WAYS: [(Shipped, Movement); 9] = [
    (AIRWALLEX, Movement::Payout),
    (MERCURY, Movement::Payout),
    (MERCURY, Movement::Transfer),
    (REVOLUT, Movement::Payout),
    (REVOLUT, Movement::Transfer),
    (PAYSTACK, Movement::Payout),
    (STRIPE, Movement::Payout),
    (WISE, Movement::Payout),
    (XENDIT, Movement::Payout),
];

async fn open(shipped: Shipped, movement: Movement) -> Till {
    Till::at(shipped, movement, Policy::GUARD).await
}

/// How many payments Formance has that were not ordered.
async fn others(till: &Till) -> i64 {
    number(
        &till.app.pool,
        "select count(distinct (coalesce(related_transaction_id, id), type)) from transactions t
         where not exists (select from payment_orders o where o.idempotency_key = t.related_transaction_id)",
    )
    .await
}

#[tokio::test]
async fn the_records_of_each_provider_move_its_orders_on_and_show_one_payment() {
    for (shipped, movement) in WAYS {
        let till = open(shipped, movement).await;
        let before = others(&till).await;
        let (app, payments) = till.instance("one", quick());
        let mut formance = till.formance(&app).await;
        formance.pay(&till.initiation("k", 1501)).await.unwrap();
        till.sync().await;
        formance.poll(&app).await;
        if movement == Movement::Payout {
            assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
            till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
            till.sync().await;
            formance.poll(&app).await;
        }
        assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
        assert_eq!(others(&till).await, before, "a movement is one payment");
        if movement == Movement::Payout {
            till.bank.move_payment(&till.bank_keys("k").await[0], Status::Refunded);
            till.sync().await;
            formance.poll(&app).await;
            assert_eq!(formance.shows("k"), (PaymentStatus::Refunded, InitiationStatus::Reversed));
        }
        let moved = till.movements("k").await;
        assert_eq!(moved.iter().map(|moved| moved.amount_minor).collect::<Vec<_>>(), [1501]);
        payments.drained().await;
    }
}

#[tokio::test]
async fn a_database_that_forgot_an_order_does_not_pay_it_twice() {
    for (shipped, movement) in WAYS {
        let till = open(shipped, movement).await;
        let (app, first) = till.instance("one", quick());
        till.formance(&app).await.pay(&till.initiation("k", 1501)).await.unwrap();
        first.drained().await;
        // a backup from before the order is put back, and the order is sent again
        let restored = till.anew().await;
        let (app, payments) = restored.instance("two", quick());
        let mut formance = restored.formance(&app).await;
        let row = formance.pay(&restored.initiation("k", 1501)).await.unwrap();
        assert_ne!(row.payment().status, PaymentStatus::Failed, "the money moved");
        restored.carry_on(&payments, "k", &["pending", "succeeded"]).await;
        assert_eq!((till.bank.payment_requests(), till.bank.movements().len()), (2, 1));
        formance.poll(&app).await;
        formance.shows("k");
    }
}

#[tokio::test]
async fn two_deployments_on_one_bank_account_do_not_take_each_others_orders_for_their_own() {
    for (shipped, movement) in WAYS {
        let till = open(shipped, movement).await;
        let mut staging = till.anew().await;
        staging.secret = PaymentSecret::parse(&PaymentSecret::generate()).unwrap();
        for deployment in [&till, &staging] {
            let (app, payments) = deployment.instance("one", quick());
            let row = deployment.formance(&app).await.pay(&deployment.initiation("k", 1501)).await.unwrap();
            assert_ne!(row.payment().status, PaymentStatus::Failed);
            deployment.carry_on(&payments, "k", &["pending", "succeeded"]).await;
            assert_eq!(deployment.moved("k").await, 1);
        }
        let keys = [till.bank_keys("k").await, staging.bank_keys("k").await];
        assert!(keys[0] != keys[1] && till.bank.movements().len() == 2, "{keys:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_ordered_there_is_refused_before_anything_is_sent() {
    for (shipped, movement) in WAYS {
        let till = open(shipped, movement).await;
        let (app, _) = till.instance("one", quick());
        let mut formance = till.formance(&app).await;
        let good = till.initiation("k", 1501);
        let wrong_asset =
            ["USD/4", "JPY/2"].map(|asset| Initiation { asset: asset.to_owned(), ..good.clone() });
        let truth = till.bank.truth();
        let other = match movement {
            Movement::Payout => truth.accounts.keys().find(|id| **id != till.account),
            Movement::Transfer => truth.beneficiaries.keys().next(),
        };
        let wrong_whom = Initiation { destination: other.unwrap().clone(), ..good.clone() };
        for (order, about) in
            wrong_asset.iter().map(|order| (order, "currency")).chain([(&wrong_whom, "destinationAccountId")])
        {
            let order = Initiation { reference: format!("{about} {}", order.asset), ..order.clone() };
            let refused = formance.pay(&order).await.unwrap_err();
            assert!(refused.class().is_final() && refused.to_string().contains(about), "{about}: {refused}");
        }
        assert_eq!(till.bank.payment_requests(), 0);
        formance.pay(&good).await.unwrap();
        assert_eq!(till.bank.payment_requests(), 1);
    }
}

#[tokio::test]
async fn a_transfer_at_a_provider_that_knows_no_accounts_is_refused_for_good() {
    let till = open(PAYSTACK, Movement::Payout).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = till.formance(&app).await;
    formance.movement = Movement::Transfer;
    assert!(formance.kept.initiate("k", now()));
    let refused = formance.send(&till.initiation("k", 1501)).await.unwrap_err();
    assert!(refused.class().is_final() && refused.to_string().contains("403"), "{refused}");
}

#[tokio::test]
async fn mercury_refuses_a_payment_like_one_of_the_same_day_and_formance_is_told_why() {
    let till = open(MERCURY, Movement::Payout).await;
    till.bank.allow_alike(false);
    let (app, _) = till.instance("one", quick());
    let mut formance = till.formance(&app).await;
    for key in ["one", "two"] {
        formance.pay(&till.initiation(key, 1501)).await.unwrap();
    }
    formance.poll(&app).await;
    assert_eq!(formance.shows("one"), (PaymentStatus::Pending, InitiationStatus::Processing));
    assert_eq!(formance.shows("two"), (PaymentStatus::Failed, InitiationStatus::Failed));
    let reason: String = sqlx::query_scalar("select reason from payment_orders where state = 'failed'")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert!(reason.contains("duplicate"), "{reason}");
    assert_eq!(till.bank.movements().len(), 1);
}

#[tokio::test]
async fn a_key_that_mercury_knows_tells_of_its_payment_even_if_the_list_does_not() {
    let till = open(MERCURY, Movement::Payout).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = till.formance(&app).await;
    // the money moves, which the list shows late
    till.bank.hide_payments(true);
    till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    formance.pay(&till.initiation("k", 1501)).await.unwrap();
    till.carry_on(&payments, "k", &["pending"]).await;
    assert_eq!((till.bank.payment_requests(), till.bank.movements().len()), (2, 1));
    till.bank.hide_payments(false);
    till.sync().await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
}

#[tokio::test]
async fn a_transfer_at_wise_that_was_drafted_and_not_funded_is_not_taken_for_paid() {
    let till = open(WISE, Movement::Payout).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = till.formance(&app).await;
    let before = others(&till).await;
    till.bank.set_payment_faults([PaymentFault::ErrorBefore]);
    formance.pay(&till.initiation("k", 1501)).await.unwrap();
    till.sync().await;
    assert_eq!(till.state("k").await, "unknown", "the draft that the list has proves nothing");
    assert_eq!((till.bank.movements().len(), others(&till).await), (0, before));
    // it is looked for, and funded then
    till.carry_on(&payments, "k", &["pending"]).await;
    assert_eq!((till.bank.payment_requests(), till.moved("k").await), (2, 1));
    till.sync().await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
    assert_eq!(others(&till).await, before, "a movement is one payment");
}

#[tokio::test]
async fn a_transfer_that_wise_has_funded_already_is_looked_at_and_not_failed() {
    let till = open(WISE, Movement::Payout).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = till.formance(&app).await;
    // the money moves, which Wise shows late: the second request meets a transfer that is funded
    till.bank.hide_payments(true);
    till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    formance.pay(&till.initiation("k", 1501)).await.unwrap();
    let asked = async {
        while till.bank.payment_requests() < 2 {
            payments.worker().run_once().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
    assert_ne!(till.state("k").await, "failed");
    till.bank.hide_payments(false);
    till.sync().await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Pending, InitiationStatus::Processing));
    assert_eq!(till.moved("k").await, 1);
}

#[tokio::test]
async fn half_a_list_proves_nothing_of_an_order() {
    let till = open(REVOLUT, Movement::Payout).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = till.formance(&app).await;
    till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    formance.pay(&till.initiation("k", 1501)).await.unwrap();
    // so much else happens that the payment is not on the page that is looked at
    till.bank.advance(4_000);
    let looked = "select count(*) from payment_orders where lookups >= 4 and state = 'unknown'";
    while number(&app.pool, looked).await == 0 {
        assert_eq!(till.state("k").await, "unknown");
        payments.worker().run_once().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((till.bank.payment_requests(), till.bank.movements().len()), (1, 1), "nothing is sent again");
    // the records tell
    till.sync().await;
    assert_ne!(till.state("k").await, "unknown");
}
