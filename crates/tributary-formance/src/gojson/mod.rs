//! JSON as Go's `encoding/json` reads it, which is looser than most.
//!
//! A text is first checked as a whole ([`Raw::parse`]) and then assigned to
//! fields value by value ([`assign`]). Where Go surprises: keys match without
//! regard to case, `null` leaves a field as it was, a repeated key assigns
//! again (and merges into maps and lists), invalid UTF-8 and lone surrogates
//! become U+FFFD, unknown keys are ignored, and a value of the wrong type is an
//! error for the whole text.

pub mod assign;
mod check;
mod text;

use thiserror::Error;

use super::gotime::TimeError;

/// Why a text could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    /// The text is not JSON; `offset` is the byte at which that shows (the
    /// length of the text if it ends too early).
    #[error("not JSON at byte {offset}")]
    Syntax {
        /// Where, in bytes from the start.
        offset: usize,
    },
    /// A value has a type that its field cannot hold.
    #[error("cannot put {found} into {field}")]
    Type {
        /// The JSON type that stands there.
        found: &'static str,
        /// The field that should have taken it.
        field: String,
    },
    /// A time field holds what Go cannot read as a time.
    #[error("{field}: {source}")]
    Time {
        field: String,
        /// What is wrong with the time.
        source: TimeError,
    },
    /// A field with a closed list of values holds another one.
    #[error("{value:?} is not a valid {field}")]
    Enum {
        field: String,
        /// The value found (empty for `null`).
        value: String,
    },
}

/// One value within a text that has been checked to be JSON, without the white
/// space around it.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    /// Checks that `text` is exactly one JSON value, nested no deeper than Go
    /// allows, and gives it.
    pub fn parse(text: &'a [u8]) -> Result<Self, JsonError> {
        check::check(text)?;
        Ok(Self(text.trim_ascii()))
    }

    /// The value as it stands in the text.
    pub fn literal(self) -> &'a [u8] {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == b"null"
    }

    /// The name of its JSON type, for messages.
    pub fn type_name(self) -> &'static str {
        match self.0[0] {
            b'{' => "object",
            b'[' => "array",
            b'"' => "string",
            b't' | b'f' => "bool",
            b'n' => "null",
            _ => "number",
        }
    }

    /// The text of a string, `None` for any other type.
    pub fn string(self) -> Option<String> {
        match self.0 {
            [b'"', content @ .., b'"'] => Some(text::unquote(content)),
            _ => None,
        }
    }

    /// The values of an array in order, `None` for any other type.
    pub fn elements(self) -> Option<impl Iterator<Item = Raw<'a>>> {
        let mut rest = Items::within(self.0, b'[')?;
        Some(std::iter::from_fn(move || rest.next_value()))
    }

    /// The keys and values of an object in the order in which they stand,
    /// repetitions included; `None` for any other type.
    pub fn members(self) -> Option<impl Iterator<Item = (String, Raw<'a>)>> {
        let mut rest = Items::within(self.0, b'{')?;
        Some(std::iter::from_fn(move || {
            let key = rest.next_value()?.string()?;
            Some((key, rest.next_value()?))
        }))
    }
}

/// What is left between the brackets of an array or object.
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    fn within(value: &'a [u8], bracket: u8) -> Option<Self> {
        let inner = value.strip_prefix(&[bracket])?;
        Some(Self(&inner[..inner.len() - 1]))
    }

    /// The next value, whatever commas, colons and spaces stand before it: the
    /// text is known to be JSON, so between two values there is nothing else.
    fn next_value(&mut self) -> Option<Raw<'a>> {
        let separator = |b: &u8| matches!(b, b',' | b':' | b' ' | b'\t' | b'\r' | b'\n');
        let start = self.0.iter().position(|b| !separator(b))?;
        let rest = &self.0[start..];
        let (value, rest) = rest.split_at(value_length(rest));
        self.0 = rest;
        Some(Raw(value))
    }
}

/// The length of the value at the start of checked text.
fn value_length(text: &[u8]) -> usize {
    if !matches!(text[0], b'[' | b'{' | b'"') {
        let end = |b: &u8| matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
        return text.iter().position(end).unwrap_or(text.len());
    }
    let (mut depth, mut quoted, mut at) = (0_usize, false, 0);
    loop {
        match text[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 && !quoted {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Vec<String> {
        let raw = Raw::parse(text.as_bytes()).unwrap();
        raw.elements().unwrap().map(|value| String::from_utf8(value.literal().to_vec()).unwrap()).collect()
    }

    #[test]
    fn the_elements_of_an_array_are_given_as_they_stand() {
        assert_eq!(
            strings(" [ 1 ,\"a,]\\\"\" , [2,{\"k\":\"}\"}],{} ,true, null\n] "),
            ["1", "\"a,]\\\"\"", "[2,{\"k\":\"}\"}]", "{}", "true", "null"]
        );
        assert!(strings("[ ]").is_empty());
    }

    #[test]
    fn the_members_of_an_object_keep_order_and_repetitions() {
        let raw = Raw::parse(br#"{"b" : 1,"a":{"b":2}, "b":"x"}"#).unwrap();
        let members: Vec<_> = raw.members().unwrap().map(|(key, value)| (key, value.type_name())).collect();
        let expected = [("b", "number"), ("a", "object"), ("b", "string")];
        assert_eq!(members, expected.map(|(key, name)| (key.to_owned(), name)));
    }

    #[test]
    fn a_value_has_contents_only_of_its_own_type() {
        let raw = Raw::parse(b"\"[]\"").unwrap();
        assert_eq!(raw.string().as_deref(), Some("[]"));
        assert!(raw.elements().is_none());
        assert!(raw.members().is_none());
        assert!(Raw::parse(b"null").unwrap().is_null());
    }
}
