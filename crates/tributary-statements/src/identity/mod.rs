//! Ids of movements. No reference of a bank is unique, and files repeat, overlap and correct one another. So
//! an id is a key, of what a movement is, and a number among those that are equal; and how many are equal is
//! counted in a way that does not ask in which order files came.

mod book;
mod counts;
mod facts;
mod ledger;
mod view;

use sha2::{Digest, Sha256};

pub use self::book::Book;
pub use self::facts::Facts;
pub use self::ledger::{Known, Ledger, Standing, State};
use crate::{Account, Level, Movement};

/// How a provider's movements are told apart. Fixed before the first file: another rule makes other ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether entries or the transactions within them are movements.
    pub level: Level,
    /// Whether the bank's reference is a part of the key. Not where it changes with each download.
    pub references: bool,
    /// Whether letters and digits of the remittance information are, where there is no reference.
    pub remittance: bool,
    /// What reports during the day hold.
    pub interim: Interim,
}

impl Default for Rules {
    fn default() -> Self {
        Self { level: Level::Entries, references: true, remittance: false, interim: Interim::Cumulative }
    }
}

/// What a report during the day holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interim {
    /// Everything of the day so far. Taken so where nothing is known: a report that repeats doubles nothing.
    Cumulative,
    /// What is new since the last one.
    Delta,
}

/// The key of a movement of `account`: 32 hexadecimal digits of account, currency, day, amount, value day, code
/// and reference. Descriptions and names are no part of it: charsets and new versions of formats change them.
pub fn key(account: &Account, movement: &Movement<'_>, rules: Rules) -> String {
    let entry = movement.entry;
    let day = |date: &Option<crate::StatedDate>| date.as_ref().map(|stated| stated.date.to_string());
    let booked = day(&entry.booked_on).or_else(|| day(&entry.value_on)).unwrap_or_default();
    let reference = movement.reference.filter(|text| rules.references && names_something(text));
    let remittance = match (reference, rules.remittance) {
        (None, true) => letters_and_digits(movement.texts.get("remittanceInformation").unwrap_or_default()),
        _ => String::new(),
    };
    let level = match rules.level {
        Level::Entries => "entries",
        Level::Details => "details",
    };
    let amount = movement.amount.to_string();
    let value = day(&entry.value_on).unwrap_or_default();
    let parts = [
        "1",
        level,
        &account.id,
        entry.currency.code(),
        &booked,
        &amount,
        &value,
        entry.code.as_deref().unwrap_or_default(),
        reference.unwrap_or_default(),
        &remittance,
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn letters_and_digits(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a reference is one: banks fill the field with words that say that there is none.
pub fn names_something(reference: &str) -> bool {
    let reference = reference.trim();
    let none = ["NONREF", "NOTPROVIDED", "NOTAVAILABLE", "NOREF"];
    !none.iter().any(|word| reference.eq_ignore_ascii_case(word))
        && reference.chars().any(|c| c.is_alphanumeric() && c != '0')
}
