//! What is wrong with a manifest, and where.

use crate::jq::FilterError;

/// Why a manifest cannot be run. Names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// `field: why`, of a field of the source.
    #[error("{0}")]
    Field(String),
    #[error("{field} of stream {stream:?}: {why}")]
    Stream { stream: String, field: String, why: String },
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl ManifestError {
    /// The path of the field, and the stream that it belongs to; a field of the source otherwise.
    pub fn place(&self) -> (Option<&str>, &str) {
        match self {
            Self::Field(text) => (None, text.split_once(": ").map_or("", |(field, _)| field)),
            Self::Stream { stream, field, .. } => (Some(stream), field),
            Self::Filter(FilterError { stream, field, .. }) => {
                (Some(stream.as_str()).filter(|stream| !stream.is_empty()), field)
            }
        }
    }
}

impl ManifestError {
    /// What is wrong, without the field.
    pub fn why(&self) -> &str {
        match self {
            Self::Field(text) => text.split_once(": ").map_or(text, |(_, why)| why),
            Self::Stream { why, .. } => why,
            Self::Filter(error) => &error.message,
        }
    }
}

/// That `field` of `stream` is wrong, and why.
pub fn field(stream: &str, field: &str, why: impl std::fmt::Display) -> ManifestError {
    ManifestError::Stream { stream: stream.to_owned(), field: field.to_owned(), why: why.to_string() }
}
