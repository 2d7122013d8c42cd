//! An element with all that is in it.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart};

use super::local;
use crate::ReadError;

/// An element, by local name.
#[derive(Debug, Default)]
pub struct Node {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    pub children: Vec<Node>,
}

impl Node {
    /// An element of this name with the attributes of `start`, and nothing in it yet.
    pub fn begun(start: &BytesStart<'_>, name: String) -> Result<Self, ReadError> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute =
                attribute.map_err(|error| ReadError::at(format!("<{name}>"), error.to_string()))?;
            let key: &str = attribute.key.as_ref();
            if key == "xmlns" || key.starts_with("xmlns:") {
                continue;
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| ReadError::at(format!("<{name}>"), error.to_string()))?;
            attributes.push((local(key).to_owned(), value.into_owned()));
        }
        Ok(Self { name, attributes, text: String::new(), children: Vec::new() })
    }

    /// The first element on this way down: `Refs/EndToEndId`.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('/').try_fold(self, |node, name| node.children.iter().find(|child| child.name == name))
    }

    /// The text on this way down, without blanks around it; `None` where it is blank.
    pub fn text_at(&self, path: &str) -> Option<&str> {
        self.at(path).map(|node| node.text.trim()).filter(|text| !text.is_empty())
    }

    /// The elements of this name in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// An attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Gives every text and attribute in it to `take`, by its path.
    pub fn leaves(&self, path: &str, take: &mut dyn FnMut(&str, &str)) {
        for (name, value) in &self.attributes {
            take(&format!("{path}@{name}"), value);
        }
        if !self.text.trim().is_empty() {
            take(path, self.text.trim());
        }
        for child in &self.children {
            let below = if path.is_empty() { child.name.clone() } else { format!("{path}/{}", child.name) };
            child.leaves(&below, take);
        }
    }
}

/// The character that a reference such as `&amp;` or `&#233;` stands for. Others would have to be declared.
pub fn character(reference: &BytesRef<'_>) -> Result<char, ReadError> {
    let wrong = |what: String| ReadError::at("XML", what);
    if let Some(character) = reference.resolve_char_ref().map_err(|error| wrong(error.to_string()))? {
        return Ok(character);
    }
    match &*reference.xml10_content() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(wrong(format!("&{other}; stands for nothing that is known"))),
    }
}
