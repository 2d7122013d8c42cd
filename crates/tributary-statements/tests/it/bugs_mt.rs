//! Mistakes that importers made with MT940 and MT942 files, by their symptoms.

use tributary_statements::{Charset, Settings, StatementKind, checks, read};

use crate::support::{days, ends, one, parse, units};

/// A statement of these lines between balances of `opening` and `closing`.
fn statement(number: &str, opening: &str, lines: &str, closing: &str) -> String {
    format!(":20:REF\n:25:12345/678\n:28C:{number}\n:60F:{opening}\n{lines}\n:62F:{closing}\n-\n")
}

#[test]
fn a_reversal_of_credit_is_no_income() {
    let text = statement(
        "1/1",
        "C260301EUR10,00",
        ":61:2603020302RC4,00NTRFNONREF\n:61:2603020302RDR1,00NTRFX",
        "C260302EUR7,00",
    );
    let statement = one(&text);
    assert_eq!((units(&statement), checks::of_statement(&statement)), (vec![-400, 100], vec![]));
}

#[test]
fn an_entry_at_the_turn_of_the_year_is_in_the_year_of_its_statement() {
    for (line, closing, day) in [
        ("1901011231C1,00NTRFX", "C190102EUR1,00", "2018-12-31"),
        ("1412310105C1,00NTRFX", "C150105EUR1,00", "2015-01-05"),
        ("1711271201C1,00NTRFX", "C171201EUR1,00", "2017-12-01"),
        ("0912310101C1,00NTRFX", "C100101EUR1,00", "2010-01-01"),
    ] {
        let statement = one(&statement("1", "C090101EUR0,00", &format!(":61:{line}"), closing));
        assert_eq!(days(&statement), [day], "{line}");
    }
}

#[test]
fn every_statement_of_a_file_has_its_own_balances_and_empty_ones_do_not_vanish() {
    let text = statement("1", "C260301EUR0,", ":61:260301C1,NTRFX", "C260301EUR1,")
        + &statement("2", "C260301EUR1,", "", "C260302EUR1,")
        + &statement("3", "C260302EUR1,", ":61:260303D3,NTRFX", "D260303EUR2,");
    let statements = parse(&text).unwrap();
    let balances: Vec<_> = statements.iter().map(ends).collect();
    assert_eq!(balances, [(Some(0), Some(100)), (Some(100), Some(100)), (Some(100), Some(-200))]);
    assert_eq!(checks::chain(&statements), []);
}

#[test]
fn statements_without_their_own_reference_are_several_nevertheless() {
    let text = ":20:A\n:25:1\n:28C:1\n:60F:C260301EUR0,\n:62F:C260301EUR0,\n:28C:2\n:60F:C260301EUR0,\n:61:260302C1,NTRFX\n:62F:C260302EUR1,\n";
    let statements = parse(text).unwrap();
    assert_eq!(statements.len(), 2);
    assert_eq!(statements[1].account.id, "1");
    let text = ":25:1\n:28C:1\n:60F:C260301EUR0,\n:62F:C260301EUR0,\n";
    assert_eq!(ends(&one(text)), (Some(0), Some(0)));
}

#[test]
fn an_overdrawn_balance_is_negative_once_and_its_own_even_if_dated_later() {
    let text = statement("1", "D260301EUR5,00", ":61:260301C1,00NTRFX", "D260303EUR4,00");
    assert_eq!(ends(&one(&text)), (Some(-500), Some(-400)));
}

#[test]
fn pages_that_close_at_nothing_are_joined() {
    let page = |number: &str, tags: (&str, &str), opening: &str, lines: &str, closing: &str| {
        format!(
            ":20:R\n:25:1\n:28C:7/{number}\n:60{}:{opening}\n{lines}\n:62{}:{closing}\n-\n",
            tags.0, tags.1
        )
    };
    let text = page("1", ("F", "M"), "C260301EUR5,00", ":61:260301D5,00NTRFX", "C260301EUR0,")
        + &page("2", ("M", "M"), "C260301EUR0,", ":61:260301C1,00NTRFX", "C260301EUR1,")
        + &page("3", ("M", "F"), "C260301EUR1,", "", "C260301EUR1,");
    let statement = one(&text);
    assert_eq!((ends(&statement), units(&statement)), ((Some(500), Some(100)), vec![-500, 100]));
    assert_eq!(checks::of_statement(&statement), []);
    let pages: Vec<_> = text.split_inclusive("-\n").map(one).collect();
    assert_eq!(tributary_statements::join_pages(pages), [statement]);
    let first = &text[..text.find("-\n").unwrap()];
    assert!(checks::of_statement(&one(first)).iter().any(checks::Finding::is_fatal));
}

#[test]
fn a_page_that_moves_nothing_in_sum_does_not_follow_on_itself() {
    let page = |number: u32, tags: (&str, &str), lines: &str| {
        one(&format!(
            ":20:R\n:25:1\n:28C:7/{number}\n:60{}:C260301EUR5,\n{lines}\n:62{}:C260301EUR5,\n-\n",
            tags.0, tags.1
        ))
    };
    let first = page(1, ("F", "M"), ":61:260301C1,NTRFX\n:61:260301D1,NTRFX");
    let last = page(2, ("M", "F"), ":61:260301C2,NTRFX\n:61:260301D2,NTRFX");
    let joined = tributary_statements::join_pages(vec![first.clone(), first.clone(), last]);
    let whole = joined.iter().find(|joined| joined.page.as_ref().is_some_and(|page| page.last)).unwrap();
    assert_eq!((units(whole), joined.len()), (vec![100, -100, 200, -200], 2));
    let in_one_piece = page(1, ("F", "F"), ":61:260301C1,NTRFX\n:61:260301D1,NTRFX");
    assert_eq!(
        tributary_statements::join_pages(vec![first.clone(), in_one_piece.clone()]),
        [first, in_one_piece]
    );
}

#[test]
fn a_number_of_six_digits_is_kept_whole() {
    assert_eq!(
        one(&statement("167619/1", "C260301EUR0,", "", "C260301EUR0,")).number.as_deref(),
        Some("167619")
    );
    assert_eq!(one(&statement("0", "C260301EUR0,", "", "C260301EUR0,")).number, None);
}

#[test]
fn an_interim_report_is_read_with_every_form_of_its_floor_limit() {
    for floor in [":34F:PLN0,", ":34F:EURC10,00", ":34F:EURD1,\n:34F:EURC1,", ":34F:PLN0"] {
        let code = &floor[5..8];
        let text = format!(
            ":20:R\n:25:1\n:28C:5/1\n{floor}\n:13D:2603021530+0100\n:61:2603020302C1,50NTRFX\n:86:text\n:90D:0{code}0,\n:90C:1{code}1,50\n-\n"
        );
        let statement = one(&text);
        assert_eq!((statement.kind, units(&statement)), (StatementKind::Interim, vec![150]), "{floor}");
        assert_eq!(checks::of_statement(&statement), [], "{floor}");
        assert_eq!(statement.created.as_ref().unwrap().offset_minutes, Some(60));
    }
}

#[test]
fn umlauts_of_every_charset_are_read_by_the_setting_and_change_no_identity() {
    let text = |name: &[u8]| {
        let mut bytes = b":20:R\n:25:1\n:28C:1\n:60F:C260301EUR0,\n:61:260301C1,NTRFX\n:86:".to_vec();
        bytes.extend(name);
        bytes.extend(b"\n:62F:C260301EUR1,\n");
        bytes
    };
    let mut ledger =
        tributary_statements::identity::Ledger::new(tributary_statements::identity::Rules::default());
    let mut new = 0;
    for (bytes, charset) in [
        (&b"M\xc3\xbcller"[..], None),
        (b"M\xfcller", None),
        (b"M\x81ller", Some(Charset::Cp852)),
        (b"M\xfcller", Charset::named("windows-1250")),
    ] {
        let settings = Settings { charset, ..Settings::default() };
        let statement = read(&text(bytes), &settings).unwrap().remove(0);
        assert_eq!(statement.entries[0].texts.get("remittanceInformation"), Some("Müller"));
        new += ledger.take(&statement).len();
    }
    assert_eq!(new, 1);
}

#[test]
fn envelopes_and_lines_before_the_first_field_are_no_statement() {
    let bare = statement("1", "C260301EUR0,", ":61:260301C1,NTRFX\n:86:a\n b", "C260301EUR1,");
    let wrapped =
        format!("{{1:F01BANKDEFFAXXX}}{{2:I940BANKDEFFXXXXN}}{{4:\n{}", bare.replace("-\n", "-}\n"));
    let headed = format!("ABNANL2A\n940\nABNANL2A\n{bare}");
    for text in [
        bare.clone(),
        wrapped.clone() + &wrapped,
        headed,
        bare.replace('\n', "\r\n"),
        bare.replace('\n', "@@"),
    ] {
        for statement in parse(&text).unwrap() {
            assert_eq!((units(&statement), checks::of_statement(&statement)), (vec![100], vec![]), "{text}");
        }
    }
}

#[test]
fn the_last_information_is_the_statements_and_not_the_last_entrys() {
    let text = ":20:R\n:25:1\n:28C:1\n:60F:C260301EUR0,\n:61:260301C1,NTRFX\n:86:entry\n:62F:C260301EUR1,\n:86:statement\n-\n";
    let statement = one(text);
    assert_eq!(statement.entries[0].texts.get(":86:"), Some("entry"));
    assert_eq!(statement.texts.get(":86:"), Some("statement"));
}

#[test]
fn a_day_that_does_not_exist_is_said_to_be_bent_and_what_cannot_be_a_day_is_refused() {
    let statement_of = |line: &str| statement("1", "C260301EUR0,", line, "C260301EUR1,");
    let statement = one(&statement_of(":61:2602300301C1,NTRFX"));
    assert_eq!(statement.entries[0].value_on.as_ref().unwrap().date.to_string(), "2026-02-28");
    assert_eq!(statement.entries[0].value_on.as_ref().unwrap().text, "260230");
    assert_eq!(statement.warnings.len(), 1);
    assert!(parse(&statement_of(":61:2613010301C1,NTRFX")).is_err());
}

#[test]
fn a_statement_without_its_end_is_incomplete() {
    let text = ":20:R\n:25:1\n:28C:1\n:60F:C260301EUR0,\n:61:260301C1,NTRFX\n";
    assert!(matches!(parse(text), Err(tributary_statements::ReadError::Incomplete(_))));
}

#[test]
fn a_file_that_breaks_off_in_the_head_of_its_next_message_is_incomplete() {
    let whole = statement("1", "C260301EUR0,", ":61:260301C1,NTRFX", "C260301EUR1,");
    for head in [":20:NEXT\n", ":20:NEXT\n:25:12345/678\n", ":20:NEXT\n:25:12345/678\n:28C:2\n"] {
        let told = parse(&(whole.clone() + head));
        assert!(matches!(told, Err(tributary_statements::ReadError::Incomplete(_))), "{head}: {told:?}");
    }
    assert_eq!(parse(&(whole + "{5:{CHK:123}}\n")).unwrap().len(), 1);
}
