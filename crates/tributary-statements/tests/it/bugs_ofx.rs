//! Mistakes that importers made with OFX and QFX files, by their symptoms.

use tributary_statements::identity::{Ledger, Rules, State};
use tributary_statements::{DecimalMark, EntryStatus, Settings, Statement, read};

use crate::support::{days, one, parse, units};

fn transaction(amount: &str, id: &str, more: &str) -> String {
    format!("<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260301<TRNAMT>{amount}<FITID>{id}{more}</STMTTRN>\n")
}

fn file(transactions: &str) -> String {
    account("1", transactions)
}

fn account(id: &str, transactions: &str) -> String {
    format!(
        "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nENCODING:USASCII\nCHARSET:1252\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>\
         <CURDEF>EUR<BANKACCTFROM><BANKID>9<ACCTID>{id}</BANKACCTFROM><BANKTRANLIST><DTSTART>20260301<DTEND>20260331{transactions}\
         </BANKTRANLIST><LEDGERBAL><BALAMT>5.00<DTASOF>20260331</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )
}

fn ids(statements: &[&Statement]) -> usize {
    let mut ledger = Ledger::new(Rules::default());
    statements.iter().map(|statement| ledger.take(statement).len()).sum()
}

#[test]
fn decimal_commas_and_points_mix_within_a_file() {
    let text = file(
        &(transaction("-12,50", "1", "") + &transaction("3.25", "2", "") + &transaction("750", "3", "")),
    );
    assert_eq!(units(&one(&text)), [-1_250, 325, 75_000]);
}

#[test]
fn a_thousand_six_hundred_fifty_is_not_read_as_one_point_six_five() {
    assert_eq!(units(&one(&file(&transaction("1,650.00", "1", "")))), [165_000]);
    let error = parse(&file(&transaction("1,650", "1", ""))).unwrap_err().to_string();
    assert!(error.contains("say in the provider's file"), "{error}");
    let settings = Settings { ofx_decimal_mark: Some(DecimalMark::Point), ..Settings::default() };
    assert_eq!(
        units(&read(file(&transaction("1,650", "1", "")).as_bytes(), &settings).unwrap()[0]),
        [165_000]
    );
}

#[test]
fn one_fitid_for_a_fee_and_a_purchase_makes_two_movements() {
    let both = one(&file(&(transaction("-100.00", "F1", "") + &transaction("-3.00", "F1", ""))));
    assert_eq!(ids(&[&both, &both]), 2);
    let twins = one(&file(&(transaction("-2.00", "F1", "") + &transaction("-2.00", "F1", ""))));
    assert_eq!(ids(&[&twins, &twins]), 2);
}

#[test]
fn one_fitid_in_two_accounts_blocks_nothing() {
    let (first, second) =
        (one(&account("1", &transaction("-1", "F", ""))), one(&account("2", &transaction("-1", "F", ""))));
    assert_eq!(ids(&[&first, &second]), 2);
}

#[test]
fn overlapping_downloads_import_nothing_twice() {
    let march = one(&file(&(transaction("-1", "A", "") + &transaction("-2", "B", ""))));
    let later = one(&file(&(transaction("-2", "B", "") + &transaction("-3", "C", ""))));
    assert_eq!(ids(&[&march, &later, &march]), 3);
    assert_eq!(ids(&[&later, &march]), 3);
}

#[test]
fn a_date_is_not_moved_by_its_zone() {
    for date in ["20260301", "20260301000000[-6:CST]", "20260301120000.000 GMT", "20260301235959[+12]"] {
        let text =
            file(&transaction("-1", "A", "")).replace("<DTPOSTED>20260301", &format!("<DTPOSTED>{date}"));
        assert_eq!(days(&one(&text)), ["2026-03-01"], "{date}");
    }
}

#[test]
fn text_is_read_whatever_its_header_lies() {
    let named = |bytes: &[u8]| {
        let mut all = file("").split("<DTEND>").next().unwrap().as_bytes().to_vec();
        all.extend(b"<DTEND>20260331<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260301<TRNAMT>-1<FITID>1<NAME>");
        all.extend(bytes);
        all.extend(b"</STMTTRN></BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>");
        all
    };
    for bytes in [&b"Caf\xe9"[..], b"Caf\xc3\xa9"] {
        for header in ["CHARSET:1252", "CHARSET:NONE", "CHARSET:8859-1", "ENCODING:UTF-8"] {
            let text = named(bytes);
            let text: Vec<u8> = replaced(&text, b"CHARSET:1252", header.as_bytes());
            let statements = read(&text, &Settings::default()).unwrap();
            assert_eq!(
                statements[0].entries[0].texts.get("counterpartyName"),
                Some("Café"),
                "{header} {bytes:?}"
            );
        }
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn ampersands_quotes_and_empty_or_unknown_tags_end_nothing() {
    let more = "<NAME>AT&T \"Shop\" &amp; <3<MEMO/><NEW.TAG>odd<AGG><DEEP>x</AGG>";
    let statement = one(&file(&transaction("-1", "A", more)));
    let texts = &statement.entries[0].texts;
    assert_eq!(texts.get("counterpartyName"), Some("AT&T \"Shop\" & <3"));
    assert_eq!((texts.get("NEW.TAG"), texts.get("AGG/DEEP")), (Some("odd"), Some("x")));
}

#[test]
fn xml_of_the_second_generation_is_read_as_well() {
    let text = "<?xml version=\"1.0\"?><?OFX OFXHEADER=\"200\" VERSION=\"220\"?><OFX><CREDITCARDMSGSRSV1><CCSTMTTRNRS><CCSTMTRS>\
        <CURDEF>USD</CURDEF><CCACCTFROM><ACCTID>4</ACCTID></CCACCTFROM><BANKTRANLIST><STMTTRN><TRNTYPE>FEE</TRNTYPE>\
        <DTPOSTED>20260301</DTPOSTED><TRNAMT>-1.00</TRNAMT><FITID>1</FITID></STMTTRN></BANKTRANLIST>\
        <BANKTRANLISTP><STMTTRNP><TRNTYPE>FEE</TRNTYPE><DTTRAN>20260302</DTTRAN><TRNAMT>-2.00</TRNAMT></STMTTRNP></BANKTRANLISTP>\
        </CCSTMTRS></CCSTMTTRNRS></CREDITCARDMSGSRSV1></OFX>";
    let statement = one(text);
    assert_eq!(units(&statement), [-100, -200]);
    assert_eq!(statement.entries[1].status, EntryStatus::Pending);
}

#[test]
fn a_transaction_that_the_bank_takes_back_or_replaces_is_cancelled() {
    let first = one(&file(&(transaction("-1", "A", "") + &transaction("-2", "B", ""))));
    let more = |action: &str, id: &str| format!("<CORRECTFITID>{id}<CORRECTACTION>{action}");
    let second = one(&file(
        &(transaction("-5", "C", &more("REPLACE", "A")) + &transaction("-2", "D", &more("DELETE", "B"))),
    ));
    for order in [[&first, &second], [&second, &first]] {
        let mut ledger = Ledger::new(Rules::default());
        for statement in order {
            ledger.take(statement);
        }
        let known = ledger.known(&first.account);
        let booked: Vec<i128> = known
            .iter()
            .filter(|known| known.state == State::Booked)
            .map(|known| known.amount.minor_units())
            .collect();
        assert_eq!((known.len(), booked), (3, vec![-500]));
    }
}

#[test]
fn a_file_that_is_cut_or_says_no_account_is_refused() {
    let text = file(&transaction("-1", "A", ""));
    assert!(parse(&text[..text.len() - 3]).is_err());
    assert!(parse(&text.replace("<ACCTID>1", "")).is_err());
    assert!(parse("<OFX></OFX>").is_err());
    for amount in ["$120", ".", "", "abc"] {
        assert!(parse(&file(&transaction(amount, "1", ""))).is_err(), "{amount}");
    }
}
