//! A tree held against the JSON Schema of its form: everything that does not fit, at once. What a
//! mistake says never repeats a value, which may be a secret.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::merge::is_none;
use super::tree::{Kind, Member, Node, Scalar};
use super::{Mistake, Mistakes};

/// The schema of a form, by which trees are checked.
pub struct Form(Value);

/// Those that were made: a folder of hundreds of files has thousands of streams.
static MADE: LazyLock<Mutex<HashMap<TypeId, Arc<Form>>>> = LazyLock::new(Mutex::default);

impl Form {
    /// That of `T`.
    pub fn of<T: JsonSchema + 'static>() -> Arc<Self> {
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let form = made.entry(TypeId::of::<T>()).or_insert_with(|| {
            Arc::new(Self(SchemaGenerator::default().into_root_schema_for::<T>().to_value()))
        });
        Arc::clone(form)
    }

    /// Adds to `mistakes` what does not fit in `node`, the field `path`.
    pub fn check(&self, node: &Node, path: &str, mistakes: &mut Mistakes) {
        Check { root: &self.0, mistakes, none_alone: false }.node(node, &self.0, path);
    }

    /// Adds to `mistakes` the names in `node` that the form does not know and whose value is `none`: they
    /// would vanish with the defaults that they are to leave out.
    pub fn check_names_of_none(&self, node: &Node, path: &str, mistakes: &mut Mistakes) {
        Check { root: &self.0, mistakes, none_alone: true }.node(node, &self.0, path);
    }
}

struct Check<'a, 'm> {
    root: &'a Value,
    mistakes: &'m mut Mistakes,
    /// Whether only the names are looked at whose value is `none`.
    none_alone: bool,
}

impl<'a> Check<'a, '_> {
    fn wrong(&mut self, node: &Node, path: &str, why: String) {
        if !self.none_alone {
            self.mistakes.add(Mistake { at: node.at, field: path.to_owned(), why });
        }
    }

    fn resolved(&self, mut schema: &'a Value) -> &'a Value {
        while let Some(found) =
            schema["$ref"].as_str().and_then(|name| self.root.pointer(name.strip_prefix('#')?))
        {
            schema = found;
        }
        schema
    }

    fn node(&mut self, node: &Node, schema: &'a Value, path: &str) {
        let schema = self.resolved(schema);
        let forms: Vec<&'a Value> = ["anyOf", "oneOf"]
            .iter()
            .filter_map(|name| schema[*name].as_array())
            .flatten()
            .map(|form| self.resolved(form))
            .collect();
        if forms.is_empty() {
            return self.one(node, schema, path);
        }
        let fitting: Vec<&'a Value> = forms.iter().copied().filter(|form| self.may_be(node, form)).collect();
        match fitting.as_slice() {
            [] => {
                let wanted: Vec<String> = forms.iter().flat_map(|form| wanted(form)).collect();
                let all_words = forms.iter().filter_map(|form| words(form)).flatten();
                let is = match (node.text(), all_words.clone().next()) {
                    (Some(text), Some(_)) if !may_be_secret(path) => {
                        let near = nearest(text, all_words).map(|near| format!(" (`{near}`?)"));
                        format!("`{text}` is none of these{}", near.unwrap_or_default())
                    }
                    _ => format!("is {}", node.kind_name()),
                };
                self.wrong(node, path, format!("{is}: write {}", wanted.join(", or ")));
            }
            [one] => {
                let words: Vec<&str> = forms.iter().filter_map(|form| words(form)).flatten().collect();
                if node.text().is_none() || words.is_empty() {
                    return self.node(node, one, path);
                }
                let mut found = Mistakes::default();
                Check { root: self.root, mistakes: &mut found, none_alone: self.none_alone }
                    .node(node, one, path);
                for mistake in found.iter() {
                    let why = format!("{}, or `{}`", mistake.why, words.join("`, `"));
                    self.mistakes.add(Mistake { why, ..mistake.clone() });
                }
            }
            several => {
                // the one that fits best: it is what was meant
                let best = several.iter().min_by_key(|form| {
                    let mut mistakes = Mistakes::default();
                    Check { root: self.root, mistakes: &mut mistakes, none_alone: false }
                        .node(node, form, path);
                    mistakes.iter().count()
                });
                if let Some(best) = best {
                    self.node(node, best, path);
                }
            }
        }
    }

    /// Whether `node` is at least of the kind that `form` wants.
    fn may_be(&self, node: &Node, form: &'a Value) -> bool {
        if form.get("anyOf").or_else(|| form.get("oneOf")).is_some() {
            return true;
        }
        if let Some(words) = words(form) {
            return node.text().is_some_and(|text| words.contains(&text));
        }
        form["type"].as_str().is_none_or(|kind| is_kind(node, kind))
    }

    fn one(&mut self, node: &Node, schema: &'a Value, path: &str) {
        if let Some(words) = words(schema) {
            if node.text().is_none_or(|text| !words.contains(&text)) {
                let near = node.text().and_then(|text| nearest(text, words.iter().copied()));
                let near = near.map(|near| format!(" (`{near}`?)")).unwrap_or_default();
                self.wrong(node, path, format!("write {}{near}", words.join(", ")));
            }
            return;
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            Value::String(one) => vec![one.as_str()],
            _ => return,
        };
        if types.contains(&"null") && matches!(node.scalar(), Some(Scalar::Null)) {
            return;
        }
        let fits = |kind: &&&str| is_kind(node, kind);
        match types.iter().find(fits).or(types.first()).copied().unwrap_or_default() {
            "object" => self.object(node, schema, path),
            "array" => match &node.kind {
                Kind::List(items) => {
                    for (n, item) in items.iter().enumerate() {
                        self.node(item, &schema["items"], &format!("{path}[{n}]"));
                    }
                }
                _ => self.wrong(node, path, format!("is {}: write a list", node.kind_name())),
            },
            "string" => self.text(node, schema, path),
            "integer" => self.integer(node, schema, path),
            "boolean" if !matches!(node.scalar(), Some(Scalar::Bool(_))) => {
                self.wrong(node, path, "write true or false".to_owned());
            }
            _ => {}
        }
    }

    fn object(&mut self, node: &Node, schema: &'a Value, path: &str) {
        let Kind::Map(members) = &node.kind else {
            let known: Vec<&str> = schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            let known = if known.is_empty() { String::new() } else { format!(" with {}", known.join(", ")) };
            return self.wrong(node, path, format!("is {}: write a mapping{known}", node.kind_name()));
        };
        let properties = schema["properties"].as_object();
        for Member { name, at, node } in members {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match (properties.and_then(|properties| properties.get(name)), &schema["additionalProperties"]) {
                (Some(property), _) => self.node(node, property, &below),
                (None, Value::Bool(false)) if self.none_alone && !is_none(node) => {}
                (None, Value::Bool(false)) => {
                    let known: Vec<&str> =
                        properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                    let why = match nearest(name, known.iter().copied()) {
                        Some(near) => format!("there is no such field: `{near}` is meant?"),
                        None => format!("there is no such field; there are {}", known.join(", ")),
                    };
                    self.mistakes.add(Mistake { at: *at, field: below, why });
                }
                (None, Value::Object(_)) => self.node(node, &schema["additionalProperties"], &below),
                (None, _) => {}
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.iter().any(|member| member.name == name) {
                self.wrong(node, path, format!("`{name}` is missing"));
            }
        }
    }

    fn text(&mut self, node: &Node, schema: &'a Value, path: &str) {
        let Some(text) = node.text() else {
            return self.wrong(node, path, format!("is {}: write a text", node.kind_name()));
        };
        let Some(pattern) = schema["pattern"].as_str() else { return };
        if regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text)) {
            if pattern.ends_with("(s|m|h|d)$") && !may_be_secret(path) {
                let (what, form) = match pattern.contains('/') {
                    true => ("rate", "5/s, 60/m, 1000/d or 4/6h"),
                    false => ("length of time", "30s, 5m, 1h or 180d"),
                };
                let why = format!(
                    "`{text}` is no {what}: write {form}, in s, m, h or d (seconds, minutes, hours, days)"
                );
                return self.wrong(node, path, why);
            }
            let example = schema["examples"][0].as_str();
            let example = example.map(|text| format!(", such as {text}")).unwrap_or_default();
            self.wrong(node, path, format!("is not written as it has to be{example}"));
        }
    }

    fn integer(&mut self, node: &Node, schema: &'a Value, path: &str) {
        let number = match node.scalar() {
            Some(Scalar::Number(text)) => text.parse::<i64>().ok(),
            _ => None,
        };
        let Some(number) = number else { return self.wrong(node, path, "write a whole number".to_owned()) };
        let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let least = least.map(|least| format!("{least}")).unwrap_or_default();
            let most = most.map(|most| format!(" to {most}")).unwrap_or(" or more".to_owned());
            self.wrong(node, path, format!("write {least}{most}"));
        }
    }
}

/// Whether what stands in a field may be a secret, which no mistake repeats.
fn may_be_secret(path: &str) -> bool {
    let of = path.split(['.', '[']).next().unwrap_or_default();
    let field = path.rsplit('.').next().unwrap_or_default();
    ["auth", "tls", "headers", "keys"].contains(&of)
        || ["secret", "key", "value", "password"].iter().any(|secret| field.starts_with(secret))
}

/// Whether `node` is of this type of JSON.
fn is_kind(node: &Node, kind: &str) -> bool {
    match kind {
        "object" => matches!(node.kind, Kind::Map(_)),
        "array" => matches!(node.kind, Kind::List(_)),
        "string" => node.text().is_some(),
        "integer" | "number" => matches!(node.scalar(), Some(Scalar::Number(_))),
        "boolean" => matches!(node.scalar(), Some(Scalar::Bool(_))),
        "null" => matches!(node.scalar(), Some(Scalar::Null)),
        _ => true,
    }
}

/// The words that a schema takes, if it takes only words.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(word) = schema["const"].as_str() {
        return Some(vec![word]);
    }
    schema["enum"].as_array()?.iter().map(Value::as_str).collect()
}

/// What a schema wants, for people.
fn wanted(schema: &Value) -> Option<String> {
    if let Some(words) = words(schema) {
        return Some(words.join(", "));
    }
    let kind = match schema["type"].as_str()? {
        "object" => "a mapping",
        "array" => "a list",
        "integer" | "number" => "a number",
        "boolean" => "true or false",
        "null" => return None,
        _ => "a text",
    };
    Some(kind.to_owned())
}

/// The name that was likely meant by `written`.
pub fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let near = names.map(|name| (distance(written, name), written.len().abs_diff(name.len()), name)).min()?;
    let most = (written.len() / 3).max(2).min(written.len().saturating_sub(1));
    (near.0 <= most).then_some(near.2)
}

/// How many letters have to be changed to get from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            let same = before[j] + usize::from(letter != *other);
            row.push(same.min(before[j + 1] + 1).min(row[j] + 1));
        }
        before = row;
    }
    before[b.len()]
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Sample {
        name: String,
        #[serde(default)]
        size: Option<u8>,
        #[serde(default)]
        after: Option<crate::period::Period>,
        #[serde(default)]
        list: Vec<Sample>,
    }

    fn mistakes(text: &str) -> Vec<String> {
        let mut mistakes = Mistakes::default();
        Form::of::<Sample>().check(&Node::parse(text).unwrap(), "", &mut mistakes);
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_that_does_not_fit_is_told_at_once_with_what_was_meant() {
        assert_eq!(mistakes("name: a\nsize: 3\nafter: 5m\nlist: [{ name: 3 }]\n"), [""; 0]);
        assert_eq!(
            mistakes("nmae: a\nsize: 300\nafter: soon\nlist: [{ name: [] }]\n"),
            [
                "line 1, column 1: nmae: there is no such field: `name` is meant?",
                "line 2, column 7: size: write 0 to 255",
                "line 3, column 8: after: `soon` is no length of time: write 30s, 5m, 1h or 180d, in s, m, h or d (seconds, minutes, hours, days)",
                "line 4, column 16: list[0].name: is a list: write a text",
                "line 1, column 1: `name` is missing",
            ]
        );
    }
}
