//! `${NAME}` and `${NAME:-default}` in the text of a provider file.

/// Why a text of a provider file cannot be filled in. Never holds the text itself, which may
/// be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterpolateError {
    #[error("the environment variable {0} must be set: a provider file asks for it as ${{{0}}}")]
    Missing(String),
    #[error("a ${{ is never closed, or holds no variable name; write ${{NAME}} or ${{NAME:-default}}")]
    Malformed,
}

/// Replaces each `${NAME}` of `text` by what `lookup` knows of NAME, and each
/// `${NAME:-default}` by that or else by the default. A variable that is set to nothing counts
/// as not set, since an empty token or URL is always a mistake. A `$` without `{` stays as it
/// is, and what `lookup` returns is not searched again.
pub fn interpolate(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, InterpolateError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, tail) = after.split_once('}').ok_or(InterpolateError::Malformed)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable_name(name) {
            return Err(InterpolateError::Malformed);
        }
        let value = lookup(name).filter(|value| !value.is_empty());
        let value = value.or_else(|| default.map(str::to_owned));
        filled.push_str(before);
        filled.push_str(&value.ok_or_else(|| InterpolateError::Missing(name.to_owned()))?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some("s3cr$t${TOKEN}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_and_defaults_are_filled_in_once() {
        for (text, filled) in [
            ("plain $5", "plain $5"),
            ("${TOKEN}", "s3cr$t${TOKEN}"),
            ("a${TOKEN}b", "as3cr$t${TOKEN}b"),
            ("${URL:-https://api.example.com}/v2", "https://api.example.com/v2"),
            ("${EMPTY:-x}${NONE:-}", "x"),
        ] {
            assert_eq!(interpolate(text, environment).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        for text in ["Bearer ${NONE}", "Bearer ${EMPTY}"] {
            let error = interpolate(text, environment).unwrap_err().to_string();
            let name = &text[9..text.len() - 1];
            assert!(error.contains(&format!("{name} must be set")), "{error}");
        }
    }

    #[test]
    fn a_malformed_reference_is_an_error_that_does_not_repeat_the_text() {
        for text in ["hunter2${TOKEN", "hunter2${}", "hunter2${A B}", "hunter2${1}"] {
            let error = interpolate(text, environment).unwrap_err();
            assert_eq!(error, InterpolateError::Malformed, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
