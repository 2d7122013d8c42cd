//! What may be paid, and who has to agree.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary::payments::{AssetLimit, Point, Policy};
use tributary::store::payment_orders;
use tributary_domain::{Amount, OrderState};
use tributary_formance::PaymentStatus;
use tributary_formance::kept::InitiationStatus;
use tributary_standin::kit::{Faults, PaymentFault, When};

use crate::support::logins::{self, ANN, BOB};
use crate::support::till::{Formance, Till, dead_at, died, now, number, quick};

async fn limited(guard: Duration) -> Till {
    let amount = |text| Some(Amount::parse("amount", text).unwrap());
    let mut till = Till::open(guard).await;
    let limit = AssetLimit {
        per_payment: amount("2000"),
        per_day: amount("3000"),
        require_approval_above: amount("1000"),
        approvals: None,
    };
    till.policy.limits = BTreeMap::from([("GBP/2".to_owned(), limit)]);
    till
}

#[tokio::test]
async fn more_than_a_payment_or_a_day_may_have_is_refused() {
    let till = limited(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let refused = formance.pay(&till.initiation("much", 2001)).await.unwrap_err();
    assert!(refused.to_string().contains("the limit of one payment"), "{refused}");
    for (key, pence) in [("a", 1000), ("b", 1000), ("c", 900)] {
        formance.pay(&till.initiation(key, pence)).await.unwrap();
    }
    let refused = formance.pay(&till.initiation("d", 101)).await.unwrap_err();
    assert!(refused.to_string().contains("2900 ordered today"), "{refused}");
    formance.pay(&till.initiation("e", 100)).await.unwrap();
    assert_eq!(till.bank.payment_requests(), 4);
    assert_eq!(number(&app.pool, "select count(*) from payment_refusals").await, 2);
}

#[tokio::test]
async fn what_has_to_be_approved_waits_for_a_person() {
    let till = limited(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    for key in ["yes", "no"] {
        formance.pay(&till.initiation(key, 1500)).await.unwrap();
    }
    formance.poll(&app).await;
    assert_eq!(formance.shows("yes"), (PaymentStatus::Pending, InitiationStatus::Processing));
    payments.worker().run_once().await.unwrap();
    assert_eq!((till.bank.payment_requests(), till.state("yes").await.as_str()), (0, "held"));
    let id = |key| payment_orders::of_idempotency_key(&app.pool, key);
    let (yes, no) = (id("yes").await.unwrap()[0].id, id("no").await.unwrap()[0].id);
    let ann = logins::person_pool(&app.url, ANN).await;
    let decided = payment_orders::approve(&ann, yes).await.unwrap().unwrap();
    assert_eq!((decided.state, decided.agreed, decided.needed), (OrderState::Recorded, 1, 1));
    let again = payment_orders::approve(&ann, yes).await.unwrap_err();
    assert!(again.refusal().unwrap().contains("is recorded and not held"), "once: {again}");
    assert!(payment_orders::reject(&ann, no, "not ours").await.unwrap());
    till.carry_on(&payments, "yes", &["pending"]).await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("no"), (PaymentStatus::Failed, InitiationStatus::Failed));
    assert_eq!((till.moved("yes").await, till.moved("no").await), (1, 0));
    let who = "select count(*) from payment_audit where actor = 'tributary_test_ann' and login = actor";
    assert_eq!(number(&app.pool, who).await, 3, "agreed, approved, rejected");
}

#[tokio::test]
async fn what_was_never_sent_can_be_rejected_and_what_may_have_been_cannot() {
    let till = Till::open(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    let ann = logins::person_pool(&app.url, ANN).await;
    let reject = async |key: &str| {
        let id = payment_orders::of_idempotency_key(&app.pool, key).await.unwrap()[0].id;
        payment_orders::reject(&ann, id, "never mind").await.unwrap()
    };
    // the bank looks at nothing
    till.bank.set_faults(Faults { rate_limited: Some(When::every(1)), ..Faults::default() });
    formance.pay(&till.initiation("unsent", 1500)).await.unwrap();
    till.carry_on(&payments, "unsent", &["recorded"]).await;
    assert!(reject("unsent").await);
    till.bank.set_faults(Faults::default());
    formance.poll(&app).await;
    assert_eq!(formance.shows("unsent"), (PaymentStatus::Failed, InitiationStatus::Failed));
    // who is about to send may do so
    for point in [Point::Recorded, Point::Sending, Point::Sent] {
        let (settings, dead) = dead_at(point);
        let (dying, _) = till.instance("dying", settings);
        formance.move_to(&dying).await;
        assert!(formance.kept.initiate(point.as_str(), now()));
        let initiation = till.initiation(point.as_str(), 1500);
        tokio::select! {
            () = died(&dead) => {}
            _ = formance.send(&initiation) => died(&dead).await,
        }
        assert!(!reject(point.as_str()).await, "{point:?}");
    }
    // nobody sends what was rejected
    for point in [Point::Recorded, Point::Sending, Point::Sent] {
        till.carry_on(&payments, point.as_str(), &["pending"]).await;
        assert!(!reject(point.as_str()).await, "{point:?}");
    }
    assert_eq!((till.moved("unsent").await, till.bank.movements().len()), (0, 3));
}

#[tokio::test]
async fn an_order_that_nobody_can_find_out_about_waits_for_a_person() {
    let mut till = Till::open(Policy::GUARD).await;
    // no way to look, and a key that protects nothing
    till.change(|manifest| {
        let payouts = manifest.payouts.as_mut().unwrap();
        (payouts.lookup, payouts.key.lifetime) = (None, None);
    });
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    till.bank.set_payment_faults([PaymentFault::ErrorBefore, PaymentFault::ErrorAfter]);
    for key in ["gone", "paid"] {
        formance.pay(&till.initiation(key, 1500)).await.unwrap();
        till.carry_on(&payments, key, &["parked"]).await;
    }
    formance.poll(&app).await;
    assert_eq!(formance.shows("gone"), (PaymentStatus::Pending, InitiationStatus::Processing));
    // the records of the bank tell of the one
    till.sync().await;
    assert_eq!(till.state("paid").await, "pending");
    // and a person of the other
    let gone = payment_orders::of_idempotency_key(&app.pool, "gone").await.unwrap()[0].id;
    for (name, state) in [(ANN, OrderState::Parked), (BOB, OrderState::Failed)] {
        let person = logins::person_pool(&app.url, name).await;
        let decided =
            payment_orders::fail(&person, gone, "the provider says it never arrived").await.unwrap();
        assert_eq!(decided.unwrap().state, state, "{name}");
    }
    formance.poll(&app).await;
    assert_eq!(formance.shows("gone"), (PaymentStatus::Failed, InitiationStatus::Failed));
    assert_eq!(till.bank.payment_requests(), 2, "nothing was sent twice");
}
