//! What a filter yields, taken for what it has to be or refused: never for nothing.

use jaq_json::Val;

use tributary_domain::ID_MAX_BYTES;

use super::{Filter, FilterError};

/// The token that `filter` yielded as `value`, `None` for null and for the empty text. A number is
/// in the digits that the provider wrote. Anything else would be taken for no token, which is
/// an error instead.
pub fn token_of(filter: &Filter, value: &Val) -> Result<Option<String>, FilterError> {
    use jaq_json::Num::{BigInt, Dec, Float, Int};
    match value {
        Val::Null => Ok(None),
        Val::Num(number @ (Int(_) | BigInt(_) | Dec(_))) => Ok(Some(number.to_string())),
        Val::Num(Float(_)) => Err(filter.error(format!(
            "yields {value}, which was calculated and may not be exact: use what the provider wrote"
        ))),
        Val::TStr(_) => match text_of(filter, value)? {
            Some(text) if !text.is_empty() && text.trim().is_empty() => {
                Err(filter.error("yields a text of blanks".to_owned()))
            }
            text => Ok(text.filter(|text| !text.is_empty())),
        },
        other => Err(filter.error(format!("yields {}, and not a text, a number or null", kind_of(other)))),
    }
}

/// The text that `filter` yielded as `value`, `None` for null. Anything else is an error, and so is NUL:
/// it would come back from no cursor, key or mark that was kept.
pub fn text_of(filter: &Filter, value: &Val) -> Result<Option<String>, FilterError> {
    match value {
        Val::Null => Ok(None),
        Val::TStr(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => {
                Err(filter.error("yields a text with NUL (\\u0000), which no database keeps".to_owned()))
            }
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(filter.error("yields a broken text".to_owned())),
        },
        other => Err(filter.error(format!("yields {}, and not a text or null", kind_of(other)))),
    }
}

/// As [`token_of`], of what identifies a record: a text of blanks identifies none, like an empty one.
pub fn id_of(filter: &Filter, value: &Val) -> Result<Option<String>, FilterError> {
    match value {
        Val::TStr(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => Ok(None),
        Val::TStr(_) => Ok(text_of(filter, value)?.filter(|id| !id.trim().is_empty())),
        other => token_of(filter, other),
    }
}

/// As [`id_of`], of a name by which something is kept in the database: as long as an id may be.
pub fn name_of(filter: &Filter, value: &Val) -> Result<Option<String>, FilterError> {
    match id_of(filter, value)? {
        Some(name) if name.len() > ID_MAX_BYTES => Err(filter
            .error(format!("yields a name of {} bytes; at most {ID_MAX_BYTES} can be kept", name.len()))),
        name => Ok(name),
    }
}

/// The count that `filter` yielded as `value`, as a number or in digits; `None` for null.
pub fn count_of(filter: &Filter, value: &Val) -> Result<Option<u64>, FilterError> {
    let token = token_of(filter, value)?;
    let count = token.as_deref().map(str::parse);
    count.transpose().map_err(|_| filter.error(format!("yields {value}, and not how many there are")))
}

/// `value` of `filter`, which has to be true or false.
pub fn boolean(filter: &Filter, value: &Val) -> Result<bool, FilterError> {
    match value {
        Val::Bool(value) => Ok(*value),
        other => Err(filter.error(format!("yields {}, and not true or false", kind_of(other)))),
    }
}

fn kind_of(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(true) => "true",
        Val::Bool(false) => "false",
        Val::Num(_) => "a number",
        Val::TStr(_) | Val::BStr(_) => "a text",
        Val::Arr(_) => "a list",
        Val::Obj(_) => "an object",
    }
}

/// jq's own truth: anything but false and null.
pub fn holds(value: &Val) -> bool {
    !matches!(value, Val::Null | Val::Bool(false))
}

/// The text that `value` is.
pub fn text(value: &Val) -> Option<String> {
    match value {
        Val::TStr(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}

/// The text that `value` is, or the digits of the number that it is.
pub fn scalar(value: &Val) -> Option<String> {
    match value {
        Val::Num(number) => Some(number.to_string()),
        value => text(value),
    }
}

/// A text that is not empty, or an integer.
pub fn token(value: &Val) -> Option<String> {
    match value {
        Val::Num(number @ (jaq_json::Num::Int(_) | jaq_json::Num::BigInt(_))) => Some(number.to_string()),
        value => text(value).filter(|text| !text.is_empty()),
    }
}
