//! Lines to fields.

/// A field: `:61:` and what follows up to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The tag without colons. Empty for what stands before the first field of a message.
    pub tag: String,
    /// Its lines, without the ends of lines; blanks are kept.
    pub lines: Vec<String>,
    /// The number of its first line in the file, from 1.
    pub at: usize,
}

impl Field {
    /// All of it on one line, as if the bank had not wrapped it.
    pub fn joined(&self) -> String {
        self.lines.concat()
    }

    /// As in the file, line by line.
    pub fn raw(&self) -> String {
        self.lines.join("\n")
    }
}

/// The tags of MT940 and MT942, and `:NS:` of German banks. Whatever else begins with a colon is text.
const TAGS: &[&str] = &[
    "20", "21", "25", "25P", "28", "28C", "60F", "60M", "61", "86", "62F", "62M", "64", "65", "13", "13D",
    "34F", "90C", "90D", "NS",
];

/// The fields of a file, in its order.
pub fn fields(text: &str) -> Vec<Field> {
    let text = unwrapped(text);
    let mut fields: Vec<Field> = Vec::new();
    // what stands behind the end of a message: envelope of the next one, or text that looks like an end
    let mut loose: Option<Vec<String>> = Some(Vec::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        let line = line.find("{4:").map_or(line, |at| &line[at + 3..]);
        if let Some((tag, rest)) = tagged(line) {
            place_loose(&mut fields, loose.take(), &tag);
            fields.push(Field { tag, lines: vec![rest.to_owned()], at: number + 1 });
        } else if ends_message(line) {
            loose.get_or_insert_default();
        } else if let Some(loose) = &mut loose {
            if !line.trim().is_empty() {
                loose.push(line.to_owned());
            }
        } else if let Some(field) = fields.last_mut()
            && !line.trim().is_empty()
        {
            field.lines.push(line.to_owned());
        }
    }
    if let Some(loose) = loose.filter(|loose| !loose.is_empty()) {
        fields.push(Field { tag: String::new(), lines: loose, at: 0 });
    }
    fields
}

/// `@@` is the end of a line in German files.
fn unwrapped(text: &str) -> String {
    if text.contains("@@:") || text.contains("@@-") { text.replace("@@", "\n") } else { text.to_owned() }
}

fn tagged(line: &str) -> Option<(String, &str)> {
    let (tag, rest) = line.strip_prefix(':')?.split_once(':')?;
    TAGS.contains(&tag).then(|| (tag.to_owned(), rest))
}

fn ends_message(line: &str) -> bool {
    let line = line.trim_end();
    line == "-" || line == "-}" || line.starts_with("-}{")
}

/// Lines behind an end that a message goes on after are its text; before the next message they are envelope.
fn place_loose(fields: &mut Vec<Field>, loose: Option<Vec<String>>, next: &str) {
    let Some(loose) = loose.filter(|loose| !loose.is_empty()) else { return };
    match fields.last_mut() {
        Some(last) if matches!(next, "61" | "86" | "62F" | "62M" | "64" | "65") => last.lines.extend(loose),
        _ => fields.push(Field { tag: String::new(), lines: loose, at: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<String> {
        fields(text).into_iter().map(|field| field.tag).collect()
    }

    #[test]
    fn a_time_or_a_number_between_colons_is_no_tag() {
        let text = ":20:A\r\n:86:at 20:44:45\r\n:44:45 o'clock\r\n:08 Karten\r\n:62F:C";
        assert_eq!(tags(text), ["20", "86", "62F"]);
        assert_eq!(fields(text)[1].joined(), "at 20:44:45:44:45 o'clock:08 Karten");
    }

    #[test]
    fn an_end_of_message_before_the_next_line_of_the_same_statement_is_text_between() {
        let text = ":20:A\n:61:x\n:86:one\n-\ntwo\n:61:y\n-\nABNANL2A\n:20:B";
        let fields = fields(text);
        assert_eq!(fields[2].raw(), "one\ntwo");
        assert_eq!(fields[4].lines, ["ABNANL2A"]);
    }

    #[test]
    fn a_line_of_dashes_is_no_end() {
        assert_eq!(fields(":86:a\n- -\nb")[0].raw(), "a\n- -\nb");
    }

    #[test]
    fn two_at_signs_are_the_end_of_a_line_in_german_files() {
        assert_eq!(tags("@@:20:A@@:25:B@@:86:info@example.com@@-@@"), ["20", "25", "86"]);
    }
}
