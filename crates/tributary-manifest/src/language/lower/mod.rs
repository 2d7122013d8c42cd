//! From the forms of the language to what the engine takes ([`crate::Manifest`]).

pub mod asked;
pub mod file;
pub mod helpers;
pub mod money;
pub mod page;
pub mod pay;
pub mod record;
pub mod report;
pub mod request;
pub mod stream;
pub mod value;
pub mod webhook;

use super::tree::Node;
use super::{Mistake, Mistakes};

/// A piece of jq as it is written, so that what is wrong with it can be named where it stands.
#[derive(Debug, Clone)]
pub struct Written {
    /// The path of its field in the file.
    pub field: String,
    pub at: super::tree::LineColumn,
    pub code: String,
    /// The names of the variables that it sees.
    pub sees: Vec<String>,
}

/// What is lowered, where it stands, and what is wrong with it.
pub struct Section<'a> {
    pub node: &'a Node,
    /// The path of `node` in the file.
    pub path: String,
    pub mistakes: &'a mut Mistakes,
    pub written: Vec<Written>,
    /// The names of the file's own `functions`.
    functions: Vec<&'a str>,
}

impl<'a> Section<'a> {
    pub fn new(node: &'a Node, path: &str, mistakes: &'a mut Mistakes) -> Self {
        Self { node, path: path.to_owned(), mistakes, written: Vec::new(), functions: Vec::new() }
    }

    /// Of a file that has these `functions`.
    pub fn with_functions(self, functions: &'a str) -> Self {
        Self { functions: value::functions(functions), ..self }
    }

    /// What is wrong with a text on the right of a field of a record that is likely meant to be jq.
    pub fn meant_as_jq(&self, right: &super::form::right::Right) -> Option<String> {
        let text = value::constant(right)?;
        if self.functions.contains(&text) {
            return Some(format!(
                "`{text}` is a text here; write `. | {text}` for the function of `functions`"
            ));
        }
        value::looks_like_if(text).then(|| format!("this is a text; write `. | {text}` for jq"))
    }

    /// Notes that `field` of the section is wrong.
    pub fn wrong(&mut self, field: &str, why: impl std::fmt::Display) {
        let at = self.node.place(field);
        self.mistakes.add(Mistake { at, field: self.full(field), why: why.to_string() });
    }

    fn full(&self, field: &str) -> String {
        match (self.path.as_str(), field) {
            ("", field) => field.to_owned(),
            (path, "") => path.to_owned(),
            (path, field) => format!("{path}.{field}"),
        }
    }

    /// `given`, or a mistake that says what the field is for.
    pub fn need<T>(&mut self, field: &str, given: Option<T>, what: &str) -> Option<T> {
        if given.is_none() {
            let (parent, name) = field.rsplit_once('.').unwrap_or(("", field));
            let at = self.node.place(parent);
            let field = self.full(parent);
            self.mistakes.add(Mistake { at, field, why: format!("`{name}` is missing: {what}") });
        }
        given
    }

    /// Notes jq that is written in `field` and sees `variables`.
    pub fn jq(&mut self, field: &str, code: &str, variables: &[String]) {
        if let Some(variable) = crate::jq::variable_in(code) {
            self.wrong(field, crate::jq::not_filled_in(variable));
        }
        if let Some(negated) = value::negated(code) {
            let why = format!("`not` stands behind what it is about: write `{negated} | not`");
            return self.wrong(field, why);
        }
        for name in record::OF_A_REQUEST.iter().chain(&record::OF_AN_ANSWER) {
            let bound = code.contains(&format!("as ${name}")) || field == "functions";
            let used = value::variables(code).any(|used| used == *name);
            if used && !bound && !variables.iter().any(|seen| seen == name) {
                self.wrong(field, unseen(name));
            }
        }
        self.written.push(Written {
            field: self.full(field),
            at: self.node.place(field),
            code: code.to_owned(),
            sees: variables.to_vec(),
        });
    }

    /// As [`Section::jq`], of whatever a value on the right holds.
    pub fn right(&mut self, field: &str, right: &super::form::right::Right, variables: &[String]) {
        use super::form::right::Right;
        match right {
            Right::Text(text) => match value::meaning(text) {
                Err(why) => self.wrong(field, why),
                Ok(value::Meaning::Jq(code)) => self.jq(field, code, variables),
                Ok(value::Meaning::Template(pieces)) => {
                    for piece in &pieces {
                        if let value::Piece::Jq(code) = piece {
                            self.jq(field, code, variables);
                        }
                    }
                }
            },
            Right::List(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(n, item)| self.right(&format!("{field}[{n}]"), item, variables));
            }
            Right::Map(members) => {
                members
                    .iter()
                    .for_each(|(name, item)| self.right(&format!("{field}.{name}"), item, variables));
            }
            _ => {}
        }
    }
}

/// Why a variable is not seen somewhere.
fn unseen(name: &str) -> String {
    match name {
        "report" => "$report is seen by `ready` and `fetch` of `report`".to_owned(),
        "page" => {
            "$page is seen by jq of a request whose `page` says that it stands there, as in `number: $page`"
                .to_owned()
        }
        "since" | "until" => format!(
            "${name} is seen by jq of a request whose stream says that it stands there, as in `changes: {{ {name}: ${name} }}`"
        ),
        _ => format!(
            "${name} is seen by jq on an answer: `rows`, `next`, `more`, `ends`, `list_when` and `where` of `errors`"
        ),
    }
}

/// In which lines the fields of a section stand, and the fields within them, by their paths.
pub fn lines(node: &Node) -> std::collections::BTreeMap<String, usize> {
    let mut lines = std::collections::BTreeMap::new();
    for member in node.members() {
        lines.insert(member.name.clone(), member.at.line);
        for within in member.node.members() {
            lines.insert(format!("{}.{}", member.name, within.name), within.at.line);
        }
    }
    lines
}

/// Whether a name can be that of a variable.
pub fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
