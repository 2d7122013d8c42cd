//! A STMTRS or CCSTMTRS.

use tributary_domain::Amount;

use super::amount;
use super::markup::Element;
use crate::{
    Account, Balance, BalanceKind, Correction, Currency, Entry, EntryStatus, Format, ReadError, Settings,
    Statement, StatementKind, Texts, decimal,
};

/// The statement of one account.
pub fn statement(list: &Element, settings: &Settings) -> Result<Statement, ReadError> {
    let wrong = |reason: String| ReadError::at(format!("<{}>", list.name), reason);
    let code = list.value("CURDEF").ok_or_else(|| wrong("CURDEF, the currency, is missing".to_owned()))?;
    let currency = settings.currency(code).map_err(wrong)?;
    let from = list.child("BANKACCTFROM").or_else(|| list.child("CCACCTFROM"));
    let id = from.and_then(|from| from.value("ACCTID"));
    let id = id.ok_or_else(|| wrong("it says no account (ACCTID)".to_owned()))?;
    // account numbers of two banks may be equal
    let id = match from.and_then(|from| from.value("BANKID")) {
        Some(bank) => format!("{bank}/{id}"),
        None => id.to_owned(),
    };
    let mut statement = Statement::new(Format::Ofx, StatementKind::Export, Account { id, currency });
    for balance in [("LEDGERBAL", BalanceKind::Closing), ("AVAILBAL", BalanceKind::ClosingAvailable)] {
        statement
            .balances
            .extend(self::balance(list, balance.0, balance.1, currency, settings).map_err(wrong)?);
    }
    for child in &list.children {
        match child.name.as_str() {
            "BANKTRANLIST" | "BANKTRANLISTP" => transactions(child, &mut statement, settings)?,
            "CURDEF" | "LEDGERBAL" | "AVAILBAL" => {}
            _ => child.leaves(&child.name, &mut |path, text| statement.texts.add(path, text)),
        }
    }
    Ok(statement)
}

fn balance(
    list: &Element,
    name: &str,
    kind: BalanceKind,
    currency: Currency,
    settings: &Settings,
) -> Result<Option<Balance>, String> {
    let Some(element) = list.child(name) else { return Ok(None) };
    let text = element.value("BALAMT").ok_or_else(|| format!("{name} without BALAMT"))?;
    let amount = money(text, currency, settings)?;
    let date = amount::time(element.value("DTASOF").unwrap_or_default())?;
    Ok(Some(Balance { kind, amount, currency, date }))
}

fn money(text: &str, currency: Currency, settings: &Settings) -> Result<Amount, String> {
    decimal::amount(amount::units(text, currency, settings.ofx_decimal_mark)?)
}

fn transactions(list: &Element, statement: &mut Statement, settings: &Settings) -> Result<(), ReadError> {
    for child in &list.children {
        match child.name.as_str() {
            "STMTTRN" | "STMTTRNP" => {
                let entry = transaction(child, statement.account.currency, settings).map_err(|reason| {
                    let name = child.value("FITID").unwrap_or("without FITID");
                    ReadError::at(format!("<{}> {name}", child.name), reason)
                })?;
                statement.entries.push(entry);
            }
            "DTSTART" => {
                statement.from =
                    amount::time(&child.text).map_err(|reason| ReadError::at("DTSTART", reason))?
            }
            "DTEND" => {
                statement.to = amount::time(&child.text).map_err(|reason| ReadError::at("DTEND", reason))?
            }
            _ => child.leaves(&child.name, &mut |path, text| statement.texts.add(path, text)),
        }
    }
    Ok(())
}

const NAMES: &[(&str, &str)] = &[
    ("FITID", "accountServicerReference"),
    ("TRNTYPE", "transactionType"),
    ("NAME", "counterpartyName"),
    ("PAYEE/NAME", "counterpartyName"),
    ("MEMO", "remittanceInformation"),
    ("CHECKNUM", "chequeNumber"),
    ("REFNUM", "customerReference"),
];

fn transaction(element: &Element, currency: Currency, settings: &Settings) -> Result<Entry, String> {
    let text = element.value("TRNAMT").ok_or("TRNAMT, the amount, is missing")?;
    // with CURRENCY the amount is in that one, with ORIGCURRENCY it is in the account's
    let currency = match element.child("CURRENCY").and_then(|other| other.value("CURSYM")) {
        Some(code) => settings.currency(code)?,
        None => currency,
    };
    let date = |name: &str| amount::time(element.value(name).unwrap_or_default());
    let pending = element.name == "STMTTRNP";
    let booked_on = if pending { date("DTTRAN")?.or(date("DTPOSTED")?) } else { date("DTPOSTED")? };
    if booked_on.is_none() && !pending {
        return Err("DTPOSTED, the date, is missing".to_owned());
    }
    let reference = element.value("FITID").map(str::to_owned);
    let correction = element.value("CORRECTFITID").map(|id| match element.value("CORRECTACTION") {
        Some("DELETE") => Correction::Deletes(id.to_owned()),
        _ => Correction::Replaces(id.to_owned()),
    });
    let mut texts = Texts::default();
    for child in element.children.iter().filter(|child| child.name != "TRNAMT") {
        child.leaves(&child.name, &mut |path, text| {
            let name = NAMES.iter().find(|(known, _)| *known == path).map_or(path, |(_, name)| name);
            texts.add(name, text);
        });
    }
    Ok(Entry {
        amount: money(text, currency, settings)?,
        currency,
        status: if pending { EntryStatus::Pending } else { EntryStatus::Booked },
        reversal: false,
        booked_on,
        value_on: date("DTAVAIL")?,
        reference,
        code: element.value("TRNTYPE").map(str::to_owned),
        correction,
        details: Vec::new(),
        texts,
    })
}
