//! The watermark of a rewrite of the loop that Formance has under way (EN-1095).
//!
//! It asks the same requests, but hands on every row that it gathered instead of
//! the first page of them, and remembers which ids it has seen at exactly the
//! watermark. So rows of one time are not lost, however many they are.

use super::error::CallError;
use super::gojson::{Raw, assign};
use super::gotime::GoTime;
use super::message::Kind;
use super::row::Row;
use super::state::Watermark;

/// A time and the ids of all rows that were handed on with exactly that time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct En1095State {
    /// The time of the last row handed on; zero before the first.
    pub watermark: GoTime,
    /// The ids handed on with exactly that time, oldest call first.
    pub seen: Vec<String>,
}

impl Watermark for En1095State {
    fn from_json(kind: Kind, text: &[u8]) -> Result<Self, CallError> {
        let mut state = Self::default();
        let key = kind.state_key();
        Raw::parse(text)
            .and_then(|raw| {
                assign::object(raw, "state", |found, value| match found {
                    "LASTPROCESSEDIDS" => {
                        assign::list(value, "lastProcessedIDs", &mut state.seen, |id, target| {
                            assign::string(id, "lastProcessedIDs", target)
                        })
                    }
                    _ if found.eq_ignore_ascii_case(key) => assign::time(value, key, &mut state.watermark),
                    _ => Ok(()),
                })
            })
            .map_err(CallError::State)?;
        Ok(state)
    }

    fn to_json(&self, kind: Kind) -> Result<String, CallError> {
        let time = self.watermark.to_json_text()?;
        let seen = match self.seen.as_slice() {
            [] => serde_json::Value::Null,
            ids => ids.into(),
        };
        let key = kind.state_key();
        Ok(format!(r#"{{"{key}":"{time}","lastProcessedIDs":{seen}}}"#))
    }

    fn time(&self) -> GoTime {
        self.watermark
    }

    fn has_seen(&self, id: &str, at: GoTime) -> bool {
        at < self.watermark || (at == self.watermark && self.seen.iter().any(|seen| seen == id))
    }

    fn close(&self, rows: &mut Vec<Row>, _page_size: usize) -> Self {
        let Some(watermark) = rows.last().map(|row| row.watermark) else {
            return self.clone();
        };
        let mut seen = Vec::new();
        if watermark == self.watermark {
            seen.clone_from(&self.seen);
        }
        let last = rows.iter().filter(|row| row.watermark == watermark);
        seen.extend(last.map(|row| row.reference.clone()));
        Self { watermark, seen }
    }
}
