//! What the tests of the tables feed them with.

use serde_json::{Value, json};

use super::Kept;
use crate::decode;
use crate::gojson::Raw;
use crate::gotime::GoTime;
use crate::message::Kind;
use crate::row::Row;

/// The rows of one page of transactions.
pub(super) fn rows(page: &str) -> Vec<Row> {
    let page = decode::page(Kind::Transactions, Raw::parse(page.as_bytes()).unwrap()).unwrap();
    page.into_iter().map(|row| row.into_row(Kind::Transactions).unwrap()).collect()
}

/// A payin of 100 cents with this id and status, created `second` seconds after
/// noon, with the members of `rest` on top.
pub(super) fn row(id: &str, status: &str, second: u8, rest: Value) -> Row {
    let mut row = json!({
        "id": id, "status": status, "createdAt": format!("2026-03-01T12:00:{second:02}Z"),
        "updatedAt": "2026-03-01T13:00:00Z", "type": "PAYIN", "currency": "EUR/2", "amount": "100",
    });
    for (key, value) in rest.as_object().unwrap() {
        row[key] = value.clone();
    }
    rows(&json!([row]).to_string()).remove(0)
}

/// `second` seconds after noon.
pub(super) fn noon(second: u8) -> GoTime {
    GoTime::parse(format!("2026-03-01T12:00:{second:02}Z").as_bytes()).unwrap()
}

/// Tables that were fed with these rows of transactions.
pub(super) fn kept(rows: &[Row]) -> Kept {
    let mut kept = Kept::default();
    kept.take(Kind::Transactions, rows);
    kept
}
