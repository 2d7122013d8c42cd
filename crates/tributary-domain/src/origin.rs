//! Where a record comes from, and what it became.

/// A record as the provider sent it, with all that mapping it again takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The stream of the manifest that it came by.
    pub stream: String,
    /// Which account, category, ... of the stream; empty where it has only one.
    pub partition: String,
    /// JSON.
    pub record: Vec<u8>,
    /// `$parent`, JSON.
    pub parent: Vec<u8>,
    /// `$now`: when the request was sent that was answered with it.
    pub asked_at: String,
    /// `$identity`, of a record that has no lasting id of its own.
    pub identity: Option<Vec<u8>>,
    /// Whether it was pending and is not listed any more: what it becomes is cancelled.
    pub vanished: bool,
}

/// A record as it came, to be kept, with the ids of the records that it became: the accounts of balances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    pub origin: Origin,
    /// Empty where it became none.
    pub became: Vec<String>,
}
