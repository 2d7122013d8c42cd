//! Texts with fields of a record in them.

use jaq_json::Val;

/// A path such as `/accounts/{accountUid}/balance`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    parts: Vec<Part>,
}

/// The value of a query parameter or header, such as `{accountUid}` or `2026-01-01`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(String),
}

/// Cuts `text` at its fields. The error completes the sentence "the text …".
fn parse(text: &str) -> Result<Vec<Part>, &'static str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let (field, tail) = after.split_once('}').ok_or("has a { that is never closed")?;
        if field.is_empty() {
            return Err("has {} without the name of a field");
        }
        parts.push(Part::Literal(literal.to_owned()));
        parts.push(Part::Field(field.to_owned()));
        rest = tail;
    }
    parts.push(Part::Literal(rest.to_owned()));
    Ok(parts)
}

impl TextTemplate {
    /// Takes any text whose braces are closed. The error completes the sentence "the text …".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Ok(Self { parts: parse(text)? })
    }

    /// Whether there is a field in it.
    pub fn has_fields(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(_)))
    }

    /// The text with the fields of `record` put in as they are. The error names the field that is
    /// missing, empty or no text or integer.
    pub fn expand(&self, record: &Val) -> Result<String, String> {
        let expanded = self.parts.iter().map(|part| match part {
            Part::Literal(literal) => Ok(literal.clone()),
            Part::Field(field) => field_text(record, field),
        });
        expanded.collect()
    }
}

impl PathTemplate {
    /// Takes the text of a path: it begins with one `/`, holds no query and closes its braces.
    /// The error completes the sentence "the path …".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with('/') || text.starts_with("//") {
            return Err("has to begin with one /");
        }
        if text.contains(['?', '#', '\\']) {
            return Err("must not contain ?, # or \\");
        }
        Ok(Self { parts: parse(text)? })
    }

    /// Whether there is a field in it.
    pub fn has_fields(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(_)))
    }

    /// The path with the fields of `record` put in, percent-encoded. The error names the field
    /// that is missing, empty or no text or integer.
    pub fn expand(&self, record: &Val) -> Result<String, String> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => path.push_str(literal),
                Part::Field(field) => encode(&field_text(record, field)?, &mut path),
            }
        }
        Ok(path)
    }
}

fn field_text(record: &Val, field: &str) -> Result<String, String> {
    let value = match record {
        Val::Obj(members) => members.get(&Val::from(field.to_owned())),
        _ => None,
    };
    let text = match value {
        Some(Val::TStr(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
        Some(Val::Num(number @ (jaq_json::Num::Int(_) | jaq_json::Num::BigInt(_)))) => {
            Some(number.to_string())
        }
        _ => None,
    };
    // dots would climb up the path, whether encoded or not
    text.filter(|text| !matches!(text.as_str(), "" | "." | ".."))
        .ok_or_else(|| format!("the record has no usable {field:?} for the path"))
}

/// Appends `text` with everything encoded but what RFC 3986 calls unreserved.
pub fn encode(text: &str, path: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jq;

    #[test]
    fn fields_go_into_the_path_encoded() {
        let template = PathTemplate::parse("/a/{id}/c/{n}").unwrap();
        let record = jq::parse(r#"{"id":"x/../é?","n":9007199254740993}"#.as_bytes()).unwrap();
        assert_eq!(template.expand(&record).unwrap(), "/a/x%2F..%2F%C3%A9%3F/c/9007199254740993");
    }

    #[test]
    fn a_field_that_cannot_be_a_path_segment_is_named() {
        let template = PathTemplate::parse("/a/{id}").unwrap();
        for record in [r#"{}"#, r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":".."}"#, r#"{"id":1.5}"#, "[]"] {
            let error = template.expand(&jq::parse(record.as_bytes()).unwrap()).unwrap_err();
            assert!(error.contains("\"id\""), "{record}: {error}");
        }
    }

    #[test]
    fn paths_stay_below_the_base() {
        for path in
            ["accounts", "//evil.example/", "/a?b=c", "/a#b", "/a/{id", "/a/{}", "/\\evil.example", ""]
        {
            assert!(PathTemplate::parse(path).is_err(), "{path}");
        }
        assert!(!PathTemplate::parse("/accounts").unwrap().has_fields());
    }
}
