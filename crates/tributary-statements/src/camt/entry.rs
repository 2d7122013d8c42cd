//! An `Ntry`: the movement, and the transactions that it is made of.

use tributary_domain::Amount;

use super::names;
use super::node::Node;
use super::statement::Head;
use crate::settings::Reversals;
use crate::{Currency, Detail, Entry, EntryStatus, ReadError, Settings, StatedDate, StatementKind, decimal};

/// Reads an entry of the statement that `head` begins.
pub fn entry(node: &Node, head: &Head, settings: &Settings) -> Result<Entry, ReadError> {
    let place = place(node, head);
    let wrong = |reason: String| ReadError::at(&place, reason);
    let reversal = node.text_at("RvslInd").is_some_and(|text| matches!(text, "true" | "1"));
    let mut negative = debit(node).map_err(wrong)?.ok_or_else(|| wrong("CdtDbtInd is missing".to_owned()))?;
    if reversal && settings.reversals == Reversals::Inverted {
        negative = !negative;
    }
    let amount = node.all("Amt").next().ok_or_else(|| wrong("Amt is missing".to_owned()))?;
    let (amount, currency) = money(amount, head.currency(), negative, settings).map_err(wrong)?;
    let details = node
        .all("NtryDtls")
        .flat_map(|details| details.all("TxDtls"))
        .map(|detail| self::detail(detail, negative, currency, settings).map_err(wrong))
        .collect::<Result<Vec<_>, _>>()?;
    let code = node
        .at("BkTxCd")
        .and_then(|code| names::domain_code(code).or_else(|| code.text_at("Prtry/Cd").map(str::to_owned)));
    Ok(Entry {
        amount,
        currency,
        status: status(node, head.kind()),
        reversal,
        booked_on: date(node, "BookgDt", settings).map_err(wrong)?,
        value_on: date(node, "ValDt", settings).map_err(wrong)?,
        reference: node.text_at("AcctSvcrRef").map(str::to_owned),
        code,
        correction: None,
        details,
        texts: names::of_entry(node),
    })
}

/// Names an entry for whoever has to find it in the file.
fn place(node: &Node, head: &Head) -> String {
    let reference =
        node.text_at("NtryRef").or_else(|| node.text_at("AcctSvcrRef")).unwrap_or("without a reference");
    format!("entry {reference} of statement {}", head.id().unwrap_or("without an id"))
}

/// `CdtDbtInd`: whether money goes out; `None` where it is absent.
pub fn debit(node: &Node) -> Result<Option<bool>, String> {
    match node.text_at("CdtDbtInd") {
        None => Ok(None),
        Some("CRDT") => Ok(Some(false)),
        Some("DBIT") => Ok(Some(true)),
        Some(other) => Err(format!("CdtDbtInd is {other:?}, and neither CRDT nor DBIT")),
    }
}

/// An `Amt` in its own currency, else in that of the account, with a sign from outside: it has none itself.
pub fn money(
    node: &Node,
    of_account: Option<Currency>,
    negative: bool,
    settings: &Settings,
) -> Result<(Amount, Currency), String> {
    let currency = match node.attribute("Ccy") {
        Some(code) => settings.currency(code)?,
        None => of_account.ok_or("Amt has no currency, and neither has the account")?,
    };
    let units = decimal::xs_decimal(&node.text, currency)?;
    if units < 0 {
        return Err(format!("Amt is {}: the sign is said by CdtDbtInd alone", node.text.trim()));
    }
    Ok((decimal::amount(if negative { -units } else { units })?, currency))
}

fn status(node: &Node, kind: StatementKind) -> EntryStatus {
    let code = node.text_at("Sts/Cd").or_else(|| node.text_at("Sts/Prtry")).or_else(|| node.text_at("Sts"));
    match code {
        Some("BOOK") => EntryStatus::Booked,
        Some("PDNG") => EntryStatus::Pending,
        Some("FUTR") => EntryStatus::Future,
        Some("INFO") => EntryStatus::Information,
        Some(other) => EntryStatus::Other(other.to_owned()),
        None if kind == StatementKind::Interim => EntryStatus::Pending,
        None => EntryStatus::Booked,
    }
}

/// A choice of Dt and DtTm.
pub fn date(node: &Node, name: &str, settings: &Settings) -> Result<Option<StatedDate>, String> {
    let Some(choice) = node.at(name) else { return Ok(None) };
    let text = choice.text_at("Dt").or_else(|| choice.text_at("DtTm")).unwrap_or(choice.text.trim());
    if text.is_empty() {
        return Ok(None);
    }
    StatedDate::xs(text, settings.zone).map(Some)
}

fn detail(node: &Node, negative: bool, of_entry: Currency, settings: &Settings) -> Result<Detail, String> {
    // .02 has no Amt here. InstdAmt and CntrValAmt are other money, and so are charges.
    let amount = node.all("Amt").next().or_else(|| node.at("AmtDtls/TxAmt/Amt"));
    let negative = debit(node)?.unwrap_or(negative);
    let amount = amount.map(|amount| money(amount, Some(of_entry), negative, settings)).transpose()?;
    Ok(Detail {
        amount,
        reference: node.text_at("Refs/AcctSvcrRef").map(str::to_owned),
        texts: names::of_detail(node),
    })
}
