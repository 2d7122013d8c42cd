//! OFX and QFX: SGML of 1.x and XML of 2.x, read by one reader that forgives what neither allows.

mod amount;
mod markup;
mod statement;

pub use self::amount::ungrouped;
use self::markup::Element;
use crate::{Charset, ReadError, Settings, Statement, text};

/// The statements of a file.
pub fn read(bytes: &[u8], settings: &Settings) -> Result<Vec<Statement>, ReadError> {
    let text = decoded(bytes, settings);
    let start = find(&text, "<OFX>").ok_or_else(|| ReadError::Unrecognised("it has no <OFX>".to_owned()))?;
    let end = find(&text, "</OFX>").ok_or_else(|| ReadError::Incomplete("</OFX> is missing".to_owned()))?;
    let root = markup::parse(text.get(start..end + "</OFX>".len()).unwrap_or_default())?;
    let mut lists = Vec::new();
    collect(&root, &mut lists);
    if lists.is_empty() {
        return Err(ReadError::NoStatement("there is no STMTRS and no CCSTMTRS in it".to_owned()));
    }
    lists.into_iter().map(|list| statement::statement(list, settings)).collect()
}

fn collect<'a>(element: &'a Element, lists: &mut Vec<&'a Element>) {
    for child in &element.children {
        match child.name.as_str() {
            "STMTRS" | "CCSTMTRS" => lists.push(child),
            _ => collect(child, lists),
        }
    }
}

/// By mark or as UTF-8, whatever the header says: those who write UTF-8 often leave the header of others.
fn decoded(bytes: &[u8], settings: &Settings) -> String {
    let start =
        String::from_utf8_lossy(bytes.get(..bytes.len().min(2_000)).unwrap_or_default()).to_ascii_uppercase();
    let declared = start
        .split_once("CHARSET:")
        .map(|(_, rest)| {
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>()
        })
        .and_then(|label| Charset::named(&label));
    text::decode(bytes, settings.charset.or(declared))
}

fn find(text: &str, tag: &str) -> Option<usize> {
    let first = tag.as_bytes();
    text.as_bytes().windows(first.len()).position(|window| window.eq_ignore_ascii_case(first))
}
