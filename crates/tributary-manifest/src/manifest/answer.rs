//! `answer:`: what the answers of a stream are written in, where that is not JSON.

use schemars::JsonSchema;
use serde::Deserialize;

/// What answers are written in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerForm {
    /// `json` (if not given), `ndjson`, `csv` or `xml`.
    #[serde(rename = "as")]
    pub written: Writing,
    /// The charset of the answer, such as `windows-1252`; UTF-8 if not given.
    pub charset: Option<String>,
    /// Of `csv`: columns that there have to be, or without a `header` all of them, in their order. What has
    /// not these columns is another answer.
    pub columns: Vec<String>,
    /// Of `csv`: whether the first line names the columns; true if not given.
    pub header: Option<bool>,
    /// Of `csv`: what stands between two fields; a comma if not given.
    pub separator: Option<String>,
    /// Of `xml`: elements that may come several times within another: each is a list, be it of one.
    pub lists: Vec<String>,
}

/// A language of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Writing {
    #[default]
    Json,
    /// A value of JSON on each line: jq sees the list of them.
    Ndjson,
    /// jq sees the list of its lines: objects of texts by the names of the columns, null where a field is empty.
    Csv,
    /// jq sees an object with the root by its name: an element is an object of its elements and, with `@`
    /// before their names, attributes; one without any is its text, or null. Prefixes of names are left out.
    Xml,
}
