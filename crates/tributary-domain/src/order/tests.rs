use super::*;

/// Each status that stands for a way of a payment, in the order of their progress.
const STATUSES: [Status; 6] = [
    Status::Pending,
    Status::Failed,
    Status::Cancelled,
    Status::Succeeded,
    Status::Refunded,
    Status::Dispute,
];

fn order(state: OrderState, status: Status) -> Ordered {
    Ordered {
        id: Uuid::nil(),
        kind: PaymentKind::Payout,
        idempotency_key: "k".to_owned(),
        asset: "GBP/2".to_owned(),
        amount: Amount::parse("amount", "1500").unwrap(),
        source_account_id: "acc".to_owned(),
        destination_account_id: "ben".to_owned(),
        state,
        status,
        attempt: 1,
        names: ProviderNames { provider_key: "KEY".to_owned(), ..ProviderNames::default() },
        updated_at: None,
        metadata: serde_json::json!({}),
    }
}

fn said(status: Status) -> Said {
    Said { attempt: 1, status, at: None, payment_id: None, reference: None, record: None, reason: None }
}

/// What was served, what is said now; what is served then, and whether a person has to look.
#[test]
fn an_order_never_goes_back_from_what_was_told() {
    use Status::{Cancelled, Dispute, Failed, Pending, Refunded, Succeeded};
    // in the order of STATUSES; `!`: a contradiction
    let table = [
        (Pending, ["PENDING", "FAILED", "CANCELLED", "SUCCEEDED", "REFUNDED", "DISPUTE"]),
        (Failed, ["FAILED", "FAILED", "!FAILED", "!SUCCEEDED", "!REFUNDED", "!DISPUTE"]),
        (Cancelled, ["CANCELLED", "!CANCELLED", "CANCELLED", "!SUCCEEDED", "!REFUNDED", "!DISPUTE"]),
        (Succeeded, ["SUCCEEDED", "!REFUNDED", "!REFUNDED", "SUCCEEDED", "REFUNDED", "DISPUTE"]),
        (Refunded, ["REFUNDED", "REFUNDED", "REFUNDED", "REFUNDED", "REFUNDED", "DISPUTE"]),
        (Dispute, ["DISPUTE", "DISPUTE", "DISPUTE", "DISPUTE", "REFUNDED", "DISPUTE"]),
    ];
    for (told, row) in table {
        let state = match Progress::of(told) {
            Progress::Open => OrderState::Pending,
            Progress::NotMoved => OrderState::Failed,
            _ => OrderState::Succeeded,
        };
        let then = STATUSES.map(|now| {
            let verdict = order(state, told).verdict_on(&said(now), false);
            let status = verdict.change.map_or(told, |change| change.order.status);
            format!("{}{}", if verdict.contradiction { "!" } else { "" }, status.as_str())
        });
        assert_eq!(then, row.map(str::to_owned), "told {told:?}");
    }
}

#[test]
fn what_is_open_becomes_what_the_provider_says() {
    use OrderState::{Parked, Pending, Recorded, Sending, Unknown};
    for state in [Recorded, Sending, Unknown, Parked, Pending] {
        for (status, then) in [
            (Status::Pending, OrderState::Pending),
            (Status::Failed, OrderState::Failed),
            (Status::Succeeded, OrderState::Succeeded),
            (Status::Refunded, OrderState::Succeeded),
        ] {
            let change = order(state, Status::Pending).verdict_on(&said(status), false).change;
            if state == Pending && status == Status::Pending {
                assert_eq!(change, None, "it is known already");
                continue;
            }
            let change = change.unwrap();
            assert_eq!((change.order.state, change.ended), (then, then.has_ended()), "{state:?} {status:?}");
        }
    }
}

#[test]
fn words_of_another_attempt_or_of_an_older_state_are_no_news() {
    let at = |second| DateTime::from_timestamp(second, 0);
    let by_record = |updated_at| Said {
        record: Some(SaidByRecord {
            id: "r".to_owned(),
            updated_at,
            tolerance: TimeDelta::zero(),
            metadata: serde_json::json!({}),
        }),
        ..said(Status::Succeeded)
    };
    let known = Ordered { updated_at: at(10), ..order(OrderState::Pending, Status::Pending) };
    let none = Verdict { change: None, contradiction: false, older: false };
    assert_eq!(known.verdict_on(&by_record(at(9)), false), Verdict { older: true, ..none.clone() });
    assert_eq!(known.verdict_on(&Said { attempt: 2, ..said(Status::Succeeded) }, false), none);
    assert!(known.verdict_on(&by_record(at(10)), false).change.is_some());
    assert!(known.verdict_on(&by_record(None), false).change.is_some());
}

#[test]
fn where_the_clock_of_a_record_cannot_tell_the_status_that_is_further_on_is_news() {
    let at = |minute: i64| DateTime::from_timestamp(minute * 60, 0);
    let by_local_clock = |status, minute| Said {
        record: Some(SaidByRecord {
            id: "r".to_owned(),
            updated_at: at(minute),
            tolerance: TimeDelta::hours(1),
            metadata: serde_json::json!({}),
        }),
        ..said(status)
    };
    let known = Ordered { updated_at: at(170), ..order(OrderState::Pending, Status::Pending) };
    let change = known.verdict_on(&by_local_clock(Status::Succeeded, 130), false).change.unwrap();
    assert_eq!((change.order.status, change.order.updated_at), (Status::Succeeded, at(170)));
    let before = known.verdict_on(&by_local_clock(Status::Succeeded, 100), false);
    assert!(before.change.is_none() && before.older, "more than an hour is no trick of the clock");
    let again = known.verdict_on(&by_local_clock(Status::Pending, 130), false);
    assert!(again.change.is_none() && !again.older, "the same again is nothing to tell of");
}

#[test]
fn another_payment_is_a_contradiction_and_another_name_of_the_same_is_not() {
    let named = |payment: Option<&str>, reference: Option<&str>, record: Option<&str>| Ordered {
        names: ProviderNames {
            provider_key: "KEY".to_owned(),
            payment_id: payment.map(str::to_owned),
            reference: reference.map(str::to_owned),
            record_id: record.map(str::to_owned),
        },
        ..order(OrderState::Pending, Status::Pending)
    };
    let says = |id: &str| Said { payment_id: Some(id.to_owned()), ..said(Status::Succeeded) };
    let shows = |id: &str| Said {
        record: Some(SaidByRecord {
            id: id.to_owned(),
            updated_at: None,
            tolerance: TimeDelta::zero(),
            metadata: serde_json::json!({}),
        }),
        ..said(Status::Succeeded)
    };
    for (known, said, contradicts) in [
        (named(None, None, None), says("p"), false),
        (named(Some("p"), None, None), says("p"), false),
        (named(Some("p"), None, None), says("q"), true),
        (named(Some("p"), Some("ref"), Some("r")), says("r"), false),
        (named(Some("p"), Some("ref"), Some("r")), says("ref"), false),
        (named(Some("p"), None, None), shows("r"), false),
        (named(Some("p"), None, Some("r")), shows("r"), false),
        (named(Some("p"), None, Some("r")), shows("s"), true),
    ] {
        assert_eq!(known.verdict_on(&said, false).contradiction, contradicts, "{:?} {said:?}", known.names);
        assert!(known.verdict_on(&said, true).contradiction, "it is another order's");
    }
    let change = named(Some("p"), None, None).verdict_on(&shows("r"), false).change.unwrap();
    let names = change.order.names;
    assert_eq!((names.payment_id.as_deref(), names.record_id.as_deref()), (Some("p"), Some("r")));
    let change = named(None, None, None).verdict_on(&shows("r"), false).change.unwrap();
    let names = change.order.names;
    assert_eq!((names.payment_id.as_deref(), names.record_id.as_deref()), (Some("r"), Some("r")));
}

#[test]
fn a_payment_that_differs_in_anything_that_is_told_of_it_is_another_one() {
    let order = order(OrderState::Unknown, Status::Pending);
    let amount = |text| Some(Amount::parse("amount", text).unwrap());
    let told = |amount, asset: Option<&str>, destination: Option<&str>| PaymentState {
        id: Some("p".to_owned()),
        reference: None,
        status: Status::Succeeded,
        reason: None,
        at: None,
        amount,
        asset: asset.map(str::to_owned),
        destination: destination.map(str::to_owned),
    };
    assert_eq!(order.differs(&told(None, None, None)), None);
    assert_eq!(order.differs(&told(amount("1500"), Some("GBP/2"), Some("ben"))), None);
    for (told, why) in [
        (told(amount("1499"), None, None), "it is of 1499 and not of 1500"),
        (told(amount("1500"), Some("EUR/2"), None), "it is in EUR/2 and not in GBP/2"),
        (told(None, None, Some("acc")), "it goes to acc and not to ben"),
        (told(amount("1"), Some("JPY"), None), "it is of 1 and not of 1500, it is in JPY and not in GBP/2"),
    ] {
        assert_eq!(order.differs(&told).as_deref(), Some(why));
    }
}
