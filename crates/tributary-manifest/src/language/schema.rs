//! The JSON Schema of what a file says of its API, by which editors complete and check it.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::form::example::Example;
use super::form::file::Api;
use super::form::pay::Payment;
use super::form::stream::Stream;

/// The forms of which a field or a member can be `none`, which leaves a default out.
const WITH_DEFAULTS: [&str; 10] =
    ["Stream", "Payment", "Page", "Window", "NewestFirst", "Events", "Delta", "Refresh", "Detail", "Find"];

/// Has the forms among `definitions` take `none` in the place of what a default may give.
pub fn take_none(definitions: &mut Map<String, Value>) {
    for form in WITH_DEFAULTS {
        let Some(properties) = definitions.get_mut(form).and_then(|form| form["properties"].as_object_mut())
        else {
            continue;
        };
        properties.values_mut().for_each(or_none);
    }
}

fn or_none(property: &mut Value) {
    let Some(members) = property.as_object_mut() else { return };
    let description = members.remove("description");
    let form = std::mem::take(members);
    members.extend(description.map(|description| ("description".to_owned(), description)));
    members.insert("anyOf".to_owned(), json!([{ "const": "none" }, form]));
}

/// The properties of a file that are of its API, described; `generator` takes the forms that they name.
pub fn schema(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let api = Api::json_schema(generator).to_value();
    let mut properties = match api {
        Value::Object(mut api) => api.remove("properties"),
        _ => None,
    };
    let Some(Value::Object(properties)) = properties.as_mut() else { return Map::new() };
    let mut properties = std::mem::take(properties);
    let stream = generator.subschema_for::<Stream>().to_value();
    let payment = generator.subschema_for::<Payment>().to_value();
    let streams = |what: &str| {
        json!({
            "description": what,
            "anyOf": [stream.clone(), { "type": "object", "additionalProperties": stream.clone() }],
        })
    };
    properties.insert(
        "pull".to_owned(),
        json!({
            "description": "What is read of the API, under the names of resources: one stream, or several by name.",
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "accounts": streams("Where money is."),
                "balances": streams("How much there is of each currency."),
                "transactions": streams("What moved, or may move."),
                "beneficiaries": streams("Whom a payout can go to."),
                "lists": {
                    "description": "Streams that become no records, and only feed others, which are read for each of theirs.",
                    "type": "object",
                    "additionalProperties": stream.clone(),
                },
            },
        }),
    );
    let mut defaults = Stream::json_schema(generator).to_value();
    let others = [
        ("accounts", "Of accounts only.", stream.clone()),
        ("balances", "Of balances only.", stream.clone()),
        ("transactions", "Of transactions only.", stream.clone()),
        ("beneficiaries", "Of beneficiaries only.", stream.clone()),
        ("lists", "Of lists only.", stream),
        ("pay", "Of payouts and transfers.", payment),
    ];
    if let Some(members) = defaults["properties"].as_object_mut() {
        for (name, description, form) in others {
            members.insert(name.to_owned(), described(description, form));
        }
    }
    defaults["description"] = "Fields that streams and payments take which they do not say themselves; `none` in one leaves a default out.".into();
    properties.insert("defaults".to_owned(), defaults);
    properties.insert("examples".to_owned(), examples(generator));
    properties
}

fn examples(generator: &mut SchemaGenerator) -> Value {
    json!({
        "type": "array",
        "items": generator.subschema_for::<Example>().to_value(),
        "description": "What rows, answers and orders become: `tributary manifest validate` tries it, without a network.",
    })
}

/// The properties of `pay` that are of the API, described.
pub fn pay(generator: &mut SchemaGenerator) -> [(&'static str, Value); 2] {
    let payment = generator.subschema_for::<Payment>().to_value();
    [
        ("payouts", described("How beneficiaries are paid; not at all without it.", payment.clone())),
        (
            "transfers",
            described("How money is moved between accounts of one's own; not at all without it.", payment),
        ),
    ]
}

fn described(description: &str, form: Value) -> Value {
    json!({ "description": description, "allOf": [form] })
}
