use serde_json::json;

use super::*;
use crate::error::{CallError, ErrorClass};
use crate::initiation::Movement;
use crate::kept::Kept;
use crate::kept::fixtures::{noon, row};
use crate::message::{Answer, Kind};
use crate::row::PaymentType;

/// The moment at which Formance stores a reply in these tests.
const STORED: u8 = 10;

/// The row of the payout `po_1` that the key `ref-1` made.
fn payout(status: &str, second: u8) -> Row {
    row("po_1", status, second, json!({"type": "PAYOUT", "relatedTransactionID": "ref-1"}))
}

/// Tables after `ref-1` was ordered and its one request ended so.
fn ordered(outcome: &Result<Row, CallError>) -> Kept {
    let mut kept = Kept::default();
    assert!(kept.initiate("ref-1", noon(STORED - 1)));
    kept.conclude("ref-1", outcome, noon(STORED));
    kept
}

/// Tables after a reply with this status, created 2 seconds before it was stored.
fn replied(status: &str) -> Kept {
    ordered(&Ok(payout(status, STORED - 2)))
}

fn status(kept: &Kept) -> InitiationStatus {
    kept.initiation("ref-1").unwrap().status()
}

fn failure(http_status: u16) -> Result<Row, CallError> {
    Movement::Payout.answer(&Answer { status: http_status, body: Vec::new() })
}

fn no_answer(class: ErrorClass) -> Result<Row, CallError> {
    Err(CallError::Transport { class, reason: "none".into() })
}

#[test]
fn a_reply_decides_the_initiation_and_makes_a_payment() {
    for (word, expected) in [
        ("PENDING", InitiationStatus::Processing),
        ("AUTHORISATION", InitiationStatus::Processing),
        ("SUCCEEDED", InitiationStatus::Processed),
        ("CAPTURE", InitiationStatus::Processed),
        ("REFUND_REVERSED", InitiationStatus::Processed),
        ("FAILED", InitiationStatus::Failed),
        ("CANCELLED", InitiationStatus::Failed),
        ("EXPIRED", InitiationStatus::Failed),
        ("CAPTURE_FAILED", InitiationStatus::Failed),
        ("REFUNDED", InitiationStatus::Reversed),
        ("REFUNDED_FAILURE", InitiationStatus::ReverseFailed),
        ("DISPUTE", InitiationStatus::Unknown),
        ("DISPUTE_WON", InitiationStatus::Unknown),
        ("DISPUTE_LOST", InitiationStatus::Unknown),
        ("OTHER", InitiationStatus::Unknown),
    ] {
        let kept = replied(word);
        assert_eq!(status(&kept), expected, "{word}");
        let payment = kept.payment("ref-1", PaymentType::Payout).unwrap();
        assert_eq!((payment.status().to_string(), payment.adjustments.len()), (word.to_owned(), 1));
    }
}

#[test]
fn a_later_row_decides_the_initiation() {
    for (word, expected) in [
        ("PENDING", InitiationStatus::Processing),
        ("AUTHORISATION", InitiationStatus::Processing),
        ("SUCCEEDED", InitiationStatus::Processed),
        ("CAPTURE", InitiationStatus::Processed),
        ("REFUND_REVERSED", InitiationStatus::Processed),
        ("DISPUTE_WON", InitiationStatus::Processed),
        ("FAILED", InitiationStatus::Failed),
        ("CANCELLED", InitiationStatus::Failed),
        ("EXPIRED", InitiationStatus::Failed),
        ("CAPTURE_FAILED", InitiationStatus::Failed),
        ("DISPUTE_LOST", InitiationStatus::Failed),
        ("REFUNDED", InitiationStatus::Reversed),
        ("REFUNDED_FAILURE", InitiationStatus::ReverseFailed),
        ("DISPUTE", InitiationStatus::Unknown),
        ("OTHER", InitiationStatus::Processing),
    ] {
        let mut kept = replied("PENDING");
        kept.take(Kind::Transactions, &[payout(word, STORED + 5)]);
        assert_eq!(status(&kept), expected, "{word}");
        assert_eq!(kept.payments().len(), 1, "{word}");
    }
}

#[test]
fn a_row_dated_before_the_reply_was_stored_moves_the_payment_but_never_the_initiation() {
    let mut kept = replied("PENDING");
    kept.take(Kind::Transactions, &[payout("SUCCEEDED", STORED - 2)]);
    let payment = kept.payment("ref-1", PaymentType::Payout).unwrap();
    assert_eq!(payment.status(), PaymentStatus::Succeeded);
    assert_eq!(status(&kept), InitiationStatus::Processing);

    kept.take(Kind::Transactions, &[payout("SUCCEEDED", STORED + 5)]);
    assert_eq!(status(&kept), InitiationStatus::Processed);
}

#[test]
fn a_row_that_repeats_the_reply_with_its_date_adds_nothing() {
    let mut kept = replied("PENDING");
    kept.take(Kind::Transactions, &[payout("PENDING", STORED - 2)]);
    assert_eq!(kept.payment("ref-1", PaymentType::Payout).unwrap().adjustments.len(), 1);
    kept.take(Kind::Transactions, &[payout("PENDING", STORED - 1)]);
    assert_eq!(kept.payment("ref-1", PaymentType::Payout).unwrap().adjustments.len(), 2);
}

#[test]
fn a_row_without_the_key_is_another_payment_and_leaves_the_initiation_alone() {
    let mut kept = replied("PENDING");
    kept.take(Kind::Transactions, &[row("po_1", "SUCCEEDED", STORED + 5, json!({"type": "PAYOUT"}))]);
    assert_eq!(kept.payments().len(), 2);
    assert_eq!(status(&kept), InitiationStatus::Processing);
}

#[test]
fn a_final_failure_fails_the_initiation_and_every_other_leaves_it_processing() {
    for final_failure in [failure(400), failure(409), failure(422), no_answer(ErrorClass::ClientError)] {
        assert_eq!(status(&ordered(&final_failure)), InitiationStatus::Failed, "{final_failure:?}");
    }
    for passing in [failure(425), failure(500), failure(503), no_answer(ErrorClass::RequestTimeout)] {
        let mut kept = ordered(&passing);
        assert_eq!(status(&kept), InitiationStatus::Processing, "{passing:?}");
        kept.conclude("ref-1", &Ok(payout("SUCCEEDED", 8)), noon(STORED + 1));
        assert_eq!(status(&kept), InitiationStatus::Processed, "{passing:?}");
    }
    assert!(ordered(&failure(400)).payments().is_empty());
}

#[test]
fn only_a_failed_initiation_is_sent_again() {
    let mut kept = ordered(&failure(422));
    assert!(kept.initiate("ref-1", noon(20)));
    assert_eq!(status(&kept), InitiationStatus::Processing);
    assert!(!kept.initiate("ref-1", noon(21)), "it is under way");
    kept.conclude("ref-1", &Ok(payout("SUCCEEDED", 21)), noon(22));
    assert!(!kept.initiate("ref-1", noon(23)), "it is done");
    assert_eq!(status(&kept), InitiationStatus::Processed);
}

#[test]
fn a_refused_reply_of_201_can_be_retried_into_the_same_payment() {
    let mut kept = replied("FAILED");
    assert!(kept.initiate("ref-1", noon(20)));
    kept.conclude("ref-1", &Ok(payout("SUCCEEDED", 21)), noon(22));
    assert_eq!(status(&kept), InitiationStatus::Processed);
    assert_eq!(kept.payments().len(), 1);
    assert_eq!(kept.initiation("ref-1").unwrap().payments, [kept.payments()[0].key.clone()]);
}
