//! What a page says besides its records.

use chrono::{DateTime, Utc};

/// What says how to go on after a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageFacts {
    pub count: usize,
    /// The earliest and the latest time of its records, by which the API filters or sorts.
    pub times: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The latest that any of its records can be, where a clock does not say it exactly.
    pub latest: Option<DateTime<Utc>>,
    /// The time of the first record that has one.
    pub first: Option<DateTime<Utc>>,
    /// Whether the last record is younger than the first.
    pub ascends: bool,
    /// Records without such a time.
    pub undated: u64,
    /// The token or URL of the next page that the body names.
    pub next: Option<String>,
    /// Whether that token is a number.
    pub next_is_number: bool,
    /// Whether the rule of `stop` says that this is the last page.
    pub stop: bool,
    /// Whether the answer says that there is another page; `None` where it is not asked.
    pub more: Option<bool>,
    /// How many records all pages hold together, where the answer says so.
    pub total: Option<u64>,
    /// The earliest and the latest time by which a keyset goes on.
    pub keys: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The id of the last event that has one, or the token for the next run.
    pub mark: Option<String>,
    /// The ids of records that the answer says were removed.
    pub removed: Vec<String>,
    /// Whether the answer has no body, which is a list of nothing.
    pub bodiless: bool,
    /// Events without an id.
    pub unmarked: u64,
    /// The same for pages of the same records only.
    pub fingerprint: String,
}
