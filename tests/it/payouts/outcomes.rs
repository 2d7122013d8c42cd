//! What becomes of an order when the bank answers late, wrong, or not at all.

use std::time::Duration;

use tributary::payments::{Point, Policy, Settings};
use tributary_domain::Status;
use tributary_formance::PaymentStatus;
use tributary_formance::kept::InitiationStatus;
use tributary_standin::kit::{OnDuplicate, PaymentFault};

use crate::support::till::{Formance, Till, dead_at, died, now, quick};

/// Orders once while the bank does `fault`, and carries on until the money has settled.
async fn settles(fault: PaymentFault, on_duplicate: OnDuplicate) {
    let till = Till::open(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    till.bank.set_payment_faults([fault.clone()]);
    till.bank.set_on_duplicate(on_duplicate);
    let row = formance.pay(&till.initiation("k", 1500)).await.unwrap();
    assert_eq!(
        row.payment().status.to_string(),
        "PENDING",
        "{fault:?}: nothing is FAILED that may have moved"
    );
    till.carry_on(&payments, "k", &["pending"]).await;
    assert_eq!(till.moved("k").await, 1, "{fault:?}");
    till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
    till.carry_on(&payments, "k", &["succeeded"]).await;
    till.sync().await;
    formance.poll(&app).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed), "{fault:?}");
    assert_eq!(till.moved("k").await, 1, "{fault:?}");
}

#[tokio::test]
async fn s21_no_answer_and_the_money_did_not_move() {
    settles(PaymentFault::SilentBefore, OnDuplicate::Replay).await;
}

#[tokio::test]
async fn s21_no_answer_and_the_money_moved() {
    settles(PaymentFault::SilentAfter, OnDuplicate::Forget).await;
}

#[tokio::test]
async fn s21_an_error_and_the_money_did_not_move() {
    settles(PaymentFault::ErrorBefore, OnDuplicate::Refuse).await;
}

#[tokio::test]
async fn s21_an_error_and_the_money_moved() {
    settles(PaymentFault::ErrorAfter, OnDuplicate::Forget).await;
}

#[tokio::test]
async fn s21_an_error_and_the_money_moved_a_moment_later() {
    settles(PaymentFault::ErrorThenExecute(Duration::from_millis(150)), OnDuplicate::Forget).await;
}

#[tokio::test]
async fn s21_an_answer_that_breaks_off_or_is_none() {
    settles(PaymentFault::LoseAnswer, OnDuplicate::Forget).await;
    settles(PaymentFault::Garbage, OnDuplicate::Forget).await;
}

#[tokio::test]
async fn s21_an_answer_that_comes_too_late() {
    settles(PaymentFault::Late(Duration::from_millis(800)), OnDuplicate::Refuse).await;
}

#[tokio::test]
async fn s21_a_request_that_is_repeated_and_refused_proves_nothing_of_the_first() {
    let till = Till::open(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    // the money moves, which the bank shows late; meanwhile it refuses to hear of the key again
    till.bank.hide_payments(true);
    till.bank.set_on_duplicate(OnDuplicate::Refuse);
    till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let sent_again = async {
        while till.bank.payment_requests() < 2 {
            payments.worker().run_once().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), sent_again).await.expect("it is sent again under its key");
    assert_eq!(till.state("k").await, "unknown", "it is not FAILED");
    till.bank.hide_payments(false);
    till.carry_on(&payments, "k", &["pending"]).await;
    assert_eq!(till.moved("k").await, 1);
    // one that the first request did not make, and the second was refused, has failed
    till.bank
        .set_payment_faults([PaymentFault::ErrorBefore, PaymentFault::Refuse("not enough money".to_owned())]);
    formance.pay(&till.initiation("l", 1500)).await.unwrap();
    till.carry_on(&payments, "l", &["failed"]).await;
    assert_eq!(till.moved("l").await, 0);
    formance.poll(&app).await;
    assert_eq!(formance.shows("l"), (PaymentStatus::Failed, InitiationStatus::Failed));
}

#[tokio::test]
async fn s21_whoever_was_held_up_before_the_first_byte_sends_nothing_when_it_wakes_up() {
    let till = Till::open(Policy::GUARD).await;
    let sleeps = |point: Point| -> futures::future::BoxFuture<'static, ()> {
        match point {
            Point::Sending => Box::pin(tokio::time::sleep(Duration::from_millis(3_500))),
            _ => Box::pin(std::future::ready(())),
        }
    };
    let (app, sleeper) =
        till.instance("sleeper", Settings { at: Some(std::sync::Arc::new(sleeps)), ..quick() });
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    let survivors = till.payments("survivor", quick());
    till.carry_on(&survivors, "k", &["pending"]).await;
    assert_eq!(till.bank.payment_requests(), 1);
    sleeper.drained().await;
    assert_eq!((till.bank.payment_requests(), till.moved("k").await), (1, 1));
}

/// What an instance leaves behind when it dies.
struct Left {
    /// Whether Formance was told that the payment is PENDING; else it was told nothing.
    answered: bool,
    /// The state of the order.
    state: &'static str,
    /// How many requests the bank got.
    requests: u64,
    /// How often money moved.
    moved: usize,
}

/// Orders once at an instance that dies at `point`, leaving `left` behind, and has another carry on.
async fn dies(point: Point, left: Left) {
    let till = Till::open(Policy::GUARD).await;
    let (settings, dead) = dead_at(point);
    let (app, payments) = till.instance("dying", settings);
    let mut formance = Formance::of(&app).await;
    if point == Point::LookedUp {
        till.bank.set_payment_faults([PaymentFault::ErrorAfter]);
    }
    let initiation = till.initiation("k", 1500);
    assert!(formance.kept.initiate("k", now()));
    // an answer comes, or death does
    let answer = tokio::select! {
        answer = formance.send(&initiation) => Some(answer),
        () = died(&dead), if !left.answered => None,
    };
    let answer = answer.map(|answer| answer.unwrap().payment().status.to_string());
    assert_eq!(answer.as_deref(), left.answered.then_some("PENDING"));
    let mut dying = tokio::task::JoinSet::new();
    if point == Point::LookedUp {
        dying.spawn(async move {
            while payments.worker().run_once().await.is_ok() {
                // what is due is due by the database's clock
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    if left.answered {
        died(&dead).await;
    }
    assert_eq!(till.state("k").await, left.state);
    assert_eq!((till.bank.payment_requests(), till.moved("k").await), (left.requests, left.moved));

    let (other, survivors) = till.instance("survivor", quick());
    formance.move_to(&other).await;
    till.carry_on(&survivors, "k", &["pending"]).await;
    // the connector asks again
    let row = formance.send(&initiation).await.unwrap();
    assert_eq!(row.payment().status.to_string(), "PENDING");
    till.bank.move_payment(&till.bank_keys("k").await[0], Status::Succeeded);
    till.carry_on(&survivors, "k", &["succeeded"]).await;
    formance.poll(&other).await;
    assert_eq!(formance.shows("k"), (PaymentStatus::Succeeded, InitiationStatus::Processed));
    assert_eq!((till.bank.payment_requests(), till.moved("k").await), (1, 1));
}

#[tokio::test]
async fn s21_whoever_dies_with_an_order_recorded_has_told_nothing_and_sent_nothing() {
    dies(Point::Recorded, Left { answered: false, state: "recorded", requests: 0, moved: 0 }).await;
}

#[tokio::test]
async fn s21_whoever_dies_before_the_first_byte_has_told_pending_and_sent_nothing() {
    dies(Point::Sending, Left { answered: true, state: "sending", requests: 0, moved: 0 }).await;
}

#[tokio::test]
async fn s21_whoever_dies_over_the_banks_answer_has_told_pending_and_moved_money_once() {
    dies(Point::Sent, Left { answered: true, state: "sending", requests: 1, moved: 1 }).await;
}

#[tokio::test]
async fn s21_whoever_dies_before_it_answers_has_kept_what_the_bank_said() {
    dies(Point::Kept, Left { answered: false, state: "pending", requests: 1, moved: 1 }).await;
}

#[tokio::test]
async fn s21_whoever_dies_over_a_look_has_told_pending_and_moved_money_once() {
    dies(Point::LookedUp, Left { answered: true, state: "unknown", requests: 1, moved: 1 }).await;
}
