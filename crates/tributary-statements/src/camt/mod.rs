//! camt.052, .053 and .054 of ISO 20022, all versions, by local name: banks and countries have namespaces of
//! their own, or none. Entries are read one at a time, so that a long file takes no more memory than its
//! longest entry.

mod entry;
mod names;
mod node;
mod statement;

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use self::node::Node;
use self::statement::Head;
use crate::{Entry, ReadError, Settings, Statement, StatementKind, Texts, text};

/// A part of a camt file, as [`read_camt`] comes to it.
#[derive(Debug)]
pub enum CamtPart {
    /// An entry of the statement that ends next.
    Entry(Box<Entry>),
    /// The end of a statement: all of it but its entries.
    Statement(Box<Statement>),
}

/// The statements of a file in any charset.
pub fn read(bytes: &[u8], settings: &Settings) -> Result<Vec<Statement>, ReadError> {
    let text = match declared_charset(bytes) {
        Some(label) => text::decode_declared(bytes, &label, settings.charset),
        None => text::decode(bytes, settings.charset),
    };
    let mut statements = Vec::new();
    let mut entries = Vec::new();
    read_camt(
        text.trim_start_matches('\u{feff}').trim_start().as_bytes(),
        settings,
        &mut |part| match part {
            CamtPart::Entry(entry) => entries.push(*entry),
            CamtPart::Statement(mut statement) => {
                statement.entries = std::mem::take(&mut entries);
                statements.push(*statement);
            }
        },
    )?;
    Ok(statements)
}

/// What the XML declaration says of the charset.
fn declared_charset(bytes: &[u8]) -> Option<String> {
    let start = bytes.get(..bytes.len().min(200))?;
    let start = String::from_utf8_lossy(start);
    let declaration = start.trim_start_matches('\u{feff}').trim_start().strip_prefix("<?xml")?;
    let declaration = &declaration[..declaration.find("?>")?];
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split_once(quote).map(|(label, _)| label.to_owned())
}

/// Reads camt in UTF-8 from `source` and gives its parts to `sink`, in their order. What was given before an
/// error is of a file that is refused: keep nothing of it.
///
/// # Errors
/// [`ReadError::Malformed`] with the byte at which it was noticed, [`ReadError::Incomplete`] where the end is
/// missing, [`ReadError::NoStatement`].
pub fn read_camt(
    source: impl BufRead,
    settings: &Settings,
    sink: &mut dyn FnMut(CamtPart),
) -> Result<(), ReadError> {
    let mut reader = Reader::from_reader(source);
    let mut walk = Walk {
        settings,
        sink,
        path: Vec::new(),
        head: None,
        message: None,
        header: Texts::default(),
        statements: 0,
    };
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader
            .read_event_into(&mut buffer)
            .map_err(|error| cut_or_wrong(&error, reader.buffer_position()))?;
        match event {
            Event::Start(start) => {
                let name = local(start.name().as_ref()).to_owned();
                if walk.wants(&name) {
                    let node = subtree(&mut reader, &start, name)?;
                    walk.take(&node).map_err(|error| placed(error, reader.buffer_position()))?;
                } else {
                    walk.enter(name)?;
                }
            }
            Event::Empty(start) => {
                let name = local(start.name().as_ref()).to_owned();
                walk.take_empty(&name)?;
            }
            Event::End(_) => walk.leave().map_err(|error| placed(error, reader.buffer_position()))?,
            Event::DocType(_) => {
                return Err(ReadError::at("XML", "it has a document type, which no bank statement has"));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    walk.end()
}

/// How deep elements may be in one another; camt has about 15.
const DEPTH: usize = 64;

/// The most that one entry may take, in bytes of names and text.
const ENTRY_BYTES: usize = 64 * 1024 * 1024;

/// Reads the element that `start` begins, with all that is in it.
fn subtree<R: BufRead>(
    reader: &mut Reader<R>,
    start: &BytesStart<'_>,
    name: String,
) -> Result<Node, ReadError> {
    let mut open = vec![Node::begun(start, name)?];
    let mut buffer = Vec::new();
    let mut size = 0;
    loop {
        buffer.clear();
        let event = reader
            .read_event_into(&mut buffer)
            .map_err(|error| cut_or_wrong(&error, reader.buffer_position()))?;
        let Some(top) = open.last_mut() else {
            return Err(ReadError::at("XML", "it closes what is not open"));
        };
        match event {
            Event::Start(start) => {
                let name = local(start.name().as_ref()).to_owned();
                size += name.len() + std::mem::size_of::<Node>();
                open.push(Node::begun(&start, name)?);
            }
            Event::Empty(start) => {
                let name = local(start.name().as_ref()).to_owned();
                size += name.len() + std::mem::size_of::<Node>();
                top.children.push(Node::begun(&start, name)?);
            }
            Event::Text(text) => {
                size += text.len();
                top.text.push_str(&text.xml10_content());
            }
            Event::CData(text) => {
                size += text.len();
                top.text.push_str(&text.xml10_content());
            }
            Event::GeneralRef(reference) => {
                size += 4;
                top.text.push(node::character(&reference)?);
            }
            Event::End(_) => {
                let Some(done) = open.pop() else {
                    return Err(ReadError::at("XML", "it closes what is not open"));
                };
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Ok(done),
                }
            }
            Event::DocType(_) => {
                return Err(ReadError::at("XML", "it has a document type, which no bank statement has"));
            }
            Event::Eof => return Err(ReadError::Incomplete(format!("it ends within <{}>", top.name))),
            _ => {}
        }
        if open.len() > DEPTH || size > ENTRY_BYTES {
            return Err(ReadError::at("XML", "an element is deeper or longer than any of a bank statement"));
        }
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn cut_or_wrong(error: &quick_xml::Error, at: u64) -> ReadError {
    match error {
        quick_xml::Error::Syntax(_) => ReadError::Incomplete(format!("{error}, at byte {at}")),
        error => ReadError::at(format!("byte {at}"), error.to_string()),
    }
}

/// Adds where in the file it was noticed.
fn placed(error: ReadError, at: u64) -> ReadError {
    match error {
        ReadError::Malformed { place, reason } => {
            ReadError::Malformed { place: format!("{place}, which ends at byte {at}"), reason }
        }
        other => other,
    }
}

/// The way through the file: message, statement, and what is in it.
struct Walk<'a> {
    settings: &'a Settings,
    sink: &'a mut dyn FnMut(CamtPart),
    path: Vec<String>,
    head: Option<Head>,
    message: Option<StatementKind>,
    /// What the message says of all its statements.
    header: Texts,
    statements: usize,
}

impl Walk<'_> {
    /// Whether the next element is read as a whole: one within a statement, or the header of the message.
    fn wants(&self, name: &str) -> bool {
        self.head.is_some() || (self.message.is_some() && name == "GrpHdr")
    }

    fn enter(&mut self, name: String) -> Result<(), ReadError> {
        if self.path.len() >= DEPTH {
            return Err(ReadError::at("XML", "its elements are deeper than those of any bank statement"));
        }
        match (self.message, message(&name), name.as_str()) {
            (None, Some(kind), _) => self.message = Some(kind),
            (Some(kind), _, "Stmt" | "Rpt" | "Ntfctn") => {
                self.head = Some(Head::new(kind, self.header.clone()))
            }
            _ => {}
        }
        self.path.push(name);
        Ok(())
    }

    fn take_empty(&mut self, name: &str) -> Result<(), ReadError> {
        if self.head.is_none() && matches!(name, "Stmt" | "Rpt" | "Ntfctn") {
            return Err(ReadError::at(format!("<{name}>"), "a statement without an account"));
        }
        if self.head.is_some() && name == "Ntry" {
            return Err(ReadError::at("<Ntry>", "an entry without an amount"));
        }
        Ok(())
    }

    fn take(&mut self, node: &Node) -> Result<(), ReadError> {
        match (&mut self.head, node.name.as_str()) {
            (Some(head), "Ntry") => {
                let entry = entry::entry(node, head, self.settings)?;
                head.saw(entry.currency);
                (self.sink)(CamtPart::Entry(Box::new(entry)));
            }
            (Some(head), _) => head.take(node, self.settings)?,
            (None, _) => node.leaves("GrpHdr", &mut |path, text| self.header.add(path, text)),
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), ReadError> {
        let left = self.path.pop();
        if self.head.is_some()
            && left.as_deref().is_some_and(|name| matches!(name, "Stmt" | "Rpt" | "Ntfctn"))
            && let Some(head) = self.head.take()
        {
            self.statements += 1;
            (self.sink)(CamtPart::Statement(Box::new(head.finish()?)));
        }
        Ok(())
    }

    fn end(self) -> Result<(), ReadError> {
        if !self.path.is_empty() {
            return Err(ReadError::Incomplete(format!("<{}> is not closed", self.path.join("><"))));
        }
        if self.message.is_none() {
            return Err(ReadError::Unrecognised("it is no camt.052, .053 or .054".to_owned()));
        }
        if self.statements == 0 {
            return Err(ReadError::NoStatement("there is no Stmt, Rpt or Ntfctn in it".to_owned()));
        }
        Ok(())
    }
}

/// The kind of statements in a message of this name.
fn message(name: &str) -> Option<StatementKind> {
    match name {
        "BkToCstmrStmt" => Some(StatementKind::Final),
        "BkToCstmrAcctRpt" => Some(StatementKind::Interim),
        "BkToCstmrDbtCdtNtfctn" => Some(StatementKind::Notification),
        _ => None,
    }
}
