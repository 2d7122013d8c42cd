//! What a provider file says of the CSV files of a bank.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Mark, Wrong};
use tributary_statements::{Charset, CsvColumns, CsvDescription, CsvSign, DateOrder, DecimalMark};

/// What the bank's CSV files are like. The header row is the first that has all columns that are named here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvSection {
    /// The names of columns, as in the header row.
    columns: Columns,
    /// What is between cells: `;`, `,`, `|`, or `tab`; `;` if not given.
    #[serde(default)]
    separator: Option<String>,
    /// Whether cells may be in double quotes; `true` if not given.
    #[serde(default)]
    quoted: Option<bool>,
    /// What is between units and their parts.
    decimal_mark: Mark,
    /// In which order day, month and year are written: nothing in a file tells 1/2 from 2/1.
    dates: Dates,
    /// What `columns.side` says of money in.
    #[serde(default)]
    credit: Vec<String>,
    /// What `columns.side` says of money out.
    #[serde(default)]
    debit: Vec<String>,
    /// The account, where no column says it.
    #[serde(default)]
    account: Option<String>,
    /// The currency, where no column says it.
    #[serde(default)]
    currency: Option<String>,
    /// The charset, where it is not UTF-8 and not that of `files.charset`.
    #[serde(default)]
    charset: Option<String>,
    /// What `columns.status` says of rows that are not booked yet.
    #[serde(default)]
    pending: Vec<String>,
    /// How the first filled cell of rows begins that are no entries, such as totals below them.
    #[serde(default)]
    no_entries: Vec<String>,
    /// Other names for the texts of columns, as in `{ Verwendungszweck: remittanceInformation }`.
    #[serde(default)]
    texts: BTreeMap<String, String>,
}

/// The names of columns. All others become texts by their own name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Columns {
    /// The day of the booking.
    booked_on: String,
    /// The value day.
    #[serde(default)]
    value_on: Option<String>,
    /// The amount, with a sign, or without one where there is `side`.
    #[serde(default)]
    amount: Option<String>,
    /// Money in, where it has a column of its own.
    #[serde(default)]
    credit: Option<String>,
    /// Money out, where it has a column of its own.
    #[serde(default)]
    debit: Option<String>,
    /// What says whether money comes or goes.
    #[serde(default)]
    side: Option<String>,
    /// The balance after the row: the file's proof of itself.
    #[serde(default)]
    balance: Option<String>,
    /// The currency.
    #[serde(default)]
    currency: Option<String>,
    /// The account.
    #[serde(default)]
    account: Option<String>,
    /// The bank's reference.
    #[serde(default)]
    reference: Option<String>,
    /// The bank's code for the kind of movement.
    #[serde(default)]
    code: Option<String>,
    /// Whether the row is booked.
    #[serde(default)]
    status: Option<String>,
}

#[derive(Debug, Deserialize, Clone, Copy, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Dates {
    /// `2026-03-01`
    YearMonthDay,
    /// `01.03.2026`
    DayMonthYear,
    /// `3/1/2026`
    MonthDayYear,
}

impl CsvSection {
    /// The description, if it is whole.
    pub fn description(&self) -> Result<CsvDescription, Wrong> {
        let wrong = |field: &str, why: &str| Err((format!("files.csv{field}"), why.to_owned()));
        let Columns { amount, credit, debit, side, .. } = &self.columns;
        let sign = match (amount, credit, debit, side) {
            (Some(_), None, None, None) => CsvSign::Signed,
            (None, Some(_), Some(_), None) => CsvSign::Columns,
            (Some(_), None, None, Some(_)) if self.credit.is_empty() || self.debit.is_empty() => {
                return wrong(
                    "",
                    "`columns.side` takes `credit` and `debit`: what it says of money in, and of money out",
                );
            }
            (Some(_), None, None, Some(_)) => {
                CsvSign::Side { credit: self.credit.clone(), debit: self.debit.clone() }
            }
            _ => {
                return wrong(
                    ".columns",
                    "write `amount` (signed), or `amount` and `side`, or `credit` and `debit`: which way money goes has to be said",
                );
            }
        };
        let separator = match self.separator.as_deref() {
            None | Some(";") => b';',
            Some(",") => b',',
            Some("|") => b'|',
            Some("tab" | "\t") => b'\t',
            Some(_) => return wrong(".separator", "write `;`, `,`, `|` or `tab`"),
        };
        if self.account.is_none() && self.columns.account.is_none() {
            return wrong("", "write `account`, or `columns.account`: whose entries these are");
        }
        if self.currency.is_none() && self.columns.currency.is_none() {
            return wrong("", "write `currency`, or `columns.currency`: what amounts are in");
        }
        let charset = match self.charset.as_deref() {
            None => None,
            Some(name) => match Charset::named(name) {
                Some(charset) => Some(charset),
                None => return wrong(".charset", "is not known: write one such as ISO-8859-15 or cp852"),
            },
        };
        Ok(CsvDescription {
            columns: self.columns.as_named(),
            separator,
            quoted: self.quoted.unwrap_or(true),
            decimal_mark: DecimalMark::from(self.decimal_mark),
            date_order: match self.dates {
                Dates::YearMonthDay => DateOrder::YearMonthDay,
                Dates::DayMonthYear => DateOrder::DayMonthYear,
                Dates::MonthDayYear => DateOrder::MonthDayYear,
            },
            sign,
            account: self.account.clone(),
            currency: self.currency.clone(),
            charset,
            pending: self.pending.clone(),
            no_entries: self.no_entries.clone(),
            texts: self.texts.clone(),
        })
    }
}

impl Columns {
    fn as_named(&self) -> CsvColumns {
        CsvColumns {
            booked_on: self.booked_on.clone(),
            value_on: self.value_on.clone(),
            amount: self.amount.clone(),
            credit: self.credit.clone(),
            debit: self.debit.clone(),
            side: self.side.clone(),
            balance: self.balance.clone(),
            currency: self.currency.clone(),
            account: self.account.clone(),
            reference: self.reference.clone(),
            code: self.code.clone(),
            status: self.status.clone(),
        }
    }
}
