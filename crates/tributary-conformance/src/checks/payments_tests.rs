use super::super::fixtures::{accounts, time, transaction, transactions, with};
use super::*;
use crate::finding::Verdict;
use serde_json::{Value, json};

type Check = fn(&List, &Options) -> Option<Finding>;

fn verdict(check: Check, rows: &[Value]) -> Verdict {
    check(&transactions(rows), &Options::default()).unwrap().verdict
}

fn dated(id: &str, at: i64, status: &str, created_at: i64) -> Value {
    with(transaction(id, at, status), json!({"createdAt": time(created_at)}))
}

fn child(parent: &str, row: Value) -> Value {
    with(row, json!({"relatedTransactionID": parent}))
}

#[test]
fn only_transactions_are_payments() {
    for check in [created_at_kept, created_at_ascends, type_kept, parent_first, child_type] {
        assert!(check(&accounts(&[]), &Options::default()).is_none());
        assert_eq!(verdict(check, &[]), Verdict::Skipped);
        assert_eq!(verdict(check, &[transaction("a", 1, "PENDING")]), Verdict::Ok);
    }
}

#[test]
fn a_date_that_drifts_warns_and_fails_where_money_is_counted_again() {
    let pending = dated("a", 1, "PENDING", 10);
    let drifted = dated("a", 2, "SUCCEEDED", 20);
    assert_eq!(verdict(created_at_kept, &[pending.clone(), dated("a", 2, "SUCCEEDED", 10)]), Verdict::Ok);
    assert_eq!(verdict(created_at_kept, &[pending, drifted]), Verdict::Warning);
    let refunds = [dated("a", 1, "REFUNDED", 10), dated("a", 2, "REFUNDED", 20)];
    assert_eq!(verdict(created_at_kept, &refunds), Verdict::Fail);
}

#[test]
fn a_payment_may_take_the_date_of_its_refund() {
    let rows = [
        dated("a", 1, "SUCCEEDED", 10),
        child("a", dated("r", 2, "REFUNDED", 30)),
        dated("a", 3, "DISPUTE", 30),
    ];
    assert_eq!(verdict(created_at_kept, &rows), Verdict::Ok);
    let other_date = [rows[0].clone(), rows[1].clone(), dated("a", 3, "DISPUTE", 29)];
    assert_eq!(verdict(created_at_kept, &other_date), Verdict::Warning);
}

#[test]
fn a_payout_made_through_the_server_dates_each_status() {
    let payout = |at, status, created_at| {
        with(child("key-1", dated("p", at, status, created_at)), json!({"type": "PAYOUT"}))
    };
    let rows = [payout(1, "PENDING", 10), payout(2, "SUCCEEDED", 16)];
    assert_eq!(verdict(created_at_kept, &rows), Verdict::Ok);
    let same_status = [payout(1, "PENDING", 10), payout(2, "PENDING", 16)];
    assert_eq!(verdict(created_at_kept, &same_status), Verdict::Warning);
}

#[test]
fn a_status_under_an_earlier_date_than_its_payment_has_never_shows() {
    let rows = [
        dated("a", 1, "SUCCEEDED", 10),
        child("a", dated("r", 2, "REFUNDED", 30)),
        dated("a", 3, "DISPUTE", 10),
    ];
    assert_eq!(verdict(created_at_ascends, &rows), Verdict::Fail);
    // what Formance has already is ignored anyway
    let repeated = [rows[0].clone(), rows[1].clone(), dated("a", 3, "SUCCEEDED", 10)];
    assert_eq!(verdict(created_at_ascends, &repeated), Verdict::Ok);
}

#[test]
fn another_type_is_another_payment() {
    let transfer = with(transaction("a", 2, "SUCCEEDED"), json!({"type": "TRANSFER"}));
    assert_eq!(verdict(type_kept, &[transaction("a", 1, "PENDING"), transfer]), Verdict::Fail);
}

#[test]
fn a_child_comes_after_its_parent_and_has_its_type() {
    let (parent, refund) = (transaction("a", 1, "SUCCEEDED"), child("a", transaction("r", 2, "REFUNDED")));
    let transfer = with(refund.clone(), json!({"type": "TRANSFER"}));
    assert_eq!(verdict(parent_first, &[parent.clone(), refund.clone()]), Verdict::Ok);
    assert_eq!(verdict(parent_first, &[refund.clone(), parent.clone()]), Verdict::Fail);
    assert_eq!(verdict(child_type, &[parent.clone(), refund.clone()]), Verdict::Ok);
    assert_eq!(verdict(child_type, &[parent, transfer]), Verdict::Fail);
    // a parent that never comes may be an idempotency key
    assert_eq!(verdict(parent_first, std::slice::from_ref(&refund)), Verdict::Ok);
    assert_eq!(verdict(child_type, &[refund]), Verdict::Ok);
}
