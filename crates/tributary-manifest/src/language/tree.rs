//! The text of a provider file as a tree in which everything knows its line.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::Mistake;

/// The most nodes of a file, aliases written out: a file of a thousand lines has ten thousand.
const MOST_NODES: usize = 200_000;
/// How deep a file may nest.
const DEEPEST: usize = 64;

/// Where something begins; both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    pub line: usize,
    pub column: usize,
}

impl From<Marker> for LineColumn {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// A value of a file and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    pub at: LineColumn,
    pub kind: Kind,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A text, a number, true, false or null, as it is written.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A member of a mapping.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    /// Where its name stands.
    pub at: LineColumn,
    pub node: Node,
}

/// What a scalar is by the rules of JSON, which are those of YAML 1.2 but for oddities: what is quoted
/// is a text, `0123` and `1_000` are, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(&'a str),
}

impl Node {
    /// Reads the text of a file. The mistake says where it is no YAML, and what is likely meant.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
        loop {
            match reader.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, span) => {
                    return Err(Mistake::at(span.start.into(), "the file is empty"));
                }
                (event, span) => return reader.node(event, span, 0),
            }
        }
    }

    /// The members, if it is a mapping.
    pub fn members(&self) -> &[Member] {
        match &self.kind {
            Kind::Map(members) => members,
            _ => &[],
        }
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|member| member.name == name).map(|member| &member.node)
    }

    /// Takes the member of that name out.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        let Kind::Map(members) = &mut self.kind else { return None };
        let place = members.iter().position(|member| member.name == name)?;
        Some(members.remove(place).node)
    }

    /// The member of that name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Kind::Map(members) = &mut self.kind else { return None };
        members.iter_mut().find(|member| member.name == name).map(|member| &mut member.node)
    }

    /// Takes the members of these names out, into a mapping of their own.
    pub fn take_members(&mut self, names: &[&str]) -> Self {
        let mut taken = Vec::new();
        if let Kind::Map(members) = &mut self.kind {
            let (those, others) =
                std::mem::take(members).into_iter().partition(|member| names.contains(&member.name.as_str()));
            (taken, *members) = (those, others);
        }
        Self { at: self.at, kind: Kind::Map(taken) }
    }

    /// An empty mapping that stands at `at`.
    pub fn mapping(at: LineColumn) -> Self {
        Self { at, kind: Kind::Map(Vec::new()) }
    }

    /// Puts `node` in the place of the member `name`, which may be new.
    pub fn set(&mut self, name: &str, node: Self) {
        if let Kind::Map(members) = &mut self.kind {
            members.retain(|member| member.name != name);
            members.push(Member { name: name.to_owned(), at: node.at, node });
        }
    }

    /// Where the field of this path stands (`page.size`, `errors[0].do`), or the nearest thing above
    /// it that there is.
    pub fn place(&self, path: &str) -> LineColumn {
        let (mut at, mut node) = (self.at, self);
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let below = match &node.kind {
                Kind::Map(members) => {
                    members.iter().find(|member| member.name == step).map(|member| (member.at, &member.node))
                }
                Kind::List(items) => {
                    step.parse::<usize>().ok().and_then(|n| items.get(n)).map(|node| (node.at, node))
                }
                Kind::Scalar { .. } => None,
            };
            let Some(below) = below else { break };
            (at, node) = below;
        }
        at
    }

    /// As JSON, its numbers in the digits of the file.
    pub fn to_json(&self) -> String {
        super::to_json(self)
    }

    /// What it is, if it is a scalar.
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        let Kind::Scalar { text, quoted } = &self.kind else { return None };
        Some(match text.as_str() {
            text if *quoted => Scalar::Text(text),
            "" | "~" | "null" => Scalar::Null,
            "true" => Scalar::Bool(true),
            "false" => Scalar::Bool(false),
            text if is_number(text) => Scalar::Number(text),
            text => Scalar::Text(text),
        })
    }

    /// The text of a scalar other than null, as it is written.
    pub fn text(&self) -> Option<&str> {
        match (self.scalar()?, &self.kind) {
            (Scalar::Null, _) => None,
            (_, Kind::Scalar { text, .. }) => Some(text),
            _ => None,
        }
    }

    /// What it is, for people.
    pub fn kind_name(&self) -> &'static str {
        match (&self.kind, self.scalar()) {
            (Kind::List(_), _) => "a list",
            (Kind::Map(_), _) => "a mapping",
            (_, Some(Scalar::Null)) => "nothing",
            (_, Some(Scalar::Bool(_))) => "true or false",
            (_, Some(Scalar::Number(_))) => "a number",
            _ => "a text",
        }
    }
}

/// Whether `text` is a number of JSON.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'a>, Span), Mistake> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    let at = (*error.marker()).into();
                    return Err(Mistake::at(at, &no_yaml(&error.info())));
                }
                None => {
                    return Err(Mistake::at(
                        LineColumn { line: 1, column: 1 },
                        "the file ends in the middle",
                    ));
                }
            }
        }
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Mistake> {
        let at: LineColumn = span.start.into();
        self.count(at, 1, depth)?;
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = style != ScalarStyle::Plain;
                (Kind::Scalar { text: text.into_owned(), quoted }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Kind::List(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (Kind::Map(self.members(depth)?), anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Mistake::at(at, "the alias stands for nothing"))?;
                self.count(at, size(&node), depth)?;
                return Ok(node);
            }
            _ => return Err(Mistake::at(at, "the file ends in the middle")),
        };
        let node = Node { at, kind };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn members(&mut self, depth: usize) -> Result<Vec<Member>, Mistake> {
        let mut members: Vec<Member> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (key, at) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, span) => (self.node(event, span, depth + 1)?, span.start.into()),
            };
            let Some(name) = key.text().map(str::to_owned) else {
                return Err(Mistake::at(at, "the name of a field has to be a text"));
            };
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            if name == "<<" {
                merged.extend(node.members().to_vec());
            } else if members.iter().any(|member| member.name == name) {
                return Err(Mistake::at(at, &format!("`{name}` is given twice")));
            } else {
                members.push(Member { name, at, node });
            }
        }
        for member in merged {
            if !members.iter().any(|own| own.name == member.name) {
                members.push(member);
            }
        }
        Ok(members)
    }

    fn count(&mut self, at: LineColumn, more: usize, depth: usize) -> Result<(), Mistake> {
        self.nodes += more;
        if self.nodes > MOST_NODES || depth > DEEPEST {
            return Err(Mistake::at(at, "the file is too large, or nests too deep"));
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Map(members) => 1 + members.iter().map(|member| size(&member.node)).sum::<usize>(),
    }
}

/// What the parser says, and what it comes from most often in such files.
fn no_yaml(said: &str) -> String {
    let hint = if said.contains("mapping values") || said.contains("':'") {
        ": a text with `: ` or ` #` in it has to be quoted, or written behind `|` on lines of its own"
    } else if said.contains("flow") || said.contains("quoted") {
        ": within `{ }` and `[ ]`, a text with `,`, `[`, `{` or `: ` in it has to be quoted"
    } else {
        ""
    };
    format!("this is no YAML: {said}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text).unwrap()
    }

    #[test]
    fn everything_knows_its_line_and_what_it_is() {
        let file = node("# a comment\na: 1\nb:\n  - {c: .d, e: \"2\"}\n  - ${X}\n");
        assert_eq!(file.place("b[0].e"), LineColumn { line: 4, column: 13 });
        assert_eq!(file.place("b[0].nothing"), LineColumn { line: 4, column: 5 });
        assert_eq!(file.get("a").unwrap().scalar(), Some(Scalar::Number("1")));
        let Kind::List(items) = &file.get("b").unwrap().kind else { panic!("a list") };
        assert_eq!(items[0].get("e").unwrap().scalar(), Some(Scalar::Text("2")));
        assert_eq!(items[1].scalar(), Some(Scalar::Text("${X}")));
    }

    #[test]
    fn aliases_are_written_out_and_merges_filled_in() {
        let file = node("a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }\nc: *a\n");
        assert_eq!(file.get("b").unwrap().get("y").unwrap().text(), Some("3"));
        assert_eq!(file.get("b").unwrap().get("x").unwrap().text(), Some("1"));
        assert_eq!(file.get("c").unwrap().members().len(), 2);
    }

    #[test]
    fn what_is_no_yaml_is_named_with_its_line() {
        for (text, told) in [
            ("a: 1\nb: .x | y: z\n", "has to be quoted"),
            ("a: [", "line"),
            ("", "empty"),
            ("a: 1\na: 2\n", "given twice"),
        ] {
            let mistake = Node::parse(text).unwrap_err().to_string();
            assert!(mistake.contains(told), "{text}: {mistake}");
        }
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for n in 1..40 {
            bomb += &format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1);
        }
        assert!(Node::parse(&bomb).unwrap_err().to_string().contains("too large"));
    }
}
