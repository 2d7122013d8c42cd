//! `paging:`: how the answer to one question is divided into pages.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Bound, Param, TimeFormat};

/// How a stream's answer is divided. Without `paging`, one answer holds everything.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// Pages by number.
    Page {
        /// What takes the number.
        param: Param,
        /// The number of the first page: 0 or 1.
        first: u64,
        /// How many records a page holds.
        size: Size,
        /// What shows that a page was the last one.
        stop: Stop,
        /// jq on the answer: true where it says that there is another page, else false; not asked if
        /// not given.
        #[serde(default)]
        more: Option<String>,
    },
    /// Pages by how many records lie before them.
    Offset {
        /// What takes how many records are skipped.
        param: Param,
        /// How many records a page holds.
        size: Size,
        /// What shows that a page was the last one.
        stop: Stop,
        /// jq on the answer: true where it says that there is another page, else false; not asked if
        /// not given.
        #[serde(default)]
        more: Option<String>,
    },
    /// The answer names a token with which the next page is asked for.
    Cursor {
        /// What takes the token.
        param: Param,
        /// Where the answer names the token of the next page.
        next: Next,
        /// Whether a page begins with the record that its token names (`inclusive`) or behind it.
        bound: Bound,
        /// How many records a page holds; not known if not given.
        #[serde(default)]
        size: Option<Size>,
        /// What shows that a page was the last one.
        stop: Stop,
        /// jq on the answer: true where it says that there is another page, else false; not asked if
        /// not given.
        #[serde(default)]
        more: Option<String>,
        /// Whether a first page that is full and names no next page can be everything, in a stream
        /// of which no answer ever named a next page.
        #[serde(default)]
        may_end_full: bool,
    },
    /// The answer names the URL of the next page.
    NextUrl {
        /// Where the answer names the URL of the next page, which may be relative.
        next: Next,
        /// Whether a URL that begins with http is asked for with https, where the API itself is: of an API
        /// behind a proxy of which it knows nothing.
        #[serde(default)]
        https: bool,
        /// How many records a page holds; not known if not given.
        #[serde(default)]
        size: Option<Size>,
        /// What shows that a page was the last one.
        stop: Stop,
        /// jq on the answer: true where it says that there is another page, else false; not asked if
        /// not given.
        #[serde(default)]
        more: Option<String>,
        /// Whether a first page that is full and names no next page can be everything, in a stream
        /// of which no answer ever named a next page.
        #[serde(default)]
        may_end_full: bool,
    },
    /// The next page is asked for by the time of this one's last record.
    Keyset {
        /// What takes the time.
        param: Param,
        /// jq on a record: its time.
        field: String,
        /// Whether the parameter includes the records of exactly that time.
        bound: Bound,
        /// How the parameter writes the time.
        format: TimeFormat,
        /// In which order the API lists: `newest_first` or `oldest_first`.
        order: SortOrder,
        /// How many records a page holds, at least 2.
        size: Size,
        /// What shows that a page was the last one.
        stop: Stop,
        /// jq on the answer: true where it says that there is another page, else false; not asked if
        /// not given.
        #[serde(default)]
        more: Option<String>,
    },
}

/// How many records a page holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// What asks for it; without it, the API's own size is `value`.
    #[serde(default)]
    pub param: Option<Param>,
    /// How many records a page holds, at least 1.
    pub value: usize,
}

/// What shows that a page was the last one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It holds fewer records than were asked for, and `more`, or another page that is empty, says so, too.
    ShortPage,
    /// It holds no record.
    EmptyPage,
    /// It names no next page. A cursor or URL that is absent, null or empty always ends.
    NoNext,
    /// jq on the answer: true at the last page, false or null before it.
    When(String),
}

/// Where the answer names the next page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// jq on the answer: the token or URL of the next page, null where there is none.
    Body(String),
    /// The name of the header that holds it.
    Header(String),
    /// The URL with `rel="next"` in the header `Link` (RFC 8288).
    Link,
}

/// In which order an API lists records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    NewestFirst,
    OldestFirst,
    /// In no order that could be relied on.
    Any,
}
