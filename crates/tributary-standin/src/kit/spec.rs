//! Holds answers against a provider's own OpenAPI file, where one is at hand.

use serde_json::Value;

/// The provider's OpenAPI file of this name; `None` where it is not at hand.
pub fn load(name: &str) -> Option<Value> {
    let path = tributary_reference::reference(&format!("specs/{name}"))?;
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
    Some(if is_yaml { serde_saphyr::from_str(&text).unwrap() } else { serde_json::from_str(&text).unwrap() })
}

/// What the answer breaks of the schema of `GET path` with this status, one line each.
pub fn broken(spec: &Value, path: &str, status: &str, answer: &Value) -> Vec<String> {
    broken_of(spec, "get", path, status, answer)
}

/// As [`broken`], of another method.
pub fn broken_of(spec: &Value, method: &str, path: &str, status: &str, answer: &Value) -> Vec<String> {
    let escaped = path.replace('~', "~0").replace('/', "~1");
    let response = spec.pointer(&format!("/paths/{escaped}/{method}/responses/{status}"));
    let response = resolve(spec, response.unwrap_or_else(|| panic!("the file knows no {status} of {path}")));
    let schema = response.pointer("/content/application~1json/schema").unwrap();
    let mut broken = Vec::new();
    check(spec, schema, answer, "$", &mut broken);
    broken
}

fn resolve<'a>(spec: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => resolve(spec, spec.pointer(reference.trim_start_matches('#')).unwrap()),
        None => schema,
    }
}

fn check(spec: &Value, schema: &Value, value: &Value, at: &str, broken: &mut Vec<String>) {
    let nullable = schema["nullable"] == true;
    let schema = resolve(spec, schema);
    if value.is_null() && (nullable || schema["nullable"] == true) {
        return;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(spec, part, value, at, broken);
    }
    for choices in ["oneOf", "anyOf"] {
        check_choices(spec, &schema[choices], value, at, broken);
    }
    let fits = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !fits {
        broken.push(format!("{at}: {value} is no {}", schema["type"]));
        return;
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        broken.push(format!("{at}: {value} is not in the list"));
    }
    check_length(schema, value, at, broken);
    for (place, row) in value.as_array().into_iter().flatten().enumerate() {
        check(spec, &schema["items"], row, &format!("{at}[{place}]"), broken);
    }
    check_members(spec, schema, value, at, broken);
}

fn check_choices(spec: &Value, choices: &Value, value: &Value, at: &str, broken: &mut Vec<String>) {
    let Some(choices) = choices.as_array() else {
        return;
    };
    let fits = choices.iter().any(|choice| {
        let mut broken = Vec::new();
        check(spec, choice, value, at, &mut broken);
        broken.is_empty()
    });
    if !fits {
        broken.push(format!("{at}: {value} is none of the choices"));
    }
}

fn check_length(schema: &Value, value: &Value, at: &str, broken: &mut Vec<String>) {
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let too_long = length.zip(schema["maxLength"].as_u64()).is_some_and(|(length, most)| length > most);
    let too_short = length.zip(schema["minLength"].as_u64()).is_some_and(|(length, least)| length < least);
    if too_long || too_short {
        broken.push(format!("{at}: {value} has the wrong length"));
    }
}

/// Members that the schema does not know are broken, too: the stand-in would have made them up.
fn check_members(spec: &Value, schema: &Value, value: &Value, at: &str, broken: &mut Vec<String>) {
    let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            broken.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in members {
        match known.get(name) {
            Some(schema) => check(spec, schema, member, &format!("{at}.{name}"), broken),
            None => broken.push(format!("{at}: {name} is not known")),
        }
    }
}
