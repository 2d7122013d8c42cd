//! Requests: a path with its query, further parameters and headers, and a body.

use std::collections::BTreeMap;

use super::Section;
use super::value::{self, Meaning, Piece, literal};
use crate::language::form::right::{Nested, Ordered, Right};
use crate::manifest::{BodyForm, Method, RequestManifest};

/// What a request is made of.
pub struct Asked<'a> {
    pub method: Method,
    /// The field that holds the path.
    pub field: &'a str,
    pub path: &'a str,
    pub query: &'a Ordered<Right>,
    pub headers: &'a Ordered<Right>,
    pub body: Option<&'a Nested>,
    /// Instead of `body`: the fields of a form.
    pub form: Option<&'a Nested>,
    /// The path of the field that has `query`, `headers`, `body` and `form`, ending with a point; empty where they
    /// are those of the section itself.
    pub within: &'a str,
    /// What binds the names that jq sees, ending with `|`.
    pub prelude: &'a dyn Fn(&str) -> String,
    /// These names.
    pub sees: &'a [String],
}

/// The request; what is wrong with it is noted.
pub fn request(section: &mut Section<'_>, asked: &Asked<'_>) -> RequestManifest {
    let (path, inline) = asked.path.split_once('?').unwrap_or((asked.path, ""));
    let mut query = BTreeMap::new();
    let mut texts = vec![path.to_owned()];
    for pair in inline.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        texts.push(value.to_owned());
        if query.insert(name.to_owned(), value.to_owned()).is_some() {
            section.wrong(asked.field, format!("has the parameter {name:?} twice"));
        }
    }
    let mut headers = BTreeMap::new();
    for (field, members, into) in
        [("query", asked.query, &mut query), ("headers", asked.headers, &mut headers)]
    {
        for (name, right) in &members.0 {
            let place = format!("{}{field}.{name}", asked.within);
            let text = match right {
                Right::Text(text) if value::is_jq(text) => format!("{{{text}}}"),
                Right::Text(text) | Right::Number(text) => text.clone(),
                Right::Bool(value) => value.to_string(),
                _ => {
                    section.wrong(&place, "has to be one value");
                    continue;
                }
            };
            texts.push(text.clone());
            if into.insert(name.clone(), text).is_some() {
                section.wrong(&place, "is in the path, too");
            }
        }
    }
    let fields = fields(section, asked, &texts);
    let (field, body, body_form) = match (asked.body, asked.form) {
        (body, None) => ("body", body, BodyForm::Json),
        (None, form) => ("form", form, BodyForm::Fields),
        (Some(_), Some(_)) => {
            section.wrong(&format!("{}form", asked.within), "give it or `body`");
            ("form", None, BodyForm::Fields)
        }
    };
    if body_form == BodyForm::Fields && body.is_some_and(|Nested(body)| !may_be_form(body)) {
        section.wrong(
            &format!("{}form", asked.within),
            "is made of fields: write a mapping of names to values, or jq to an object",
        );
    }
    let place = format!("{}{field}", asked.within);
    let body = body.and_then(|Nested(body)| {
        section.right(&place, body, asked.sees);
        match value::json(body) {
            Ok(code) => Some(format!("{}_one({}; {code})", (asked.prelude)(&code), literal(field))),
            Err(why) => {
                section.wrong(&place, why);
                None
            }
        }
    });
    RequestManifest { method: asked.method, path: path.to_owned(), query, headers, body, body_form, fields }
}

/// Whether a value can be an object.
fn may_be_form(body: &Right) -> bool {
    match body {
        Right::Map(_) => true,
        Right::Text(text) => value::is_jq(text),
        _ => false,
    }
}

/// jq that gives the fields in braces, where they are more than members of the record.
fn fields(section: &mut Section<'_>, asked: &Asked<'_>, texts: &[String]) -> Option<String> {
    let mut members = BTreeMap::new();
    for text in texts {
        match value::meaning(text) {
            Err(why) => section.wrong(asked.field, why),
            Ok(Meaning::Jq(_)) => {}
            Ok(Meaning::Template(pieces)) => {
                for piece in pieces {
                    match piece {
                        Piece::Literal(_) => {}
                        Piece::Field(name) => {
                            drop(members.insert(name.to_owned(), format!(".[{}]", literal(name))))
                        }
                        Piece::Jq(code) => {
                            section.jq(asked.field, code, asked.sees);
                            members.insert(code.to_owned(), code.to_owned());
                        }
                    }
                }
            }
        }
    }
    if members.keys().all(|name| !value::is_jq(name)) {
        return None;
    }
    let members: Vec<String> = members
        .iter()
        .map(|(name, code)| format!("{}: _one({}; {code})", literal(name), literal(name)))
        .collect();
    let members = members.join(", ");
    Some(format!("{}{{ {members} }}", (asked.prelude)(&members)))
}
