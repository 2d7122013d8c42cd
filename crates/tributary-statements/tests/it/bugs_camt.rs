//! Mistakes that importers made with camt files, by their symptoms.

use tributary_standin::bank::{Cut, Line, Message, Style, day};
use tributary_statements::{EntryStatus, Level, Reversals, Settings, checks, join_pages, movements, read};

use crate::support::{days, ends, one, parse, units};

/// A balance of this code.
fn balance(code: &str, side: &str, amount: &str) -> String {
    format!(
        "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
         <CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>2026-03-02</Dt></Dt></Bal>"
    )
}

/// An entry, with more behind its value date.
fn entry(side: &str, amount: &str, more: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts>BOOK</Sts>\
         <BookgDt><Dt>2026-03-02</Dt></BookgDt>{more}</Ntry>"
    )
}

/// A camt.053.001.02 of one statement.
fn statement(body: &str) -> String {
    message("BkToCstmrStmt", "Stmt", body)
}

fn message(message: &str, statement: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\">\
         <{message}><GrpHdr><MsgId>M</MsgId></GrpHdr><{statement}><Id>S1</Id>\
         <Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>{body}</{statement}></{message}></Document>"
    )
}

fn closing(opening: &str, entries: &str, closing: &str) -> String {
    statement(&format!("{}{}{entries}", balance("OPBD", "CRDT", opening), balance("CLBD", "CRDT", closing)))
}

#[test]
fn a_batch_is_not_doubled_where_its_transactions_have_no_amount_of_their_own() {
    let details = "<NtryDtls><TxDtls><AmtDtls><TxAmt><Amt Ccy=\"EUR\">329.56</Amt></TxAmt></AmtDtls></TxDtls>\
                   <TxDtls><AmtDtls><TxAmt><Amt Ccy=\"EUR\">100.00</Amt></TxAmt></AmtDtls></TxDtls></NtryDtls>";
    let statement = one(&closing("0", &entry("CRDT", "429.56", details), "429.56"));
    assert_eq!(checks::of_statement(&statement), []);
    let amounts = |level| -> Vec<i128> {
        movements(&statement, level).iter().map(|movement| movement.amount.minor_units()).collect()
    };
    assert_eq!(amounts(Level::Entries), [42_956]);
    assert_eq!(amounts(Level::Details), [32_956, 10_000]);
}

#[test]
fn charges_between_details_and_entry_lose_nothing_of_the_entry() {
    let details = "<Chrgs><Amt Ccy=\"EUR\">26.00</Amt></Chrgs><NtryDtls>\
                   <TxDtls><AmtDtls><TxAmt><Amt Ccy=\"EUR\">1000</Amt></TxAmt></AmtDtls></TxDtls>\
                   <TxDtls><AmtDtls><TxAmt><Amt Ccy=\"EUR\">500</Amt></TxAmt></AmtDtls></TxDtls></NtryDtls>";
    let statement = one(&closing("0", &entry("CRDT", "1526.00", details), "1526.00"));
    let moved = movements(&statement, Level::Details);
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].amount.minor_units(), 152_600);
}

#[test]
fn every_one_of_several_charges_is_kept() {
    let charges = "<Chrgs><Amt Ccy=\"EUR\">0.05</Amt></Chrgs><Chrgs><Amt Ccy=\"EUR\">0.10</Amt></Chrgs>";
    let statement = one(&closing("0", &entry("CRDT", "1.00", charges), "1.00"));
    let texts = &statement.entries[0].texts;
    assert_eq!((texts.get("Chrgs/Amt"), texts.get("Chrgs/Amt.2")), (Some("0.05"), Some("0.10")));
    assert_eq!(units(&statement), [100]);
}

#[test]
fn a_reversal_has_the_sign_of_its_indicator_unless_the_bank_inverts_it() {
    let text = closing("10.00", &entry("DBIT", "4.00", "<RvslInd>true</RvslInd>"), "6.00");
    let statement = one(&text);
    assert_eq!((units(&statement), statement.entries[0].reversal), (vec![-400], true));
    assert_eq!(checks::of_statement(&statement), []);

    let inverted = closing("10.00", &entry("DBIT", "4.00", "<RvslInd>true</RvslInd>"), "14.00");
    let found = checks::of_statement(&one(&inverted));
    assert!(found[0].to_string().contains("it closes if reversals are inverted"), "{}", found[0]);
    let settings = Settings { reversals: Reversals::Inverted, ..Settings::default() };
    assert_eq!(checks::of_statement(&read(inverted.as_bytes(), &settings).unwrap()[0]), []);
}

#[test]
fn a_report_of_the_day_is_no_empty_statement_and_other_xml_is_no_success() {
    let text = message("BkToCstmrAcctRpt", "Rpt", &entry("CRDT", "1.00", ""));
    assert_eq!(units(&one(&text)), [100]);
    assert!(parse("<Document><Other/></Document>").is_err());
    assert!(
        parse("<Document><BkToCstmrStmt><GrpHdr><MsgId>1</MsgId></GrpHdr></BkToCstmrStmt></Document>")
            .is_err()
    );
}

#[test]
fn the_opening_balance_is_never_taken_for_the_closing_one() {
    let text = statement(&format!("{}{}", balance("OPBD", "CRDT", "5.00"), balance("CLBD", "CRDT", "7.00")));
    assert_eq!(ends(&one(&text)), (Some(500), Some(700)));
    let text = statement(&balance("OPBD", "CRDT", "5.00"));
    assert_eq!(ends(&one(&text)), (Some(500), None));
    let text = statement(&format!("{}{}", balance("PRCD", "CRDT", "5.00"), balance("ITBD", "DBIT", "1.00")));
    assert_eq!(ends(&one(&text)), (Some(500), None));
    let text = statement(&format!("{}{}", balance("ITBD", "CRDT", "5.00"), balance("ITBD", "DBIT", "1.00")));
    assert_eq!(ends(&one(&text)), (Some(500), Some(-100)));
}

#[test]
fn a_statement_without_the_time_of_its_making_is_read() {
    let body = "<RptgSeq><EQSeq>1</EQSeq></RptgSeq>".to_owned() + &balance("CLBD", "CRDT", "1");
    assert_eq!(one(&statement(&body)).created, None);
}

#[test]
fn a_time_with_an_offset_keeps_it_and_falls_on_the_day_of_the_zone_that_is_set() {
    let text = closing(
        "0",
        &entry("CRDT", "1", "")
            .replace("<BookgDt><Dt>2026-03-02</Dt>", "<BookgDt><DtTm>2026-03-01T23:00:00.000001Z</DtTm>"),
        "1",
    );
    let plain = one(&text);
    assert_eq!(days(&plain), ["2026-03-01"]);
    assert_eq!(plain.entries[0].booked_on.as_ref().unwrap().offset_minutes, Some(0));
    let settings = Settings { zone: Some(chrono_tz::Europe::Brussels), ..Settings::default() };
    assert_eq!(days(&read(text.as_bytes(), &settings).unwrap()[0]), ["2026-03-02"]);
}

#[test]
fn all_entries_of_a_notification_are_read() {
    let body = entry("CRDT", "1", "") + &entry("DBIT", "2", "") + &entry("CRDT", "3", "");
    assert_eq!(units(&one(&message("BkToCstmrDbtCdtNtfctn", "Ntfctn", &body))), [100, -200, 300]);
}

#[test]
fn a_balance_of_the_banks_own_type_is_read_and_used_for_nothing() {
    let own = balance("X", "CRDT", "9").replace("<Cd>X</Cd>", "<Prtry>OWN</Prtry>");
    let statement = one(&closing("0", &own, "0"));
    assert_eq!(ends(&statement), (Some(0), Some(0)));
    assert_eq!(statement.balances.len(), 3);
}

#[test]
fn what_a_batch_says_once_is_not_said_of_each_of_its_transactions() {
    let detail = |id: &str| {
        format!(
            "<TxDtls><Refs><EndToEndId>{id}</EndToEndId></Refs><AmtDtls><TxAmt><Amt Ccy=\"EUR\">1</Amt></TxAmt></AmtDtls></TxDtls>"
        )
    };
    let batch =
        format!("<NtryDtls>{}{}</NtryDtls><AddtlNtryInf>BATCH</AddtlNtryInf>", detail("A"), detail("B"));
    let statement = one(&closing("0", &entry("CRDT", "2", &batch), "2"));
    let moved = movements(&statement, Level::Details);
    assert_eq!(moved.len(), 2);
    assert!(moved.iter().all(|movement| movement.texts.get("additionalEntryInformation").is_none()));
    let single = format!("<NtryDtls>{}</NtryDtls><AddtlNtryInf>ONE</AddtlNtryInf>", detail("A"));
    let statement = one(&closing("0", &entry("CRDT", "1", &single), "1"));
    assert_eq!(movements(&statement, Level::Details)[0].texts.get("additionalEntryInformation"), Some("ONE"));
}

#[test]
fn names_behind_an_ampersand_are_not_cut() {
    let details = "<NtryDtls><TxDtls><RltdPties><Dbtr><Pty><Nm>Müller &amp; S&#246;hne</Nm></Pty></Dbtr></RltdPties></TxDtls></NtryDtls>";
    let statement = one(&closing("0", &entry("CRDT", "1", details), "1"));
    assert_eq!(statement.entries[0].details[0].texts.get("debtorName"), Some("Müller & Söhne"));
}

#[test]
fn text_in_a_declared_charset_is_read_in_it_and_undeclared_text_by_the_setting() {
    let text = closing("0", &entry("CRDT", "1", "<AddtlNtryInf>Grüße</AddtlNtryInf>"), "1");
    let latin: Vec<u8> =
        text.replace("UTF-8", "ISO-8859-1").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let lying: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for bytes in [latin, lying] {
        let statements = read(&bytes, &Settings::default()).unwrap();
        assert_eq!(statements[0].entries[0].texts.get("additionalEntryInformation"), Some("Grüße"));
    }
}

#[test]
fn versions_prefixes_and_own_namespaces_make_no_difference() {
    let text = closing("0", &entry("CRDT", "1", ""), "1");
    let newer = text.replace("<Sts>BOOK</Sts>", "<Sts><Cd>BOOK</Cd></Sts>").replace("001.02", "001.14");
    let austrian =
        text.replace("urn:iso:std:iso:20022:tech:xsd:camt.053.001.02", "ISO:camt.053.001.02:austrian.002");
    let bare = text.replace(" xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"", "");
    let prefixed = text
        .replace("</", "</c:")
        .replace('<', "<c:")
        .replace("<c:/c:", "</c:")
        .replace("<c:?xml", "<?xml")
        .replace(" xmlns=", " xmlns:c=");
    for text in [newer, austrian, bare, prefixed] {
        let statement = one(&text);
        assert_eq!((units(&statement), checks::of_statement(&statement)), (vec![100], vec![]), "{text}");
    }
}

#[test]
fn only_what_is_booked_counts_for_the_balance() {
    let pending = entry("CRDT", "5", "").replace("BOOK", "PDNG");
    let info = entry("CRDT", "7", "").replace("BOOK", "INFO");
    let future = entry("CRDT", "9", "").replace("<Sts>BOOK</Sts>", "<Sts><Cd>FUTR</Cd></Sts>");
    let statement = one(&closing("0", &(entry("CRDT", "1", "") + &pending + &info + &future), "1"));
    assert_eq!(checks::of_statement(&statement), []);
    let statuses: Vec<&EntryStatus> = statement.entries.iter().map(|entry| &entry.status).collect();
    assert_eq!(
        statuses,
        [&EntryStatus::Booked, &EntryStatus::Pending, &EntryStatus::Information, &EntryStatus::Future]
    );
    assert_eq!(movements(&statement, Level::Entries).len(), 3);
}

#[test]
fn an_amount_that_no_bank_means_is_refused_with_its_entry() {
    for amount in ["-1.00", "1.005", "1e3", "", "1,00"] {
        let error = parse(&closing("0", &entry("CRDT", amount, "<NtryRef>N7</NtryRef>"), "0"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("entry N7 of statement S1"), "{amount}: {error}");
    }
    assert_eq!(units(&one(&closing("0", &entry("CRDT", "18.150", ""), "18.15"))), [1_815]);
}

#[test]
fn half_a_file_is_incomplete_at_whatever_byte_it_was_cut() {
    let text = closing("0", &entry("CRDT", "1", "<AddtlNtryInf>x &amp; y</AddtlNtryInf>"), "1");
    for cut in 130..text.len() - 1 {
        assert!(parse(&text[..cut]).is_err(), "cut at {cut}: {}", &text[..cut]);
    }
}

#[test]
fn entities_that_unfold_are_refused() {
    let text = closing("0", &entry("CRDT", "1", ""), "1")
        .replace("<Document", "<!DOCTYPE x [<!ENTITY a \"b\">]><Document");
    assert!(parse(&text).is_err());
}

#[test]
fn pages_become_one_statement_and_a_page_alone_is_put_aside() {
    let page = |number: u32, last: bool, body: &str| {
        statement(&format!("<StmtPgntn><PgNb>{number}</PgNb><LastPgInd>{last}</LastPgInd></StmtPgntn>{body}"))
    };
    let first = page(
        1,
        false,
        &(balance("OPBD", "CRDT", "0") + &balance("ITBD", "CRDT", "1") + &entry("CRDT", "1", "")),
    );
    let second = page(
        2,
        true,
        &(balance("ITBD", "CRDT", "1") + &balance("CLBD", "CRDT", "3") + &entry("CRDT", "2", "")),
    );
    let open = first.replace("</BkToCstmrStmt></Document>", "");
    let behind = second.find("<Stmt>").map(|at| &second[at..]).unwrap();
    let statement = one(&(open + behind));
    assert_eq!((units(&statement), ends(&statement)), (vec![100, 200], (Some(0), Some(300))));
    assert_eq!(checks::of_statement(&statement), []);
    assert!(matches!(checks::of_statement(&one(&first))[0], checks::Finding::MissingPages { .. }));
}

#[test]
fn pages_are_joined_whichever_of_them_came_together() {
    let cut = |first: u32, opening: i128| {
        let lines = [100, 200, 300].map(|units| Line::new(day(first), units)).to_vec();
        Cut::new(Some(1), (day(first), day(first)), opening, lines)
    };
    let pages = |cut: &Cut, version: u8| {
        let style = Style::Camt { message: Message::Statement, version };
        cut.pages(3).iter().map(|page| style.write(std::slice::from_ref(page))).collect::<Vec<_>>()
    };
    // by each version's own way to say what it opens with
    for version in [2, 8] {
        let texts = pages(&cut(0, 5_000), version);
        let [first, second, third] = [0, 1, 2].map(|at| one(&texts[at]));
        let rest = join_pages(vec![second, third]);
        let whole = join_pages([vec![first], rest].concat());
        assert_eq!((whole.len(), checks::of_statement(&whole[0])), (1, vec![]), "version {version}");
    }
    // the same number comes again a year later
    let (texts, later) = (pages(&cut(0, 5_000), 8), pages(&cut(365, 7_000), 8));
    let mixed = join_pages([&later[1], &texts[0], &texts[1]].map(|text| one(text)).to_vec());
    assert_eq!(mixed.len(), 2);
}

#[test]
fn everything_that_the_bank_says_is_kept_under_the_names_of_iso_20022_or_its_own() {
    let details = "<NtryDtls><TxDtls><Refs><EndToEndId>E1</EndToEndId><MndtId>M1</MndtId><ClrSysRef>C1</ClrSysRef>\
        <UETR>u-1</UETR></Refs><RmtInf><Ustrd>one</Ustrd><Ustrd>two</Ustrd></RmtInf><Odd><Thing a=\"b\">t</Thing></Odd></TxDtls></NtryDtls>\
        <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>";
    let statement = one(&closing("0", &entry("CRDT", "1", details), "1"));
    assert_eq!(statement.texts.get("GrpHdr/MsgId"), Some("M"));
    let texts = &movements(&statement, Level::Entries)[0].texts;
    for (name, text) in [
        ("endToEndId", "E1"),
        ("mandateId", "M1"),
        ("clearingSystemReference", "C1"),
        ("uetr", "u-1"),
        ("remittanceInformation", "one"),
        ("remittanceInformation.2", "two"),
        ("bankTransactionCode", "PMNT-RCDT-ESCT"),
        ("Odd/Thing", "t"),
        ("Odd/Thing@a", "b"),
    ] {
        assert_eq!(texts.get(name), Some(text), "{name}");
    }
}
