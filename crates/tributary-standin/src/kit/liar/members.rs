//! Rows of an answer, and their members by paths.

use std::collections::VecDeque;

use serde_json::Value;

use super::Terms;

/// Where the list of rows is, as a JSON pointer: the shallowest one whose first row has one of the
/// members that rows have, or else one that is empty.
pub fn list_of(terms: &Terms, answer: &Value) -> Option<String> {
    let mut empty = None;
    let mut places = VecDeque::from([(String::new(), answer)]);
    while let Some((place, value)) = places.pop_front() {
        match value {
            Value::Array(rows) if rows.is_empty() => empty = empty.or(Some(place)),
            Value::Array(rows) if terms.rows.iter().any(|name| rows[0].get(*name).is_some()) => {
                return Some(place);
            }
            Value::Object(members) => {
                let inner = members.iter().map(|(name, value)| (format!("{place}/{}", escaped(name)), value));
                places.extend(inner);
            }
            _ => {}
        }
    }
    empty
}

/// A member's name, as a JSON pointer has it.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The rows of an answer.
pub fn rows_of<'a>(terms: &Terms, answer: &'a mut Value) -> Option<&'a mut Vec<Value>> {
    let place = list_of(terms, answer)?;
    answer.pointer_mut(&place)?.as_array_mut()
}

/// Shows each member at `paths` of `row` that is there and is not null to `look`, in their order.
pub fn each(row: &mut Value, paths: &[&str], look: &mut impl FnMut(&mut Value)) {
    for path in paths {
        at(row, path, look);
    }
}

fn at(value: &mut Value, path: &str, look: &mut impl FnMut(&mut Value)) {
    let (name, rest) = path.split_once('/').unwrap_or((path, ""));
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) if name == "*" => items.iter_mut().collect(),
        Value::Object(members) => members.get_mut(name).into_iter().collect(),
        _ => Vec::new(),
    };
    for value in inner.into_iter().filter(|value| !value.is_null()) {
        if rest.is_empty() { look(value) } else { at(value, rest, look) }
    }
}

/// The texts and numbers at `paths` of `row`, as text.
pub fn texts(row: &Value, paths: &[&str]) -> Vec<String> {
    let mut texts = Vec::new();
    each(&mut row.clone(), paths, &mut |value| {
        texts.push(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    });
    texts
}
