//! JSON as filters take and give it, with the digits of its numbers as they are.

use jaq_json::Val;

use tributary_domain::{JsonBudget, TooCostly};

use super::repair::repaired;

/// What is read where nobody says how much it may hold. jq's values are walked recursively, each takes
/// several times the memory of its text, and a long number takes long to calculate with.
pub const BUDGET: JsonBudget = JsonBudget { values: 1 << 21, depth: 128, digits: 1_000 };

/// Why a body is not the JSON that a filter can work on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    #[error("it is not JSON: {0}")]
    Malformed(String),
    #[error("it is not {0}: {1}")]
    Other(&'static str, String),
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}

/// Reads one JSON value with the digits of its numbers as they are. Stricter than jq's own
/// reader, which would take comments and two values in a row.
pub fn parse(body: &[u8]) -> Result<Val, NotJson> {
    Ok(parse_mended(BUDGET, body)?.0)
}

/// As [`parse`], of a body that holds no more than `budget`; with what was mended in it, where it could
/// only be read so.
pub fn parse_mended(budget: JsonBudget, body: &[u8]) -> Result<(Val, Option<String>), NotJson> {
    budget.check(body)?;
    match parse_strictly(body) {
        Ok(value) => Ok((value, None)),
        Err(why) => match repaired(body) {
            Some((mended, what)) => {
                budget.check(&mended)?;
                Ok((parse_strictly(&mended)?, Some(what)))
            }
            None => Err(why),
        },
    }
}

fn parse_strictly(body: &[u8]) -> Result<Val, NotJson> {
    std::str::from_utf8(body).map_err(|error| NotJson::Malformed(error.to_string()))?;
    serde_json::from_slice::<serde::de::IgnoredAny>(body)
        .map_err(|error| NotJson::Malformed(error.to_string()))?;
    jaq_json::read::parse_single(body).map_err(|error| NotJson::Malformed(error.to_string()))
}

/// The JSON text of `value`.
pub fn to_json(value: &Val) -> Vec<u8> {
    let mut json = Vec::new();
    jaq_json::write::write(&mut json, &jaq_json::write::Pp::default(), 0, value)
        .expect("writing into memory cannot fail");
    json
}

/// The number of these `digits`, in exactly these; a text where they are none.
pub fn number(digits: &str) -> Val {
    parse(digits.as_bytes())
        .ok()
        .filter(|value| matches!(value, Val::Num(_)))
        .unwrap_or_else(|| Val::from(digits.to_owned()))
}
