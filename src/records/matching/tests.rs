use serde_json::{Value, json};

use super::*;
use tributary_domain::{Amount, ProviderNames, Status};

fn order(state: OrderState, payment: Option<&str>, reference: Option<&str>) -> Ordered {
    Ordered {
        id: Uuid::from_u128(1),
        kind: PaymentKind::Payout,
        idempotency_key: "k".to_owned(),
        asset: "GBP/2".to_owned(),
        amount: Amount::parse("amount", "1500").unwrap(),
        source_account_id: "acc".to_owned(),
        destination_account_id: "ben".to_owned(),
        state,
        status: match state {
            OrderState::Succeeded => Status::Succeeded,
            OrderState::Failed => Status::Failed,
            _ => Status::Pending,
        },
        attempt: 1,
        names: ProviderNames {
            provider_key: "KEY".to_owned(),
            payment_id: payment.map(str::to_owned),
            reference: reference.map(str::to_owned),
            record_id: None,
        },
        updated_at: None,
        metadata: json!({}),
    }
}

/// A payout of 1,500 that succeeded, changed `with`.
fn record(with: Value) -> Transaction {
    let mut record = json!({"id": "r", "type": "PAYOUT", "status": "SUCCEEDED", "currency": "GBP/2",
        "amount": "1500", "createdAt": "2026-03-01T12:00:00Z"});
    record.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    Transaction::from_json(record.to_string().as_bytes()).unwrap()
}

fn known(orders: Vec<Ordered>) -> Known {
    Known { orders, ..Known::default() }
}

/// The decision in a word.
fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Write => "write",
        Decision::WriteLoudly(_) => "write loudly",
        Decision::Child { .. } => "child",
        Decision::Known => "known",
        Decision::News(_) => "news",
        Decision::Contradiction(_) => "contradiction",
        Decision::Wait => "wait",
        Decision::WaitAndPark(..) => "wait and park",
        Decision::Refuse { loud: true, .. } => "refuse loudly",
        Decision::Refuse { loud: false, .. } => "refuse",
        Decision::Older => "older",
    }
}

#[test]
fn whatever_the_provider_gave_for_an_order_identifies_its_record() {
    for (payment, reference, with, expected) in [
        (None, None, json!({"orderReference": "KEY"}), "news"),
        (Some("p"), None, json!({"orderReference": "p"}), "news"),
        (None, Some("ref"), json!({"orderReference": "ref"}), "news"),
        (Some("p"), Some("ref"), json!({"orderReference": "KEY"}), "news"),
        (Some("r"), None, json!({}), "news"),
        (None, Some("r"), json!({}), "news"),
        (Some("p"), Some("ref"), json!({"orderReference": "another"}), "write"),
        (Some("p"), Some("ref"), json!({}), "write"),
        // what comes in is no payment of ours
        (None, Some("ref"), json!({"orderReference": "ref", "type": "PAYIN"}), "write"),
    ] {
        let mut known = known(vec![order(OrderState::Pending, payment, reference)]);
        let decision = known.decide(&record(with.clone()), true);
        assert_eq!(word(&decision), expected, "{payment:?} {reference:?} {with}");
    }
}

#[test]
fn a_record_of_another_size_is_no_news_in_any_state() {
    use OrderState::{Failed, Held, Parked, Pending, Recorded, Sending, Succeeded, Unknown};
    for with in [json!({"amount": "1"}), json!({"currency": "EUR/2"}), json!({"sourceAccountID": "other"})] {
        for (state, by_reference, by_id) in [
            (Recorded, "write", "contradiction"),
            (Held, "write", "contradiction"),
            (Sending, "wait", "wait"),
            (Pending, "wait and park", "wait and park"),
            (Unknown, "wait and park", "wait and park"),
            (Parked, "wait", "wait"),
            (Succeeded, "write loudly", "contradiction"),
            (Failed, "write loudly", "contradiction"),
        ] {
            let mut with = with.clone();
            with["orderReference"] = json!("KEY");
            let decision = known(vec![order(state, None, None)]).decide(&record(with.clone()), true);
            assert_eq!(word(&decision), by_reference, "{state:?} {with}");
            let decision = known(vec![order(state, Some("r"), None)]).decide(&record(with.clone()), true);
            assert_eq!(word(&decision), by_id, "{state:?} {with}");
            assert!(!matches!(decision, Decision::Contradiction(Some(_))), "nothing of it is told");
        }
    }
}

#[test]
fn what_is_pushed_of_a_provider_that_is_pulled_decides_nothing() {
    use OrderState::{Failed, Parked, Pending, Sending, Succeeded, Unknown};
    for state in [Sending, Pending, Unknown, Parked, Succeeded, Failed] {
        for status in ["PENDING", "FAILED", "CANCELLED", "SUCCEEDED", "REFUNDED"] {
            for (id, amount) in [("r", "1500"), ("r", "1"), ("p", "1500"), ("p", "1")] {
                let with = json!({"id": id, "status": status, "amount": amount, "orderReference": "KEY"});
                let decision =
                    known(vec![order(state, Some("p"), None)]).decide(&record(with.clone()), false);
                let failed = matches!(status, "FAILED" | "CANCELLED");
                let is_opposite = state == Succeeded && failed
                    || state == Failed && matches!(status, "SUCCEEDED" | "REFUNDED");
                let is_lie = amount == "1" || is_opposite;
                match &decision {
                    Decision::Known => assert!(!is_lie, "{state:?} {with}"),
                    Decision::Refuse { loud, .. } => assert_eq!(*loud, is_lie, "{state:?} {with}"),
                    other => panic!("{state:?} {with}: {other:?}"),
                }
            }
            let child = json!({"status": status, "relatedTransactionID": "p"});
            let decision = known(vec![order(state, Some("p"), None)]).decide(&record(child), false);
            let follows = state == Succeeded && status == "REFUNDED";
            assert_eq!(
                word(&decision),
                if follows { "child" } else { "refuse loudly" },
                "{state:?} {status}"
            );
        }
    }
}

#[test]
fn no_record_is_taken_under_the_id_of_an_order() {
    for decides in [true, false] {
        let id = Uuid::from_u128(1).to_string();
        let mut known = known(vec![order(OrderState::Pending, None, None)]);
        assert_eq!(word(&known.decide(&record(json!({"id": id})), decides)), "refuse loudly");
    }
}

#[test]
fn a_second_record_of_one_payment_is_written_and_told() {
    let mut known = known(vec![order(OrderState::Pending, None, None)]);
    let one = record(json!({"id": "one", "orderReference": "KEY"}));
    assert_eq!(word(&known.decide(&one, true)), "news");
    assert_eq!(word(&known.decide(&one, true)), "known");
    let two = record(json!({"id": "two", "orderReference": "KEY"}));
    assert_eq!(word(&known.decide(&two, true)), "write loudly");
    let refund = record(json!({"id": "refund", "relatedTransactionID": "one", "status": "REFUNDED"}));
    let child = Decision::Child { parent: "k".to_owned(), kind: PaymentKind::Payout };
    assert_eq!(known.decide(&refund, true), child);
}

#[test]
fn a_record_that_may_be_the_movement_waits_with_all_that_belongs_to_it() {
    let unidentified = |awaits_reference| Unidentified {
        asset: "GBP/2".to_owned(),
        amount: Amount::parse("amount", "1500").unwrap(),
        source_account_id: "acc".to_owned(),
        created_at: "2026-03-01T13:00:00Z".parse().unwrap(),
        awaits_reference,
    };
    for (with, awaits, waits) in [
        (json!({}), false, true),
        (json!({"orderReference": "another"}), false, false),
        (json!({"orderReference": "another"}), true, true),
        (json!({"amount": "1"}), true, false),
        (json!({"sourceAccountID": "acc"}), false, true),
        (json!({"sourceAccountID": "other"}), false, false),
        (json!({"type": "PAYIN"}), true, false),
        (json!({"createdAt": "2026-02-28T12:59:59Z"}), true, false),
    ] {
        let mut known =
            Known { unidentified: vec![unidentified(awaits)], some_unidentified: true, ..Known::default() };
        let decision = known.decide(&record(with.clone()), true);
        assert_eq!(decision == Decision::Wait, waits, "{with}");
        let child = record(json!({"id": "c", "relatedTransactionID": "r", "type": "PAYIN"}));
        assert_eq!(known.decide(&child, true), Decision::Wait, "its parent is not known yet");
    }
}

#[test]
fn a_refused_attempt_is_over_unless_money_moved() {
    let attempt = PastAttempt {
        kind: PaymentKind::Payout,
        idempotency_key: "k".to_owned(),
        asset: "GBP/2".to_owned(),
        amount: Amount::parse("amount", "1500").unwrap(),
        names: ProviderNames { provider_key: "OLD".to_owned(), ..ProviderNames::default() },
    };
    for (with, decides, expected) in [
        (json!({"status": "FAILED"}), true, "known"),
        (json!({"status": "FAILED"}), false, "known"),
        (json!({"status": "FAILED", "amount": "1"}), true, "write loudly"),
        (json!({"status": "FAILED", "amount": "1"}), false, "refuse loudly"),
        (json!({"status": "SUCCEEDED"}), true, "write loudly"),
        (json!({"status": "SUCCEEDED"}), false, "refuse loudly"),
    ] {
        let mut known = Known { attempts: vec![attempt.clone()], ..Known::default() };
        let mut with = with;
        with["orderReference"] = json!("OLD");
        assert_eq!(word(&known.decide(&record(with.clone()), decides)), expected, "{with} {decides}");
    }
}
