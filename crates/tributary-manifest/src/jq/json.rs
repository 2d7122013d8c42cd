//! JSON as filters take and give it, with the digits of its numbers as they are.

use jaq_json::Val;

/// The deepest nesting of arrays and objects that is read; jq's values are walked recursively.
pub const DEEPEST: usize = 128;

/// Why a body is not the JSON that a filter can work on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    #[error("it is not JSON: {0}")]
    Malformed(String),
    #[error("it nests deeper than {DEEPEST} levels")]
    TooDeep,
}

/// Reads one JSON value with the digits of its numbers as they are. Stricter than jq's own
/// reader, which would take NaN, comments and two values in a row.
pub fn parse(body: &[u8]) -> Result<Val, NotJson> {
    if deepest(body) > DEEPEST {
        return Err(NotJson::TooDeep);
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(body)
        .map_err(|error| NotJson::Malformed(error.to_string()))?;
    jaq_json::read::parse_single(body).map_err(|error| NotJson::Malformed(error.to_string()))
}

/// How deep the brackets outside of texts nest.
fn deepest(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The JSON text of `value`.
pub fn to_json(value: &Val) -> Vec<u8> {
    let mut json = Vec::new();
    jaq_json::write::write(&mut json, &jaq_json::write::Pp::default(), 0, value)
        .expect("writing into memory cannot fail");
    json
}
