//! `paging:`: how the answer to one question is divided into pages.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Bound, TimeFormat};

/// How a stream's answer is divided. Without `paging`, one answer holds everything.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// Pages by number.
    Page {
        /// The query parameter that takes the number.
        param: String,
        /// The number of the first page: 0 or 1.
        first: u64,
        size: Size,
        stop: Stop,
        /// jq on the answer: whether it says that there is another page.
        #[serde(default)]
        more: Option<String>,
    },
    /// Pages by how many records lie before them.
    Offset {
        param: String,
        size: Size,
        stop: Stop,
        /// jq on the answer: whether it says that there is another page.
        #[serde(default)]
        more: Option<String>,
    },
    /// The answer tells a token with which the next page is asked for.
    Cursor {
        /// The parameter, header or member of the body that takes the token.
        param: String,
        /// Where it goes.
        #[serde(default)]
        place: Place,
        /// The token in the answer.
        next: Next,
        /// Whether a page begins with the record that its token names (`inclusive`) or behind it.
        bound: Bound,
        #[serde(default)]
        size: Option<Size>,
        stop: Stop,
        /// jq on the answer: whether it says that there is another page.
        #[serde(default)]
        more: Option<String>,
        /// Whether a first page that is full and tells no next page can be everything, in a stream
        /// of which no answer ever told a next page.
        #[serde(default)]
        may_end_full: bool,
    },
    /// The answer tells the URL of the next page.
    NextUrl {
        next: Next,
        #[serde(default)]
        size: Option<Size>,
        stop: Stop,
        /// jq on the answer: whether it says that there is another page.
        #[serde(default)]
        more: Option<String>,
        /// Whether a first page that is full and tells no next page can be everything, in a stream
        /// of which no answer ever told a next page.
        #[serde(default)]
        may_end_full: bool,
    },
    /// The next page is asked for by the time of this one's last record.
    Keyset {
        /// The query parameter that takes the time.
        param: String,
        /// jq on a record: its time.
        field: String,
        /// Whether the parameter includes the records of exactly that time.
        bound: Bound,
        format: TimeFormat,
        order: Order,
        size: Size,
        stop: Stop,
        /// jq on the answer: whether it says that there is another page.
        #[serde(default)]
        more: Option<String>,
    },
}

/// How many records a page holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// The query parameter that asks for it; without it, the API's own size is `value`.
    #[serde(default)]
    pub param: Option<String>,
    pub value: usize,
}

/// What tells that a page was the last one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It holds fewer records than were asked for. Only for an API that never shortens a page.
    ShortPage,
    /// It holds no record.
    EmptyPage,
    /// It tells no next page. A cursor or URL that is absent, null or empty always ends.
    NoNext,
    /// jq on the answer yields true, and not false or null.
    When(String),
}

/// Where the answer tells how to go on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// jq on the answer.
    Body(String),
    /// This header.
    Header(String),
    /// The URL with `rel="next"` in the header `Link` (RFC 8288).
    Link,
}

/// Where a token goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    #[default]
    Query,
    Header,
    /// A member of the request's body.
    Body,
}

/// In which order an API lists records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    NewestFirst,
    OldestFirst,
    /// In no order that could be relied on.
    Any,
}
