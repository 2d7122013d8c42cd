//! What identity goes by in a statement: small enough to be kept for every statement, and to be taken again in
//! the same order. Keys stay as they were when the statement came, whatever a later build reads in its file.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tributary_domain::Amount;

use super::{Rules, key, names_something};
use crate::{
    BalanceKind, Correction, Entry, EntryStatus, Format, Purpose, Statement, StatementKind, movements,
};

/// What a statement says of movements, without any text that names a person: references are digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub(super) kind: StatementKind,
    pub(super) purpose: Purpose,
    pub(super) id: Option<String>,
    pub(super) number: Option<String>,
    pub(super) page: Option<String>,
    /// When the bank made it, as written.
    pub(super) created: Option<String>,
    #[serde(with = "units")]
    pub(super) opening: Option<Amount>,
    pub(super) closing_day: Option<NaiveDate>,
    /// The first day that it covers, where that can be known.
    pub(super) from: Option<NaiveDate>,
    /// The first day of an entry.
    pub(super) first_day: Option<NaiveDate>,
    /// The day of all entries, where it is one.
    pub(super) only_day: Option<NaiveDate>,
    /// References that were replaced or deleted.
    pub(super) withdrawn: Vec<String>,
    pub(super) moves: Vec<Move>,
}

/// A movement of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    /// Its place among the movements of the statement.
    pub place: usize,
    pub key: String,
    #[serde(with = "units")]
    pub amount: Option<Amount>,
    pub day: Option<NaiveDate>,
    pub reference: Option<String>,
    /// Whether a final statement books it.
    pub booked: bool,
    pub pending: bool,
}

impl Facts {
    /// When the bank made the statement, as written.
    pub fn created(&self) -> Option<&str> {
        self.created.as_deref()
    }

    /// What the sender wants done with the statement.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The last day that it covers.
    pub fn closing_day(&self) -> Option<NaiveDate> {
        self.closing_day
    }

    /// Those of `statement`, by the `rules` of its provider.
    pub fn of(statement: &Statement, rules: Rules) -> Self {
        let corrected = |entry: &Entry| match &entry.correction {
            Some(Correction::Replaces(id) | Correction::Deletes(id)) => Some(digest(id)),
            None => None,
        };
        let day = |stated: &Option<crate::StatedDate>| stated.as_ref().map(|stated| stated.date);
        let mut days = statement.entries.iter().map(|entry| day(&entry.booked_on));
        let first = days.next().flatten();
        Self {
            kind: statement.kind,
            purpose: statement.purpose,
            id: statement.id.clone(),
            number: statement.number.clone(),
            page: part(statement),
            created: statement.created.as_ref().map(|created| created.text.clone()),
            opening: statement.opening().map(|balance| balance.amount),
            closing_day: statement.closing_day(),
            from: day(&statement.from).or_else(|| first_day(statement)),
            first_day: statement.entries.iter().filter_map(entry_day).min(),
            only_day: first.filter(|first| days.all(|day| day == Some(*first))),
            withdrawn: statement.entries.iter().filter_map(corrected).collect(),
            moves: moves(statement, rules),
        }
    }
}

/// The first day that a statement covers which does not say so: that of its opening balance. One of a balance that is as
/// it was before is of the day before, unless that is the only one.
fn first_day(statement: &Statement) -> Option<NaiveDate> {
    let opening = statement.opening()?;
    let day = opening.date.as_ref()?.date;
    let before = statement.format == Format::Mt || opening.kind == BalanceKind::PreviousClosing;
    let covered = if before { day.succ_opt()? } else { day };
    Some(covered.min(statement.closing_day().unwrap_or(covered)))
}

/// Which of several statements of one number it is. A statement in one piece and the same one in pages are one.
fn part(statement: &Statement) -> Option<String> {
    let page = statement.page.as_ref().map(|page| page.number.trim());
    page.filter(|number| number.parse::<u64>() != Ok(1)).map(str::to_owned)
}

fn moves(statement: &Statement, rules: Rules) -> Vec<Move> {
    if statement.purpose == Purpose::Deletion {
        return Vec::new();
    }
    let found = movements(statement, rules.level);
    let counted = found
        .iter()
        .enumerate()
        .filter(|(_, movement)| !matches!(movement.entry.correction, Some(Correction::Deletes(_))));
    counted
        .map(|(place, movement)| Move {
            place,
            key: key(&statement.account, movement, rules),
            amount: Some(movement.amount),
            day: entry_day(movement.entry),
            reference: movement.reference.filter(|text| names_something(text)).map(digest),
            booked: movement.entry.status == EntryStatus::Booked
                && matches!(statement.kind, StatementKind::Final | StatementKind::Export),
            pending: movement.entry.status != EntryStatus::Booked,
        })
        .collect()
}

fn entry_day(entry: &Entry) -> Option<NaiveDate> {
    entry.booked_on.as_ref().or(entry.value_on.as_ref()).map(|stated| stated.date)
}

/// References are only ever compared.
fn digest(reference: &str) -> String {
    Sha256::digest(reference).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Amounts as text: they have more digits than the numbers of JSON.
mod units {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use tributary_domain::Amount;

    pub fn serialize<S: Serializer>(amount: &Option<Amount>, to: S) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => to.collect_str(amount),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Amount>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        text.map(|text| Amount::parse("amount", &text)).transpose().map_err(D::Error::custom)
    }
}
