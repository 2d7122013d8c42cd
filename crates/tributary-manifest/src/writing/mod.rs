//! From the bytes of an answer to the value that filters see, whatever it is written in.

mod xml;

use std::collections::BTreeSet;

use encoding_rs::{Encoding, UTF_8};
use jaq_json::Val;
use tributary_domain::{JsonBudget, TooCostly};

use crate::jq::{self, NotJson};
use crate::manifest::{AnswerForm, Writing};

/// How the answers of a stream are read.
#[derive(Debug)]
pub struct ReadAs {
    pub written: Writing,
    /// As the file says; else UTF-8, unless XML says otherwise, which is refused then.
    charset: Option<&'static Encoding>,
    columns: Vec<String>,
    has_header: bool,
    separator: u8,
    /// The names of elements that are lists.
    lists: BTreeSet<String>,
}

impl ReadAs {
    /// As `form` says. The error gives its member and what is wrong.
    pub fn new(form: &AnswerForm) -> Result<Self, (&'static str, String)> {
        let charset = form.charset.as_deref().map(|name| {
            let unknown =
                || ("charset", format!("there is no charset {name:?}; write one such as windows-1252"));
            Encoding::for_label(name.as_bytes()).ok_or_else(unknown)
        });
        let csv = form.written == Writing::Csv;
        for (given, member) in [
            (!form.columns.is_empty(), "columns"),
            (form.header.is_some(), "header"),
            (form.separator.is_some(), "separator"),
        ] {
            if given && !csv {
                return Err((member, "belongs to `as: csv`".to_owned()));
            }
        }
        if !form.lists.is_empty() && form.written != Writing::Xml {
            return Err(("lists", "belongs to `as: xml`".to_owned()));
        }
        if csv && form.columns.is_empty() {
            return Err((
                "columns",
                "is missing: columns that there have to be; what has not these is another answer".to_owned(),
            ));
        }
        let separator = match form.separator.as_deref().unwrap_or(",").as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => *byte,
            _ => return Err(("separator", "is one character, such as \";\" or \"\\t\"".to_owned())),
        };
        Ok(Self {
            written: form.written,
            charset: charset.transpose()?,
            columns: form.columns.clone(),
            has_header: form.header.unwrap_or(true),
            separator,
            lists: form.lists.iter().cloned().collect(),
        })
    }

    /// What is asked for by `Accept`.
    pub fn accept(&self) -> &'static str {
        match self.written {
            Writing::Json => "application/json",
            Writing::Ndjson => "application/x-ndjson",
            Writing::Csv => "text/csv",
            Writing::Xml => "application/xml, text/xml",
        }
    }

    /// The value of `body`, within `budget`, and what was mended in it.
    pub fn read(&self, body: &[u8], budget: JsonBudget) -> Result<(Val, Option<String>), NotJson> {
        if self.written == Writing::Json && self.charset.is_none() {
            return jq::parse_mended(budget, body);
        }
        let charset = self.charset.unwrap_or(UTF_8);
        let (text, used, broken) = charset.decode(body);
        let mended = broken.then(|| format!("characters that are none in {}", used.name()));
        let value = match self.written {
            Writing::Json => {
                let (value, also) = jq::parse_mended(budget, text.as_bytes())?;
                return Ok((value, mended.or(also)));
            }
            Writing::Ndjson => lines(&text, budget)?,
            Writing::Csv => self.table(&text, budget)?,
            Writing::Xml => xml::parse(&text, &self.lists, self.charset.is_none().then_some(used), budget)?,
        };
        Ok((value, mended))
    }

    fn table(&self, text: &str, budget: JsonBudget) -> Result<Val, NotJson> {
        let wrong = |why: String| NotJson::Other("CSV", why);
        let mut reader = csv::ReaderBuilder::new();
        reader.delimiter(self.separator).has_headers(false).flexible(false);
        let mut reader = reader.from_reader(text.as_bytes());
        let mut records = reader.records();
        let names: Vec<String> = match self.has_header {
            false => self.columns.clone(),
            true => {
                let header = records
                    .next()
                    .ok_or_else(|| wrong("it has no line that names its columns".to_owned()))?;
                let header = header.map_err(|error| wrong(error.to_string()))?;
                header.iter().map(|name| name.trim().to_owned()).collect()
            }
        };
        if let Some(missing) = self.columns.iter().find(|column| !names.contains(column)) {
            return Err(wrong(format!("it has no column {missing:?} (`answer.columns`)")));
        }
        let distinct: BTreeSet<&String> = names.iter().collect();
        if distinct.len() != names.len() {
            return Err(wrong("two of its columns have the same name".to_owned()));
        }
        let (mut rows, mut values) = (Vec::new(), 0);
        for record in records {
            let record = record.map_err(|error| wrong(error.to_string()))?;
            if record.len() != names.len() {
                return Err(wrong(format!("a line has {} fields, and not {}", record.len(), names.len())));
            }
            values += 1 + record.len();
            if values > budget.values {
                return Err(TooCostly::Values(budget.values).into());
            }
            let field = |text: &str| if text.is_empty() { Val::Null } else { Val::from(text.to_owned()) };
            let members =
                names.iter().zip(&record).map(|(name, text)| (Val::from(name.clone()), field(text)));
            rows.push(Val::obj(members.collect()));
        }
        Ok(rows.into_iter().collect())
    }
}

/// The values of the lines of `text`.
fn lines(text: &str, budget: JsonBudget) -> Result<Val, NotJson> {
    budget.check(text.as_bytes())?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let values = lines.map(|(number, line)| {
        jq::parse(line.as_bytes())
            .map_err(|error| NotJson::Other("NDJSON", format!("line {}: {error}", number + 1)))
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: JsonBudget = JsonBudget { values: 1_000, depth: 8, digits: 100 };

    fn read_as(form: &str) -> Result<ReadAs, String> {
        let form: AnswerForm = serde_saphyr::from_str(form).unwrap();
        ReadAs::new(&form).map_err(|(member, why)| format!("{member}: {why}"))
    }

    fn read(form: &str, body: &[u8]) -> Result<String, String> {
        let read = read_as(form).unwrap().read(body, BUDGET).map_err(|error| error.to_string())?;
        Ok(format!("{}{}", read.0, read.1.map(|what| format!(" mended: {what}")).unwrap_or_default()))
    }

    #[test]
    fn csv_is_a_list_of_objects_of_texts_whose_amounts_keep_their_digits() {
        let form = "{ as: csv, columns: [Id, Amount], separator: ';', charset: windows-1252 }";
        let body =
            b"Id;Amount;Name\r\n1;10.50;\"M\xFCller; S\xF6hne \"\"&\"\" Co\"\r\n2;900719925474099312.10;\r\n";
        assert_eq!(
            read(form, body).unwrap(),
            r#"[{"Id":"1","Amount":"10.50","Name":"Müller; Söhne \"&\" Co"},{"Id":"2","Amount":"900719925474099312.10","Name":null}]"#
        );
        assert_eq!(read(form, b"Id;Amount\n").unwrap(), "[]", "a list of nothing has its columns");
        for (body, why) in [
            (&b"{\"error\":\"no\"}"[..], "no column \"Id\""),
            (b"", "no line that names its columns"),
            (b"Id;Amount\n1\n", "fields"),
            (b"Id;Amount;Id\n1;2;3\n", "the same name"),
        ] {
            let error = read(form, body).unwrap_err();
            assert!(error.contains(why) && error.contains("not CSV"), "{why}: {error}");
        }
        assert_eq!(
            read("{ as: csv, columns: [a, b], header: false }", b"1,2\n").unwrap(),
            r#"[{"a":"1","b":"2"}]"#
        );
        let bare = read("{ as: csv, columns: [a, b], header: false }", b"1,2,3\n").unwrap_err();
        assert!(bare.contains("3 fields, and not 2"), "{bare}");
        let long = format!("a\n{}", "1\n".repeat(600));
        assert!(
            read("{ as: csv, columns: [a] }", long.as_bytes()).unwrap_err().contains("more than 1000 values")
        );
    }

    #[test]
    fn each_line_of_ndjson_is_a_value() {
        let body = b"\xEF\xBB\xBF{\"n\":1.10}\r\n\n{\"n\":2}";
        assert_eq!(read("{ as: ndjson }", body).unwrap(), r#"[{"n":1.10},{"n":2}]"#);
        assert!(read("{ as: ndjson }", b"{\"n\":1}\n{\"n\":").unwrap_err().contains("line 2"));
        assert!(
            read("{ as: ndjson }", "[1]\n".repeat(600).as_bytes())
                .unwrap_err()
                .contains("more than 1000 values")
        );
    }

    #[test]
    fn what_is_no_character_is_mended_and_told() {
        assert_eq!(read("{ charset: windows-1252 }", b"[\"\xE9\"]").unwrap(), "[\"é\"]");
        let told = read("{ as: csv, columns: [a] }", b"a\n\xFF\n").unwrap();
        assert!(
            told.contains('\u{FFFD}') && told.contains("mended: characters that are none in UTF-8"),
            "{told}"
        );
    }

    #[test]
    fn what_cannot_be_read_so_is_refused() {
        for (form, why) in [
            ("{ charset: klingon }", "charset: there is no charset"),
            ("{ as: csv }", "columns: is missing"),
            ("{ as: csv, columns: [a], separator: ab }", "separator: is one character"),
            ("{ as: xml, columns: [a] }", "columns: belongs to `as: csv`"),
            ("{ lists: [a] }", "lists: belongs to `as: xml`"),
        ] {
            let error = read_as(form).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
