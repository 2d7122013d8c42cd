//! What tests ask of statements.

use tributary_statements::{ReadError, Settings, Statement, read};

/// Reads a text with the default settings.
pub fn parse(text: &str) -> Result<Vec<Statement>, ReadError> {
    read(text.as_bytes(), &Settings::default())
}

/// The only statement of a text.
pub fn one(text: &str) -> Statement {
    let mut statements = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(statements.len(), 1, "{statements:?}");
    statements.remove(0)
}

/// The signed minor units of its entries.
pub fn units(statement: &Statement) -> Vec<i128> {
    statement.entries.iter().map(|entry| entry.amount.minor_units()).collect()
}

/// Its opening and closing balance in minor units.
pub fn ends(statement: &Statement) -> (Option<i128>, Option<i128>) {
    let units =
        |balance: Option<&tributary_statements::Balance>| balance.map(|balance| balance.amount.minor_units());
    (units(statement.opening()), units(statement.closing()))
}

/// The booking days of its entries.
pub fn days(statement: &Statement) -> Vec<String> {
    let day = |entry: &tributary_statements::Entry| entry.booked_on.as_ref().unwrap().date.to_string();
    statement.entries.iter().map(day).collect()
}
