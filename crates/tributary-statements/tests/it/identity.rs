//! The promise of identities: whatever is cut, repeated, overlapped and shuffled, each movement is there once,
//! under the same id.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use proptest::prelude::*;
use tributary_statements::identity::{Book, Facts, Interim, Known, Ledger, Rules, Standing, State};
use tributary_statements::{Account, Correction, Purpose, Settings, Statement, checks, read};

use tributary_standin::bank::{Cut, Group, Line, Message, Style, day};

use crate::bank;

/// How a bank sends its files, and whether it numbers them.
fn style() -> impl Strategy<Value = (Style, bool)> {
    let camt = prop::sample::select(vec![2, 4, 8, 13]).prop_map(camt_053);
    prop_oneof![
        (camt, any::<bool>()),
        (any::<bool>().prop_map(|envelope| Style::Mt940 { envelope }), any::<bool>()),
        Just((Style::Bai2(Group::Final), false)),
        any::<bool>().prop_map(|xml| (Style::Ofx { xml }, false)),
        any::<bool>().prop_map(|newest_first| (Style::Csv { newest_first }, false)),
    ]
}

fn camt_053(version: u8) -> Style {
    Style::Camt { message: Message::Statement, version }
}

fn camt_052(version: u8) -> Style {
    Style::Camt { message: Message::Report, version }
}

fn is_export(style: Style) -> bool {
    matches!(style, Style::Ofx { .. } | Style::Csv { .. })
}

fn write(style: Style, cut: &Cut) -> String {
    style.write(std::slice::from_ref(cut))
}

/// The files of a week in the order of their days. A table without rows is no file: CSV is not written then.
fn files(
    (style, counts): (Style, bool),
    lines: &[Line],
    spans: &[u32],
    windows: &[(u32, u32)],
) -> Vec<String> {
    let cuts = match is_export(style) {
        true => bank::exports(lines, windows),
        false => bank::statements(lines, if counts { spans } else { &[] }, counts),
    };
    let rows = |cut: &&Cut| !matches!(style, Style::Csv { .. }) || !cut.lines.is_empty();
    cuts.iter().filter(rows).map(|cut| write(style, cut)).collect()
}

fn parsed(text: &str) -> Vec<Statement> {
    let csv = text.starts_with("My accounts").then(bank::description);
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

fn stood(of: Standing<'_>) -> (String, State, bool, Option<NaiveDate>, (u64, usize)) {
    let Standing { id, state, is_final, day, arrival, place, .. } = of;
    (id.to_owned(), state, is_final, day, (arrival, place))
}

/// Takes statements, and after each only what a book says that it touched: that has to be all that changed.
fn follow(statements: &[Statement], rules: Rules) {
    let mut accounts: BTreeMap<&Account, (Book, Vec<_>)> = BTreeMap::new();
    for statement in statements {
        let (book, followed) = accounts.entry(&statement.account).or_default();
        book.take(&Facts::of(statement, rules), rules);
        for (place, now) in book.touched() {
            match followed.get_mut(place) {
                Some(there) => *there = stood(now),
                None => followed.push(stood(now)),
            }
        }
        book.settle();
        assert_eq!(*followed, book.standing().map(stood).collect::<Vec<_>>());
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
        version in prop::sample::select(vec![2, 8]),
        lines in bank::lines(),
        spans in prop::collection::vec(0..4_u32, 0..5),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        keys in prop::collection::vec(any::<u32>(), 1..60),
    ) {
        let finals = files((camt_053(version), true), &lines, &spans, &[]);
        let reports = bank::reports(&lines).into_iter().map(|cut| write(camt_052(version), &cut));
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
        let finals = files((Style::Mt940 { envelope: false }, true), &lines, &spans, &[]);
        let mut reports = bank::reports(&lines);
        for report in &mut reports {
            report.lines.iter_mut().for_each(|line| line.reference = None);
            if delta {
                report.lines.drain(..report.lines.len() - 1);
            }
        }
        let files: Vec<String> = finals.into_iter().chain(reports.iter().map(|cut| write(Style::Mt942, cut))).collect();
        let interim = if delta { Interim::Delta } else { Interim::Cumulative };
        let order = shuffled(&files, &[], &keys);
        let mixed = taken(&order.iter().map(|at| &files[*at]).collect::<Vec<_>>(), Rules { interim, ..Rules::default() });
        prop_assert_eq!(booked(&mixed), wanted(&lines));
        prop_assert!(mixed.iter().all(|known| matches!(known.state, State::Booked | State::Cancelled)));
    }

    #[test]
    fn a_statement_that_lost_a_line_does_not_close_by_just_that(
        (style, _) in style(),
        mut lines in bank::lines(),
        lost in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!lines.is_empty() && !is_export(style));
        let whole = bank::whole(lines.clone());
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
    let lines = units.iter().map(|units| Line::new(day(0), *units)).collect();
    let cut = Cut { created: created.parse().ok(), ..Cut::new(Some(number), (day(0), day(0)), 0, lines) };
    parsed(&write(camt_053(8), &cut)).remove(0)
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
    let expected =
        Cut { pending: vec![Line::new(day(0), 777)], ..Cut::new(Some(1), (day(0), day(0)), 0, vec![]) };
    let report = parsed(&write(camt_052(2), &expected)).remove(0);
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
        let pending = vec![Line::new(day(0), units)];
        let cut = Cut { pending, ..Cut::new(Some(1), (day(0), day(0)), 0, vec![Line::new(day(0), units)]) };
        parsed(&write(camt_052(8), &cut)).remove(0)
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

fn known_of(statements: &[&Statement], interim: Interim) -> Vec<Known> {
    let rules = Rules { interim, ..Rules::default() };
    let mut ledger = Ledger::new(rules);
    statements.iter().for_each(|statement| drop(ledger.take(statement)));
    follow(&statements.iter().map(|statement| (*statement).clone()).collect::<Vec<_>>(), rules);
    ledger.known(&statements[0].account)
}

fn states(statements: &[&Statement]) -> Vec<(i128, State)> {
    let known = known_of(statements, Interim::Cumulative);
    known.iter().map(|known| (known.amount.minor_units(), known.state)).collect()
}

#[test]
fn a_statement_in_one_piece_is_the_same_that_came_in_pages() {
    let cut = Cut::new(Some(7), (day(0), day(0)), 0, vec![Line::new(day(0), 100), Line::new(day(0), 250)]);
    let pages = camt_053(8).write(&cut.pages(2));
    let (pages, whole) = (parsed(&pages).remove(0), parsed(&write(camt_053(8), &cut)).remove(0));
    assert_eq!(pages.page.as_ref().map(|page| page.number.as_str()), Some("1"));
    for order in [[&pages, &whole], [&whole, &pages]] {
        assert_eq!(booked(&known_of(&order, Interim::Cumulative)), [100, 250]);
    }
}

#[test]
fn a_correction_of_one_day_takes_nothing_from_another_that_has_the_place_of_a_report() {
    let of = |on: u32, reference: Option<&str>| {
        let line = Line { reference: reference.map(str::to_owned), ..Line::new(day(on), 4_999) };
        Cut::new(None, (day(on), day(on)), 0, vec![line])
    };
    let report = parsed(&write(Style::Bai2(Group::Interim), &of(0, None))).remove(0);
    let next_day = parsed(&write(Style::Bai2(Group::Final), &of(1, Some("B1")))).remove(0);
    let corrected = parsed(&write(Style::Bai2(Group::Correction), &of(0, None))).remove(0);
    for order in [[&report, &next_day, &corrected], [&corrected, &report, &next_day]] {
        assert_eq!(booked(&known_of(&order, Interim::Cumulative)), [4_999, 4_999]);
    }
}

#[test]
fn what_a_table_shows_as_pending_is_so_until_one_that_goes_on_does_not_show_it() {
    let export = |last: u32, pending: &[u32]| {
        let lines = vec![Line::new(day(0), 100), Line::new(day(last), 250)];
        let pending = pending.iter().map(|on| Line::new(day(*on), 777)).collect();
        let cut = Cut { pending, ..Cut::new(None, (day(0), day(last)), 5_000, lines) };
        parsed(&write(Style::Csv { newest_first: false }, &cut)).remove(0)
    };
    let state = |statements: &[&Statement]| {
        let found = states(statements).into_iter().filter(|(units, _)| *units == 777);
        found.map(|(_, state)| state).collect::<Vec<_>>()
    };
    let (shown, still, gone) = (export(1, &[1]), export(2, &[1]), export(3, &[]));
    assert_eq!(state(&[&shown]), [State::Pending]);
    assert_eq!(state(&[&shown, &still]), [State::Pending]);
    assert_eq!(state(&[&shown, &export(2, &[])]), [State::Cancelled]);
    for order in [[&shown, &still, &gone], [&gone, &still, &shown], [&still, &gone, &shown]] {
        assert_eq!(state(&order), [State::Cancelled]);
    }
}

#[test]
fn what_a_report_expects_and_another_books_is_booked_whichever_came_first() {
    let report = |booked: &[i128], pending: &[i128]| {
        let lines = |units: &[i128]| units.iter().map(|units| Line::new(day(0), *units)).collect();
        let cut = Cut { pending: lines(pending), ..Cut::new(Some(1), (day(0), day(0)), 0, lines(booked)) };
        parsed(&write(camt_052(8), &cut)).remove(0)
    };
    let (expects, books) = (report(&[], &[100]), report(&[100], &[]));
    for order in [[&expects, &books], [&books, &expects]] {
        assert_eq!(states(&order), [(100, State::Booked)]);
    }
    let both = report(&[100], &[100]);
    assert_eq!(states(&[&both]), [(100, State::Booked), (100, State::Pending)]);
}

#[test]
fn a_statement_of_several_days_decides_about_those_on_which_it_books_nothing() {
    let expects = |on: u32| {
        let cut = Cut {
            pending: vec![Line::new(day(on), 777)],
            ..Cut::new(Some(1), (day(on), day(on)), 0, vec![])
        };
        parsed(&write(camt_052(8), &cut)).remove(0)
    };
    let cut = Cut::new(Some(1), (day(0), day(3)), 0, vec![Line::new(day(2), 100)]);
    // the second says what the day before closed with
    for version in [2, 8] {
        let statement = parsed(&write(camt_053(version), &cut)).remove(0);
        for on in 0..4 {
            assert!(states(&[&expects(on), &statement]).contains(&(777, State::Cancelled)), "day {on}");
        }
        assert!(states(&[&expects(4), &statement]).contains(&(777, State::Pending)));
    }
}
