//! The samples of real banks: each closes, or is put aside, as its arithmetic says.

use std::collections::{BTreeMap, BTreeSet};

use tributary_reference::reference;
use tributary_statements::identity::{Ledger, Rules};
use tributary_statements::{
    CsvColumns, CsvDescription, CsvSign, DateOrder, DecimalMark, ReadError, Settings, Statement, checks, read,
};

fn read_sample(name: &str, settings: &Settings) -> Option<Result<Vec<Statement>, ReadError>> {
    let path = reference(&format!("statements/{name}"))?;
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(read(&bytes, settings))
}

fn summary(statement: &Statement) -> Summary {
    let missing = match checks::closes(statement) {
        Some(checks::Finding::DoesNotClose { missing, .. }) => Some(missing.minor_units()),
        Some(other) => panic!("{other}"),
        None if statement.opening().is_some() && statement.closing().is_some() => Some(0),
        None => None,
    };
    (statement.entries.len(), missing)
}

/// How many entries a statement has, and how many minor units it is short of its closing balance, where it has
/// both balances.
type Summary = (usize, Option<i128>);

/// The statements of each sample.
const SAMPLES: &[(&str, &[Summary])] = &[
    ("camt052/iso20022-FI_camt_052_sample.xml.xml", &[(1, None), (1, Some(0))]),
    ("camt052/camt-camt052.v6.Amt-zero.xml", &[(1, None)]),
    ("camt053/bankstatementparser-camt053_duplicate_same_day.xml", &[(2, None)]),
    ("camt053/bankstatementparser-camt053_multicurrency.xml", &[(2, Some(0)), (1, Some(0))]),
    ("camt053/camt-camt053.v2.multi.statement.xml", &[(1, Some(0)), (1, Some(0))]),
    ("camt053/camt_parser-valid_example_with_batch.xml", &[(3, Some(1_277_414))]),
    ("camt053/iso20022-FI_camt_053_sample.xml.xml", &[(10, Some(0))]),
    ("camt053/iso20022.js-ing-example_camt.xml", &[(9, Some(0))]),
    (
        "camt054/iso20022-200519_camt054-ESR-ASR_P_CH2909000000250094239_1110092704_0_2019042500372179.xml",
        &[(2, None)],
    ),
    ("mt940/mt940-abnamro.sta", &[(8, Some(-203_800)), (2, Some(-100_260))]),
    ("mt940/mt940-rabobank-iban.sta", &[(2, Some(0)), (2, Some(0))]),
    ("mt940/mt940-citi-mt940.txt", &[(5, Some(0))]),
    (
        "mt940/mt940-rs-MT940_SE_Example.sta",
        &[
            (26, Some(0)),
            (18, Some(0)),
            (4, Some(0)),
            (7, Some(0)),
            (2, Some(0)),
            (2, Some(0)),
            (11, Some(0)),
            (6, Some(0)),
            (7, Some(0)),
            (5, Some(0)),
            (1, Some(0)),
            (14, Some(0)),
        ],
    ),
    (
        "mt940/jejik-mt940-volksbankenraiffeisenbanken.txt",
        &[
            (2, Some(0)),
            (1, Some(0)),
            (2, Some(0)),
            (3, Some(0)),
            (1, Some(0)),
            (1, Some(0)),
            (1, Some(0)),
            (1, Some(0)),
        ],
    ),
    ("mt942/mt940-raphaelm.sta", &[(8, Some(0)), (1, Some(0))]),
    // its details are not all that moved, as BAI2 allows: 0.01 came, and the balance stayed
    ("bai2/bai2-citi_example.bai2", &[(1, Some(-1))]),
    ("bai2/bai2-sample1.txt", &[(11, None), (6, None)]),
    ("ofx/ofxparse-checking.ofx", &[(3, None)]),
    ("ofx/ofxparser-ofxdata-oneline.ofx", &[(8, None)]),
    ("ofx/ofx-dtsof_balance_issue.ofx", &[(1, None)]),
    ("ofx/ofx-js-credit-card.qfx", &[(5, None)]),
];

/// Those that are held to something else below.
const OTHERS: &[&str] = &[
    "camt053/camt-camt053.v8.xml",
    "csv/bank2ynab-2018-04-14_10-52-13_bunq-transactieoverzicht.csv",
    "csv/bank2ynab-Umsaetze_EUR_02-03-2018.CSV",
    "csv/bankstatementparser-csv_european_decimals.csv",
    "mt940/cmxl-mt940-headers.txt",
    "nacha/ach-issue1620_return.ach",
    "pain002/iso20022.js-pain_002_v3_txn_reject.xml",
];

/// Samples whose statements are to follow on one another.
const CHAINS: &[&str] = &[
    "camt053/camt-camt053.v2.multi.statement.xml",
    "mt940/mt940-rabobank-iban.sta",
    "mt940/mt940-rs-MT940_SE_Example.sta",
    "mt940/jejik-mt940-volksbankenraiffeisenbanken.txt",
];

#[test]
fn samples_close_or_are_short_by_what_their_arithmetic_says() {
    for (name, wanted) in SAMPLES {
        let Some(statements) = read_sample(name, &Settings::default()) else { return };
        let statements = statements.unwrap_or_else(|error| panic!("{name}: {error}"));
        let found: Vec<_> = statements.iter().map(summary).collect();
        assert_eq!(found, *wanted, "{name}");
        for statement in &statements {
            let put_aside = checks::of_statement(statement).iter().any(checks::Finding::is_fatal);
            let (_, missing) = summary(statement);
            assert_eq!(put_aside, missing.is_some_and(|missing| missing != 0), "{name}");
        }
    }
}

#[test]
fn no_sample_is_left_out() {
    let Some(folder) = reference("statements") else { return };
    let mut there = BTreeSet::new();
    for format in std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir())
    {
        for file in std::fs::read_dir(format.path()).unwrap().map(Result::unwrap) {
            there.insert(format!("{}/{}", format.file_name().display(), file.file_name().display()));
        }
    }
    let held = SAMPLES.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied()).map(str::to_owned);
    assert_eq!(there, held.collect());
}

#[test]
fn samples_chain_in_whatever_order_their_statements_come() {
    for name in CHAINS {
        let Some(statements) = read_sample(name, &Settings::default()) else { return };
        let mut statements = statements.unwrap();
        assert_eq!(checks::chain(&statements), [], "{name}");
        statements.reverse();
        assert_eq!(checks::chain(&statements), [], "{name} reversed");
        statements.remove(statements.len() / 2);
        let expected = usize::from(statements.len() > 1 && name.contains("mt940-rs"));
        assert!(checks::chain(&statements).len() >= expected, "{name} without one of its statements");
    }
}

#[test]
fn samples_that_cannot_be_meant_are_refused_with_their_reason() {
    for (name, reason) in [
        ("mt940/cmxl-mt940-headers.txt", "is no balance"),
        ("pain002/iso20022.js-pain_002_v3_txn_reject.xml", "it moves no money"),
        ("nacha/ach-issue1620_return.ach", "NACHA"),
    ] {
        let Some(refused) = read_sample(name, &Settings::default()) else { return };
        let error = refused.expect_err(name).to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn a_closing_balance_in_another_currency_than_the_account_is_no_closing_balance() {
    let Some(statements) = read_sample("camt053/camt-camt053.v8.xml", &Settings::default()) else { return };
    let statements = statements.unwrap();
    assert_eq!((statements.len(), statements[0].entries.len()), (1, 1));
    let findings = checks::of_statement(&statements[0]);
    assert!(matches!(findings.as_slice(), [checks::Finding::OtherCurrency { .. }]), "{findings:?}");
}

#[test]
fn the_tables_of_three_banks_are_read_by_their_descriptions() {
    let bunq = described("Datum", "Bedrag", b',', DateOrder::YearMonthDay);
    let bunq = CsvDescription {
        columns: CsvColumns { account: Some("Rekening".to_owned()), ..bunq.columns.clone() },
        currency: Some("EUR".to_owned()),
        ..bunq
    };
    let commerz = described("Buchungstag", "Betrag", b';', DateOrder::DayMonthYear);
    let commerz = with_own(commerz, "Währung", "IBAN Auftraggeberkonto");
    let golden = with_own(described("Buchungstag", "Betrag", b';', DateOrder::YearMonthDay), "CCY", "IBAN");
    let wanted: [(&str, CsvDescription, &[i128]); 3] = [
        ("bank2ynab-2018-04-14_10-52-13_bunq-transactieoverzicht.csv", bunq, &[-256, 75_000, -1_890]),
        ("bank2ynab-Umsaetze_EUR_02-03-2018.CSV", commerz, &[-1_722]),
        ("bankstatementparser-csv_european_decimals.csv", golden, &[-123_456, 350_000, -450]),
    ];
    for (name, description, amounts) in wanted {
        let settings = Settings { csv: Some(description), ..Settings::default() };
        let Some(statements) = read_sample(&format!("csv/{name}"), &settings) else { return };
        let statements = statements.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(crate::support::units(&statements[0]), amounts, "{name}");
        assert_eq!((statements.len(), checks::of_statement(&statements[0])), (1, vec![]), "{name}");
    }
}

fn described(booked_on: &str, amount: &str, separator: u8, date_order: DateOrder) -> CsvDescription {
    CsvDescription {
        columns: CsvColumns {
            booked_on: booked_on.to_owned(),
            amount: Some(amount.to_owned()),
            ..CsvColumns::default()
        },
        separator,
        quoted: true,
        decimal_mark: DecimalMark::Comma,
        date_order,
        sign: CsvSign::Signed,
        account: None,
        currency: None,
        charset: None,
        pending: Vec::new(),
        no_entries: Vec::new(),
        texts: BTreeMap::new(),
    }
}

fn with_own(description: CsvDescription, currency: &str, account: &str) -> CsvDescription {
    let columns = CsvColumns {
        currency: Some(currency.to_owned()),
        account: Some(account.to_owned()),
        ..description.columns.clone()
    };
    CsvDescription { columns, ..description }
}

#[test]
fn one_reference_for_several_entries_makes_no_entry_of_several() {
    let Some(statements) = read_sample("camt053/iso20022.js-ing-example_camt.xml", &Settings::default())
    else {
        return;
    };
    let statements = statements.unwrap();
    let mut ledger = Ledger::new(Rules::default());
    assert_eq!(ledger.take(&statements[0]).len(), 9);
    assert_eq!(ledger.take(&statements[0]).len(), 0);
}

#[test]
fn two_coffees_on_one_day_are_two() {
    let name = "camt053/bankstatementparser-camt053_duplicate_same_day.xml";
    let Some(statements) = read_sample(name, &Settings::default()) else { return };
    let statements = statements.unwrap();
    let mut ledger = Ledger::new(Rules::default());
    assert_eq!(ledger.take(&statements[0]).len(), 2);
    assert_eq!(ledger.take(&statements[0]).len(), 0);
}
