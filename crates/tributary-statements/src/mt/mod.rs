//! MT940 and MT942 of SWIFT, with or without envelopes, as banks write them rather than as SWIFT has them.

mod amount;
mod field;
mod information;
mod line;
mod message;

use crate::{ReadError, Settings, Statement, text};

/// The statements and pages of a file.
pub fn read(bytes: &[u8], settings: &Settings) -> Result<Vec<Statement>, ReadError> {
    let text = text::decode(bytes, settings.charset);
    let fields = field::fields(&text);
    let parts = message::split(fields)?;
    if parts.is_empty() {
        return Err(ReadError::NoStatement("there is no :25: and :28C: in it".to_owned()));
    }
    parts.iter().map(|part| message::statement(part, settings)).collect()
}
