//! Why a file is not read. It is refused whole: half a file would look like a short one.

/// Why a file gave no statements. Each says what to do, or where to look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No bytes, or blanks alone.
    #[error("the file is empty: ask for it again")]
    Empty,
    /// Nothing in it shows a format; the text says what was looked for.
    #[error("the file is in no known format: {0}")]
    Unrecognised(String),
    /// A zip or gzip that cannot be opened, or is more than the limits allow.
    #[error("the archive is not read: {0}")]
    Archive(String),
    /// The end is missing; the same name may have the whole file later.
    #[error("the file is not complete: {0}. Wait for the rest, or ask the bank for the file again")]
    Incomplete(String),
    /// Something in it cannot be what the bank means.
    #[error("{place}: {reason}")]
    Malformed {
        /// The line, record or element.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// It is well formed and holds no statement.
    #[error("the file holds no statement: {0}")]
    NoStatement(String),
}

impl ReadError {
    pub(crate) fn at(place: impl std::fmt::Display, reason: impl Into<String>) -> Self {
        Self::Malformed { place: place.to_string(), reason: reason.into() }
    }
}
