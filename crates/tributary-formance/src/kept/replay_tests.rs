//! Proof that the tables are faithful: fed with the rows that a whole Formance was
//! fed with, they keep what it kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fixtures::rows;
use super::{Kept, KeptPayment};
use crate::gotime::{GoTime, TimeError};
use crate::message::Kind;
use crate::row::{PaymentType, Row};

/// A recording: the rows as they were served, and what was kept of them.
#[derive(Deserialize)]
struct Recording {
    rows: Box<RawValue>,
    payments: Vec<RecordedPayment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordedPayment {
    identity: String,
    #[serde(rename = "type")]
    kind: String,
    reference: String,
    initial_amount: String,
    amount: String,
    asset: String,
    created_at: Date,
    status: String,
    adjustments: Vec<RecordedAdjustment>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordedAdjustment {
    reference: String,
    created_at: Date,
    status: String,
    amount: String,
}

/// A time, read from its text.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Date(GoTime);

impl TryFrom<String> for Date {
    type Error = TimeError;

    fn try_from(text: String) -> Result<Self, TimeError> {
        GoTime::parse(text.as_bytes()).map(Self)
    }
}

fn selection() -> Recording {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/storage-selection.json"))
}

fn read(path: &Path) -> Recording {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// How many payments and adjustments the tables reproduce, or where they do not.
fn replay(recording: &Recording) -> Result<(usize, usize), Vec<String>> {
    let mut kept = Kept::default();
    for call in rows(recording.rows.get()).chunks(100) {
        kept.take(Kind::Transactions, call);
    }
    let mut parted = Vec::new();
    for recorded in &recording.payments {
        let kind = PaymentType::from_wire(&recorded.kind).unwrap();
        match kept.payment(&recorded.identity, kind) {
            Some(payment) => compare(recorded, payment, &mut parted),
            None => parted.push(format!("{} {}: not kept", recorded.identity, recorded.kind)),
        }
    }
    let (payments, recorded) = (kept.payments().len(), recording.payments.len());
    if payments != recorded {
        parted.push(format!("{payments} payments instead of {recorded}"));
    }
    let adjustments = kept.payments().iter().map(|payment| payment.adjustments.len()).sum();
    if parted.is_empty() { Ok((payments, adjustments)) } else { Err(parted) }
}

fn compare(recorded: &RecordedPayment, payment: &KeptPayment, parted: &mut Vec<String>) {
    let mut part = |what: &str, kept: &dyn Debug, recorded_as: &dyn Debug| {
        let name = format!("{} {}", recorded.identity, recorded.kind);
        parted.push(format!("{name}: {what} {kept:?} instead of {recorded_as:?}"));
    };
    if Date(payment.created_at) != recorded.created_at {
        part("createdAt", &payment.created_at, &recorded.created_at);
    }
    for (what, kept, recorded) in [
        ("reference", payment.key.identity.clone(), &recorded.reference),
        ("initial amount", payment.initial_amount.to_string(), &recorded.initial_amount),
        ("amount", payment.amount.to_string(), &recorded.amount),
        ("asset", payment.asset.clone(), &recorded.asset),
        ("status", payment.status().to_string(), &recorded.status),
    ] {
        if kept != *recorded {
            part(what, &kept, recorded);
        }
    }
    let kept: Vec<_> = payment
        .adjustments
        .iter()
        .map(|kept| RecordedAdjustment {
            reference: kept.reference.clone(),
            created_at: Date(kept.created_at),
            status: kept.status.to_string(),
            amount: kept.amount.to_string(),
        })
        .collect();
    if kept != recorded.adjustments {
        part("adjustments", &kept, &recorded.adjustments);
    }
}

fn assert_reproduced(recording: &Recording, payments: usize, adjustments: usize) {
    match replay(recording) {
        Ok(counts) => assert_eq!(counts, (payments, adjustments)),
        Err(parted) => {
            panic!("{} disagreements, among them\n{}", parted.len(), parted[..5.min(parted.len())].join("\n"))
        }
    }
}

#[test]
fn the_tables_keep_what_formance_kept_of_the_recorded_selection() {
    assert_reproduced(&selection(), 150, 404);
}

#[test]
fn the_tables_keep_what_formance_kept_of_the_whole_recording() {
    let Some(recording) = tributary_reference::reference("formance/storage.json") else { return };
    assert_reproduced(&read(&recording), 1_276, 2_952);
    println!("reproduced: 1276 payments, 2952 adjustments");
}

/// The rows of a payment, by identity and type.
fn by_payment(rows: &[Row]) -> BTreeMap<(&str, &str), Vec<&Row>> {
    let mut payments: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        payments.entry((row.payment_reference(), row.payment().kind.as_wire())).or_default().push(row);
    }
    payments
}

#[test]
fn the_selection_holds_every_kind_of_life() {
    let recording = selection();
    let rows = rows(recording.rows.get());
    let payments = by_payment(&rows);
    let statuses: BTreeSet<_> = rows.iter().map(|row| row.payment().status.as_wire()).collect();
    let shown: BTreeSet<_> = recording.payments.iter().map(|payment| payment.status.as_str()).collect();
    assert_eq!((statuses.len(), shown.len()), (15, 15), "every status, told and shown");

    let is_child = |row: &Row| row.payment().parent.is_some();
    let lives = |is_such: fn(&Row, &Row) -> bool| {
        let has_such = |rows: &&Vec<&Row>| rows.windows(2).any(|pair| is_such(pair[0], pair[1]));
        payments.values().filter(has_such).count()
    };
    assert!(rows.iter().filter(|row| is_child(row)).count() > 20, "children");
    assert!(payments.values().filter(|rows| is_child(rows[0])).count() > 5, "children before their parents");
    let drifts = lives(|a, b| a.reference == b.reference && a.created_at != b.created_at);
    assert!(drifts > 10, "createdAt that drifts");
    let ties = lives(|a, b| a.created_at == b.created_at && a.payment().status != b.payment().status);
    assert!(ties > 20, "equal createdAt");
    let repeats =
        lives(|a, b| a.reference == b.reference && a.created_at == b.created_at && a.payment == b.payment);
    assert!(repeats > 5, "rows that come again");
    let identities: BTreeSet<_> = payments.keys().map(|(identity, _)| identity).collect();
    assert!(payments.len() - identities.len() > 5, "types that change");
    assert!(recording.payments.iter().any(|payment| payment.amount.starts_with('-')), "below zero");
}

#[test]
fn every_part_of_a_recorded_payment_is_compared() {
    type Change = fn(&mut Recording);
    let changes: [(&str, Change); 9] = [
        ("not kept", |recording| recording.payments[0].identity.push('x')),
        ("payments instead of", |recording| drop(recording.payments.pop())),
        ("reference", |recording| recording.payments[0].reference.push('x')),
        ("initial amount", |recording| recording.payments[0].initial_amount.push('0')),
        (" amount", |recording| recording.payments[0].amount.push('0')),
        ("asset", |recording| recording.payments[0].asset.push('0')),
        ("createdAt", |recording| recording.payments[0].created_at = Date(GoTime::ZERO)),
        ("status", |recording| recording.payments[0].status.push('x')),
        ("adjustments", |recording| drop(recording.payments[0].adjustments.pop())),
    ];
    for (what, change) in changes {
        let mut recording = selection();
        change(&mut recording);
        let parted = replay(&recording).expect_err(what).join("\n");
        assert!(parted.contains(what), "{what}: {parted}");
    }
}
