//! Where in a YAML file a field stands, so that a mistake in it can be named with its line.

use granit_parser::{Event, Marker, Parser, Span};

/// Where something begins; both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    pub line: usize,
    pub column: usize,
}

impl From<Marker> for LineColumn {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// The places of a file.
#[derive(Debug)]
pub struct Places(Node);

#[derive(Debug)]
enum Node {
    /// Keys, where they stand, and what they hold.
    Map(Vec<(String, LineColumn, Node)>),
    List(Vec<(LineColumn, Node)>),
    Text(String),
}

impl Places {
    /// The places of `text`; `None` where it is no YAML.
    pub fn of(text: &str) -> Option<Self> {
        let mut parser = Parser::new_from_str(text);
        loop {
            match next(&mut parser)? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (event, _) => return Some(Self(node(&mut parser, event)?)),
            }
        }
    }

    /// Where the source's `field` stands, or the one of its stream that is called `stream`; the
    /// nearest thing above it where there is no such field. Fields are written as errors write
    /// them: `paging.size.param`, `errors[0].when`.
    pub fn of_source(&self, stream: Option<&str>, field: &str) -> Option<LineColumn> {
        let (mut place, mut node) = self.0.member("source")?;
        if let Some(stream) = stream {
            let (_, Node::List(streams)) = node.member("streams")? else { return Some(place) };
            let named = streams.iter().find(
                |(_, node)| matches!(node.member("name"), Some((_, Node::Text(name))) if name == stream),
            );
            let (at, found) = named?;
            (place, node) = (*at, found);
        }
        for step in field.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            match node.member(step) {
                Some(below) => (place, node) = below,
                None => break,
            }
        }
        Some(place)
    }
}

impl Node {
    /// A member by its key, or an item by its number.
    fn member(&self, name: &str) -> Option<(LineColumn, &Self)> {
        match self {
            Self::Map(members) => {
                members.iter().find(|(key, ..)| key == name).map(|(_, place, node)| (*place, node))
            }
            Self::List(items) => items.get(name.parse::<usize>().ok()?).map(|(place, node)| (*place, node)),
            Self::Text(_) => None,
        }
    }
}

type Events<'a> = Parser<'a, granit_parser::StrInput<'a>>;

/// The node that begins with `event`.
fn node(parser: &mut Events<'_>, event: Event<'_>) -> Option<Node> {
    match event {
        Event::Scalar(text, ..) => Some(Node::Text(text.into_owned())),
        Event::MappingStart(..) => {
            let mut members = Vec::new();
            while let Some((key, span)) = inner(parser)? {
                let Node::Text(name) = node(parser, key)? else { return None };
                let (value, _) = inner(parser)??;
                members.push((name, span.start.into(), node(parser, value)?));
            }
            Some(Node::Map(members))
        }
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            while let Some((item, span)) = inner(parser)? {
                items.push((span.start.into(), node(parser, item)?));
            }
            Some(Node::List(items))
        }
        // what it stands for is found where it is written out
        Event::Alias(_) => Some(Node::Text(String::new())),
        _ => None,
    }
}

/// The next event that is no comment.
fn next<'a>(parser: &mut Events<'a>) -> Option<(Event<'a>, Span)> {
    loop {
        match parser.next_event()?.ok()? {
            (Event::Comment(..), _) => {}
            event => return Some(event),
        }
    }
}

/// The next event within a collection, `Some(None)` at its end.
fn inner<'a>(parser: &mut Events<'a>) -> Option<Option<(Event<'a>, Span)>> {
    match next(parser)? {
        (Event::MappingEnd | Event::SequenceEnd, _) => Some(None),
        event => Some(Some(event)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
provider: acme
source: # and one more
  base_url: https://api.acme.example
  auth: { bearer: secret }
  streams:
    - name: accounts
      paging:
        kind: page
        size: { param: limit, value: 10 }
    - name: payments
      errors:
        - when: { status: [429] }
          do: retry
";

    fn line(stream: Option<&str>, field: &str) -> Option<usize> {
        Places::of(FILE).unwrap().of_source(stream, field).map(|place| place.line)
    }

    #[test]
    fn fields_of_the_source_and_of_a_stream_are_found() {
        assert_eq!(line(None, "base_url"), Some(4));
        assert_eq!(line(None, "auth.bearer"), Some(5));
        assert_eq!(line(Some("accounts"), "paging.kind"), Some(9));
        assert_eq!(line(Some("payments"), "errors[0].do"), Some(14));
        let place = Places::of(FILE).unwrap().of_source(Some("accounts"), "paging.size.param").unwrap();
        assert_eq!(place, LineColumn { line: 10, column: 17 });
    }

    #[test]
    fn what_is_missing_is_named_by_what_it_is_missing_in() {
        assert_eq!(line(Some("payments"), "map"), Some(11), "the stream");
        assert_eq!(line(Some("accounts"), "paging.stop"), Some(8), "the paging");
        assert_eq!(line(Some("nobody"), "map"), None);
        assert_eq!(line(None, "every"), Some(3), "the source");
    }

    #[test]
    fn what_is_no_yaml_has_no_places() {
        assert!(Places::of("a: [").is_none() && Places::of("").is_none());
    }
}
