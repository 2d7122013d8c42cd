//! Tags that may be closed or not.

use crate::ReadError;

/// An element: an aggregate, or a leaf with text.
#[derive(Debug, Default)]
pub struct Element {
    /// In capitals.
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name; `None` where it is blank.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty())
    }

    /// Gives each text in it to `take`, by its path.
    pub fn leaves(&self, path: &str, take: &mut dyn FnMut(&str, &str)) {
        if !self.text.trim().is_empty() {
            take(path, self.text.trim());
        }
        for child in &self.children {
            child.leaves(&format!("{path}/{}", child.name), take);
        }
    }
}

const DEPTH: usize = 64;

/// Reads `<OFX>…</OFX>`. An element with text is a leaf and ends where the next tag begins; one without is an
/// aggregate if its end tag comes, and an empty leaf if the end tag of one around it comes first.
pub fn parse(text: &str) -> Result<Element, ReadError> {
    let mut open: Vec<Element> = vec![Element::default()];
    let mut rest = text;
    while let Some(tag) = next_tag(&mut rest, &mut open) {
        let name = tag.trim().to_ascii_uppercase();
        if let Some(name) = name.strip_prefix('/') {
            close(&mut open, name.trim());
            continue;
        }
        end_leaf(&mut open);
        let empty = name.ends_with('/');
        let name = name.trim_end_matches('/').split_whitespace().next().unwrap_or("").to_owned();
        let element = Element { name, ..Element::default() };
        match (empty, open.last_mut()) {
            (true, Some(parent)) => parent.children.push(element),
            _ => open.push(element),
        }
        if open.len() > DEPTH {
            fold_empty_leaves(&mut open);
        }
        if open.len() > DEPTH {
            return Err(ReadError::at("OFX", "its elements are deeper than those of any statement"));
        }
    }
    while open.len() > 1 {
        pop(&mut open);
    }
    Ok(open.pop().unwrap_or_default())
}

/// Puts the text up to the next tag into what is open, and gives the tag. A `<` that begins none is text.
fn next_tag<'a>(rest: &mut &'a str, open: &mut [Element]) -> Option<&'a str> {
    let mut from = 0;
    loop {
        let at = from + rest[from..].find('<')?;
        let after = &rest[at + 1..];
        let tag = after
            .find(['>', '<', '\n'])
            .filter(|end| after[*end..].starts_with('>'))
            .map(|end| &after[..end]);
        match tag.filter(|tag| is_name(tag)) {
            Some(tag) => {
                if let Some(top) = open.last_mut() {
                    add_text(top, &rest[..at]);
                }
                *rest = &after[tag.len() + 1..];
                return Some(tag);
            }
            None => from = at + 1,
        }
    }
}

/// Blanks between elements are no text: kept, they would be as many as there are elements, and looked at for each.
fn add_text(element: &mut Element, text: &str) {
    let between = element.text.is_empty() || !element.children.is_empty();
    if !(between && text.trim().is_empty()) {
        element.text.push_str(&plain(text));
    }
}

fn is_name(tag: &str) -> bool {
    let name = tag.trim().trim_start_matches('/').trim_end_matches('/').trim();
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Text without the references of XML; an ampersand that begins none is one.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest.bytes().take(12).position(|b| b == b';').map(|end| &rest[1..end]);
        match reference.and_then(character) {
            Some(character) => {
                plain.push(character);
                rest = &rest[reference.map_or(1, |name| name.len() + 2)..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        name => {
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(number)
        }
    }
}

/// A leaf whose end tag is left out ends where the next tag begins.
fn end_leaf(open: &mut Vec<Element>) {
    if open.len() > 1 && open.last().is_some_and(|top| !top.text.trim().is_empty() && top.children.is_empty())
    {
        pop(open);
    }
}

fn pop(open: &mut Vec<Element>) {
    if open.len() > 1
        && let Some(done) = open.pop()
        && let Some(parent) = open.last_mut()
    {
        parent.children.push(done);
    }
}

/// Closes the nearest element of this name; those open within it were leaves without text, so what was taken
/// for their children are their brothers. An end tag of nothing that is open ends a leaf that is closed already.
fn close(open: &mut Vec<Element>, name: &str) {
    if !open.iter().skip(1).any(|element| element.name == name) {
        return;
    }
    while open.last().is_some_and(|top| top.name != name) {
        unnest(open);
    }
    pop(open);
}

fn unnest(open: &mut Vec<Element>) {
    let Some(mut done) = open.pop() else { return };
    let brothers = std::mem::take(&mut done.children);
    if let Some(parent) = open.last_mut() {
        parent.children.push(done);
        parent.children.extend(brothers);
    }
}

/// Leaves without text or end tag pile up: those that hold nothing are ended.
fn fold_empty_leaves(open: &mut Vec<Element>) {
    while open.len() > 2
        && open.last().is_some_and(|top| top.text.trim().is_empty() && top.children.is_empty())
    {
        unnest(open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_and_closed_leaves_mix_and_empty_ones_hold_nothing() {
        let root =
            parse("<OFX><A><X>1<Y>2</Y><MEMO/><Z><W>AT&T <3 \"x\" &amp; co</A><B><V></V><X>9</B></OFX>")
                .unwrap();
        let ofx = root.child("OFX").unwrap();
        let a = ofx.child("A").unwrap();
        assert_eq!(
            (a.value("X"), a.value("Y"), a.value("MEMO"), a.value("Z")),
            (Some("1"), Some("2"), None, None)
        );
        assert_eq!(a.value("W"), Some("AT&T <3 \"x\" & co"));
        assert_eq!(ofx.child("B").unwrap().value("X"), Some("9"));
    }
}
