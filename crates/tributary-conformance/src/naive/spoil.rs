//! Defects that are in the rows from the start.

use serde_json::{Value, json};

use super::Defect;
use super::seed::{SECOND, live_payment, with_status};
use super::world::{Entry, print_time};

/// A payment in the middle of the list.
const MIDDLE: usize = 150;

/// Puts the defect into the transactions.
pub fn transactions(defect: Defect, entries: &mut Vec<Entry>, now: i64) {
    let middle = &mut entries[MIDDLE].row;
    match defect {
        Defect::NumberAmount => middle["amount"] = 1_150.into(),
        Defect::UnknownStatus => middle["status"] = "SETTLED".into(),
        Defect::NonStringMetadata => middle["metadata"] = json!({"n": 150}),
        Defect::BadAsset => middle["currency"] = "eur".into(),
        Defect::ZeroCreatedAt => middle["createdAt"] = "0001-01-01T00:00:00Z".into(),
        Defect::SharedTimestamps => share(&mut entries[100..350]),
        Defect::UnstableOrder => entries.chunks_mut(7).for_each(share),
        Defect::MillisecondPrint => {
            entries.chunks_mut(40).for_each(|chunk| within_millisecond(&mut chunk[..3]))
        }
        Defect::CrowdedSecond => crowd(entries),
        Defect::ClockAhead => {
            let newest = entries.len() - 5;
            (1..).zip(&mut entries[newest..]).for_each(|(i, entry)| entry.at = now + (3_600 + i) * SECOND);
        }
        Defect::FilterAfterLimit => entries.iter_mut().step_by(9).for_each(|entry| entry.deleted = true),
        _ => payments(defect, entries),
    }
}

/// Defects in how transactions are payments; see [`super::seed::transactions`] for the pattern.
fn payments(defect: Defect, entries: &mut [Entry]) {
    for ten in entries.chunks_mut(10) {
        let at = |i: usize, ten: &[Entry]| Value::from(print_time(ten[i].at));
        match defect {
            Defect::ChangingType => ten[3].row["type"] = "TRANSFER".into(),
            Defect::ChildOfAnotherType => ten[7].row["type"] = "PAYOUT".into(),
            Defect::ChildBeforeParent => {
                let (parents, children) = ten.split_at_mut(7);
                std::mem::swap(&mut parents[6].row, &mut children[0].row);
            }
            Defect::RepeatedVersion => ten[8].row = ten[7].row.clone(),
            Defect::DriftingCreatedAt => {
                ten[3].row["createdAt"] = at(3, ten);
                ten[8].row = ten[7].row.clone();
                ten[8].row["metadata"]["note"] = "seen by the bank".into();
                ten[8].row["createdAt"] = at(8, ten);
            }
            Defect::CreatedAtGoesBack => ten[8].row = with_status(&ten[6].row, "DISPUTE"),
            _ => {}
        }
    }
}

fn share(entries: &mut [Entry]) {
    let at = entries[0].at / SECOND * SECOND;
    entries.iter_mut().for_each(|entry| entry.at = at);
}

fn within_millisecond(entries: &mut [Entry]) {
    let at = entries[0].at / 1_000 * 1_000;
    (0..).zip(entries).for_each(|(i, entry)| entry.at = at + i);
}

fn crowd(entries: &mut Vec<Entry>) {
    let second = (entries[MIDDLE].at / SECOND + 1) * SECOND;
    let rows = (0_u32..700).map(|i| {
        let mut row = live_payment(u64::from(i), second);
        row["id"] = format!("bulk_{i:03}").into();
        Entry::new(second + i64::from(i) * 1_000, row)
    });
    entries.splice(MIDDLE + 1..MIDDLE + 1, rows);
}

/// Puts the defect into the accounts.
pub fn accounts(defect: Defect, entries: &mut [Entry]) {
    if defect == Defect::UnsafeAccountIds {
        entries[6].row["id"] = "branch/07".into();
    }
}
