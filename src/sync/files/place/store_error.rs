//! What a store says when it does not do what it is asked.

use object_store::Error;

use super::PlaceError;

/// How much of it is told.
const TOLD_CHARS: usize = 300;

/// Whether the store does not know the condition that it was asked with.
pub fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::NotImplemented { .. }) || error.to_string().contains("NotImplemented")
}

/// What a request for one object failed with.
pub fn failed(error: &Error) -> PlaceError {
    let answered = !matches!(error, Error::Generic { .. }) || status(error).is_some();
    if answered { PlaceError::File(told(error)) } else { PlaceError::Silent(told(error)) }
}

/// What stands before the status of an answer in the crate's texts, whose types are its own.
const STATUS: &str = "status code: ";

/// The status of the answer, such as `404`, where there was one.
pub fn status(error: &Error) -> Option<String> {
    let text = error.to_string();
    let (_, status) = text.split_once(STATUS)?;
    Some(status.chars().take_while(char::is_ascii_digit).collect())
}

/// What a store says, or why it says nothing, in a line: its code and message, else the status, else the innermost cause.
pub fn told(error: &Error) -> String {
    let text = error.to_string();
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once('<').map(|(inner, _)| inner.trim())
    };
    let said = match (element("Code"), element("Message"), text.split_once(STATUS)) {
        (Some(code), Some(message), _) => format!("{code}: {message}"),
        (Some(code), None, _) => code.to_owned(),
        (None, _, Some((_, status))) => status.split(':').next().unwrap_or_default().to_owned(),
        (None, _, None) => innermost(error),
    };
    // Azure goes on with ids of the request
    let line = said.lines().next().unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TOLD_CHARS).collect()
}

/// What is behind all other causes of an error.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
