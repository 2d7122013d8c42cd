//! What is written on the right of a field, as jq.

use crate::language::form::right::Right;

/// What a text means.
#[derive(Debug, PartialEq)]
pub enum Meaning<'t> {
    Jq(&'t str),
    Template(Vec<Piece<'t>>),
}

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub enum Piece<'t> {
    Literal(String),
    /// A member of the record.
    Field(&'t str),
    Jq(&'t str),
}

/// Whether a text is jq by its first letter.
pub fn is_jq(text: &str) -> bool {
    text.starts_with('.') || (text.starts_with('$') && !text.starts_with("${"))
}

/// What `text` means. The error says what to write.
pub fn meaning(text: &str) -> Result<Meaning<'_>, String> {
    if text.contains("${") {
        return Err(
            "${NAME} is filled in only in `api`, `auth`, `tls`, `headers`, `webhook` and `values`".to_owned()
        );
    }
    if is_jq(text) {
        return Ok(Meaning::Jq(text));
    }
    let mut pieces = Vec::new();
    let (mut literal, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        literal.push_str(before);
        if let Some(after) = after.strip_prefix('{') {
            literal.push('{');
            rest = after;
            continue;
        }
        let (inside, tail) =
            after.split_once('}').ok_or("has a { that is never closed; write {{ for a brace")?;
        if inside.is_empty() || inside.contains('{') {
            return Err("has no field between { and }; write {{ for a brace".to_owned());
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(if is_jq(inside) { Piece::Jq(inside) } else { Piece::Field(inside) });
        rest = tail;
    }
    literal.push_str(rest);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(Meaning::Template(pieces))
}

/// The jq of a value that becomes a text of a record: numbers and truths are constants as text.
pub fn text(right: &Right) -> Result<String, String> {
    match right {
        Right::Text(text) => of_text(text),
        Right::Number(number) => Ok(literal(number)),
        Right::Bool(value) => Ok(literal(&value.to_string())),
        Right::Null => Ok("null".to_owned()),
        Right::List(_) | Right::Map(_) => Err("has to be one value".to_owned()),
    }
}

/// The jq of a value that is sent as JSON; members that are null are left out.
pub fn json(right: &Right) -> Result<String, String> {
    match right {
        Right::Text(text) => of_text(text),
        Right::Number(number) => Ok(number.clone()),
        Right::Bool(value) => Ok(value.to_string()),
        Right::Null => Ok("null".to_owned()),
        Right::List(items) => {
            let items = items.iter().map(json).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("[{}]", items.join(", ")))
        }
        Right::Map(members) => {
            let member = |(name, right): &(String, Right)| {
                let value = json(right).map_err(|why| format!("{name}: {why}"))?;
                Ok(format!("{}: _one({}; {value})", literal(name), literal(name)))
            };
            let members = members.iter().map(member).collect::<Result<Vec<_>, String>>()?;
            Ok(format!("({{ {} }} | map_values(values))", members.join(", ")))
        }
    }
}

fn of_text(text: &str) -> Result<String, String> {
    Ok(match meaning(text)? {
        Meaning::Jq(code) => format!("({code}\n)"),
        Meaning::Template(pieces) => {
            let piece = |piece: &Piece<'_>| match piece {
                Piece::Literal(text) => literal(text),
                Piece::Field(name) => {
                    format!("_part({}; .[{}])", literal(&format!("{{{name}}}")), literal(name))
                }
                Piece::Jq(code) => format!("_part({}; {code})", literal(&format!("{{{code}}}"))),
            };
            let pieces: Vec<String> = pieces.iter().map(piece).collect();
            if pieces.len() == 1 { pieces.concat() } else { format!("({})", pieces.join(" + ")) }
        }
    })
}

/// The text of a value that is always the same: no jq, no template and no number.
pub fn constant(right: &Right) -> Option<&str> {
    match right {
        Right::Text(text) if !is_jq(text) && !text.contains('{') => Some(text),
        _ => None,
    }
}

/// What is behind a `not` that begins jq, where jq would read on or fail: `not .internal`.
pub fn negated(code: &str) -> Option<&str> {
    let rest = code.trim().strip_prefix("not ")?.trim_start();
    let goes_on = ["|", ",", "and ", "or ", "as ", "=", "!=", "//"];
    (!rest.is_empty() && !goes_on.iter().any(|word| rest.starts_with(word))).then_some(rest)
}

/// Whether a text is a condition of jq that does not begin as jq has to in a file.
pub fn looks_like_if(text: &str) -> bool {
    text.starts_with("if ") && text.contains(" then ") && text.ends_with("end")
}

/// The names that jq definitions give to filters of no arguments.
pub fn functions(definitions: &str) -> Vec<&str> {
    let named = definitions.split("def ").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        rest[end..].trim_start().starts_with(':').then(|| &rest[..end])
    });
    named.filter(|name| !name.is_empty()).collect()
}

/// A text of jq.
pub fn literal(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// Whether `code` is a path of one member, which yields one value of any record.
pub fn is_member(code: &str) -> bool {
    code == "." || path_steps(code) == Some(1)
}

/// Whether `code` is a path of members, which yields one value or fails.
pub fn is_path(code: &str) -> bool {
    code == "." || path_steps(code).is_some()
}

fn path_steps(code: &str) -> Option<usize> {
    let steps = code.strip_prefix('.')?.split('.');
    let is_name = |step: &str| {
        step.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && step.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    steps.clone().all(is_name).then(|| steps.count())
}

/// The names of variables in `code`.
pub fn variables(code: &str) -> impl Iterator<Item = &str> {
    code.split('$').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_tells_jq_from_a_template() {
        assert_eq!(meaning(".id"), Ok(Meaning::Jq(".id")));
        assert_eq!(meaning("$tx.id"), Ok(Meaning::Jq("$tx.id")));
        assert_eq!(meaning("PAYIN"), Ok(Meaning::Template(vec![Piece::Literal("PAYIN".to_owned())])));
        assert_eq!(
            meaning("a {id} {.b} {{x}"),
            Ok(Meaning::Template(vec![
                Piece::Literal("a ".to_owned()),
                Piece::Field("id"),
                Piece::Literal(" ".to_owned()),
                Piece::Jq(".b"),
                Piece::Literal(" {x}".to_owned())
            ]))
        );
        for (text, told) in [
            ("${X}", "filled in only"),
            (".a + \"${X}\"", "filled in only"),
            ("{a", "closed"),
            ("{}", "no field"),
        ] {
            assert!(meaning(text).unwrap_err().contains(told), "{text}");
        }
    }

    #[test]
    fn paths_are_told_from_other_jq() {
        assert!(is_member(".id") && is_member(".") && !is_member(".a.b") && !is_member(".a[]"));
        assert!(is_path(".a.b") && !is_path(".a.b[0]") && !is_path(".a // .b"));
        assert_eq!(variables("$a.b + $cd|$e").collect::<Vec<_>>(), ["a", "cd", "e"]);
    }
}
