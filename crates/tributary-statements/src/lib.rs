//! Bank statement files as one exact model. Pure functions from bytes to [`Statement`]s: no database, no
//! network, no clock. Money is integers with an asset; what a bank says besides is kept as text.
//!
//! [`read`] unwraps, recognises and parses a file, whole or not at all. [`checks`] says what is missing as a
//! sum, and [`identity`] gives every movement an id that does not depend on the order in which files arrive.

mod bai2;
mod camt;
pub mod checks;
mod container;
mod csv;
mod currency;
mod date;
mod decimal;
mod error;
pub mod identity;
mod model;
mod movement;
mod mt;
mod ofx;
mod read;
mod settings;
mod sniff;
mod text;

pub use camt::{CamtPart, read_camt};
pub use container::{Limits, unwrap};
pub use csv::{CsvColumns, CsvDescription, CsvSign, DateOrder, DecimalMark};
pub use currency::Currency;
pub use date::StatedDate;
pub use error::ReadError;
pub use model::{
    Account, Balance, BalanceKind, Correction, Detail, Entry, EntryStatus, Page, Purpose, Statement,
    StatementKind, Texts, Total, TotalOf,
};
pub use movement::{Level, Movement, movements};
pub use read::{join_pages, read};
pub use settings::{Reversals, Settings};
pub use sniff::{Format, sniff};
pub use text::Charset;
