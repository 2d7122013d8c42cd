//! The section `files:` of a provider file: statement files of a bank.

mod csv;
mod from;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveTime;
use schemars::JsonSchema;
use serde::Deserialize;

use self::csv::CsvSection;
use self::from::FromSection;
use super::Lookup;
use crate::statements::{Expected, Files, Shelves};
use crate::sync::FileSource;
use tributary_manifest::{InterpolateError, Zone};
use tributary_statements::identity::{Interim, Rules};
use tributary_statements::{Charset, DecimalMark, Level, Limits, Reversals, Settings};

/// Statement files of a bank: camt, MT940, BAI2, OFX or CSV. They are posted to `/ingest/files`, or fetched where `from`
/// says.
#[derive(Debug, Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilesSection {
    /// Where files are fetched from; only what is posted is taken without it.
    from: Option<FromSection>,
    /// The zone of the bank's days, such as `Europe/Berlin`; UTC if not given.
    zone: Option<Zone>,
    /// What a movement is: the entries of a statement, or the transactions within them where they add up; `entries` if
    /// not given. Fixed with the first file.
    movements: MovementsAre,
    /// Whether the bank's references are a part of ids; `true` if not given. `false` where they change with each
    /// download. Fixed with the first file.
    references: Option<bool>,
    /// Whether letters and digits of the remittance information are a part of ids where there is no reference; `false`
    /// if not given. Fixed with the first file.
    remittance: bool,
    /// What reports during the day hold: the day so far, or what is new since the last one; `cumulative` if not given.
    /// Fixed with the first file.
    interim: InterimIs,
    /// How camt files mark reversals; `standard` if not given. The check that fails says when it is `inverted`.
    reversals: ReversalsAre,
    /// What text is in that is not UTF-8 and does not say, such as `ISO-8859-15` or `cp852`; windows-1252 if not given.
    charset: Option<String>,
    /// Decimals of currencies that ISO 4217 does not have, by code.
    currencies: BTreeMap<String, u8>,
    /// The decimal mark of OFX amounts that do not show it themselves.
    decimal_mark: Option<Mark>,
    /// What the bank's CSV files are like; needed for CSV alone.
    csv: Option<CsvSection>,
    /// The id of each account here by what the bank calls it: its IBAN or number, or that with `/` and a currency. What is
    /// not listed is known by the bank's own number. Fixed with the first file.
    accounts: BTreeMap<String, String>,
    /// Which texts of a movement name the order that it is of, the first that is there; `[endToEndId]` if not given.
    order_reference: Option<Vec<String>>,
    /// When statements have to be there: one that is not is an alarm.
    expect: Option<ExpectSection>,
}

#[derive(Debug, Deserialize, Default, Clone, Copy, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MovementsAre {
    /// The lines of the statement.
    #[default]
    Entries,
    /// The transactions of a batch, where they add up to their entry; else the entry.
    Details,
}

#[derive(Debug, Deserialize, Default, Clone, Copy, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum InterimIs {
    /// Everything of the day so far.
    #[default]
    Cumulative,
    /// What is new since the last one.
    Delta,
}

#[derive(Debug, Deserialize, Default, Clone, Copy, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ReversalsAre {
    /// As ISO 20022 has it: `CdtDbtInd` alone is the sign.
    #[default]
    Standard,
    /// `RvslInd` turns the sign.
    Inverted,
}

/// What is between units and their parts.
#[derive(Debug, Deserialize, Clone, Copy, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

impl From<Mark> for DecimalMark {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Point => Self::Point,
            Mark::Comma => Self::Comma,
        }
    }
}

/// When statements have to be there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExpectSection {
    /// The time of the next day by which the statement of a day is there, such as `"08:00"`, by the clock of `zone`.
    by: String,
    /// The days that have a statement; Monday to Friday if not given.
    #[serde(default)]
    days: Option<Vec<Day>>,
}

#[derive(Debug, Deserialize, Clone, Copy, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// What is wrong with the section: the field, and why.
pub type Wrong = (String, String);

impl FilesSection {
    /// What is said of the files themselves.
    pub fn files(&self) -> Result<Files, Wrong> {
        let at = |field: &str, why: String| (format!("files.{field}"), why);
        let charset = self.charset.as_deref().map(|name| {
            Charset::named(name).ok_or_else(|| {
                at("charset", format!("{name:?} is not known: write one such as ISO-8859-15 or cp852"))
            })
        });
        for (code, decimals) in &self.currencies {
            if tributary_statements::Currency::with_decimals(code, *decimals).is_none() {
                let why =
                    "write three capital letters and at most 18 decimals, as in `{ XYZ: 6 }`".to_owned();
                return Err(at(&format!("currencies.{code}"), why));
            }
        }
        let settings = Settings {
            format: None,
            csv: self.csv.as_ref().map(CsvSection::description).transpose()?,
            charset: charset.transpose()?,
            zone: self.zone.map(|zone| zone.0),
            reversals: match self.reversals {
                ReversalsAre::Standard => Reversals::Standard,
                ReversalsAre::Inverted => Reversals::Inverted,
            },
            currencies: self.currencies.clone(),
            limits: Limits::default(),
            ofx_decimal_mark: self.decimal_mark.map(DecimalMark::from),
        };
        let accounts =
            self.accounts.iter().map(|(number, id)| (number.split_whitespace().collect(), id.clone()));
        let empty = self.accounts.iter().find(|(_, id)| id.trim().is_empty());
        if let Some((number, _)) = empty {
            return Err(at(
                &format!("accounts.{number}"),
                "write the id that the account has here".to_owned(),
            ));
        }
        Ok(Files {
            settings,
            rules: self.rules(),
            zone: self.zone.map_or(chrono_tz::UTC, |zone| zone.0),
            accounts: accounts.collect(),
            order_reference: self.order_reference.clone().unwrap_or_else(|| vec!["endToEndId".to_owned()]),
            expect: self.expect.as_ref().map(ExpectSection::expected).transpose()?,
            shelves: Shelves::default(),
        })
    }

    fn rules(&self) -> Rules {
        Rules {
            level: match self.movements {
                MovementsAre::Entries => Level::Entries,
                MovementsAre::Details => Level::Details,
            },
            references: self.references.unwrap_or(true),
            remittance: self.remittance,
            interim: match self.interim {
                InterimIs::Cumulative => Interim::Cumulative,
                InterimIs::Delta => Interim::Delta,
            },
        }
    }

    /// Where they are fetched from, if anywhere. Fails where a variable that it names is not set.
    pub fn source(&self, lookup: Lookup) -> Result<Option<FileSource>, InterpolateError> {
        self.from.as_ref().map(|from| from.source(lookup)).transpose()
    }

    /// What can be checked of its source without variables.
    pub fn check_source(&self) -> Result<(), Wrong> {
        self.from.as_ref().map_or(Ok(()), FromSection::check)
    }
}

impl ExpectSection {
    fn expected(&self) -> Result<Expected, Wrong> {
        let by = NaiveTime::parse_from_str(&self.by, "%H:%M");
        let by =
            by.map_err(|_| ("files.expect.by".to_owned(), "write a time such as \"08:00\"".to_owned()))?;
        let days: BTreeSet<u8> = match &self.days {
            Some(days) => days.iter().map(|day| *day as u8).collect(),
            None => (0..5).collect(),
        };
        if days.is_empty() {
            return Err(("files.expect.days".to_owned(), "name a day that has a statement".to_owned()));
        }
        Ok(Expected { by, days })
    }
}
