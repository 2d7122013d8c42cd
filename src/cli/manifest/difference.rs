//! How rows differ from what they should be: a line for each row, by its fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How much of a value a line shows, in characters.
const VALUE_CHARS: usize = 60;

/// What a row is known by: its stream and partition, its id, and how many of that id came before it.
type Key = (String, String, String, usize);

/// A line for each row that is missing (`-`), new (`+`) or changed (`~`), or one that says that only the
/// order differs; none where all are the same.
pub fn lines(expected: &[Value], found: &[Value]) -> Vec<String> {
    let (before, now) = (by_key(expected), by_key(found));
    let mut lines = Vec::new();
    for (key, row) in &before {
        match now.get(key) {
            None => lines.push(format!("- {}: {}", named(key), short(&row["row"]))),
            Some(other) if row != other => {
                lines.push(format!("~ {}: {}", named(key), changed(&row["row"], &other["row"])))
            }
            Some(_) => {}
        }
    }
    for (key, row) in now.iter().filter(|(key, _)| !before.contains_key(*key)) {
        lines.push(format!("+ {}: {}", named(key), short(&row["row"])));
    }
    if lines.is_empty() && expected != found {
        lines.push("the same rows come in another order".to_owned());
    }
    lines
}

fn by_key(rows: &[Value]) -> BTreeMap<Key, &Value> {
    let mut keyed: BTreeMap<Key, &Value> = BTreeMap::new();
    for row in rows {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = ["id", "accountID", "cannot be mapped"].iter().find_map(|name| row["row"][*name].as_str());
        let id = id.unwrap_or_default().to_owned();
        let mut key = (text(&row["stream"]), text(&row["partition"]), id, 0);
        while keyed.contains_key(&key) {
            key.3 += 1;
        }
        keyed.insert(key, row);
    }
    keyed
}

fn named((stream, partition, id, before): &Key) -> String {
    let of = if partition.is_empty() { String::new() } else { format!(" of {partition}") };
    let again = if *before == 0 { String::new() } else { format!(" (number {})", before + 1) };
    format!("{stream}{of} {id}{again}")
}

/// The fields that differ, each with what it was and what it is.
fn changed(before: &Value, now: &Value) -> String {
    let (before, now) = (flat(before), flat(now));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    let shown = |value: Option<&Value>| value.map_or("absent".to_owned(), short);
    let parts =
        differing.map(|name| format!("{name} {} -> {}", shown(before.get(name)), shown(now.get(name))));
    parts.collect::<Vec<_>>().join(", ")
}

/// The members of `row`, those of members by their paths.
fn flat(row: &Value) -> BTreeMap<String, Value> {
    fn add(members: &Map<String, Value>, path: &str, flat: &mut BTreeMap<String, Value>) {
        for (name, value) in members {
            let path = format!("{path}{name}");
            match value {
                Value::Object(members) => add(members, &format!("{path}."), flat),
                value => drop(flat.insert(path, value.clone())),
            }
        }
    }
    let mut flat_row = BTreeMap::new();
    if let Value::Object(members) = row {
        add(members, "", &mut flat_row);
    }
    flat_row
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: &str, amount: &str, kind: &str) -> Value {
        json!({ "stream": "transactions", "partition": "a", "row": { "id": id, "amount": amount, "metadata": { "kind": kind } } })
    }

    #[test]
    fn each_row_that_differs_is_one_line_by_its_fields() {
        let before = [row("1", "10", "x"), row("2", "20", "x"), row("3", "30", "x")];
        let now = [row("1", "11", "y"), row("2", "20", "x"), row("4", "40", "x")];
        assert_eq!(
            lines(&before, &now),
            [
                r#"~ transactions of a 1: amount "10" -> "11", metadata.kind "x" -> "y""#,
                r#"- transactions of a 3: {"amount":"30","id":"3","metadata":{"kind":"x"}}"#,
                r#"+ transactions of a 4: {"amount":"40","id":"4","metadata":{"kind":"x"}}"#,
            ]
        );
        assert_eq!(lines(&before, &before), [""; 0]);
    }

    #[test]
    fn rows_of_one_id_and_their_order_are_told_apart() {
        let twice = [row("1", "10", "x"), row("1", "20", "x")];
        assert_eq!(
            lines(&twice, &[row("1", "10", "x"), row("1", "21", "x")]),
            [r#"~ transactions of a 1 (number 2): amount "20" -> "21""#]
        );
        let (one, two) = (row("1", "10", "x"), row("2", "20", "x"));
        assert_eq!(lines(&[one.clone(), two.clone()], &[two, one]), ["the same rows come in another order"]);
    }
}
