//! Holds answers against a provider's own sample answers, where they are at hand: the same fields,
//! the same JSON types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

/// A sample answer out of this folder of them; `None` where they are not at hand.
pub fn load(folder: &str, name: &str) -> Option<Value> {
    let path: PathBuf = tributary_reference::reference(&format!("specs/{folder}"))?.join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_str(&text).unwrap())
}

/// What occurs at one place of one or more JSON documents.
#[derive(Default)]
pub struct Shape {
    types: BTreeSet<&'static str>,
    fields: BTreeMap<String, Shape>,
    elements: Option<Box<Shape>>,
    /// Objects found here, and in how many each field was: fields in all of them are required.
    objects: usize,
    times_seen: usize,
}

impl Shape {
    /// Of several documents that are to have one shape.
    pub fn of<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut shape = Self::default();
        documents.into_iter().for_each(|document| shape.add(document));
        shape
    }

    fn add(&mut self, value: &Value) {
        self.times_seen += 1;
        self.types.insert(type_name(value));
        match value {
            Value::Object(object) => {
                self.objects += 1;
                for (name, value) in object {
                    self.fields.entry(name.clone()).or_default().add(value);
                }
            }
            Value::Array(values) => {
                let elements = self.elements.get_or_insert_default();
                values.iter().for_each(|value| elements.add(value));
            }
            _ => {}
        }
    }

    /// Lists how `served` differs: a field that samples do not have, one that all samples have
    /// and a served object lacks, one that samples have and no served object ever shows, or a
    /// type that samples do not use there. A sample that only has `null` says nothing of the type.
    pub fn differences(&self, served: &Shape, place: &str, found: &mut Vec<String>) {
        if self.types.len() != usize::from(self.types.contains("null")) {
            let strange: Vec<_> = served.types.difference(&self.types).collect();
            if !strange.is_empty() {
                found.push(format!("{place}: {strange:?}, samples have {:?}", self.types));
            }
        }
        for name in served.fields.keys().filter(|name| !self.fields.contains_key(*name)) {
            found.push(format!("{place}.{name} is not in the samples"));
        }
        for (name, sample) in &self.fields {
            let place = format!("{place}.{name}");
            let Some(field) = served.fields.get(name) else {
                found.push(format!("{place} is never served"));
                continue;
            };
            if sample.times_seen == self.objects && field.times_seen < served.objects {
                found.push(format!("{place} is in all samples and not in all answers"));
            }
            sample.differences(field, &place, found);
        }
        if let (Some(sample), Some(served)) = (&self.elements, &served.elements) {
            sample.differences(served, &format!("{place}[]"), found);
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "other number",
        Value::String(text) if Uuid::try_parse(text).is_ok() => "uuid",
        Value::String(text) if is_milliseconds_utc(text) => "time in ms with Z",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_milliseconds_utc(text: &str) -> bool {
    text.len() == "2019-10-25T22:37:51.094Z".len()
        && text.ends_with('Z')
        && DateTime::parse_from_rfc3339(text).is_ok()
}

#[test]
fn the_comparison_of_shapes_sees_each_kind_of_difference() {
    let differences = |sample: Value, served: Value| {
        let mut found = Vec::new();
        Shape::of([&sample]).differences(&Shape::of([&served]), "", &mut found);
        found.len()
    };
    let sample = || serde_json::json!({ "list": [{ "a": 1, "b": "x" }, { "a": 2 }], "n": null });
    assert_eq!(
        differences(sample(), serde_json::json!({ "list": [{ "a": 5 }, { "a": 6, "b": "y" }], "n": 1 })),
        0
    );
    assert_eq!(
        differences(sample(), serde_json::json!({ "list": [{ "a": 5, "b": "y", "c": 1 }], "n": 1 })),
        1
    );
    assert_eq!(
        differences(sample(), serde_json::json!({ "list": [{ "a": 5 }], "n": 1 })),
        1,
        "b is never served"
    );
    assert_eq!(differences(sample(), serde_json::json!({ "list": [{ "b": "y" }, { "a": 1 }], "n": 1 })), 1);
    assert_eq!(differences(sample(), serde_json::json!({ "list": [{ "a": 1.5, "b": "y" }], "n": 1 })), 1);
    assert_eq!(differences(sample(), serde_json::json!({ "list": [{ "a": 1, "b": null }], "n": 1 })), 1);
}
