//! Which property of a record may be which field of a file.

use serde_json::{Map, Value};

use super::openapi::{Description, letters, member};

/// The first property that is called by one of these names, in their order.
fn called<'a>(record: &'a Map<String, Value>, names: &[&str]) -> Option<&'a String> {
    names.iter().find_map(|name| record.keys().find(|key| letters(key) == *name))
}

/// The first property that is called by one of these names, as jq.
pub fn of(record: &Map<String, Value>, names: &[&str]) -> Option<String> {
    called(record, names).map(|name| member(name))
}

/// Names of an id, of a record that `of` says what it is.
pub const ID: [&str; 5] = ["id", "uuid", "uid", "transactionid", "accountid"];
pub const NAME: [&str; 10] = [
    "name",
    "accountname",
    "displayname",
    "nickname",
    "label",
    "holdername",
    "ownername",
    "alias",
    "businessname",
    "description",
];
pub const CREATED: [&str; 11] = [
    "createdat",
    "created",
    "creationdate",
    "createdon",
    "createddate",
    "bookingdatetime",
    "bookingdate",
    "transactiontime",
    "timestamp",
    "postedat",
    "date",
];
pub const UPDATED: [&str; 6] =
    ["updatedat", "updated", "lastupdated", "modifiedat", "lastmodified", "updatedon"];
pub const ACCOUNT: [&str; 6] = ["accountid", "walletid", "balanceid", "locationid", "account", "wallet"];
pub const STATUS: [&str; 3] = ["status", "state", "transactionstatus"];
pub const DIRECTION: [&str; 6] =
    ["direction", "creditdebitindicator", "creditdebit", "side", "entrytype", "dc"];

/// Where the money of a record is.
pub struct Money {
    /// `decimal` or `minor`.
    pub form: &'static str,
    pub amount: String,
    pub currency: String,
    /// Whether the description tells both.
    pub told: bool,
}

/// Where the money of `record` seems to be.
pub fn money(description: &Description, record: &Map<String, Value>) -> Money {
    let amounts =
        ["amount", "amountmoney", "value", "total", "totalmoney", "netamount", "balance", "availablebalance"];
    let currencies = ["currency", "currencycode", "asset", "assetcode"];
    let amount = called(record, &amounts);
    let schema = amount.map(|name| description.resolved(&record[name]));
    let within = schema.map(|schema| description.properties(schema)).unwrap_or_default();
    let (path, amount_schema) = match called(&within, &["amount", "value", "minorunits", "units"]) {
        Some(inner) => {
            let path = format!("{}{}", amount.map(|name| member(name)).unwrap_or_default(), member(inner));
            (path, Some(description.resolved(&within[inner])))
        }
        None => (amount.map_or(".amount".to_owned(), |name| member(name)), schema),
    };
    let inner = called(&within, &currencies).zip(amount);
    let currency = match inner {
        Some((currency, amount)) => Some(format!("{}{}", member(amount), member(currency))),
        None => of(record, &currencies),
    };
    let integer = amount_schema.is_some_and(|schema| schema["type"] == "integer");
    Money {
        form: if integer { "minor" } else { "decimal" },
        told: amount.is_some() && currency.is_some(),
        amount: path,
        currency: currency.unwrap_or(".currency".to_owned()),
    }
}

/// The words that a property may be, where the description lists them.
pub fn words(description: &Description, record: &Map<String, Value>, names: &[&str]) -> Vec<String> {
    let Some(name) = called(record, names) else { return Vec::new() };
    let words = description.resolved(&record[name])["enum"].as_array().cloned().unwrap_or_default();
    words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Formance's status that a provider's word seems to be; `None` where that is not plain.
pub fn status_of(word: &str) -> Option<&'static str> {
    let word = letters(word);
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| word.starts_with(beginning));
    Some(match () {
        () if begins(&[
            "succe", "paid", "complet", "settl", "booked", "sent", "posted", "executed", "done",
        ]) =>
        {
            "SUCCEEDED"
        }
        () if begins(&[
            "pend",
            "process",
            "creat",
            "open",
            "queue",
            "initiat",
            "submit",
            "schedul",
            "inprogress",
        ]) =>
        {
            "PENDING"
        }
        () if begins(&["fail", "reject", "declin", "error", "block"]) => "FAILED",
        () if begins(&["cancel", "void"]) => "CANCELLED",
        () if begins(&["expir", "abandon"]) => "EXPIRED",
        () if begins(&["refund", "revers", "return"]) => "REFUNDED",
        () => return None,
    })
}

/// The word by which money leaves, of those that a direction may be.
pub fn outward(words: &[String]) -> Option<&String> {
    let out = ["out", "outbound", "outgoing", "debit", "dbit", "moneyout"];
    words.iter().find(|word| out.contains(&letters(word).as_str()))
}
