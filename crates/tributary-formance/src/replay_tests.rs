use std::path::PathBuf;

use tributary_reference::reference;

use super::*;
use crate::error::ErrorClass;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces-selection.jsonl")
}

fn assert_no_disagreement(report: &Report) {
    let first: Vec<_> = report
        .disagreements
        .iter()
        .take(5)
        .map(|(case, kind, why)| format!("case {case} ({kind:?}): {why}"))
        .collect();
    assert!(
        first.is_empty(),
        "{} disagreements, among them\n{}",
        report.disagreements.len(),
        first.join("\n")
    );
    assert_eq!(report.agreed.len(), 6, "every kind of call was replayed");
}

#[test]
fn the_model_does_what_the_recorded_selection_did() {
    assert_no_disagreement(&replay_file(&fixture()).unwrap());
}

#[test]
fn the_model_does_what_the_whole_recording_did() {
    let Some(recording) = reference("formance/traces.jsonl") else { return };
    let report = replay_file(&recording).unwrap();
    println!("reproduced: {:?}", report.agreed);
    assert_no_disagreement(&report);
}

/// The first call of the selection that is as asked for.
fn call_that(is_wanted: impl Fn(&Call) -> bool) -> Call {
    let text = std::fs::read_to_string(fixture()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Call>(line).unwrap())
        .find(is_wanted)
        .expect("the selection has such a call")
}

fn successful_fetch() -> Call {
    call_that(|call| call.state_out.is_some() && !call.rows.is_empty())
}

#[test]
fn every_part_of_a_recorded_call_is_compared() {
    let parted = |change: &dyn Fn(&mut Call)| {
        let mut call = successful_fetch();
        change(&mut call);
        replay(&call).expect_err("the change has to be noticed")
    };
    assert_eq!(replay(&successful_fetch()), Ok(()));
    assert!(matches!(
        parted(&|call| call.exchanges[0].query = None),
        Disagreement::Request { number: 1, .. }
    ));
    assert!(matches!(parted(&|call| call.exchanges.clear()), Disagreement::Request { number: 1, .. }));
    assert!(matches!(
        parted(&|call| call.exchanges.push(call.exchanges[0].clone())),
        Disagreement::Requests { .. }
    ));
    assert!(matches!(parted(&|call| call.rows[0].reference.push('x')), Disagreement::Row { number: 1, .. }));
    assert!(matches!(parted(&|call| call.rows.push(call.rows[0].clone())), Disagreement::RowCount { .. }));
    assert!(matches!(parted(&|call| call.state_out = None), Disagreement::State { .. }));
    assert!(matches!(parted(&|call| call.has_more = !call.has_more), Disagreement::HasMore { .. }));
    assert!(matches!(
        parted(&|call| call.rejected_by_storage = Some("no".into())),
        Disagreement::Storage { .. }
    ));
    assert!(matches!(
        parted(&|call| {
            call.error = Some("no".into());
            call.error_class = Some(ErrorClass::Other);
        }),
        Disagreement::Failure { .. }
    ));
    assert!(matches!(parted(&|call| call.page_size = None), Disagreement::Unusable(_)));
}

#[test]
fn a_failure_has_to_have_the_recorded_class_and_cause() {
    let failing = || call_that(|call| call.error_class == Some(ErrorClass::TooEarly));
    assert_eq!(replay(&failing()), Ok(()));
    for (message, class) in [
        ("unexpected status code: http locked", ErrorClass::Locked),
        ("failed to parse amount: 1.5", ErrorClass::TooEarly),
    ] {
        let mut call = failing();
        call.error = Some(message.to_owned());
        call.error_class = Some(class);
        let parted = replay(&call).expect_err("the change has to be noticed");
        assert!(matches!(parted, Disagreement::Failure { .. }), "{parted}");
    }
}

#[test]
fn a_broken_line_is_named() {
    let path = std::env::temp_dir().join(format!("tributary-replay-{}", std::process::id()));
    std::fs::write(&path, "{\"case\":1}\n").unwrap();
    let error = replay_file(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(error.to_string().starts_with("line 1 of the recording"), "{error}");
}
