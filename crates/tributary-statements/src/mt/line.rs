//! `:61:`, a line of the statement.

use chrono::NaiveDate;

use super::amount;
use super::field::Field;
use crate::identity::names_something;
use crate::{Currency, Entry, EntryStatus, StatedDate, Texts, date, decimal};

/// What a line needs to know of its statement.
pub struct Around {
    pub currency: Currency,
    /// The day of the closing balance or of the message: entry dates have no year.
    pub day: Option<NaiveDate>,
}

/// Reads a line. Where the first one makes no sense alone it was wrapped: then with the next one, joined.
pub fn entry(field: &Field, around: &Around, warnings: &mut Vec<String>) -> Result<Entry, String> {
    let first = field.lines.first().map_or("", String::as_str);
    let (text, supplementary) = match (parse(first), field.lines.get(1)) {
        (Err(_), Some(second)) => (format!("{}{second}", first.trim_end()), field.lines.get(2..)),
        _ => (first.to_owned(), field.lines.get(1..)),
    };
    let parsed = parse(&text)?;
    let units = amount::units(parsed.amount, around.currency)?;
    let (valued, bent) = date::yymmdd(parsed.value).ok_or_else(|| format!("{} is no date", parsed.value))?;
    if bent {
        warnings.push(format!("line {}: there is no {}, taken as {valued}", field.at, parsed.value));
    }
    let booked_on = booked_on(&parsed, around.day.unwrap_or(valued), field.at, warnings)?;
    let value_on = StatedDate::day(valued, parsed.value);
    let mut texts = Texts::default();
    texts.add("fundsCode", parsed.funds);
    texts.add("transactionType", parsed.kind);
    let (customer, bank) = references(parsed.rest);
    texts.add("customerReference", customer);
    texts.add("accountServicerReference", bank.unwrap_or_default());
    texts.add("supplementaryDetails", &supplementary.unwrap_or_default().join("\n"));
    texts.add(":61:", &field.raw());
    let negative = matches!(parsed.mark, "D" | "RC");
    Ok(Entry {
        amount: decimal::amount(if negative { -units } else { units })?,
        currency: around.currency,
        status: EntryStatus::Booked,
        reversal: parsed.mark.starts_with('R'),
        booked_on: Some(booked_on.unwrap_or_else(|| value_on.clone())),
        value_on: Some(value_on),
        reference: bank.filter(|bank| names_something(bank)).map(str::to_owned),
        code: Some(parsed.kind.to_owned()).filter(|kind| !kind.is_empty()),
        correction: None,
        details: Vec::new(),
        texts,
    })
}

fn booked_on(
    parsed: &Parsed<'_>,
    anchor: NaiveDate,
    at: usize,
    warnings: &mut Vec<String>,
) -> Result<Option<StatedDate>, String> {
    if parsed.entry.is_empty() {
        return Ok(None);
    }
    let (day, bent) =
        date::mmdd(parsed.entry, anchor).ok_or_else(|| format!("{} is no day", parsed.entry))?;
    if bent {
        warnings.push(format!("line {at}: there is no {}, taken as {day}", parsed.entry));
    }
    Ok(Some(StatedDate::day(day, parsed.entry)))
}

/// The parts of a line, as text.
#[derive(Debug, PartialEq, Eq)]
struct Parsed<'a> {
    value: &'a str,
    /// MMDD, or empty.
    entry: &'a str,
    /// C, D, RC or RD.
    mark: &'a str,
    /// The third letter of the currency, which looks like a mark.
    funds: &'a str,
    amount: &'a str,
    /// Its letter and three characters: `NMSC`.
    kind: &'a str,
    rest: &'a str,
}

fn parse(text: &str) -> Result<Parsed<'_>, String> {
    let wrong = || format!("{text:?} is no line of a statement, such as \"2301010101C12,34NMSCNONREF\"");
    let (value, rest) = text.split_at_checked(6).ok_or_else(wrong)?;
    let (entry, rest) = match rest.get(..4) {
        Some(day) if day.bytes().all(|b| b.is_ascii_digit()) => (day, &rest[4..]),
        Some(day) if day.trim().is_empty() => ("", &rest[4..]),
        _ => ("", rest),
    };
    let mark = ["RC", "RD", "C", "D"].into_iter().find(|mark| rest.starts_with(mark)).ok_or_else(wrong)?;
    let (mark, rest) = rest.split_at(mark.len());
    let funds = usize::from(rest.starts_with(|c: char| c.is_ascii_uppercase()));
    let (funds, rest) = rest.split_at(funds);
    let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b',').count();
    let (amount, rest) = rest.split_at(digits);
    if amount.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let kind = rest
        .get(..4)
        .filter(|kind| kind.starts_with(['N', 'F', 'S']) && kind.bytes().all(|b| b.is_ascii_alphanumeric()));
    let kind = kind.ok_or_else(wrong)?;
    Ok(Parsed { value, entry, mark, funds, amount, kind, rest: &rest[4..] })
}

/// The customer's reference and, behind `//`, the bank's.
fn references(text: &str) -> (&str, Option<&str>) {
    match text.split_once("//") {
        Some((customer, bank)) => (customer, Some(bank.trim()).filter(|bank| !bank.is_empty())),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Entry, String> {
        let lines = line.split('\n').map(str::to_owned).collect();
        let around = Around { currency: Currency::iso("EUR").unwrap(), day: "2023-01-31".parse().ok() };
        entry(&Field { tag: "61".to_owned(), lines, at: 1 }, &around, &mut Vec::new())
    }

    fn units(line: &str) -> i128 {
        read(line).unwrap().amount.minor_units()
    }

    #[test]
    fn a_reversal_of_credit_takes_money_and_one_of_debit_gives_it() {
        assert_eq!(units("2301310131RC5,00NMSCNONREF"), -500);
        assert_eq!(units("2301310131RD5,00NMSCNONREF"), 500);
        assert!(read("2301310131RD5,00NMSCNONREF").unwrap().reversal);
    }

    #[test]
    fn a_funds_letter_behind_the_mark_is_no_mark() {
        for (line, wanted) in [
            ("2301310131RDR800,00NMSCNONREF", 80_000),
            ("230131RD5,00NMSCNONREF", 500),
            ("2301310131CR20,00NMSCNONREF", 2_000),
            ("2301310131DR20,00NMSCNONREF", -2_000),
            ("230131CD20,00NMSCNONREF", 2_000),
            ("230131    DD20,00NMSCNONREF", -2_000),
            ("230131    CC20,00NMSCNONREF", 2_000),
        ] {
            assert_eq!(units(line), wanted, "{line}");
        }
    }

    #[test]
    fn thirty_euro_without_decimals_are_not_thirty_cents() {
        for (amount, wanted) in
            [("30,", 3_000), ("0,", 0), ("229,2", 22_920), ("000000001000,00", 100_000), ("20", 2_000)]
        {
            assert_eq!(units(&format!("230131C{amount}NMSCNONREF")), wanted, "{amount}");
        }
    }

    #[test]
    fn a_sign_within_an_amount_is_not_guessed_at() {
        assert!(read("2301310131D-104,12NMSCNONREF").is_err());
        assert!(read("2301310131D1,005NMSCNONREF").is_err());
        assert!(read("2301310131D11 27,00NMSCNONREF").is_err());
    }

    #[test]
    fn a_line_that_was_wrapped_within_its_amount_is_read_whole() {
        let entry = read("2301310131CR11\n30,00NMSCNONREF//B1\nmore").unwrap();
        assert_eq!((entry.amount.minor_units(), entry.reference.as_deref()), (113_000, Some("B1")));
        assert_eq!(entry.texts.get("supplementaryDetails"), Some("more"));
    }

    #[test]
    fn a_reference_that_is_too_long_stays_whole() {
        let entry = read("230131C1,00NTRF\nTRANSFER-123456789-abcdef-0123456789-long").unwrap();
        assert_eq!(
            entry.texts.get("supplementaryDetails"),
            Some("TRANSFER-123456789-abcdef-0123456789-long")
        );
        let entry = read("230131C1,00NTRFa/b c with blanks//NONREF").unwrap();
        assert_eq!(entry.texts.get("customerReference"), Some("a/b c with blanks"));
        assert_eq!(entry.reference, None);
    }
}
