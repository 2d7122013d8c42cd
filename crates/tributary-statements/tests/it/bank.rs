//! The stand-in bank with one account, whose movements are drawn.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tributary_standin::bank::{self, Account, Cut, EUR, Ledger, Line, day};
use tributary_statements::{CsvColumns, CsvDescription, CsvSign, DateOrder, DecimalMark};

pub const DAYS: u32 = 6;

/// The movements of a week, day by day. Amounts and references are few, so that many lines are equal.
pub fn lines() -> impl Strategy<Value = Vec<Line>> {
    let units = prop::sample::select(vec![100, 100, 250, -100, -250, 4_999, -1]);
    let line = (0..DAYS, units, prop::option::of(0..3_u8)).prop_map(|(number, units, reference)| Line {
        reference: reference.map(|id| format!("REF{id}X")),
        ..Line::new(day(number), units)
    });
    prop::collection::vec(line, 0..24).prop_map(|mut lines| {
        lines.sort_by_key(|line| line.day);
        lines
    })
}

fn of(lines: &[Line]) -> (Ledger, Account) {
    let account = Account {
        number: "DE1".to_owned(),
        currency: EUR,
        opening: 5_000,
        lines: lines.to_vec(),
        never_booked: Vec::new(),
    };
    (Ledger { first_day: day(0), days: DAYS, accounts: Vec::new() }, account)
}

/// As [`bank::statements`].
pub fn statements(lines: &[Line], spans: &[u32], counts: bool) -> Vec<Cut> {
    let (ledger, account) = of(lines);
    bank::statements(&ledger, &account, spans, counts)
}

/// As [`bank::exports`].
pub fn exports(lines: &[Line], windows: &[(u32, u32)]) -> Vec<Cut> {
    let (ledger, account) = of(lines);
    bank::exports(&ledger, &account, windows)
}

/// As [`bank::reports`].
pub fn reports(lines: &[Line]) -> Vec<Cut> {
    let (ledger, account) = of(lines);
    bank::reports(&ledger, &account)
}

/// One statement of the whole week.
pub fn whole(lines: Vec<Line>) -> Cut {
    Cut::new(Some(1), (day(0), day(DAYS - 1)), 5_000, lines)
}

/// What the bank's tables are like.
pub fn description() -> CsvDescription {
    let column = |name: &str| Some(name.to_owned());
    CsvDescription {
        columns: CsvColumns {
            booked_on: "Booking date".to_owned(),
            value_on: column("Value date"),
            amount: column("Amount"),
            balance: column("Balance"),
            currency: column("Currency"),
            account: column("Account"),
            reference: column("Reference"),
            code: column("Type"),
            status: column("Status"),
            ..CsvColumns::default()
        },
        separator: b';',
        quoted: true,
        decimal_mark: DecimalMark::Comma,
        date_order: DateOrder::DayMonthYear,
        sign: CsvSign::Signed,
        account: None,
        currency: None,
        charset: None,
        pending: vec!["Pending".to_owned()],
        no_entries: vec!["Total".to_owned()],
        texts: BTreeMap::from([("Details".to_owned(), "remittanceInformation".to_owned())]),
    }
}
