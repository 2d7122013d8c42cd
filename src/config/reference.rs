//! The reference of provider files: every field with what the schema says of it.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write;

use serde_json::Value;

const HEAD: &str = "# The fields of a provider file

Each field of each form, as the schema describes it ([manifest.md](manifest.md) explains how they work together).
`tributary manifest schema --reference` writes this file.
";

/// The reference, as Markdown.
pub fn reference() -> String {
    let schema = super::schema();
    let mut text = HEAD.to_owned();
    table(&mut text, "The file", &schema["description"], &schema["properties"]);
    let mut waiting: VecDeque<String> = forms_in(&schema["properties"]).into();
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop_front() {
        let form = &schema["$defs"][&name];
        if !seen.insert(name.clone()) {
            continue;
        }
        waiting.extend(forms_in(form));
        if form["properties"].is_object() {
            table(&mut text, &name, &form["description"], &form["properties"]);
        } else if let Some(words) = words(form) {
            let _ = writeln!(text, "\n## {name}\n\n{}\n\n{words}", sentence(&form["description"]));
        } else if let Some(fields) = fields_of_variants(form) {
            table(&mut text, &name, &form["description"], &fields);
        } else if let links @ [_, ..] = links(form).as_slice() {
            let (description, links) = (sentence(&form["description"]), links.join(", "));
            let _ = writeln!(text, "\n## {name}\n\n{description} → {links}");
        }
    }
    text
}

fn table(text: &mut String, title: &str, description: &Value, properties: &Value) {
    let _ = writeln!(text, "\n## {title}\n\n{}\n\n| field | meaning |\n| --- | --- |", sentence(description));
    for (name, property) in properties.as_object().into_iter().flatten() {
        let forms = links(property);
        let forms = if forms.is_empty() { String::new() } else { format!(" → {}", forms.join(", ")) };
        let meaning = sentence(&property["description"]).replace('|', "\\|");
        let _ = writeln!(text, "| `{name}` | {meaning}{forms} |");
    }
}

/// Where the forms are that a property is of.
fn links(property: &Value) -> Vec<String> {
    own_forms(property).iter().map(|form| format!("[{form}](#{})", form.to_lowercase())).collect()
}

/// The fields of a form that has one of several.
fn fields_of_variants(form: &Value) -> Option<Value> {
    let variants = form["oneOf"].as_array()?.iter().filter_map(|variant| variant["properties"].as_object());
    let fields: serde_json::Map<String, Value> =
        variants.flatten().map(|(name, of)| (name.clone(), of.clone())).collect();
    (!fields.is_empty()).then_some(fields.into())
}

/// The words of a form that is one of them.
fn words(form: &Value) -> Option<String> {
    let words = form["enum"].as_array().cloned().unwrap_or_default();
    let variants = form["oneOf"].as_array().into_iter().flatten();
    let variants = variants.filter_map(|variant| Some((variant["const"].as_str()?, &variant["description"])));
    let mut listed: Vec<String> =
        words.iter().filter_map(Value::as_str).map(|word| format!("- `{word}`")).collect();
    listed.extend(variants.map(|(word, description)| match sentence(description).as_str() {
        "" => format!("- `{word}`"),
        meaning => format!("- `{word}`: {meaning}"),
    }));
    (!listed.is_empty()).then(|| listed.join("\n"))
}

fn sentence(description: &Value) -> String {
    description.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The forms that a property is of.
fn own_forms(property: &Value) -> Vec<String> {
    if !property.is_object() {
        return Vec::new();
    }
    let own = property["$ref"].as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned);
    let variants = ["anyOf", "oneOf", "allOf"].iter().filter_map(|name| property[*name].as_array()).flatten();
    let within = variants.chain(["items", "additionalProperties"].iter().map(|name| &property[*name]));
    let mut forms: Vec<String> = own.into_iter().chain(within.flat_map(own_forms)).collect();
    // lengths of time are told in manifest.md
    forms.retain(|form| form != "Period");
    forms.dedup();
    forms
}

/// The names of the forms in `schema`, in their order.
fn forms_in(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
            let below = members.values().flat_map(forms_in);
            own.map(str::to_owned).into_iter().chain(below).collect()
        }
        Value::Array(items) => items.iter().flat_map(forms_in).collect(),
        _ => Vec::new(),
    }
}
