//! The JSON Schema of provider files.

use schemars::{JsonSchema as _, SchemaGenerator};
use serde_json::{Map, Value};

use super::service::ServiceFile;
use crate::config::payments::PaymentsSection;
use crate::config::uses;
use tributary_manifest::language;

/// The JSON Schema of a provider file, by which editors complete and check it.
pub fn schema() -> Value {
    let mut generator = SchemaGenerator::default();
    let service = ServiceFile::json_schema(&mut generator).to_value();
    let mut properties = members(&service, "properties");
    properties.extend(language::schema(&mut generator));
    properties.extend(uses::schema());
    let mut pay = PaymentsSection::json_schema(&mut generator).to_value();
    if let Some(of_pay) = pay["properties"].as_object_mut() {
        of_pay.extend(language::pay_schema(&mut generator).map(|(name, form)| (name.to_owned(), form)));
    }
    pay["description"] =
        "What may be paid through this service, and how it is ordered at the provider.".into();
    properties.insert("pay".to_owned(), pay);
    let mut definitions: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    language::take_none(&mut definitions);
    let mut schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A provider of Tributary",
        "description": "A file that says how one provider is connected.",
        "type": "object",
        "additionalProperties": false,
        "required": ["provider"],
        "properties": properties,
        "$defs": definitions,
    });
    describe_variants(&mut schema);
    schema
}

fn members(schema: &Value, name: &str) -> Map<String, Value> {
    schema[name].as_object().cloned().unwrap_or_default()
}

/// Gives the property that says which of several forms is written (`kind: page`, or the only one
/// there is) the description of that form: editors show those of properties alone.
fn describe_variants(schema: &mut Value) {
    if let Some(variants) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        for variant in variants {
            let Some(description) = variant.get("description").cloned() else { continue };
            let Some(properties) = variant.get_mut("properties").and_then(Value::as_object_mut) else {
                continue;
            };
            let alone = properties.len() == 1;
            for property in properties.values_mut().filter_map(Value::as_object_mut) {
                if alone || property.contains_key("const") {
                    property.entry("description").or_insert_with(|| description.clone());
                }
            }
        }
    }
    match schema {
        Value::Object(members) => members.values_mut().for_each(describe_variants),
        Value::Array(items) => items.iter_mut().for_each(describe_variants),
        _ => {}
    }
}
