//! Entries, or the transactions within them, as what moves.

use tributary_domain::Amount;

use crate::{Detail, Entry, EntryStatus, Statement, Texts};

/// Which of the two is a movement. A provider decides once: changing it later would report the same money
/// under other ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// The lines of the statement.
    #[default]
    Entries,
    /// The transactions of a batch, where they add up to their entry; else the entry.
    Details,
}

/// Money that moves: an entry, or one transaction of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement<'a> {
    /// The line of the statement in which it is.
    pub entry: &'a Entry,
    /// Signed, in minor units of the entry's currency.
    pub amount: Amount,
    /// The bank's reference: of the transaction, else of the entry.
    pub reference: Option<&'a str>,
    pub texts: Texts,
}

/// What moves in `statement`, in its order; entries that are mere information are left out.
pub fn movements(statement: &Statement, level: Level) -> Vec<Movement<'_>> {
    let moving = |entry: &&Entry| {
        matches!(entry.status, EntryStatus::Booked | EntryStatus::Pending | EntryStatus::Future)
    };
    statement.entries.iter().filter(moving).flat_map(|entry| of_entry(entry, level)).collect()
}

fn of_entry(entry: &Entry, level: Level) -> Vec<Movement<'_>> {
    match level {
        Level::Details if adds_up(entry) && entry.details.len() > 1 => {
            entry.details.iter().map(|detail| of_detail(entry, detail)).collect()
        }
        _ => vec![whole(entry)],
    }
}

/// Whether every transaction has an amount in the entry's currency, and they are the entry together.
fn adds_up(entry: &Entry) -> bool {
    let amounts: Option<Vec<i128>> = entry
        .details
        .iter()
        .map(|detail| match detail.amount {
            Some((amount, currency)) if currency == entry.currency => Some(amount.minor_units()),
            _ => None,
        })
        .collect();
    let sum = amounts.and_then(|amounts| amounts.into_iter().try_fold(0_i128, i128::checked_add));
    sum == Some(entry.amount.minor_units())
}

fn whole(entry: &Entry) -> Movement<'_> {
    let mut texts = entry.texts.clone();
    match entry.details.as_slice() {
        [only] => texts.extend(&only.texts),
        details => {
            for (number, detail) in details.iter().enumerate() {
                for (name, text) in detail.texts.as_map() {
                    texts.add(&format!("details.{}.{name}", number + 1), text);
                }
            }
        }
    }
    let reference = entry.reference.as_deref().or(match entry.details.as_slice() {
        [only] => only.reference.as_deref(),
        _ => None,
    });
    Movement { entry, amount: entry.amount, reference, texts }
}

/// One of several: what the entry says of all of them together is not repeated for each.
fn of_detail<'a>(entry: &'a Entry, detail: &'a Detail) -> Movement<'a> {
    let amount = detail.amount.map_or(entry.amount, |(amount, _)| amount);
    let mut texts = detail.texts.clone();
    for (name, text) in entry.texts.as_map() {
        if name != "additionalEntryInformation" && texts.get(name).is_none() {
            texts.add(name, text);
        }
    }
    let reference = detail.reference.as_deref().or(entry.reference.as_deref());
    Movement { entry, amount, reference, texts }
}
