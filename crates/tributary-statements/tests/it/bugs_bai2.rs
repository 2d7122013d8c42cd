//! Mistakes that importers made with BAI2 files, by their symptoms.

use tributary_statements::identity::{Ledger, Rules, State};
use tributary_statements::{EntryStatus, Purpose, checks};

use crate::support::{ends, one, parse, units};

/// A file of one account, whose control totals are left blank.
fn file(account: &str) -> String {
    group("1", account)
}

fn group(status: &str, account: &str) -> String {
    format!(
        "01,BANK,ME,260302,0700,1,,,2/\n02,ME,BANK,{status},260301,,EUR,2/\n{account}\n49,,/\n98,,1,/\n99,,1,/\n"
    )
}

#[test]
fn a_type_code_before_a_continuation_does_not_swallow_the_amount_behind_it() {
    let statement = one(&file("03,1,GBP,010,100,,,045/\n88,4626045,,,015,100,,/"));
    assert_eq!(ends(&statement), (Some(100), Some(100)));
    assert_eq!(statement.texts.get("type.045"), Some("4626045"));
}

#[test]
fn a_slash_in_text_ends_nothing() {
    let statement = one(&file("03,1,,,,,/\n16,191,250,Z,B1,C1,INVOICE 3/4, PART/TWO\n88,/AND ON\n88,END/"));
    assert_eq!(units(&statement), [250]);
    let texts = &statement.entries[0].texts;
    assert_eq!(texts.get("remittanceInformation"), Some("INVOICE 3/4, PART/TWO\n/AND ON\nEND/"));
    assert_eq!(
        (texts.get("customerReference"), statement.entries[0].reference.as_deref()),
        (Some("C1"), Some("B1"))
    );
}

#[test]
fn funds_types_with_fields_of_their_own_shift_nothing() {
    let statement = one(&file(
        "03,1,,010,500,,,015,900,,/\n88,100,600,2,S,1,2,3,400,200,1,V,260301,/\n88,072,7,,D,2,0,5,1,2,040,9,,,/\n\
         16,191,100,V,260303,,B1,C1,T/\n16,191,500,S,1,2,3,B2,C2,/\n16,491,200,D,2,0,5,1,2,B3,C3,/",
    ));
    assert_eq!(units(&statement), [100, 500, -200]);
    let references: Vec<_> =
        statement.entries.iter().map(|entry| entry.reference.as_deref().unwrap()).collect();
    assert_eq!(references, ["B1", "B2", "B3"]);
    assert_eq!(statement.entries[0].value_on.as_ref().unwrap().date.to_string(), "2026-03-03");
    assert_eq!(checks::of_statement(&statement), []);
}

#[test]
fn an_empty_group_at_the_end_of_a_line_and_none_are_the_same() {
    for account in [
        "03,1,,010,5,,,015,5,,,/",
        "03,1,,010,5,,,015,5,,/",
        "03,1,,010,5,,,015,5/",
        "03,1,,010,5,,,/\n88,015,5,,/",
    ] {
        assert_eq!(ends(&one(&file(account))), (Some(5), Some(5)), "{account}");
    }
}

#[test]
fn amounts_have_the_decimals_of_the_currency_and_the_side_of_their_type() {
    let statement = one(&file(
        "03,1,JPY,,,,/\n16,195,250,0,,,/\n16,495,40,0,,,/\n16,721,3,0,,,/\n16,890,,0,,,just a message",
    ));
    assert_eq!(units(&statement), [250, -40, 3, 0]);
    assert_eq!(statement.account.currency.asset().as_str(), "JPY");
    assert_eq!(statement.entries[3].status, EntryStatus::Information);
    assert!(parse(&file("03,1,,,,,/\n16,195,-250,0,,,/")).is_err());
}

#[test]
fn codes_of_loans_have_the_side_of_the_table_and_others_of_their_range_none() {
    let details: String = (700..800).map(|code| format!("16,{code},1,0,B{code},,\n")).collect();
    let statement =
        one(&file(&format!("03,1,,,,,/\n{}", details.replace("16,720,1,", "16,720,8,").trim_end())));
    let side = |code: &str| {
        let entry = statement.entries.iter().find(|entry| entry.code.as_deref() == Some(code)).unwrap();
        (entry.amount.minor_units(), entry.status == EntryStatus::Booked)
    };
    for code in 700..800 {
        let wanted = match code {
            721..=728 => (1, true),
            760 => (-1, true),
            _ => (0, false),
        };
        assert_eq!(side(&code.to_string()), wanted, "{code}");
    }
    let told =
        |code: u32| statement.warnings.iter().any(|told| told.contains(&format!("type {code} says no side")));
    assert!(told(701) && told(730) && !told(720) && !told(890));
}

#[test]
fn a_payment_on_a_loan_is_not_doubled_by_what_its_parts_were_for() {
    let loan = |whole: u32| {
        file(&format!(
            "03,1,,701,90000,,/\n16,720,{whole},Z,P1,,\n16,721,200,Z,P1,,\n16,722,800,Z,P1,,\n16,890,,,,,a note"
        ))
    };
    let statement = one(&loan(1000));
    let moved: Vec<i128> = tributary_statements::movements(&statement, tributary_statements::Level::Entries)
        .iter()
        .map(|movement| movement.amount.minor_units())
        .collect();
    assert_eq!(moved, [200, 800]);
    assert_eq!(statement.entries[0].texts.get("amount"), Some("1000"));
    let told = parse(&loan(1500)).unwrap_err().to_string();
    assert!(told.contains("whether these are two payments"), "{told}");
    assert_eq!(units(&one(&file("03,1,,,,,/\n16,720,1000,Z,P1,,"))), [1_000]);
}

#[test]
fn an_unknown_type_code_stops_no_file_and_moves_nothing() {
    let statement = one(&file("03,1,,,,,/\n16,1234,250,0,,,/\n16,195,1,0,,,/"));
    assert_eq!(units(&statement), [0, 1]);
    assert_eq!(statement.entries[0].status, EntryStatus::Other("1234".to_owned()));
    assert_eq!((statement.entries[0].texts.get("amount"), statement.warnings.len()), (Some("250"), 1));
}

#[test]
fn control_totals_that_disagree_are_told_by_their_sum() {
    let text = |total: &str, records: &str| {
        format!(
            "01,B,M,260302,,1,,,2/\n02,M,B,1,260301,,USD,2/\n03,1,,010,100,,/\n16,195,50,0,,,/\n49,{total},3/\n98,{total},1,5/\n99,{total},1,{records}/\n"
        )
    };
    assert_eq!(checks::of_statement(&one(&text("150", "7"))), []);
    let findings = checks::of_statement(&one(&text("175", "7")));
    assert!(findings[0].to_string().contains("0.25 USD is missing"), "{}", findings[0]);
    assert!(
        checks::of_statement(&one(&text("150", "8")))[0].to_string().contains("it says 8, and there are 7")
    );
}

#[test]
fn padded_records_and_two_on_one_line_are_read() {
    let text = file("03,1,,010,5,,/\n16,195,50,0,,,PADDED")
        .replace("\n98", "98")
        .replace('\n', "                    \r\n");
    assert_eq!(units(&one(&text)), [50]);
}

#[test]
fn a_correction_replaces_the_day_and_a_test_and_a_deletion_add_nothing() {
    let details = |amounts: &[u32]| {
        let lines: Vec<String> =
            amounts.iter().map(|amount| format!("16,195,{amount},0,B{amount},,/")).collect();
        format!("03,1,,,,,/\n{}", lines.join("\n"))
    };
    let statement = |status: &str, amounts: &[u32]| one(&group(status, &details(amounts)));
    let booked = |statements: &[&tributary_statements::Statement]| -> i128 {
        let mut ledger = Ledger::new(Rules::default());
        for statement in statements {
            ledger.take(statement);
        }
        let known = ledger.known(&statements[0].account);
        known
            .iter()
            .filter(|known| known.state == State::Booked)
            .map(|known| known.amount.minor_units())
            .sum()
    };
    let (update, correction) = (statement("1", &[1, 20]), statement("3", &[20, 300]));
    let (deletion, test) = (statement("2", &[]), statement("4", &[4_000]));
    assert_eq!(correction.purpose, Purpose::Correction);
    assert_eq!(booked(&[&update, &update, &test]), 21);
    assert_eq!(booked(&[&update, &correction, &update]), 320);
    assert_eq!(booked(&[&correction, &update]), 320);
    assert_eq!(booked(&[&update, &deletion]), 0);
}

#[test]
fn a_file_without_its_trailers_is_incomplete() {
    let text = file("03,1,,,,,/\n16,195,50,0,,,/");
    for end in ["99,", "98,", "49,"] {
        let at = text.find(&format!("\n{end}")).unwrap();
        assert!(parse(&text[..at]).is_err(), "{end}");
    }
}
