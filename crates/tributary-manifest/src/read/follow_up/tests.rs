use super::*;
use tributary_domain::{Resource, parse_record};

fn minute(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_323_200, 0).unwrap() + TimeDelta::minutes(minute)
}

/// One that was seen at minute 0 and looked at in minute 10.
fn open(key: &str) -> OpenRecord {
    let canonical = r#"{"id":"a","createdAt":"2026-03-01T00:00:00Z","updatedAt":"2026-03-01T00:00:00Z","type":"PAYIN",
        "status":"PENDING","currency":"EUR/2","amount":"1"}"#;
    OpenRecord {
        key: key.to_owned(),
        record: b"{}".to_vec(),
        canonical: vec![parse_record(Resource::Transactions, canonical.as_bytes()).unwrap()],
        at: Some(minute(0)),
        first_seen: Some(minute(0)),
        checked_at: Some(minute(10)),
        missed_at: None,
    }
}

fn listed(from: Option<i64>, until: Option<i64>) -> Listed {
    Listed { begun_at: minute(20), from: from.map(minute), until: until.map(minute) }
}

fn origin() -> Origin {
    Origin {
        stream: "feed".to_owned(),
        partition: String::new(),
        record: b"null".to_vec(),
        parent: b"null".to_vec(),
        asked_at: String::new(),
        identity: None,
        vanished: false,
    }
}

#[test]
fn only_what_was_asked_for_can_be_missing() {
    let undated = OpenRecord { at: None, ..open("a") };
    let just_seen = OpenRecord { checked_at: Some(minute(20)), ..open("a") };
    let never_seen = OpenRecord { checked_at: None, ..open("a") };
    for (from, until, record, missing) in [
        (Some(-1), Some(1), open("a"), true),
        (Some(0), Some(1), open("a"), true),
        (Some(1), Some(2), open("a"), false),
        (Some(-1), Some(0), open("a"), false),
        (None, Some(1), open("a"), true),
        (Some(-1), None, open("a"), true),
        (None, None, open("a"), true),
        (None, None, undated.clone(), true),
        (Some(-1), None, undated.clone(), false),
        (None, Some(1), undated, false),
        (None, None, just_seen, false),
        (None, None, never_seen, false),
    ] {
        assert_eq!(listed(from, until).misses(&record), missing, "{from:?} {until:?} {record:?}");
    }
}

#[test]
fn what_one_walk_misses_is_noted_and_what_two_miss_is_cancelled() {
    let missing = |open: OpenRecord, furthest_back| {
        missing(vec![open], listed(Some(-1), Some(1)), furthest_back, &origin(), true)
    };
    let noted = missing(open("a"), None);
    assert_eq!(noted.open, [OpenRecord { missed_at: Some(minute(20)), ..open("a") }]);
    assert_eq!(
        (noted.warnings, noted.closed.len(), noted.records.len()),
        ([(Warning::Missed, 1)].into(), 0, 0)
    );

    let in_this_walk = OpenRecord { missed_at: Some(minute(20)), ..open("a") };
    assert_eq!(missing(in_this_walk, None).closed, [""; 0], "the same walk is no second one");

    let twice = missing(OpenRecord { missed_at: Some(minute(15)), ..open("a") }, None);
    assert_eq!((&twice.closed, &twice.warnings), (&vec!["a".to_owned()], &[(Warning::Vanished, 1)].into()));
    let [MappedRecord::Canonical(Record::Transaction(cancelled))] = &twice.records[..] else {
        panic!("{twice:?}")
    };
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(cancelled.provider_updated_at, None, "its time was that of another state");
    let kept = &twice.raw[0].origin;
    assert_eq!(
        (&kept.record[..], kept.identity.as_deref(), kept.vanished),
        (&b"{}"[..], Some(&b"a"[..]), true)
    );
}

#[test]
fn what_is_older_than_the_api_goes_back_is_not_heard_of_again() {
    let outside = || OpenRecord { at: Some(minute(-5)), ..open("a") };
    for (furthest, out_of_reach) in [(-4, true), (-5, false), (-6, false)] {
        let reading =
            missing(vec![outside()], listed(Some(-1), None), Some(minute(furthest)), &origin(), true);
        let told = out_of_reach.then_some((Warning::OutOfReach, 1)).into_iter().collect();
        assert_eq!((reading.closed.len(), reading.warnings), (usize::from(out_of_reach), told), "{furthest}");
    }
}

#[test]
fn an_open_record_is_due_after_a_twentieth_of_its_age_and_given_up_in_the_end() {
    let due_at = |now: i64, open: OpenRecord| {
        let (given_up, due) = due(vec![open], minute(now), TimeDelta::minutes(5), TimeDelta::minutes(1_000));
        assert_eq!(
            given_up.warnings.get(&Warning::GivenUp).copied().unwrap_or(0),
            given_up.closed.len() as u64
        );
        (given_up.closed.len(), due.len())
    };
    assert_eq!(due_at(14, open("a")), (0, 0));
    assert_eq!(due_at(15, open("a")), (0, 1), "`every` has passed");
    let old = || OpenRecord { checked_at: Some(minute(400)), ..open("a") };
    assert_eq!(due_at(420, old()), (0, 0));
    assert_eq!(due_at(422, old()), (0, 1), "a twentieth of its age has passed");
    assert_eq!(due_at(1_000, open("a")), (0, 1));
    assert_eq!(due_at(1_001, open("a")), (1, 0));
    let unknown = OpenRecord { first_seen: None, checked_at: None, ..open("a") };
    assert_eq!(due_at(1_001, unknown), (0, 1));
    let two = vec![open("a"), open("b")];
    let (given_up, _) = due(two, minute(1_001), TimeDelta::minutes(5), TimeDelta::minutes(1_000));
    assert_eq!(given_up.warnings, [(Warning::GivenUp, 2)].into());
}

#[test]
fn what_does_not_come_once_is_asked_for_once_more_and_what_does_not_come_twice_is_not() {
    let had = |missed: Option<i64>| {
        let open = OpenRecord { missed_at: missed.map(minute), ..open("a") };
        not_had(&open, minute(20), Warning::NotFound, Warning::Gone)
    };
    for missed in [None, Some(20)] {
        let noted = OpenRecord { missed_at: Some(minute(20)), checked_at: Some(minute(20)), ..open("a") };
        let reading = had(missed);
        assert_eq!((reading.open, reading.closed), (vec![noted], vec![]), "{missed:?}");
        assert_eq!(reading.warnings, [(Warning::NotFound("a".to_owned()), 1)].into());
    }
    let reading = had(Some(19));
    assert_eq!((reading.open, reading.closed), (vec![], vec!["a".to_owned()]));
    assert_eq!(reading.warnings, [(Warning::Gone("a".to_owned()), 1)].into());
}

#[test]
fn one_record_that_cannot_be_asked_for_stops_no_other_and_three_in_a_row_do() {
    let of_one = || ReadError::Paging("this one".to_owned());
    let mut failures = Failures::default();
    for failed in 1..=3 {
        assert!(!failures.too_many(), "{failed}");
        failures.add(of_one());
    }
    assert!(failures.too_many());
    let mut failures = Failures::default();
    failures.add(ReadError::Parent("accounts".to_owned()));
    assert!(failures.too_many(), "any other would fail like it");
    failures.add(of_one());
    assert_eq!(failures.first, Some(ReadError::Parent("accounts".to_owned())));
}
