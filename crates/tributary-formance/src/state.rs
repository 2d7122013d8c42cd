//! What the loop keeps between two calls.

use super::error::CallError;
use super::gojson::{Raw, assign};
use super::gotime::GoTime;
use super::message::Kind;
use super::row::Row;

/// A watermark: how a loop tells rows that it has from rows that are new, and
/// what it keeps of a call for the next one. The default is the state before the
/// first call ever.
pub trait Watermark: Clone + Default {
    /// Reads a saved state.
    fn from_json(kind: Kind, text: &[u8]) -> Result<Self, CallError>;

    /// The state as it is saved. Fails if a time in it cannot be written.
    fn to_json(&self, kind: Kind) -> Result<String, CallError>;

    /// The time from which (cut to its second) the list is asked.
    fn time(&self) -> GoTime;

    /// Whether the row with this id and time is dropped as already ingested.
    fn has_seen(&self, id: &str, at: GoTime) -> bool;

    /// Ends a call that gathered `rows`: cuts them to what is handed on and gives
    /// the state for the next call.
    fn close(&self, rows: &mut Vec<Row>, page_size: usize) -> Self;
}

/// The watermark of Formance v3.4: one time, to the nanosecond.
///
/// A call hands on at most one page of rows. Rows beyond are dropped and asked
/// for again, from the second of the last one kept; those of them that share its
/// very time are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The time of the last row handed on, in the offset in which it was served;
    /// zero before the first.
    pub watermark: GoTime,
}

impl Watermark for State {
    fn from_json(kind: Kind, text: &[u8]) -> Result<Self, CallError> {
        let mut state = Self::default();
        let key = kind.state_key();
        Raw::parse(text)
            .and_then(|raw| {
                assign::object(raw, "state", |found, value| {
                    if found.eq_ignore_ascii_case(key) {
                        assign::time(value, key, &mut state.watermark)?;
                    }
                    Ok(())
                })
            })
            .map_err(CallError::State)?;
        Ok(state)
    }

    fn to_json(&self, kind: Kind) -> Result<String, CallError> {
        let time = self.watermark.to_json_text()?;
        Ok(format!(r#"{{"{}":"{time}"}}"#, kind.state_key()))
    }

    fn time(&self) -> GoTime {
        self.watermark
    }

    fn has_seen(&self, _id: &str, at: GoTime) -> bool {
        at <= self.watermark
    }

    fn close(&self, rows: &mut Vec<Row>, page_size: usize) -> Self {
        rows.truncate(page_size);
        match rows.last() {
            Some(last) => Self { watermark: last.watermark },
            None => *self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_saved_with_its_offset_and_read_back() {
        let text = r#"{"lastUpdatedAtFrom":"2026-03-01T14:00:00.25+02:00"}"#;
        let state = State::from_json(Kind::Transactions, text.as_bytes()).unwrap();
        assert_eq!(state.to_json(Kind::Transactions).unwrap(), text);
        assert_eq!(
            State::default().to_json(Kind::Accounts).unwrap(),
            r#"{"lastCreatedAtFrom":"0001-01-01T00:00:00Z"}"#
        );
    }

    #[test]
    fn a_state_of_another_kind_is_no_state() {
        let text = br#"{"lastUpdatedAtFrom":"2026-03-01T12:00:00Z"}"#;
        assert_eq!(State::from_json(Kind::Accounts, text), Ok(State::default()));
    }

    #[test]
    fn a_broken_state_is_an_error() {
        let text = br#"{"lastCreatedAtFrom":"yesterday"}"#;
        assert!(State::from_json(Kind::Accounts, text).is_err());
    }
}
