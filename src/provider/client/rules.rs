//! What the answers of an API mean beyond what HTTP says.

/// The rules of one stream.
#[derive(Debug, Default)]
pub struct Rules {}
