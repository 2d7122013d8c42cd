use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::*;
use crate::decode;
use crate::gojson::Raw;
use crate::gotime::GoTime;
use crate::message::Kind;
use crate::row::Row;
use tributary_domain::Transaction;

const SEEDS: u64 = 200;
const PAYMENTS: usize = 25;

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or_default()
}

fn created_at(record: &Value) -> GoTime {
    GoTime::parse(text(record, "createdAt").as_bytes()).unwrap()
}

/// The payment that a record belongs to.
fn identity(record: &Value) -> &str {
    record["relatedTransactionID"].as_str().unwrap_or_else(|| text(record, "id"))
}

/// What Formance keeps of a feed that serves each record once, in order, with an
/// `updatedAt` of its own and the `createdAt` that `dated` gives it.
fn fed(history: &History, mut dated: impl FnMut(&Value) -> GoTime) -> Kept {
    let page: Vec<_> = history
        .records()
        .iter()
        .zip(1..)
        .map(|(record, second)| {
            let mut row = record.clone();
            row["createdAt"] = dated(record).to_string().into();
            row["updatedAt"] = GoTime::from_unix(1_800_000_000 + second, 0).to_string().into();
            row
        })
        .collect();
    let page = Value::Array(page).to_string();
    let rows = decode::page(Kind::Transactions, Raw::parse(page.as_bytes()).unwrap()).unwrap();
    let rows: Vec<Row> = rows.into_iter().map(|row| row.into_row(Kind::Transactions).unwrap()).collect();
    let mut kept = Kept::default();
    rows.chunks(100).for_each(|call| kept.take(Kind::Transactions, call));
    kept
}

/// The latest date that was served within each payment.
#[derive(Default)]
struct Latest(HashMap<String, GoTime>);

impl Latest {
    fn raise(&mut self, record: &Value) -> GoTime {
        let latest = self.0.entry(identity(record).to_owned()).or_default();
        *latest = created_at(record).max(*latest);
        *latest
    }
}

/// How many of the histories leave Formance with anything wrong.
fn wrong(telling: Telling, kept: impl Fn(&History) -> Kept) -> usize {
    let histories = (0..SEEDS).map(|seed| History::new(seed, PAYMENTS, telling));
    histories.filter(|history| !history.disagreements(&kept(history)).is_empty()).count()
}

#[test]
fn a_history_told_in_turn_and_served_as_it_is_ends_as_expected() {
    for seed in 0..SEEDS {
        let history = History::new(seed, PAYMENTS, Telling::InTurn);
        assert_eq!(history.disagreements(&fed(&history, created_at)), [""; 0], "seed {seed}");
    }
}

/// The dates that a feed owes Formance: a new status is served with the latest
/// date within its payment, and a status that is said again with the date that it
/// had.
#[test]
fn an_interleaved_history_ends_as_expected_if_new_statuses_get_the_latest_date() {
    for seed in 0..SEEDS {
        let history = History::new(seed, PAYMENTS, Telling::Interleaved);
        let mut latest = Latest::default();
        let mut served: HashMap<(String, String), GoTime> = HashMap::new();
        let kept = fed(&history, |record| {
            let told = (text(record, "id").to_owned(), text(record, "status").to_owned());
            *served.entry(told).or_insert_with(|| latest.raise(record))
        });
        assert_eq!(history.disagreements(&kept), [""; 0], "seed {seed}");
    }
}

#[test]
fn interleaved_histories_tell_a_feed_that_keeps_its_dates_from_a_correct_one() {
    let wrong = wrong(Telling::Interleaved, |history| fed(history, created_at));
    assert!(wrong > 150, "{wrong} of {SEEDS}");
}

#[test]
fn histories_tell_a_feed_that_redates_repeated_statuses_from_a_correct_one() {
    for telling in [Telling::InTurn, Telling::Interleaved] {
        let redated = |history: &History| {
            let mut latest = Latest::default();
            fed(history, |record| latest.raise(record))
        };
        let wrong = wrong(telling, redated);
        assert!(wrong > 100, "{telling:?}: {wrong} of {SEEDS}");
    }
}

#[test]
fn a_lost_record_or_a_payment_too_many_is_a_disagreement() {
    let history = History::new(1, 3, Telling::InTurn);
    let sentences = history.disagreements(&Kept::default());
    assert_eq!(sentences.len(), 4, "{sentences:?}");
    let kept = fed(&history, created_at);
    let smaller = History { expected: history.expected()[1..].to_vec(), ..history.clone() };
    assert_eq!(smaller.disagreements(&kept), ["3 payments instead of 2"]);
    let mut wrong = history.clone();
    wrong.expected[0].amount += 1;
    assert!(wrong.disagreements(&kept)[0].starts_with("tx_0 "));
}

#[test]
fn a_seed_is_always_the_same_history_and_another_seed_another() {
    let records = |seed| History::new(seed, PAYMENTS, Telling::Interleaved).records;
    assert_eq!(records(7), records(7));
    assert_ne!(records(7), records(8));
}

#[test]
fn a_history_says_only_what_a_correct_provider_says() {
    for seed in 0..50 {
        for telling in [Telling::InTurn, Telling::Interleaved] {
            check_provider(&History::new(seed, PAYMENTS, telling));
        }
    }
}

/// What never changes of an id.
fn birth(record: &Value) -> [&Value; 6] {
    ["relatedTransactionID", "createdAt", "type", "currency", "sourceAccountID", "destinationAccountID"]
        .map(|key| &record[key])
}

fn check_provider(history: &History) {
    let mut last: HashMap<&str, &Value> = HashMap::new();
    let mut told = BTreeSet::new();
    let mut updated_at = String::new();
    for record in history.records() {
        Transaction::from_json(record.to_string().as_bytes()).unwrap();
        let id = text(record, "id");
        if let Some(parent) = record["relatedTransactionID"].as_str() {
            let parent = last.get(parent).expect("a parent is told before its child");
            assert!(created_at(parent) < created_at(record), "{record}");
            assert_eq!((&parent["type"], &parent["currency"]), (&record["type"], &record["currency"]));
        }
        match last.insert(id, record) {
            None => assert!(told.insert((id, text(record, "status")))),
            Some(before) => {
                assert_eq!(birth(before), birth(record), "{id}");
                let is_new = told.insert((id, text(record, "status")));
                assert_eq!(is_new, before["status"] != record["status"], "{id}: no status comes back");
            }
        }
        if let Some(at) = record["updatedAt"].as_str() {
            let is_repeated = at < updated_at.as_str();
            assert!(!is_repeated || last[id] == record, "{id}: dates ascend but for what is said again");
            updated_at = updated_at.max(at.to_owned());
        }
    }
    check_amounts(history);
}

/// No payment ever gives back or captures more than there is.
fn check_amounts(history: &History) {
    let mut left: BTreeMap<&str, i128> = BTreeMap::new();
    let mut asked: BTreeMap<&str, i128> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for record in history.records() {
        let (id, status) = (text(record, "id"), text(record, "status"));
        if !told.insert((id, status)) {
            continue;
        }
        let amount: i128 = text(record, "amount").parse().unwrap();
        let asked = *asked.entry(identity(record)).or_insert(amount);
        let first = if status == "AUTHORISATION" { 0 } else { amount };
        let left = left.entry(identity(record)).or_insert(first);
        match status {
            "REFUNDED" => *left -= amount,
            "CAPTURE" | "REFUND_REVERSED" => *left += amount,
            _ => {}
        }
        assert!((0..=asked).contains(left), "{record} leaves {left} of {asked}");
    }
}

#[test]
fn histories_have_every_status_asset_and_kind_of_life() {
    let histories: Vec<_> = (0..20).map(|seed| History::new(seed, PAYMENTS, Telling::Interleaved)).collect();
    let records: Vec<_> = histories.iter().flat_map(History::records).collect();
    let different = |key| records.iter().map(|record| text(record, key)).collect::<BTreeSet<_>>().len();
    assert_eq!((different("status"), different("type"), different("currency")), (15, 4, 5));
    assert!(different("sourceAccountID") > 5 && different("destinationAccountID") > 5);
    assert!(records.iter().any(|record| text(record, "amount").len() == 38));
    assert!(records.iter().any(|record| record.get("updatedAt").is_none()));
    assert!(records.iter().any(|record| text(record, "createdAt").ends_with("+02:00")));

    let expected: Vec<_> = histories.iter().flat_map(History::expected).collect();
    let statuses: BTreeSet<_> = expected.iter().map(|expected| expected.status.as_wire()).collect();
    assert_eq!(statuses.len(), 15);
    assert!(expected.iter().any(|expected| expected.amount == 0));
}
