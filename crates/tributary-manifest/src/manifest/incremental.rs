//! `incremental:`: how a stream asks only for what is new.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Param, RequestManifest, SortOrder, TimePattern};
use crate::period::Period;

/// How a stream asks only for what is new. Nothing here has a silent default: each wrong guess
/// loses records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Incremental {
    /// The API answers with what changed at or after a given time.
    UpdatedWindow(WindowManifest),
    /// The API answers with what was created at or after a given time; what is open is asked
    /// for again, record by record (`refresh` is required).
    CreatedWindow(WindowManifest),
    /// As `created_window`, for an API that knows days only and whose records may lack a lasting
    /// id (`identity`), or be pending under another one (`pending`).
    DateWindow(WindowManifest),
    /// The API knows no filter and lists the newest first: read until a whole page is older than
    /// what was read before.
    DescendingFeed {
        /// jq on a record: the time by which the API sorts.
        cursor: String,
        /// How far before the newest record seen the walk goes on.
        lookback: Period,
        /// How far back the first walk goes, and the furthest that any does.
        start: Period,
    },
    /// The API lists what happened, oldest first, and goes on behind an event. Each event names
    /// a record, which is then read (`detail` is required).
    EventFeed {
        /// jq on an event: its id.
        mark: String,
        /// What takes the id of the last event seen. Whether the answer begins with that event or
        /// behind it makes no difference.
        param: Param,
    },
    /// The API answers with what changed since an answer, known by a token that the answer gave.
    Delta {
        /// jq on an answer: the token for the next run, null where another page gives it.
        token: String,
        /// What takes the token.
        param: Param,
        /// jq on an answer: the ids of records that were removed; none are told of if not given.
        #[serde(default)]
        removed: Option<String>,
    },
    /// Everything each time: for what is small, or has no dates.
    Snapshot {},
}

/// A stretch of time that a request asks for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowManifest {
    /// jq on a record: the time by which the API filters, RFC 3339.
    pub cursor: String,
    /// The beginning of the window.
    pub from: Edge,
    /// The end of the window, where the API takes one.
    #[serde(default)]
    pub to: Option<Edge>,
    /// How far before the newest time seen the next window begins: more than the API needs to
    /// show a record after its own timestamp.
    pub lookback: Period,
    /// How long before now a window ends: what is younger may still be incomplete. `0s` is
    /// allowed where the lookback covers it.
    pub settle: Period,
    /// How far back the first window begins, and the furthest that any does: what the API
    /// refuses to go beyond.
    pub start: Period,
    /// In which order the API lists within a window.
    pub order: SortOrder,
    /// The longest window that the API answers, which is never exceeded; needs `to`. Without it,
    /// one window reaches to now.
    #[serde(default)]
    pub step: Option<Period>,
    /// How an answer is known that is too large for its window, which is halved then; needs `step`.
    #[serde(default)]
    pub halve: Option<HalveManifest>,
}

/// How an answer is known that is too large: by one of the first two, or either.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HalveManifest {
    /// jq on an answer, whatever its status: whether the API says so.
    #[serde(default, rename = "where")]
    pub when: Option<String>,
    /// How many records a window has at most, since the API leaves out the rest.
    #[serde(default)]
    pub at: Option<u64>,
    /// The shortest window that is tried; as short as the limits can be written if not given.
    #[serde(default)]
    pub shortest: Option<Period>,
}

/// One end of a window.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// What takes the time.
    pub param: Param,
    /// Whether the API answers with records of exactly that time, too.
    pub bound: Bound,
    /// How the time is written; `millis` if not given.
    #[serde(default)]
    pub format: TimeFormat,
}

/// Whether a limit belongs to what it limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    Inclusive,
    Exclusive,
}

/// How an API writes times, and so how finely it can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "WrittenFormat")]
pub enum TimeFormat {
    /// `2026-03-01T12:00:00Z`
    Seconds,
    /// `2026-03-01T12:00:00.123Z`
    #[default]
    Millis,
    /// `2026-03-01T12:00:00.123456Z`
    Micros,
    /// `2026-03-01`, in UTC.
    Date,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// `Sun, 01 Mar 2026 12:00:00 GMT`, as headers of HTTP write it (RFC 1123).
    HttpDate,
    /// By a pattern, and the clock of a zone.
    Pattern(#[schemars(with = "String")] TimePattern),
}

/// A format as a file has it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum WrittenFormat {
    Named(NamedFormat),
    Pattern(PatternFormat),
}

/// A way to write times that has a name.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NamedFormat {
    /// `2026-03-01T12:00:00Z`
    Seconds,
    /// `2026-03-01T12:00:00.123Z`
    Millis,
    /// `2026-03-01T12:00:00.123456Z`
    Micros,
    /// `2026-03-01`, in UTC.
    Date,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// `Sun, 01 Mar 2026 12:00:00 GMT`, as headers of HTTP write it (RFC 1123).
    HttpDate,
}

/// A way to write times by a pattern.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PatternFormat {
    /// As of strftime: `%d.%m.%Y %H:%M:%S`.
    pattern: String,
    /// By the clock of which zone, such as `Europe/Berlin`; that of the file if not given, and else UTC.
    #[serde(default)]
    zone: Option<String>,
}

impl From<WrittenFormat> for TimeFormat {
    fn from(written: WrittenFormat) -> Self {
        match written {
            WrittenFormat::Named(NamedFormat::Seconds) => Self::Seconds,
            WrittenFormat::Named(NamedFormat::Millis) => Self::Millis,
            WrittenFormat::Named(NamedFormat::Micros) => Self::Micros,
            WrittenFormat::Named(NamedFormat::Date) => Self::Date,
            WrittenFormat::Named(NamedFormat::UnixSeconds) => Self::UnixSeconds,
            WrittenFormat::Named(NamedFormat::UnixMillis) => Self::UnixMillis,
            WrittenFormat::Named(NamedFormat::HttpDate) => Self::HttpDate,
            WrittenFormat::Pattern(PatternFormat { pattern, zone }) => {
                Self::Pattern(TimePattern::new(pattern, zone))
            }
        }
    }
}

/// How records that may still change are asked for again, one by one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// jq on a record: whether it may still change.
    pub open: String,
    /// jq on a record: what identifies it.
    pub key: String,
    /// Whether `key` is the record's `id`, which errors name then.
    #[serde(skip)]
    pub by_id: bool,
    /// The request that asks for one record; `{field}` is that field of the record.
    pub request: RequestManifest,
    /// jq on the answer: the record, as the list would show it.
    pub record: String,
    /// The shortest pause between two questions for a record; it grows to a twentieth of its age.
    pub every: Period,
    /// At which age a record that is still open is not asked for any more.
    pub give_up: Period,
}

/// What is listed while it is pending, perhaps under an id that does not last.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// jq on a record: whether it is pending. One that two runs do not list any more, though they asked
    /// for it, is served as CANCELLED: it was booked under another id, or dropped.
    pub when: String,
    /// jq on a record: what identifies it; its `identity` if not given.
    #[serde(default)]
    pub key: Option<String>,
}
