//! The description of the API agrees with the code, and with Formance's own.

use serde_json::Value;

use crate::support::TestApp;

fn ours() -> Value {
    serde_json::to_value(tributary::http::openapi()).unwrap()
}

#[tokio::test]
async fn the_served_description_is_the_one_of_the_code() {
    let app = TestApp::new().await;
    assert_eq!(app.get_ok("/openapi.json").await, ours());
}

/// Formance's file, where it is at hand.
fn theirs() -> Option<Value> {
    let shared = std::env::var("TRIBUTARY_SHARED")
        .unwrap_or_else(|_| format!("{}/../shared", env!("CARGO_MANIFEST_DIR")));
    let text = std::fs::read_to_string(format!("{shared}/formance/generic-openapi.yaml")).ok()?;
    Some(serde_saphyr::from_str(&text).expect("Formance's file is YAML"))
}

fn resolve<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect(reference),
        None => node,
    }
}

fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn parameters(document: &Value, operation: &Value) -> Vec<(String, String, bool)> {
    let mut parameters: Vec<_> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| {
            let parameter = resolve(document, parameter);
            (
                parameter["name"].as_str().unwrap().to_owned(),
                parameter["in"].as_str().unwrap().to_owned(),
                parameter["required"].as_bool().unwrap_or(false),
            )
        })
        .collect();
    parameters.sort();
    parameters
}

#[test]
fn our_description_agrees_with_formances() {
    let Some(theirs) = theirs() else {
        eprintln!("skipped: Formance's OpenAPI file is not at hand");
        return;
    };
    let ours = ours();
    for (path, item) in theirs["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method == "post" {
                // payouts and transfers are described once they are carried
                continue;
            }
            let mine = &ours["paths"][path][method];
            assert!(mine.is_object(), "{method} {path}");
            let mut known = parameters(&ours, mine);
            known.retain(|(name, _, _)| name != "cursor");
            assert_eq!(known, parameters(&theirs, operation), "{method} {path}");
        }
    }
    for (name, schema) in theirs["components"]["schemas"].as_object().unwrap() {
        let mine = &ours["components"]["schemas"][name];
        if mine.is_null() {
            let inlined = ["Metadata", "PayoutRequest", "Payout", "TransferRequest", "Transfer"];
            let renamed = [("TransactionStatus", "Status")];
            match renamed.iter().find(|(their, _)| their == name) {
                Some((_, own)) => {
                    assert_eq!(names(&ours["components"]["schemas"][own]["enum"]), names(&schema["enum"]))
                }
                None => assert!(inlined.contains(&name.as_str()), "{name} is missing"),
            }
            continue;
        }
        assert_eq!(names(&mine["required"]), names(&schema["required"]), "required of {name}");
        assert_eq!(names(&mine["enum"]), names(&schema["enum"]), "enum of {name}");
        for property in schema["properties"].as_object().into_iter().flatten().map(|(property, _)| property) {
            if property != "scheme" {
                assert!(mine["properties"][property].is_object(), "{name}.{property}");
            }
        }
    }
}
