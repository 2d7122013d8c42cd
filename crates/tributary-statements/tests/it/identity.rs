//! The promise of identities: whatever is cut, repeated, overlapped and shuffled, each movement is there once,
//! under the same id.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tributary_statements::identity::{Book, Facts, Interim, Known, Ledger, Rules, State};
use tributary_statements::{Correction, Purpose, Settings, Statement, checks, read};

use crate::bank::{self, Cut, Line};
use crate::{bugs_csv, writer};

/// How a bank sends its files.
#[derive(Debug, Clone, Copy)]
enum Style {
    Camt { newer: bool, counts: bool },
    Mt { envelope: bool, counts: bool },
    Bai2,
    Ofx { xml: bool },
    Csv { newest_first: bool },
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(newer, counts)| Style::Camt { newer, counts }),
        (any::<bool>(), any::<bool>()).prop_map(|(envelope, counts)| Style::Mt { envelope, counts }),
        Just(Style::Bai2),
        any::<bool>().prop_map(|xml| Style::Ofx { xml }),
        any::<bool>().prop_map(|newest_first| Style::Csv { newest_first }),
    ]
}

fn write(style: Style, cut: &Cut) -> String {
    match style {
        Style::Camt { newer, .. } => writer::camt(cut, false, newer),
        Style::Mt { envelope, .. } => writer::mt940(cut, envelope),
        Style::Bai2 => writer::bai2(cut),
        Style::Ofx { xml } => writer::ofx(cut, xml),
        Style::Csv { newest_first } => writer::csv(cut, newest_first),
    }
}

/// The files of a week in the order of their days. A table without rows is no file: CSV is not written then.
fn files(style: Style, lines: &[Line], spans: &[u32], windows: &[(u32, u32)]) -> Vec<String> {
    let cuts = match style {
        Style::Camt { counts, .. } | Style::Mt { counts, .. } => {
            bank::statements(lines, if counts { spans } else { &[] }, counts)
        }
        Style::Bai2 => bank::statements(lines, &[], false),
        Style::Ofx { .. } | Style::Csv { .. } => bank::exports(lines, windows),
    };
    let rows = |cut: &&Cut| !matches!(style, Style::Csv { .. }) || !cut.lines.is_empty();
    cuts.iter().filter(rows).map(|cut| write(style, cut)).collect()
}

fn parsed(text: &str) -> Vec<Statement> {
    let csv = text.starts_with("My account").then(bugs_csv::description);
    let statements = read(text.as_bytes(), &Settings { csv, ..Settings::default() });
    let statements = statements.unwrap_or_else(|error| panic!("{error}\n{text}"));
    for statement in &statements {
        assert_eq!(checks::of_statement(statement), [], "{text}");
    }
    statements
}

fn taken(files: &[&String], rules: Rules) -> Vec<Known> {
    let mut ledger = Ledger::new(rules);
    let statements: Vec<Statement> = files.iter().flat_map(|file| parsed(file)).collect();
    for statement in &statements {
        ledger.take(statement);
    }
    follow(&statements, rules);
    let accounts: Vec<_> = ledger.accounts().cloned().collect();
    accounts.iter().flat_map(|account| ledger.known(account)).collect()
}

/// Takes statements of one account, and after each only what a book says that it touched: that has to be all that changed.
fn follow(statements: &[Statement], rules: Rules) {
    let (mut book, mut followed) = (Book::default(), Vec::new());
    for statement in statements {
        book.take(&Facts::of(statement, rules), rules);
        for (place, now) in book.touched() {
            let now = (now.id.to_owned(), now.state, now.is_final);
            match followed.get_mut(place) {
                Some(there) => *there = now,
                None => followed.push(now),
            }
        }
        book.settle();
        let all: Vec<_> =
            book.standing().map(|each| (each.id.to_owned(), each.state, each.is_final)).collect();
        assert_eq!(followed, all);
    }
}

fn booked(known: &[Known]) -> Vec<i128> {
    let of = known.iter().filter(|known| known.state == State::Booked);
    let mut units: Vec<i128> = of.map(|known| known.amount.minor_units()).collect();
    units.sort_unstable();
    units
}

fn wanted(lines: &[Line]) -> Vec<i128> {
    let mut units: Vec<i128> = lines.iter().map(|line| line.units).collect();
    units.sort_unstable();
    units
}

fn ids(known: &[Known]) -> BTreeSet<String> {
    known.iter().map(|known| known.id.clone()).collect()
}

/// All files, some of them again, in another order.
fn shuffled(files: &[String], repeats: &[prop::sample::Index], keys: &[u32]) -> Vec<usize> {
    let again = repeats.iter().filter(|_| !files.is_empty()).map(|index| index.index(files.len()));
    let mut order: Vec<usize> = (0..files.len()).chain(again).collect();
    let key = |at: usize| keys.get(at % keys.len().max(1)).copied().unwrap_or(0);
    let mut keyed: Vec<(u32, usize)> =
        order.drain(..).enumerate().map(|(at, file)| (key(at), file)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, file)| file).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ids_do_not_depend_on_the_order_in_which_files_arrive(
        style in style(),
        lines in bank::lines(),
        spans in prop::collection::vec(0..4_u32, 0..5),
        windows in prop::collection::vec((0..bank::DAYS, 0..4_u32), 0..5),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        keys in prop::collection::vec(any::<u32>(), 1..40),
    ) {
        let files = files(style, &lines, &spans, &windows);
        let in_order = taken(&files.iter().collect::<Vec<_>>(), Rules::default());
        let order = shuffled(&files, &repeats, &keys);
        let mixed = taken(&order.iter().map(|at| &files[*at]).collect::<Vec<_>>(), Rules::default());
        prop_assert_eq!(ids(&in_order), ids(&mixed));
        prop_assert_eq!(&in_order, &mixed);
        prop_assert_eq!(booked(&mixed), wanted(&lines));
        prop_assert_eq!(mixed.len(), lines.len());
    }

    #[test]
    fn what_was_reported_during_the_day_is_there_once_when_it_is_final(
        newer in any::<bool>(),
        lines in bank::lines(),
        spans in prop::collection::vec(0..4_u32, 0..5),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        keys in prop::collection::vec(any::<u32>(), 1..60),
    ) {
        let finals = files(Style::Camt { newer, counts: true }, &lines, &spans, &[]);
        let reports = bank::interim(&lines).into_iter().map(|cut| writer::camt(&cut, true, newer));
        let files: Vec<String> = finals.into_iter().chain(reports).collect();
        let in_order = taken(&files.iter().collect::<Vec<_>>(), Rules::default());
        let order = shuffled(&files, &repeats, &keys);
        let mixed = taken(&order.iter().map(|at| &files[*at]).collect::<Vec<_>>(), Rules::default());
        prop_assert_eq!(ids(&in_order), ids(&mixed));
        prop_assert_eq!(booked(&mixed), wanted(&lines));
        prop_assert_eq!(mixed.len(), lines.len());
    }

    #[test]
    fn interim_reports_that_say_less_than_the_final_statement_double_nothing(
        lines in bank::lines(),
        spans in prop::collection::vec(0..4_u32, 0..5),
        keys in prop::collection::vec(any::<u32>(), 1..60),
        delta in any::<bool>(),
    ) {
        let finals = files(Style::Mt { envelope: false, counts: true }, &lines, &spans, &[]);
        let mut reports = bank::interim(&lines);
        for report in &mut reports {
            report.lines.iter_mut().for_each(|line| line.reference = None);
            if delta {
                report.lines.drain(..report.lines.len() - 1);
            }
        }
        let files: Vec<String> = finals.into_iter().chain(reports.iter().map(writer::mt942)).collect();
        let interim = if delta { Interim::Delta } else { Interim::Cumulative };
        let order = shuffled(&files, &[], &keys);
        let mixed = taken(&order.iter().map(|at| &files[*at]).collect::<Vec<_>>(), Rules { interim, ..Rules::default() });
        prop_assert_eq!(booked(&mixed), wanted(&lines));
        prop_assert!(mixed.iter().all(|known| matches!(known.state, State::Booked | State::Cancelled)));
    }

    #[test]
    fn a_statement_that_lost_a_line_does_not_close_by_just_that(
        style in style(),
        mut lines in bank::lines(),
        lost in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!lines.is_empty() && !matches!(style, Style::Ofx { .. } | Style::Csv { .. }));
        let whole = Cut { number: Some(1), first_day: 0, last_day: bank::DAYS - 1, opening: 5_000, lines: lines.clone() };
        let gone = lines.remove(lost.index(lines.len()));
        let text = write(style, &whole);
        let mut statement = read(text.as_bytes(), &Settings::default()).unwrap().remove(0);
        let at = statement.entries.iter().position(|entry| entry.amount.minor_units() == gone.units).unwrap();
        statement.entries.remove(at);
        let Some(checks::Finding::DoesNotClose { missing, .. }) = checks::closes(&statement) else {
            return Err(TestCaseError::fail("it closes"));
        };
        prop_assert_eq!(missing.minor_units(), gone.units);
    }
}

fn camt_of(number: u32, units: &[i128], created: &str) -> Statement {
    let lines = units.iter().map(|units| Line { day: 0, units: *units, reference: None }).collect();
    let cut = Cut { number: Some(number), first_day: 0, last_day: 0, opening: 0, lines };
    let text = writer::camt(&cut, false, true);
    let text = text.replace("<Acct>", &format!("<CreDtTm>{created}</CreDtTm><Acct>"));
    parsed(&text).remove(0)
}

#[test]
fn a_restatement_cancels_what_it_leaves_out_whichever_came_first() {
    let first = camt_of(1, &[100, 100, 250], "2026-03-03T01:00:00");
    let second = camt_of(1, &[100, 4_999], "2026-03-04T01:00:00");
    let known = |order: [&Statement; 2]| {
        let mut ledger = Ledger::new(Rules::default());
        order.into_iter().for_each(|statement| drop(ledger.take(statement)));
        ledger.known(&first.account)
    };
    assert_eq!(booked(&known([&first, &second])), [100, 4_999]);
    assert_eq!(known([&first, &second]), known([&second, &first]));
    assert_eq!(known([&first, &second]).len(), 4);
}

#[test]
fn what_was_expected_and_not_booked_is_cancelled_once_its_day_is_final() {
    let expected = Cut {
        number: Some(1),
        first_day: 0,
        last_day: 0,
        opening: 0,
        lines: vec![Line { day: 0, units: 777, reference: None }],
    };
    let report = parsed(&writer::camt(&expected, true, false).replace("BOOK", "PDNG")).remove(0);
    let mut ledger = Ledger::new(Rules::default());
    ledger.take(&report);
    assert_eq!(ledger.known(&report.account)[0].state, State::Pending);
    ledger.take(&camt_of(1, &[100], "2026-03-03T01:00:00"));
    let states: BTreeSet<(i128, State)> =
        ledger.known(&report.account).iter().map(|known| (known.amount.minor_units(), known.state)).collect();
    assert_eq!(states, BTreeSet::from([(100, State::Booked), (777, State::Cancelled)]));
}

#[test]
fn whatever_a_statement_changes_of_what_is_known_is_touched() {
    let report = |units: i128| {
        let line = Line { day: 0, units, reference: None };
        let cut = Cut { number: Some(1), first_day: 0, last_day: 0, opening: 0, lines: vec![line] };
        parsed(&writer::camt(&cut, true, false)).remove(0)
    };
    let first = camt_of(1, &[100, 100, 250], "2026-03-03T01:00:00");
    let second = camt_of(1, &[100, 4_999], "2026-03-04T01:00:00");
    let mut corrected = camt_of(2, &[100, 300], "2026-03-05T01:00:00");
    corrected.purpose = Purpose::Correction;
    let deleted = Statement { purpose: Purpose::Deletion, ..second.clone() };
    let mut referred = camt_of(3, &[70], "2026-03-06T01:00:00");
    referred.entries[0].reference = Some("REF7".to_owned());
    let mut withdrawing = camt_of(4, &[80], "2026-03-07T01:00:00");
    withdrawing.entries[0].correction = Some(Correction::Deletes("REF7".to_owned()));
    let statements = [report(777), first, report(100), second, corrected, deleted, referred, withdrawing];
    for turn in 0..statements.len() {
        let order: Vec<Statement> = statements[turn..].iter().chain(&statements[..turn]).cloned().collect();
        follow(&order, Rules::default());
        follow(&order.into_iter().rev().collect::<Vec<_>>(), Rules::default());
    }
}

#[test]
fn an_id_is_what_it_was() {
    let mut ledger = Ledger::new(Rules::default());
    let ids = ledger.take(&camt_of(1, &[100, 100], "2026-03-03T01:00:00"));
    assert_eq!(ids, ["8c9728a15daff3ccd8623df5da05c071-1", "8c9728a15daff3ccd8623df5da05c071-2"]);
}
