//! Metadata: flat text by text, as Formance decodes it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::RecordError;

/// The most that the metadata of one record may take as JSON text, in bytes.
pub const METADATA_MAX_BYTES: usize = 64 * 1024;

/// A flat map of text. Keys that begin with `tributary.` are written by Tributary itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// Takes a map; refused where it holds NUL or is longer than [`METADATA_MAX_BYTES`].
    pub fn parse(map: BTreeMap<String, String>) -> Result<Self, RecordError> {
        let metadata = Self(map);
        if metadata.0.iter().any(|(key, value)| key.contains('\0') || value.contains('\0')) {
            return Err(RecordError::new(
                "metadata",
                "holds a NUL character (\\u0000), which no text column can keep",
            ));
        }
        // PostgreSQL prints jsonb with a space after each colon and comma
        let length = metadata.to_json().len() + 2 * metadata.0.len();
        if length > METADATA_MAX_BYTES {
            return Err(RecordError::new(
                "metadata",
                format!("takes {length} bytes; at most {METADATA_MAX_BYTES} fit"),
            ));
        }
        Ok(metadata)
    }

    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The map as JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("a map of strings is always JSON")
    }
}
