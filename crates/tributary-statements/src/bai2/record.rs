//! Lines to records: a record goes on in `88`, and its text may hold whatever ends records elsewhere.

use crate::ReadError;

/// A record with its continuations.
#[derive(Debug)]
pub struct Record<'a> {
    pub code: &'a str,
    /// What each line holds behind its code; of the first one and of every 88.
    pub lines: Vec<&'a str>,
    /// The number of its first line, from 1.
    pub at: usize,
    /// How many records it counts for: each 88 is one.
    pub physical: usize,
    fields: Vec<&'a str>,
}

impl<'a> Record<'a> {
    /// The field of this number, without blanks; 0 is the code. Empty where there is none.
    pub fn field(&self, number: usize) -> &'a str {
        number.checked_sub(1).and_then(|at| self.fields.get(at)).map_or("", |field| field.trim())
    }

    /// All fields behind the code. Meant for records that hold no text.
    pub fn fields(&self) -> &[&'a str] {
        &self.fields
    }

    /// As in the file.
    pub fn raw(&self) -> String {
        format!("{},{}", self.code, self.lines.join("\n88,"))
    }

    pub fn wrong(&self, what: &str) -> ReadError {
        ReadError::at(format!("line {}, record {}", self.at, self.code), what)
    }
}

const CODES: &[&str] = &["01", "02", "03", "16", "49", "88", "98", "99"];

/// The records of a file.
pub fn records(text: &str) -> Result<Vec<Record<'_>>, ReadError> {
    let mut records: Vec<Record<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for piece in pieces(line.trim_end()) {
            take(piece, number + 1, &mut records)?;
        }
    }
    for record in &mut records {
        record.fields = record.lines.iter().flat_map(|line| plain(line)).collect();
    }
    Ok(records)
}

fn take<'a>(piece: &'a str, at: usize, records: &mut Vec<Record<'a>>) -> Result<(), ReadError> {
    let code = piece.split_once([',', '/']).map_or(piece, |(code, _)| code);
    if !CODES.contains(&code) {
        // wrapped without an 88: it goes on where the line before it stopped
        return match (records.last_mut(), piece.is_empty()) {
            (_, true) => Ok(()),
            (Some(record), false) if record.code != "99" => {
                record.lines.push(piece);
                Ok(())
            }
            _ => Err(ReadError::at(format!("line {at}"), format!("{code:?} is no record of BAI2"))),
        };
    }
    let rest = piece.get(code.len() + 1..).unwrap_or("");
    match (code, records.last_mut()) {
        ("88", Some(record)) => {
            record.lines.push(rest);
            record.physical += 1;
        }
        ("88", None) => return Err(ReadError::at(format!("line {at}"), "a continuation (88) of nothing")),
        _ => records.push(Record { code, lines: vec![rest], at, physical: 1, fields: Vec::new() }),
    }
    Ok(())
}

/// Two records on one line: the slash ends the first, unless it can be text.
fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while !matches!(rest.get(..2), Some("16" | "88")) {
        let next = rest.match_indices('/').map(|(at, _)| at + 1).find(|at| {
            let after = rest[*at..].trim_start();
            CODES.iter().any(|code| after.strip_prefix(code).is_some_and(|after| after.starts_with(',')))
        });
        let Some(next) = next else { break };
        pieces.push(rest[..next].trim_end());
        rest = rest[next..].trim_start();
    }
    pieces.push(rest);
    pieces
}

/// The fields of a line without text: the slash at its end stands for the comma that would follow.
pub fn plain(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim_end();
    line.strip_suffix('/').unwrap_or(line).split(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_before_a_continuation_is_a_comma_and_no_digit_of_the_next_field() {
        let records = records("03,1,GBP,010,100,,,045/\n88,4626045,,/").unwrap();
        assert_eq!(&records[0].fields()[6..8], ["045", "4626045"]);
        assert_eq!(records[0].physical, 2);
    }

    #[test]
    fn two_records_on_one_line_are_two() {
        let records = records("49,20001,10/98,20001,1,12/\n99,20001,1,14/").unwrap();
        let codes: Vec<&str> = records.iter().map(|record| record.code).collect();
        assert_eq!(codes, ["49", "98", "99"]);
    }
}
