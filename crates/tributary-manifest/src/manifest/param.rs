//! Where a value goes in a request.

use schemars::JsonSchema;
use serde::Deserialize;

/// What of a request takes a value, such as the number of a page: a parameter of the query by its name,
/// `{ header: NAME }`, `{ body: NAME }`, or the name of a variable (`$page`) that stands in a text of the
/// request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "Written")]
pub enum Param {
    /// A parameter of the query.
    Query(String),
    Header(String),
    /// A member of the body; of one that is within others, the path, such as `variables.after`.
    Body(String),
    /// Wherever jq of the request has this variable.
    Variable(String),
}

/// As a file has it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Written {
    Query(String),
    Elsewhere(Elsewhere),
}

/// A place other than the query.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Elsewhere {
    /// The name of a header.
    Header(String),
    /// The name of a member of what is posted; of one that is within others, the path, such as
    /// `variables.after`.
    Body(String),
}

impl From<Written> for Param {
    fn from(written: Written) -> Self {
        match written {
            Written::Query(name) => match name.strip_prefix('$') {
                Some(variable) => Self::Variable(variable.to_owned()),
                None => Self::Query(name),
            },
            Written::Elsewhere(Elsewhere::Header(name)) => Self::Header(name),
            Written::Elsewhere(Elsewhere::Body(path)) => Self::Body(path),
        }
    }
}

impl Param {
    /// Its name, for errors.
    pub fn shown(&self) -> String {
        match self {
            Self::Query(name) => format!("{name:?}"),
            Self::Header(name) => format!("the header {name:?}"),
            Self::Body(path) => format!("{path:?} of the body"),
            Self::Variable(name) => format!("${name}"),
        }
    }
}
