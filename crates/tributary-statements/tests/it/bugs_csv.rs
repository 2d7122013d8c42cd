//! Mistakes that importers made with CSV files, by their symptoms.

use std::collections::BTreeMap;

use tributary_statements::identity::{Ledger, Rules};
use tributary_statements::{
    CsvColumns, CsvDescription, CsvSign, DateOrder, DecimalMark, EntryStatus, ReadError, Settings, Statement,
    checks, read,
};

use crate::support::{ends, units};

fn description() -> CsvDescription {
    CsvDescription {
        columns: CsvColumns {
            booked_on: "Date".to_owned(),
            amount: Some("Amount".to_owned()),
            balance: Some("Balance".to_owned()),
            ..CsvColumns::default()
        },
        separator: b';',
        quoted: true,
        decimal_mark: DecimalMark::Comma,
        date_order: DateOrder::DayMonthYear,
        sign: CsvSign::Signed,
        account: Some("DE1".to_owned()),
        currency: Some("EUR".to_owned()),
        charset: None,
        pending: Vec::new(),
        no_entries: vec!["Total".to_owned()],
        texts: BTreeMap::from([("Text".to_owned(), "remittanceInformation".to_owned())]),
    }
}

fn read_as(bytes: &[u8], description: CsvDescription) -> Result<Vec<Statement>, ReadError> {
    read(bytes, &Settings { csv: Some(description), ..Settings::default() })
}

fn without_balance() -> CsvDescription {
    let description = description();
    CsvDescription { columns: CsvColumns { balance: None, ..description.columns.clone() }, ..description }
}

const TABLE: &str = "Account;DE1\n\nDate;Text;Amount;Balance\n01.03.2026;a;10,00;110,00\n02.03.2026;\"b; c\";-1,50;108,50\nTotal;;8,50;\n";

#[test]
fn no_rows_are_never_a_success() {
    for text in
        ["Date;Text;Amount;Balance\n", "Datum;Text;Amount;Balance\n01.03.2026;a;1,00;1,00\n", "\u{feff}\n\n"]
    {
        assert!(read_as(text.as_bytes(), description()).is_err(), "{text}");
    }
    let renamed = read_as(b"Datum;Text;Amount;Balance\n", description()).unwrap_err().to_string();
    assert!(renamed.contains("these are missing: Date"), "{renamed}");
}

#[test]
fn marks_and_utf_16_hide_no_column() {
    let utf_16 = |little: bool| -> Vec<u8> {
        let units = TABLE.encode_utf16();
        units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    let marked = [b"\xef\xbb\xbf", TABLE.as_bytes()].concat();
    let first_row = marked.clone().split_off(0);
    let bad_byte = [&first_row[..], b"03.03.2026;\xff;0,00;108,50\n"].concat();
    for bytes in [
        TABLE.as_bytes().to_vec(),
        marked,
        utf_16(true),
        utf_16(false),
        [&b"\xff\xfe"[..], &utf_16(true)].concat(),
    ] {
        let statements = read_as(&bytes, description()).unwrap();
        assert_eq!(
            (units(&statements[0]), ends(&statements[0])),
            (vec![1_000, -150], (Some(10_000), Some(10_850)))
        );
        assert_eq!(checks::of_statement(&statements[0]), []);
    }
    assert_eq!(read_as(&bad_byte, description()).unwrap()[0].entries.len(), 3);
}

#[test]
fn a_mark_before_the_header_in_the_first_line_hides_no_column() {
    let table = "\u{feff}Date;Amount;Balance\n01.03.2026;1,00;1,00\n";
    assert_eq!(units(&read_as(table.as_bytes(), description()).unwrap()[0]), [100]);
}

#[test]
fn the_running_balance_proves_the_rows_oldest_or_newest_first() {
    let newest = "Date;Amount;Balance\n02.03.2026;-1,50;108,50\n01.03.2026;10,00;110,00\n";
    let statement = &read_as(newest.as_bytes(), description()).unwrap()[0];
    assert_eq!((ends(statement), checks::of_statement(statement)), ((Some(10_000), Some(10_850)), vec![]));
    let lost =
        "Date;Amount;Balance\n03.03.2026;1,00;115,50\n02.03.2026;-1,50;108,50\n01.03.2026;10,00;110,00\n";
    let findings = checks::of_statement(&read_as(lost.as_bytes(), description()).unwrap()[0]);
    assert!(findings.iter().any(checks::Finding::is_fatal), "{findings:?}");
}

#[test]
fn rows_that_follow_either_way_run_as_their_days_do() {
    let newest = "Date;Amount;Balance\n02.03.2026;10,00;110,00\n01.03.2026;-10,00;100,00\n";
    let statement = &read_as(newest.as_bytes(), description()).unwrap()[0];
    assert_eq!(ends(statement), (Some(11_000), Some(11_000)));
    assert_eq!(statement.closing_day().unwrap().to_string(), "2026-03-02");
}

#[test]
fn rows_that_are_identical_are_as_many_as_there_are() {
    let table = "Date;Amount\n01.03.2026;-2,50\n01.03.2026;-2,50\n";
    let statement = read_as(table.as_bytes(), without_balance()).unwrap().remove(0);
    let mut ledger = Ledger::new(Rules::default());
    assert_eq!((ledger.take(&statement).len(), ledger.take(&statement).len()), (2, 0));
}

#[test]
fn an_integer_amount_is_whole_units() {
    let table = "Date;Amount\n01.03.2026;-20\n";
    assert_eq!(units(&read_as(table.as_bytes(), without_balance()).unwrap()[0]), [-2_000]);
}

#[test]
fn a_side_in_a_column_of_its_own_is_the_sign() {
    let sided = CsvDescription {
        columns: CsvColumns { side: Some("Side".to_owned()), ..without_balance().columns },
        sign: CsvSign::Side { credit: vec!["Bevétel".to_owned()], debit: vec!["Kiadás".to_owned()] },
        ..without_balance()
    };
    let table = "Date;Amount;Side\n01.03.2026;1,00;Kiadás\n01.03.2026;2,00;Bevétel\n";
    assert_eq!(units(&read_as(table.as_bytes(), sided.clone()).unwrap()[0]), [-100, 200]);
    for row in ["01.03.2026;1,00;Other", "01.03.2026;-1,00;Kiadás"] {
        assert!(read_as(format!("Date;Amount;Side\n{row}\n").as_bytes(), sided.clone()).is_err(), "{row}");
    }
    let columns = CsvDescription {
        columns: CsvColumns {
            amount: None,
            credit: Some("In".to_owned()),
            debit: Some("Out".to_owned()),
            ..without_balance().columns
        },
        sign: CsvSign::Columns,
        ..without_balance()
    };
    let table = "Date;In;Out\n01.03.2026;1,00;\n01.03.2026;;2,00\n01.03.2026;0,00;-3,00\n";
    assert_eq!(units(&read_as(table.as_bytes(), columns.clone()).unwrap()[0]), [100, -200, -300]);
    assert!(read_as(b"Date;In;Out\n01.03.2026;1,00;2,00\n", columns).is_err());
}

#[test]
fn pending_rows_among_the_booked_ones_stay_out_of_the_balance() {
    let pending = CsvDescription {
        columns: CsvColumns { status: Some("Status".to_owned()), ..description().columns },
        pending: vec!["Vorgemerkt".to_owned()],
        ..description()
    };
    let table = "Date;Amount;Balance;Status\n03.03.2026;9,00;;Vorgemerkt\n02.03.2026;1,00;11,00;ok\n01.03.2026;10,00;10,00;ok\n";
    let statement = &read_as(table.as_bytes(), pending).unwrap()[0];
    assert_eq!(statement.entries[0].status, EntryStatus::Pending);
    assert_eq!(checks::of_statement(statement), []);
}

#[test]
fn a_row_that_is_cut_or_has_a_quote_too_few_is_refused_with_its_line() {
    let error = read_as(b"Date;Amount;Balance\n01.03.2026;1,00\n", description()).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
    assert!(
        read_as(
            b"Date;Text;Amount;Balance\n01.03.2026;\"a;1,00;1,00\n02.03.2026;b;1,00;2,00\n",
            description()
        )
        .is_err()
    );
}
