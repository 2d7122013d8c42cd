//! Answers look like the bank's own sample answers: same fields, same JSON types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::*;

/// The bank's sample answers, if they are at hand; they are no part of this repository.
fn samples() -> Option<PathBuf> {
    tributary_reference::reference("specs/starling-fixtures")
}

/// What occurs at one place of one or more JSON documents.
#[derive(Default)]
struct Shape {
    types: BTreeSet<&'static str>,
    fields: BTreeMap<String, Shape>,
    elements: Option<Box<Shape>>,
    /// Objects seen here, and in how many each field was: fields in all of them are required.
    objects: usize,
    times_seen: usize,
}

impl Shape {
    fn of<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Self {
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
    fn differences(&self, served: &Shape, place: &str, found: &mut Vec<String>) {
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

/// The answers of the bank, by the file names of the samples that they have to look like.
async fn served(bank: &Arc<Starling>) -> BTreeMap<&'static str, Vec<Value>> {
    let mut served: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    let mut add = |sample, answer: Answer| {
        assert_eq!(answer.status, StatusCode::OK);
        served.entry(sample).or_default().push(answer.json());
    };
    add("v2-get-accounts.json", get(bank, "/api/v2/accounts").await);
    add("v2-get-payees.json", get(bank, "/api/v2/payees").await);
    let ledger = bank.ledger();
    for account in &ledger.accounts {
        add(
            "v2-get-account-balance.json",
            get(bank, &format!("/api/v2/accounts/{}/balance", account.uid)).await,
        );
        let goals = format!("/api/v2/account/{}/savings-goals", account.uid);
        add("v2-get-savings-goals.json", get(bank, &goals).await);
        for goal in &account.goals {
            add("v2-get-savings-goal.json", get(bank, &format!("{goals}/{}", goal.uid)).await);
        }
    }
    for (account, category) in categories(&ledger) {
        let path = format!("{}?changesSince=2025-04-01T00:00:00Z", feed(account, category));
        add("v2-get-feed-items.json", get(bank, &path).await);
    }
    for item in &ledger.items {
        let path = format!("{}/{}", feed(item.account, item.category), item.uid);
        add("v2-get-feed-item.json", get(bank, &path).await);
    }
    served
}

#[tokio::test]
async fn answers_have_the_fields_and_types_of_the_banks_samples() {
    let Some(samples) = samples() else { return };
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(samples.join(name)).unwrap()).unwrap()
    };
    let mut found = Vec::new();
    for (name, answers) in served(&bank()).await {
        let sample = match name {
            // One item alone cannot show which of its fields every item has: the list can.
            "v2-get-feed-item.json" => {
                let list = read("v2-get-feed-items.json");
                let items = list["feedItems"].as_array().unwrap();
                Shape::of(items.iter().chain([&read(name)]))
            }
            "v2-get-savings-goal.json" => {
                let list = read("v2-get-savings-goals.json");
                Shape::of(list["savingsGoalList"].as_array().unwrap())
            }
            _ => Shape::of([&read(name)]),
        };
        sample.differences(&Shape::of(&answers), name, &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
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
