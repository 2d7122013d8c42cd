//! How an answer is divided into pages, and how only what is new is asked for.

use schemars::JsonSchema;
use serde::Deserialize;

use super::right::Ordered;
use crate::manifest::{Bound, Param, SortOrder, TimeFormat};
use crate::period::Period;

/// How an answer is divided: one of `number`, `offset`, `cursor`, `url`, `before` and `after`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    /// Pages by number: the parameter that takes it, `{ header: NAME }`, `{ body: NAME }` (a member of what is
    /// posted; the path of one that is within others, such as `variables.page`), or `$page` where that stands
    /// in the request.
    pub number: Option<Param>,
    /// The number of the first page: 0 or 1.
    pub first: Option<u64>,
    /// Pages by how many records lie before them: what takes that, as of `number`.
    pub offset: Option<Param>,
    /// Pages by what the one before names as `next`: what takes that, as of `number`. `$page` is null for the
    /// first page.
    pub cursor: Option<Param>,
    /// With `cursor`, where the answer names the next page: jq on it, or `{ header: NAME }`.
    pub next: Option<Next>,
    /// With `cursor`: whether a page begins with the record that its cursor names, and not behind it.
    pub includes: bool,
    /// Pages by URL, where the answer names that of the next one: jq on it, `{ header: NAME }`, or the word
    /// `link` for the header `Link` with `rel="next"`.
    pub url: Option<Next>,
    /// Whether the URL of a next page that is written with http is asked for with https, where `api` is: of an
    /// API behind a proxy of which it knows nothing. Only hosts that may be asked are, all the same.
    pub https: bool,
    /// Pages by the time of the last record of the one before, newest first: the parameter that takes it.
    pub before: Option<Edge>,
    /// Pages by the time of the last record of the one before, oldest first: the parameter that takes it.
    pub after: Option<Edge>,
    /// With `before` or `after`: jq on a row, its time.
    pub time: Option<String>,
    /// How many records a page holds: `{ limit: 100 }` asks for it by the parameter `limit`, `{ body: { first: 100 } }`
    /// and `{ header: { NAME: 100 } }` elsewhere; a number alone is the API's own size, or stands in the
    /// request already.
    pub size: Option<Size>,
    /// What shows that a page was the last one: `short` (fewer records than `size`, and `more`, or another
    /// page that is empty, says so, too), `empty`, or jq on the answer that is true there. A cursor or URL
    /// that is absent always ends.
    pub ends: Option<String>,
    /// jq on the answer: true where it says that there is another page, else false; not asked if not given.
    pub more: Option<String>,
    /// jq on the answer: how many rows the whole list has, over all of its pages. A walk that ends with fewer is
    /// an error.
    pub total: Option<String>,
    /// Whether a first page that is full and names no next page can be everything, in a stream of which no
    /// answer ever named one.
    pub may_end_full: bool,
}

/// Where the answer names the next page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Next {
    Body(String),
    Header(NextHeader),
}

/// A header that names the next page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextHeader {
    /// The name of the header.
    pub header: String,
}

/// How many records a page holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Size {
    Own(usize),
    Elsewhere(SizeElsewhere),
    Asked(Ordered<usize>),
}

/// How many records a page holds, asked for elsewhere than in the query.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SizeElsewhere {
    /// A header, and how many it asks for.
    pub header: Ordered<usize>,
    /// A member of what is posted, or the path of one that is within others, and how many it asks for.
    pub body: Ordered<usize>,
}

/// What takes a time. Alone, its `bound` is taken for exclusive: it is asked for more then.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Edge {
    Param(Param),
    Form(EdgeForm),
}

impl Edge {
    /// What takes the time.
    pub fn param(&self) -> &Param {
        match self {
            Self::Param(param) | Self::Form(EdgeForm { param, .. }) => param,
        }
    }
}

/// What takes a time, and what it means there.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeForm {
    /// What takes the time: a parameter of the query, `{ header: NAME }`, `{ body: NAME }`, or the variable
    /// `$since`, `$until` or `$page` where that stands in the request.
    pub param: Param,
    /// Whether the API answers with records of exactly that time, too; `exclusive` if not given, by which
    /// more is asked for rather than less.
    #[serde(default)]
    pub bound: Option<Bound>,
    /// How the time is written; `millis` if not given.
    #[serde(default)]
    pub format: TimeFormat,
}

/// A stretch of time that a request asks for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// jq on a row: the time by which the API filters, in any usual form.
    pub by: Option<String>,
    /// The beginning of the window.
    pub since: Option<Edge>,
    /// The end of the window, where the API takes one.
    pub until: Option<Edge>,
    /// How far before the newest time seen the next window begins: more than the API needs to show a record
    /// after its own timestamp.
    pub late: Option<Period>,
    /// How long before now a window ends, where what is younger may still be incomplete; 0s if not given.
    pub settle: Option<Period>,
    /// How far back the first window begins, and the furthest that any does: what the API refuses to go beyond.
    pub back: Option<Period>,
    /// In which order the API lists within a window; `any` if not given.
    pub order: Option<SortOrder>,
    /// The longest window that the API answers, which is never exceeded; needs `until`. Without it, one window
    /// reaches to now. `{ longest, halve }` where windows have to be shorter at times.
    pub step: Option<Step>,
}

/// The longest window that the API answers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Step {
    Longest(Period),
    Form(StepForm),
}

/// The longest window that the API answers, and what is done about one that is too much for it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepForm {
    /// The longest window.
    pub longest: Period,
    /// How an answer is known that is too large for its window, which is halved then.
    #[serde(default)]
    pub halve: Option<Halve>,
}

/// How an answer is known that is too large for its window: by `where`, by `at`, or by either. The window is
/// halved until it is not, and others after it are longer again, step by step.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Halve {
    /// jq on an answer, whatever its status (`$status`): whether the API says that it is too much.
    #[serde(rename = "where")]
    pub holds: Option<String>,
    /// How many rows the API gives for a window at most, over all of its pages, and leaves out the rest without
    /// a word: so many show that there may be more.
    pub at: Option<u64>,
    /// The shortest window that is tried, after which the run fails; as short as the limits can be written if
    /// not given.
    pub shortest: Option<Period>,
}

/// A list without a filter, newest first.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewestFirst {
    /// jq on a row: the time by which the API sorts, in any usual form.
    pub by: Option<String>,
    /// How far before the newest record seen the walk goes on.
    pub late: Option<Period>,
    /// How far back the first walk goes, and the furthest that any does.
    pub back: Option<Period>,
}

/// A list of what changed since an answer, known by a token that the answer gave.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delta {
    /// jq on an answer: the token for the next run; null on pages that do not give it.
    pub token: Option<String>,
    /// What takes the token: a parameter of the query, `{ header: NAME }`, `{ body: NAME }`, or `$since` where
    /// that stands in the request. It may be that of `page.cursor`. The first run asks without it.
    pub param: Option<Param>,
    /// jq on an answer: the list of the ids of records that were removed. One that is `pending` becomes
    /// CANCELLED, any other stays, with a warning.
    pub removed: Option<String>,
}

/// A list of events, oldest first.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// jq on an event: its id.
    pub mark: Option<String>,
    /// What takes the id of the last event seen: a parameter of the query, `{ header: NAME }`, `{ body: NAME }`,
    /// or `$since` where that stands in the request. Whether the answer begins with that event or behind it
    /// makes no difference.
    pub after: Option<Param>,
}
