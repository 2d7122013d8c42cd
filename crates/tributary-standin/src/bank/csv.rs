//! A table with a running balance, as a bank's online service exports it.

use super::cut::Cut;
use super::ledger::Line;
use super::money::signed;

/// The columns of the table.
pub const HEADER: &str = "Booking date;Value date;Amount;Currency;Balance;Account;Reference;Type;Status;Details;Counterparty;Order";

/// A table of `cuts`, oldest or newest first; what is pending stands where the newest is, and has no balance.
pub fn write(cuts: &[Cut], newest_first: bool) -> String {
    let mut rows = Vec::new();
    for cut in cuts {
        let mut balance = cut.opening;
        for (at, line) in cut.lines.iter().enumerate() {
            balance += line.units;
            if cut.lost != Some(at) {
                rows.push(row(cut, line, Some(balance)));
            }
        }
        rows.extend(cut.pending.iter().map(|line| row(cut, line, None)));
    }
    if newest_first {
        rows.reverse();
    }
    format!("My accounts\n\n{HEADER}\n{}Total;{} rows\n", rows.concat(), rows.len())
}

fn row(cut: &Cut, line: &Line, balance: Option<i128>) -> String {
    let cells = [
        line.day.format("%d.%m.%Y").to_string(),
        line.valued.format("%d.%m.%Y").to_string(),
        signed(line.units, cut.currency, ','),
        cut.currency.code.to_owned(),
        balance.map(|units| signed(units, cut.currency, ',')).unwrap_or_default(),
        cut.account.clone(),
        line.reference.clone().unwrap_or_default(),
        line.code.to_owned(),
        if balance.is_some() { "Booked" } else { "Pending" }.to_owned(),
        quoted(&line.text),
        quoted(&line.name),
        line.order.clone().unwrap_or_default(),
    ];
    format!("{}\n", cells.join(";"))
}

fn quoted(text: &str) -> String {
    if text.contains([';', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
