//! What somebody who knows the bank says of its tables.

use std::collections::BTreeMap;

use csv::StringRecord;

use crate::Charset;

/// Which character is between units and their parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalMark {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

impl DecimalMark {
    /// The mark, and what may group thousands beside it.
    pub(crate) fn and_group(self) -> (char, char) {
        match self {
            Self::Point => ('.', ','),
            Self::Comma => (',', '.'),
        }
    }
}

/// In which order day, month and year are written. Nothing in a file tells 1/2 from 2/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// `2026-03-01`, `2026.03.01.`, `20260301`
    YearMonthDay,
    /// `01.03.2026`, `1/3/26`
    DayMonthYear,
    /// `3/1/2026`
    MonthDayYear,
}

/// How a row says whether money comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CsvSign {
    /// By the sign of [`CsvColumns::amount`]: a minus before or behind, or parentheses.
    Signed,
    /// By the column that is filled: [`CsvColumns::credit`] or [`CsvColumns::debit`].
    Columns,
    /// By the texts of [`CsvColumns::side`]; the amount has no sign.
    Side {
        /// What the column says of money in.
        credit: Vec<String>,
        /// What the column says of money out.
        debit: Vec<String>,
    },
}

/// The names of columns, as in the header row. All others become texts by their own name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvColumns {
    pub booked_on: String,
    pub value_on: Option<String>,
    pub amount: Option<String>,
    pub credit: Option<String>,
    pub debit: Option<String>,
    pub side: Option<String>,
    /// The balance after the row: the file's proof of itself.
    pub balance: Option<String>,
    pub currency: Option<String>,
    pub account: Option<String>,
    pub reference: Option<String>,
    pub code: Option<String>,
    pub status: Option<String>,
}

impl CsvColumns {
    /// The columns that are named.
    pub(crate) fn named(&self) -> Vec<&str> {
        let optional = [
            &self.value_on,
            &self.amount,
            &self.credit,
            &self.debit,
            &self.side,
            &self.balance,
            &self.currency,
            &self.account,
            &self.reference,
            &self.code,
            &self.status,
        ];
        std::iter::once(self.booked_on.as_str())
            .chain(optional.into_iter().flatten().map(String::as_str))
            .collect()
    }
}

/// What a bank's tables are like. The header row is the first that has all columns; what is above is preamble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvDescription {
    pub columns: CsvColumns,
    /// Between cells: `;`, `,`, a tab or `|`.
    pub separator: u8,
    /// Whether cells may be in double quotes.
    pub quoted: bool,
    pub decimal_mark: DecimalMark,
    pub date_order: DateOrder,
    pub sign: CsvSign,
    /// The account, where no column says it.
    pub account: Option<String>,
    /// The currency, where no column says it.
    pub currency: Option<String>,
    pub charset: Option<Charset>,
    /// What the column of the status says of rows that are not booked yet.
    pub pending: Vec<String>,
    /// How the first filled cell of rows begins that are no entries, such as totals below them.
    pub no_entries: Vec<String>,
    /// Other names for the texts of columns, such as `remittanceInformation` for `Verwendungszweck`.
    pub texts: BTreeMap<String, String>,
}

impl CsvDescription {
    /// Whether a row below the header is blank, or one of those that are no entries.
    pub(crate) fn is_no_entry(&self, record: &StringRecord) -> bool {
        match record.iter().map(str::trim).find(|cell| !cell.is_empty()) {
            None => true,
            Some(first) => self.no_entries.iter().any(|start| first.starts_with(start.as_str())),
        }
    }
}
