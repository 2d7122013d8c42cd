//! MT940 and MT942.

use super::cut::Cut;
use super::ledger::{Currency, Line};
use super::money::decimal;
use chrono::NaiveDate;

fn yymmdd(day: NaiveDate) -> String {
    day.format("%y%m%d").to_string()
}

/// `15d`: the comma is always there.
fn amount(units: i128, currency: Currency) -> String {
    let text = decimal(units, currency, ',');
    if text.contains(',') { text } else { text + "," }
}

/// MT940: a message for each statement or page, bare or in an envelope.
pub fn mt940(cuts: &[Cut], envelope: bool) -> String {
    let (before, after) = if envelope {
        ("{1:F01BANKDEFFAXXX0000000000}{2:I940BANKDEFFXXXXN}{4:\r\n", "-}\r\n")
    } else {
        ("", "-\n")
    };
    let message = |cut: &Cut| {
        let (page, last) = cut.page.unwrap_or((1, true));
        let (opens, closes) = (if page == 1 { 'F' } else { 'M' }, if last { 'F' } else { 'M' });
        format!(
            "{before}:20:STARTUMS\n:25:{}\n:28C:{}/{page}\n:60{opens}:{}\n{}:62{closes}:{}\n{after}",
            cut.account,
            cut.number.unwrap_or(0),
            balance(cut.opening, cut.first_day, cut.currency),
            cut.shown().map(|line| written(line, cut.currency, true)).collect::<String>(),
            balance(cut.closing(), cut.last_day, cut.currency)
        )
    };
    cuts.iter().map(message).collect()
}

/// MT942, with control totals. The booking days of entries are left out where they are their value days, as some banks
/// do.
pub fn mt942(cuts: &[Cut]) -> String {
    let message = |cut: &Cut| {
        let total = |debit: bool| {
            let (count, sum) = cut.total(debit);
            format!("{count}{}{}", cut.currency.code, amount(sum, cut.currency))
        };
        let lines = cut.shown().map(|line| written(line, cut.currency, line.day != line.valued));
        format!(
            ":20:R\n:25:{}\n:28C:{}/1\n:34F:{}0,\n:13D:{}1200+0100\n{}:90D:{}\n:90C:{}\n-\n",
            cut.account,
            cut.number.unwrap_or(0),
            cut.currency.code,
            yymmdd(cut.last_day),
            lines.collect::<String>(),
            total(true),
            total(false)
        )
    };
    cuts.iter().map(message).collect()
}

fn balance(units: i128, day: NaiveDate, currency: Currency) -> String {
    format!(
        "{}{}{}{}",
        if units < 0 { 'D' } else { 'C' },
        yymmdd(day),
        currency.code,
        amount(units, currency)
    )
}

fn written(line: &Line, currency: Currency, with_day: bool) -> String {
    // what gives back a debit is marked as a debit, and is money in
    let mark = match (line.returned, line.units < 0) {
        (false, true) => "D",
        (false, false) => "C",
        (true, true) => "RC",
        (true, false) => "RD",
    };
    let day = if with_day { line.day.format("%m%d").to_string() } else { String::new() };
    let funds = currency.code.chars().nth(2).unwrap_or('R');
    let reference = line.reference.as_ref().map(|text| format!("//{text}")).unwrap_or_default();
    format!(
        ":61:{}{day}{mark}{funds}{}{}NONREF{reference}\n:86:{}\n",
        yymmdd(line.valued),
        amount(line.units, currency),
        line.code,
        wrapped(&information(line))
    )
}

/// What German banks write: fields of 27 characters behind a code.
fn information(line: &Line) -> String {
    let mut purpose = String::new();
    if let Some(order) = &line.order {
        purpose += &format!("EREF+{order}");
    }
    if !line.text.is_empty() {
        purpose += &format!("SVWZ+{}", line.text);
    }
    if purpose.is_empty() {
        purpose = "Something".to_owned();
    }
    let characters: Vec<char> = purpose.chars().collect();
    let fields = characters.chunks(27).take(10).enumerate();
    let fields: String =
        fields.map(|(at, part)| format!("?{}{}", 20 + at, part.iter().collect::<String>())).collect();
    let name = if line.name.is_empty() { String::new() } else { format!("?32{}", line.name) };
    let why = if line.returned { "?34911" } else { "" };
    format!("166?00TEXT{fields}{name}{why}")
}

/// In lines of 65 characters, wherever that cuts.
fn wrapped(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(65).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}
