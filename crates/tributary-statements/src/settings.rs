//! What a provider's file says of its bank's statements.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use crate::{Charset, CsvDescription, Currency, Format, Limits};

/// How a bank marks reversals in camt files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reversals {
    /// As ISO 20022 has it: `CdtDbtInd` alone is the sign.
    #[default]
    Standard,
    /// The sign is that of the entry that is reversed: `RvslInd` turns it.
    Inverted,
}

/// How the files of one bank are read. The default suits those that keep to their standard.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The format, where it is not to be recognised by content; needed for CSV alone, by `csv`.
    pub format: Option<Format>,
    /// What the columns of its CSV files are.
    pub csv: Option<CsvDescription>,
    /// What text is in that is not UTF-8 and does not say; windows-1252 where it is not set.
    pub charset: Option<Charset>,
    /// The zone of the bank's days, for times that come with an offset.
    pub zone: Option<Tz>,
    /// How reversals are marked in camt files.
    pub reversals: Reversals,
    /// Decimals of currencies that ISO 4217 does not have.
    pub currencies: BTreeMap<String, u8>,
    /// How much may come out of an archive.
    pub limits: Limits,
    /// The decimal mark of OFX amounts, where they do not show it themselves (`1,650`).
    pub ofx_decimal_mark: Option<crate::DecimalMark>,
}

impl Settings {
    /// The currency of this code, by [`Settings::currencies`] and ISO 4217.
    pub(crate) fn currency(&self, code: &str) -> Result<Currency, String> {
        let code = code.trim();
        self.currencies
            .get(code)
            .and_then(|decimals| Currency::with_decimals(code, *decimals))
            .or_else(|| Currency::iso(code))
            .ok_or_else(|| {
                format!("{code:?} is no currency of ISO 4217: set how many decimals it has, if it is one")
            })
    }
}
