use serde_json::json;

use super::*;
use crate::kept::fixtures::{kept, noon, row};

/// Amount, status and number of adjustments of the payin `tx_1`.
fn payin(rows: &[Row]) -> (String, String, usize) {
    let kept = kept(rows);
    let payment = kept.payment("tx_1", PaymentType::PayIn).unwrap();
    (payment.amount.to_string(), payment.status().to_string(), payment.adjustments.len())
}

fn is(amount: &str, status: &str, adjustments: usize) -> (String, String, usize) {
    (amount.into(), status.into(), adjustments)
}

fn tx_1(status: &str, second: u8) -> Row {
    row("tx_1", status, second, json!({}))
}

fn child(id: &str, status: &str, second: u8, amount: &str) -> Row {
    row(id, status, second, json!({"relatedTransactionID": "tx_1", "amount": amount}))
}

#[test]
fn a_refund_subtracts_and_its_reversal_adds() {
    assert_eq!(payin(&[tx_1("SUCCEEDED", 0)]), is("100", "SUCCEEDED", 1));
    assert_eq!(payin(&[tx_1("SUCCEEDED", 0), tx_1("REFUNDED", 0)]), is("0", "REFUNDED", 2));
    let reversed = [tx_1("SUCCEEDED", 0), tx_1("REFUNDED", 0), tx_1("REFUND_REVERSED", 0)];
    assert_eq!(payin(&reversed), is("100", "REFUND_REVERSED", 3));
}

#[test]
fn two_partial_refunds_are_two_children_even_of_one_moment() {
    let refunds = [child("re_1", "REFUNDED", 1, "30"), child("re_2", "REFUNDED", 1, "20")];
    assert_eq!(payin(&[&[tx_1("SUCCEEDED", 0)], &refunds[..]].concat()), is("50", "REFUNDED", 3));
}

#[test]
fn captures_add_to_nothing_after_an_authorisation_and_count_twice_without() {
    let captures = [child("ca_1", "CAPTURE", 1, "60"), child("ca_2", "CAPTURE", 2, "40")];
    assert_eq!(payin(&[&[tx_1("AUTHORISATION", 0)], &captures[..]].concat()), is("100", "CAPTURE", 3));
    assert_eq!(payin(&[tx_1("CAPTURE", 0)]), is("200", "CAPTURE", 1));
}

#[test]
fn what_comes_again_is_ignored() {
    let rows = [tx_1("SUCCEEDED", 0), tx_1("REFUNDED", 0), tx_1("SUCCEEDED", 0), tx_1("REFUNDED", 0)];
    assert_eq!(payin(&rows), is("0", "REFUNDED", 2));
    let corrected = row("tx_1", "SUCCEEDED", 0, json!({"amount": "90"}));
    assert_eq!(payin(&[tx_1("SUCCEEDED", 0), corrected]), is("100", "SUCCEEDED", 1));
}

#[test]
fn a_date_that_drifts_refunds_twice_and_takes_the_amount_below_zero() {
    let rows = [tx_1("SUCCEEDED", 0), tx_1("REFUNDED", 0), tx_1("REFUNDED", 1)];
    assert_eq!(payin(&rows), is("-100", "REFUNDED", 3));
}

#[test]
fn a_date_in_another_offset_is_another_adjustment() {
    let elsewhere = row("tx_1", "REFUNDED", 0, json!({"createdAt": "2026-03-01T14:00:00+02:00"}));
    let again = row("tx_1", "REFUNDED", 0, json!({"createdAt": "2026-03-01T12:00:00.000+00:00"}));
    assert_eq!(payin(&[tx_1("SUCCEEDED", 0), tx_1("REFUNDED", 0), elsewhere]), is("-100", "REFUNDED", 3));
    assert_eq!(payin(&[tx_1("SUCCEEDED", 0), tx_1("REFUNDED", 0), again]), is("0", "REFUNDED", 2));
}

#[test]
fn the_status_is_that_of_the_latest_date_and_then_of_the_last_stored() {
    assert_eq!(payin(&[tx_1("SUCCEEDED", 0), tx_1("FAILED", 0)]).1, "FAILED");
    let parent_after_child = [tx_1("SUCCEEDED", 0), child("re_1", "REFUNDED", 9, "1"), tx_1("DISPUTE", 0)];
    assert_eq!(payin(&parent_after_child), is("99", "REFUNDED", 3));
    let raised = [tx_1("SUCCEEDED", 0), child("re_1", "REFUNDED", 9, "1"), tx_1("DISPUTE", 9)];
    assert_eq!(payin(&raised), is("99", "DISPUTE", 3));
}

#[test]
fn dates_closer_than_a_microsecond_are_equal_to_the_status() {
    let dated = |status, at| row("tx_1", status, 0, json!({"createdAt": at}));
    let rows =
        [dated("SUCCEEDED", "2026-03-01T12:00:00.0000004Z"), dated("FAILED", "2026-03-01T12:00:00.0000001Z")];
    assert_eq!(payin(&rows), is("100", "FAILED", 2));
}

#[test]
fn another_type_or_a_child_of_another_type_is_another_payment() {
    let payout = row("tx_1", "SUCCEEDED", 0, json!({"type": "PAYOUT"}));
    let refund = row("re_1", "REFUNDED", 1, json!({"type": "OTHER", "relatedTransactionID": "tx_1"}));
    let kept = kept(&[tx_1("SUCCEEDED", 0), payout, refund]);
    let found: Vec<_> = kept.payments().iter().map(|p| (p.key.kind, p.amount.to_string())).collect();
    let expected = [(PaymentType::PayIn, "100"), (PaymentType::Payout, "100"), (PaymentType::Other, "0")];
    assert_eq!(found, expected.map(|(kind, amount)| (kind, amount.to_owned())));
    assert_eq!(kept.payment("re_1", PaymentType::Other), None);
}

#[test]
fn a_payment_stays_as_its_first_row_said() {
    let first = json!({"sourceAccountID": "acc_1", "metadata": {"k": "first"}});
    let later = json!({"sourceAccountID": "acc_2", "destinationAccountID": "acc_3", "amount": "7",
        "currency": "USD/2", "metadata": {"k": "later"}});
    let kept = kept(&[row("tx_1", "PENDING", 5, first), row("tx_1", "SUCCEEDED", 6, later)]);
    let payment = kept.payment("tx_1", PaymentType::PayIn).unwrap();
    assert_eq!((payment.initial_amount.as_str(), payment.amount.as_str()), ("100", "100"));
    assert_eq!((payment.asset.as_str(), payment.created_at), ("EUR/2", noon(5)));
    assert_eq!((payment.source.as_deref(), payment.destination.as_deref()), (Some("acc_1"), None));
    assert_eq!(payment.metadata.as_ref().unwrap()["k"], "first");
    assert_eq!(payment.status(), PaymentStatus::Succeeded);
}

#[test]
fn an_authorisation_keeps_what_was_asked_as_the_initial_amount() {
    let kept = kept(&[tx_1("AUTHORISATION", 0)]);
    let payment = kept.payment("tx_1", PaymentType::PayIn).unwrap();
    assert_eq!((payment.initial_amount.as_str(), payment.amount.as_str()), ("100", "0"));
}

#[test]
fn amounts_have_no_end() {
    let nines = "9".repeat(38);
    let amount = json!({"amount": nines});
    let again = |second| row("tx_1", "CAPTURE", second, amount.clone());
    let rows = [row("tx_1", "PENDING", 0, amount.clone()), again(1), again(2), again(3), again(4)];
    assert_eq!(payin(&rows).0, format!("4{}5", "9".repeat(37)));
}
