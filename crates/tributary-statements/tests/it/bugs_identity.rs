//! Movements that others dropped, merged or doubled, by their symptoms.

use tributary_statements::identity::{Ledger, Rules, State};
use tributary_statements::{Level, Statement, checks};

use crate::support::one;

/// A camt.053 of one entry of 200.00 with these details.
fn batch(number: &str, day: &str, details: &str) -> String {
    let balance = |code: &str, amount: &str| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>\
             <Dt><Dt>{day}</Dt></Dt></Bal>"
        )
    };
    format!(
        "<Document><BkToCstmrStmt><Stmt><Id>940S</Id><ElctrncSeqNb>{number}</ElctrncSeqNb><Acct><Id><IBAN>DE1</IBAN></Id>\
         <Ccy>EUR</Ccy></Acct>{}{}<Ntry><Amt Ccy=\"EUR\">200.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>\
         <BookgDt><Dt>{day}</Dt></BookgDt>{details}</Ntry></Stmt></BkToCstmrStmt></Document>",
        balance("OPBD", "0"),
        balance("CLBD", "200.00")
    )
}

/// Two transactions of 100.00 with the same id.
fn halves() -> String {
    let half = "<TxDtls><Refs><AcctSvcrRef>SAME</AcctSvcrRef></Refs><AmtDtls><TxAmt><Amt Ccy=\"EUR\">100.00</Amt></TxAmt></AmtDtls></TxDtls>";
    format!("<NtryDtls>{half}{half}</NtryDtls>")
}

fn details() -> Rules {
    Rules { level: Level::Details, ..Rules::default() }
}

/// The ids that there are, and the money that is booked, in minor units.
fn taken(statements: &[&Statement], rules: Rules) -> (usize, i128) {
    let mut ledger = Ledger::new(rules);
    let ids = statements.iter().map(|statement| ledger.take(statement).len()).sum();
    let known = ledger.known(&statements[0].account);
    let booked = known.iter().filter(|known| known.state == State::Booked);
    (ids, booked.map(|known| known.amount.minor_units()).sum())
}

#[test]
fn transactions_that_share_an_id_are_imported_as_often_as_they_are_there() {
    let statement = one(&batch("1", "2026-03-02", &halves()));
    assert_eq!(taken(&[&statement, &statement], details()), (2, 20_000));
}

#[test]
fn a_statement_is_not_skipped_because_its_number_was_there_last_year() {
    let last_year = one(&batch("1", "2025-01-02", ""));
    let this_year = one(&batch("1", "2026-01-02", ""));
    assert_eq!(taken(&[&last_year, &this_year, &last_year], Rules::default()), (2, 40_000));
}

#[test]
fn a_batch_whose_details_come_later_is_the_same_money_at_either_level() {
    let (first, later) = (one(&batch("1", "2026-03-02", "")), one(&batch("1", "2026-03-02", &halves())));
    assert_eq!(taken(&[&first, &later], Rules::default()), (1, 20_000));
    assert_eq!(taken(&[&first, &later], details()).1, 20_000);
    let report =
        batch("7", "2026-03-02", "").replace("BkToCstmrStmt", "BkToCstmrAcctRpt").replace("Stmt>", "Rpt>");
    let report = one(&report);
    assert_eq!(taken(&[&report, &later], details()).1, 20_000);
    assert_eq!(taken(&[&later, &report], details()).1, 20_000);
}

#[test]
fn a_statement_closes_whether_or_not_its_entries_are_known_already() {
    let statement = one(&batch("1", "2026-03-02", ""));
    let mut ledger = Ledger::new(Rules::default());
    for new in [1, 0] {
        assert_eq!(checks::of_statement(&statement), []);
        assert_eq!(ledger.take(&statement).len(), new);
    }
}

#[test]
fn references_that_say_that_there_is_none_tell_nothing_apart() {
    let with =
        |reference: &str| one(&batch("1", "2026-03-02", &format!("<AcctSvcrRef>{reference}</AcctSvcrRef>")));
    let first = with("NOTPROVIDED");
    assert_eq!(taken(&[&first, &with("NONREF"), &with("000")], Rules::default()), (1, 20_000));
}

#[test]
fn a_reference_that_changes_with_each_download_is_left_out_of_the_key_by_rule() {
    let with =
        |reference: &str| one(&batch("1", "2026-03-02", &format!("<AcctSvcrRef>{reference}</AcctSvcrRef>")));
    let rules = Rules { references: false, ..Rules::default() };
    assert_eq!(taken(&[&with("A1"), &with("B2")], rules), (1, 20_000));
}
