//! `tributary payouts`, typed as a person would type it: what becomes of an order that somebody
//! decides about.

use std::time::Duration;

use tributary::payments::Policy;
use tributary_domain::Status;
use tributary_formance::kept::InitiationStatus;
use tributary_formance::{PaymentStatus, PaymentType};
use tributary_manifest::Manifest;
use tributary_standin::kit::PaymentFault;

use super::command::{AUDITED, Desk, as_shipped};
use crate::support::logins::{ANN, BOB};
use crate::support::till::{number, read_as, without_keys};

#[tokio::test]
async fn what_is_approved_goes_out_and_the_audit_says_who_agreed() {
    let mut desk = Desk::open("payouts_approve", Policy::GUARD, as_shipped).await;
    desk.pay("k", 1500).await;
    assert_eq!(desk.says(&["approve", "k"]).await.split(' ').next().unwrap(), desk.id("k").await);
    desk.till.carry_on(&desk.payments, "k", &["pending"]).await;
    assert_eq!((desk.till.bank.payment_requests(), desk.till.moved("k").await), (1, 1));
    let shown = desk.says(&["show", "k"]).await;
    for part in [
        &format!("approved by      {ANN}\n"),
        &format!("  {ANN}: agrees that it goes out\n"),
        &format!("  {ANN}: approved\n"),
        "state: held -> recorded",
        "one: about to send",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    desk.till.bank.move_payment(&desk.till.bank_keys("k").await[0], Status::Succeeded);
    desk.till.carry_on(&desk.payments, "k", &["succeeded"]).await;
    assert_eq!(desk.shows("k").await, (PaymentStatus::Succeeded, InitiationStatus::Processed));
}

#[tokio::test]
async fn what_two_persons_have_to_approve_waits_for_the_second() {
    let mut desk = Desk::with_approvals("payouts_two_persons", Duration::ZERO, Some(2), as_shipped).await;
    desk.pay("k", 1500).await;
    assert!(desk.says(&["approve", "k"]).await.contains("is approved by 1 of 2 persons"));
    let (code, _, err) = desk.run(&["approve", "k"]).await;
    assert!(code == 1 && err.contains("you have approved it already"), "{err}");
    desk.payments.worker().run_once().await.unwrap();
    assert_eq!((desk.till.bank.payment_requests(), desk.till.state("k").await.as_str()), (0, "held"));
    let shown = desk.says(&["show", "k"]).await;
    for part in ["2 persons have to approve", &format!("{ANN}: agrees that it goes out"), " by key:"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    // the provider refuses it, and a person presses Retry: both have to agree once more
    desk.till.bank.set_payment_faults([PaymentFault::Refuse("not enough money".to_owned())]);
    let (code, _, err) = desk.run_as(BOB, &["approve", "k"]).await;
    assert_eq!(code, 0, "{err}");
    desk.till.carry_on(&desk.payments, "k", &["failed"]).await;
    assert_eq!(desk.shows("k").await, (PaymentStatus::Failed, InitiationStatus::Failed));
    desk.pay("k", 1500).await;
    assert_eq!(desk.till.state("k").await, "held");
    assert!(desk.says(&["approve", "k"]).await.contains("is approved by 1 of 2 persons"));
    assert_eq!((desk.till.state("k").await.as_str(), desk.till.moved("k").await), ("held", 0));
}

#[tokio::test]
async fn what_is_rejected_fails_with_the_reason_and_nothing_is_sent() {
    let mut desk = Desk::open("payouts_reject", Policy::GUARD, as_shipped).await;
    desk.pay("k", 1500).await;
    desk.says(&["reject", "k", "--reason", "not ours"]).await;
    assert_eq!(desk.shows("k").await, (PaymentStatus::Failed, InitiationStatus::Failed));
    let rows = desk.app.feed("transactions").await;
    let told = rows.iter().rfind(|row| row["relatedTransactionID"] == "k").unwrap();
    assert_eq!(
        (&told["status"], &told["metadata"]["tributary.reason"]),
        (&"FAILED".into(), &"not ours".into())
    );
    let shown = desk.says(&["show", "k"]).await;
    for part in ["reason           not ours", "sent             not yet", &format!("  {ANN}: rejected\n")] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    desk.payments.worker().run_once().await.unwrap();
    assert_eq!((desk.till.bank.payment_requests(), desk.till.state("k").await.as_str()), (0, "failed"));
}

#[tokio::test]
async fn what_is_parked_can_be_looked_for_again() {
    let mut desk = Desk::open("payouts_look", Policy::GUARD, as_shipped).await;
    desk.till.bank.hide_payments(true);
    desk.park("k", PaymentFault::ErrorAfter).await;
    desk.till.bank.hide_payments(false);
    desk.says(&["resolve", "k", "--outcome", "look"]).await;
    assert!(desk.listed(&["list"], "k").await.unwrap().contains(" unknown "));
    desk.till.carry_on(&desk.payments, "k", &["pending"]).await;
    assert_eq!(
        (desk.till.bank.payment_requests(), desk.till.moved("k").await),
        (1, 1),
        "it was only looked for"
    );
    assert!(desk.says(&["show", "k"]).await.contains(&format!("  {ANN}: to be looked up again\n")));
    desk.till.bank.move_payment(&desk.till.bank_keys("k").await[0], Status::Succeeded);
    desk.till.carry_on(&desk.payments, "k", &["succeeded"]).await;
    assert_eq!(desk.shows("k").await, (PaymentStatus::Succeeded, InitiationStatus::Processed));
}

/// A bank whose payments cannot be looked for, and whose records do not repeat the key.
fn mute(manifest: &mut Manifest) {
    manifest.payouts.as_mut().unwrap().lookup = None;
    read_as(manifest, without_keys);
}

#[tokio::test]
async fn what_succeeded_under_an_id_of_the_bank_is_one_payment_with_the_banks_record() {
    let mut desk = Desk::open("payouts_succeeded", Policy::GUARD, mute).await;
    desk.park("k", PaymentFault::ErrorAfter).await;
    desk.till.sync().await;
    let (_, _, waiting) = desk.run(&["list"]).await;
    assert!(waiting.contains("1 record waits"), "{waiting}");
    let item = desk.till.bank.movements()[0].id.clone();
    let succeeded = ["--outcome", "succeeded", "--payment-id", &item];
    desk.says(&[&["resolve", "k"], &succeeded[..]].concat()).await;
    let shown = desk.says(&["show", "k"]).await;
    assert!(shown.contains(&format!("  {ANN}: resolved as succeeded\n")) && shown.contains(&item), "{shown}");
    desk.payments.worker().run_once().await.unwrap();
    assert_eq!(number(&desk.app.pool, "select count(*) from unmatched_records").await, 0);
    assert_eq!(desk.shows("k").await, (PaymentStatus::Succeeded, InitiationStatus::Processed));
    // what the bank tells of it from now on is news of the same payment
    for (told, shown) in [
        (Status::Succeeded, (PaymentStatus::Succeeded, InitiationStatus::Processed)),
        (Status::Refunded, (PaymentStatus::Refunded, InitiationStatus::Reversed)),
    ] {
        desk.till.bank.move_payment(&desk.till.bank_keys("k").await[0], told);
        desk.till.sync().await;
        assert_eq!(desk.shows("k").await, shown);
    }
    assert!(desk.formance.kept.payments().iter().all(|payment| payment.key.identity != item));
    // and of no other
    desk.park("l", PaymentFault::ErrorAfter).await;
    let before = number(&desk.app.pool, AUDITED).await;
    let (code, _, err) = desk.run(&[&["resolve", "l"], &succeeded[..]].concat()).await;
    assert!(code == 1 && err.contains("is the payment of another order"), "{err}");
    assert_eq!(
        (number(&desk.app.pool, AUDITED).await, desk.till.state("l").await.as_str()),
        (before, "parked")
    );
}

#[tokio::test]
async fn what_failed_can_be_ordered_again_as_another_attempt() {
    let mut desk = Desk::open("payouts_failed", Duration::ZERO, as_shipped).await;
    desk.park("k", PaymentFault::ErrorBefore).await;
    // that it was not found then says nothing about now
    desk.app.rewrite("update payment_lookups set at = at - interval '2 hours'").await;
    let reason = "the provider says it never arrived";
    let failed = ["resolve", "k", "--outcome", "failed", "--reason", reason];
    let said = desk.says(&failed).await;
    assert!(said.contains("1 of 2 persons") && desk.till.state("k").await == "parked", "{said}");
    let (code, _, err) = desk.run(&failed).await;
    assert!(code == 1 && err.contains("another person has to agree"), "{err}");
    let (code, _, err) = desk.run_as(BOB, &failed).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(desk.shows("k").await, (PaymentStatus::Failed, InitiationStatus::Failed));
    assert!(desk.listed(&["list", "--state", "failed"], "k").await.unwrap().ends_with(reason));
    // Retry
    desk.pay("k", 800).await;
    let keys = desk.till.bank_keys("k").await;
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    assert_eq!((desk.till.bank.payment_requests(), desk.till.moved("k").await), (2, 1));
    let shown = desk.says(&["show", "k"]).await;
    for part in [
        "attempt          2",
        &format!("{BOB}: resolved as failed"),
        &format!("reason: {reason} -> -"),
        "attempt: 1 -> 2",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    desk.till.bank.move_payment(&keys[1], Status::Succeeded);
    desk.till.carry_on(&desk.payments, "k", &["succeeded"]).await;
    assert_eq!(desk.shows("k").await, (PaymentStatus::Succeeded, InitiationStatus::Processed));
    let payment = desk.formance.kept.payment("k", PaymentType::Payout).unwrap();
    assert_eq!(payment.initial_amount.as_str(), "800");
}
