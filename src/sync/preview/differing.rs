//! Two bodies of one record, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Field;

/// The fields in which `then` differs from `now`. When something was published is no news of it.
pub fn differing(now: &Value, then: &Value) -> Vec<Field> {
    let (now, then) = (flat(now), flat(then));
    let names: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let differ = names.into_iter().filter(|name| *name != "updatedAt" && now.get(*name) != then.get(*name));
    let field = |name: &String| Field {
        name: name.clone(),
        now: now.get(name).cloned(),
        then: then.get(name).cloned(),
    };
    differ.map(field).collect()
}

/// Fields by their names, those of metadata below it; texts without quotes.
fn flat(value: &Value) -> BTreeMap<String, String> {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut fields = BTreeMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Object(inner) => {
                fields.extend(inner.iter().map(|(key, value)| (format!("{name}.{key}"), shown(value))));
            }
            value => drop(fields.insert(name.clone(), shown(value))),
        }
    }
    fields
}
