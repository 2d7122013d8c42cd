//! Fields to statements: each part from an opening to a closing balance is a page.

use super::field::Field;
use super::line::{self, Around};
use super::{amount, information};
use crate::{
    Account, BalanceKind, Currency, Format, Page, ReadError, Settings, StatedDate, Statement, StatementKind,
    Total, TotalOf, date,
};

/// The fields of one page of one statement.
#[derive(Debug, Default)]
pub struct Part {
    fields: Vec<Field>,
}

impl Part {
    fn get(&self, tags: &[&str]) -> Option<&Field> {
        self.fields.iter().find(|field| tags.contains(&field.tag.as_str()))
    }

    fn value(&self, tags: &[&str]) -> Option<String> {
        self.get(tags).map(|field| field.joined().trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn is_interim(&self) -> bool {
        self.get(&["60F", "60M"]).is_none() && self.get(&["13", "13D", "34F", "90C", "90D"]).is_some()
    }
}

/// Where one page ends and the next begins: at `:20:`, and at whatever begins a page that has begun already.
pub fn split(fields: Vec<Field>) -> Result<Vec<Part>, ReadError> {
    let mut parts: Vec<Part> = Vec::new();
    let mut current = Part::default();
    for field in fields {
        let begins = match field.tag.as_str() {
            "" => current.get(&["25", "25P"]).is_some(),
            "20" => !current.fields.iter().all(|there| there.tag.is_empty()),
            "25" | "25P" => current.get(&["25", "25P", "61", "62F", "62M"]).is_some(),
            "28" | "28C" => current.get(&["28", "28C", "61", "62F", "62M"]).is_some(),
            "60F" | "60M" => current.get(&["60F", "60M", "61", "62F", "62M"]).is_some(),
            _ => false,
        };
        if begins {
            let next = carried(&current, &field.tag);
            parts.push(std::mem::replace(&mut current, next));
        }
        current.fields.push(field);
    }
    parts.push(current);
    parts.retain(|part| part.fields.iter().any(|field| !field.tag.is_empty()));
    for part in &parts {
        complete(part)?;
    }
    Ok(parts)
}

/// What a page that begins without `:20:` has from the one before it.
fn carried(before: &Part, tag: &str) -> Part {
    let wanted: &[&str] = match tag {
        "25" | "25P" => &["20"],
        "28" | "28C" => &["20", "25", "25P"],
        "60F" | "60M" => &["20", "25", "25P", "28", "28C"],
        _ => &[],
    };
    let fields = before.fields.iter().filter(|field| wanted.contains(&field.tag.as_str())).cloned().collect();
    Part { fields }
}

fn complete(part: &Part) -> Result<(), ReadError> {
    let at = part.fields.iter().map(|field| field.at).find(|at| *at > 0).unwrap_or(0);
    let head = |tag: &str| matches!(tag, "" | "20" | "21" | "25" | "25P" | "28" | "28C");
    if part.fields.iter().all(|field| head(&field.tag)) {
        return Err(ReadError::Incomplete(format!("the message from line {at} on has nothing but its head")));
    }
    if part.get(&["25", "25P"]).is_none() {
        return Err(ReadError::at(format!("line {at}"), "a message without :25:, which says the account"));
    }
    if !part.is_interim() && part.get(&["62F", "62M"]).is_none() {
        return Err(ReadError::Incomplete(format!(
            "the statement from line {at} on has no :62F: and no :62M:"
        )));
    }
    Ok(())
}

/// The statement that a part is, or the page of one.
pub fn statement(part: &Part, settings: &Settings) -> Result<Statement, ReadError> {
    let interim = part.is_interim();
    let currency = currency(part, settings)?;
    let account = Account { id: part.value(&["25", "25P"]).unwrap_or_default(), currency };
    let kind = if interim { StatementKind::Interim } else { StatementKind::Final };
    let mut statement = Statement::new(Format::Mt, kind, account);
    head(part, &mut statement);
    let mut around = Around { currency, day: None };
    // the closing balance first: its date says in which year the entries are
    for field in &part.fields {
        balance(field, &mut statement, &mut around, settings)
            .map_err(|reason| ReadError::at(format!("line {}, :{}:", field.at, field.tag), reason))?;
    }
    around.day = around.day.or_else(|| statement.created.as_ref().map(|created| created.date));
    let mut of_line = false;
    for field in &part.fields {
        body(field, &mut statement, &around, &mut of_line)
            .map_err(|reason| ReadError::at(format!("line {}, :{}:", field.at, field.tag), reason))?;
    }
    Ok(statement)
}

fn head(part: &Part, statement: &mut Statement) {
    statement.id = part.value(&["20"]);
    let (number, page) = match part.value(&["28C", "28"]) {
        Some(text) => match text.split_once('/') {
            Some((number, page)) => (number.trim().to_owned(), page.trim().to_owned()),
            None => (text, "1".to_owned()),
        },
        None => (String::new(), "1".to_owned()),
    };
    statement.texts.add("statementNumber", &number);
    statement.number = Some(number).filter(|number| number.bytes().any(|b| b != b'0'));
    statement.page = Some(Page {
        number: page,
        to: None,
        first: part.get(&["60M"]).is_none(),
        last: part.get(&["62M"]).is_none(),
    });
    if let Some(field) = part.get(&["13", "13D"]) {
        statement.created = created(&field.joined());
        statement.texts.add(":13D:", &field.joined());
    }
    for field in part.fields.iter().filter(|field| matches!(field.tag.as_str(), "" | "21" | "34F")) {
        let name = if field.tag.is_empty() { "envelope".to_owned() } else { format!(":{}:", field.tag) };
        statement.texts.add(&name, &field.raw());
    }
}

/// `:13D:` is YYMMDDhhmm and an offset.
fn created(text: &str) -> Option<StatedDate> {
    let text = text.trim();
    let (date, _) = date::yymmdd(text.get(..6)?)?;
    let time = text.get(6..10).and_then(|time| chrono::NaiveTime::parse_from_str(time, "%H%M").ok());
    let offset_minutes = text.get(10..).and_then(date::offset).flatten();
    Some(StatedDate { date, time, offset_minutes, text: text.to_owned() })
}

/// The currency of the first balance, else of a floor limit or a control total.
fn currency(part: &Part, settings: &Settings) -> Result<Currency, ReadError> {
    for field in &part.fields {
        let text = field.joined();
        let code = match field.tag.as_str() {
            "60F" | "60M" | "62F" | "62M" => text.get(7..10),
            "34F" => text.get(..3),
            "90C" | "90D" => text.trim_start_matches(|c: char| c.is_ascii_digit()).get(..3),
            _ => None,
        };
        if let Some(code) = code.filter(|code| code.bytes().all(|b| b.is_ascii_alphabetic())) {
            return settings
                .currency(code)
                .map_err(|reason| ReadError::at(format!("line {}, :{}:", field.at, field.tag), reason));
        }
    }
    Err(ReadError::at("MT940", "no balance says the currency of the account"))
}

fn balance(
    field: &Field,
    statement: &mut Statement,
    around: &mut Around,
    settings: &Settings,
) -> Result<(), String> {
    let kind = match field.tag.as_str() {
        "60F" | "60M" => BalanceKind::Opening,
        "62F" | "62M" => BalanceKind::Closing,
        "64" => BalanceKind::ClosingAvailable,
        "65" => BalanceKind::ForwardAvailable,
        "90C" | "90D" => {
            let (count, sum) = amount::total(&field.joined(), Some(around.currency), settings)?;
            let of = if field.tag == "90C" { TotalOf::Credits } else { TotalOf::Debits };
            let name = format!(":{}:", field.tag);
            statement.totals.push(Total { name, of, sum: Some(sum), count: Some(count) });
            return Ok(());
        }
        _ => return Ok(()),
    };
    let closes = kind == BalanceKind::Closing;
    let (balance, bent) = amount::balance(&field.joined(), kind, Some(around.currency), settings)?;
    let day = balance.date.as_ref().map(|stated| stated.date);
    if bent {
        statement.warnings.push(format!(
            "line {}: {} is no day, its last one is taken",
            field.at,
            field.joined()
        ));
    }
    if closes {
        around.day = day;
    }
    statement.balances.push(balance);
    Ok(())
}

/// Lines, and what is said of them. The `:86:` behind the closing balance is the statement's, and so are those
/// before the first line.
fn body(field: &Field, statement: &mut Statement, around: &Around, of_line: &mut bool) -> Result<(), String> {
    match field.tag.as_str() {
        "61" => {
            let entry = line::entry(field, around, &mut statement.warnings)?;
            statement.entries.push(entry);
            *of_line = true;
        }
        "86" | "NS" if *of_line => {
            if let Some(entry) = statement.entries.last_mut() {
                match field.tag.as_str() {
                    "86" => information::take(&field.lines, &mut entry.texts),
                    _ => entry.texts.add(":NS:", &field.raw()),
                }
            }
        }
        "86" | "NS" => statement.texts.add(&format!(":{}:", field.tag), &field.raw()),
        "62F" | "62M" | "64" | "65" => *of_line = false,
        _ => {}
    }
    Ok(())
}
