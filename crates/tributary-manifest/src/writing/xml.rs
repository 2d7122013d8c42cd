//! XML as a value that filters see.

use std::collections::BTreeSet;

use encoding_rs::Encoding;
use jaq_json::{Rc, Val};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use tributary_domain::{JsonBudget, TooCostly};

use crate::jq::NotJson;

/// An element that is not closed yet.
struct Open {
    name: String,
    members: Vec<(String, Val)>,
    text: String,
}

/// Reads `text`: an object with the root by its name. An element is an object of its elements and, with `@`
/// before their names, attributes, with `#text` beside them; one without any is its text, or null where it
/// is empty. Those named in `lists` are lists; any other that comes twice within one is an error, since
/// which of them is meant is not known. `read_in` is what it was read in where no file says what it is in.
pub fn parse(
    text: &str,
    lists: &BTreeSet<String>,
    read_in: Option<&'static Encoding>,
    budget: JsonBudget,
) -> Result<Val, NotJson> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Open { name: String::new(), members: Vec::new(), text: String::new() }];
    let mut values = 0;
    loop {
        let event = reader.read_event().map_err(|error| wrong(error.to_string()))?;
        match event {
            Event::Start(start) => open.push(opened(&start)?),
            Event::Empty(start) => {
                let element = opened(&start)?;
                close(element, &mut open, lists)?;
            }
            Event::End(_) => {
                let element =
                    open.pop().ok_or_else(|| wrong("an element is closed that is not open".to_owned()))?;
                close(element, &mut open, lists)?;
            }
            Event::Text(text) => top(&mut open)?.text.push_str(&text.xml10_content()),
            Event::CData(text) => top(&mut open)?.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = character(&reference)?;
                top(&mut open)?.text.push(character);
            }
            Event::Decl(declared) => {
                if let (Some(used), Some(Ok(label))) = (read_in, declared.encoding())
                    && Encoding::for_label(label.as_bytes()) != Some(used)
                {
                    return Err(wrong(format!(
                        "it says that it is in {label}: write that as `charset` in `answer`"
                    )));
                }
            }
            // it could name other files, and make a short text a long one
            Event::DocType(_) => return Err(wrong("it has a document type, which is not read".to_owned())),
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
        values += 1;
        if values > budget.values {
            return Err(TooCostly::Values(budget.values).into());
        }
        if open.len() > budget.depth {
            return Err(TooCostly::Depth(budget.depth).into());
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(document), true) if document.members.len() == 1 && document.text.trim().is_empty() => {
            Ok(object(document.members))
        }
        (Some(element), false) => Err(wrong(format!("it ends within <{}>", element.name))),
        _ => Err(wrong("it has not one root".to_owned())),
    }
}

fn wrong(why: String) -> NotJson {
    NotJson::Other("XML", why)
}

fn top(open: &mut [Open]) -> Result<&mut Open, NotJson> {
    open.last_mut().ok_or_else(|| wrong("it goes on behind its root".to_owned()))
}

fn opened(start: &BytesStart<'_>) -> Result<Open, NotJson> {
    let mut members = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| wrong(error.to_string()))?;
        let name: &str = attribute.key.as_ref();
        if name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        let value =
            attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|error| wrong(error.to_string()))?;
        members.push((format!("@{}", local(name)), Val::from(value.into_owned())));
    }
    Ok(Open { name: local(start.name().as_ref()).to_owned(), members, text: String::new() })
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The character that a reference such as `&amp;` or `&#233;` stands for. Others would have to be declared.
fn character(reference: &BytesRef<'_>) -> Result<char, NotJson> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| wrong(error.to_string()))? {
        return Ok(character);
    }
    let name = reference.xml10_content();
    match &*name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(wrong(format!("&{other}; stands for nothing that is known"))),
    }
}

/// Adds `element` to the one in which it is.
fn close(element: Open, open: &mut [Open], lists: &BTreeSet<String>) -> Result<(), NotJson> {
    let parent = top(open)?;
    let Open { name, mut members, text } = element;
    let value = match (members.is_empty(), text.trim().is_empty()) {
        (true, true) => Val::Null,
        (true, false) => Val::from(text),
        (false, true) => object(members),
        (false, false) => {
            members.push(("#text".to_owned(), Val::from(text)));
            object(members)
        }
    };
    let there = parent.members.iter_mut().find(|(other, _)| *other == name);
    match (there, lists.contains(&name)) {
        (Some((_, Val::Arr(items))), true) => Rc::make_mut(items).push(value),
        (None, true) => parent.members.push((name, Val::Arr(vec![value].into()))),
        (None, false) => parent.members.push((name, value)),
        (Some(_), _) => {
            return Err(wrong(format!(
                "<{name}> comes twice within <{}>: where it may, name it in `lists` of `answer`",
                parent.name
            )));
        }
    }
    Ok(())
}

fn object(members: Vec<(String, Val)>) -> Val {
    Val::obj(members.into_iter().map(|(name, value)| (Val::from(name), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let lists = BTreeSet::from(["Ntry".to_owned()]);
        let budget = JsonBudget { values: 100, depth: 10, digits: 100 };
        let read = parse(text, &lists, Some(encoding_rs::UTF_8), budget);
        read.map(|value| value.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn elements_are_members_and_those_that_may_come_several_times_are_lists() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <n:Doc xmlns:n="urn:x"><!-- none --><Id>M&amp;S &#233;</Id><Empty/>
            <Ntry><Amt Ccy="EUR">10.50</Amt><Note><![CDATA[a < b]]></Note></Ntry></n:Doc>"#;
        let value = r##"{"Doc":{"Id":"M&S é","Empty":null,"Ntry":[{"Amt":{"@Ccy":"EUR","#text":"10.50"},"Note":"a < b"}]}}"##;
        assert_eq!(read(text).unwrap(), value);
        assert_eq!(read("<D><Ntry>1</Ntry><Ntry>2</Ntry></D>").unwrap(), r#"{"D":{"Ntry":["1","2"]}}"#);
    }

    #[test]
    fn what_is_not_sure_or_not_whole_is_an_error() {
        for (text, why) in [
            ("<D><a>1</a><a>2</a></D>", "<a> comes twice within <D>: where it may, name it in `lists`"),
            ("<D><a>1</a>", "within <D>"),
            ("<D><a>1</b></D>", "b"),
            ("", "one root"),
            ("{\"error\":1}", "one root"),
            ("<a/><b/>", "one root"),
            ("<!DOCTYPE D [<!ENTITY x \"y\">]><D>&x;</D>", "document type"),
            ("<D>&x;</D>", "&x; stands for nothing"),
            ("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><D/>", "write that as `charset`"),
            (&"<a>".repeat(20), "deeper than 10"),
            (&format!("<D>{}</D>", "<Ntry/>".repeat(200)), "more than 100 values"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
