//! The description of the API agrees with the code, and with Formance's own.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use crate::support::TestApp;
use crate::support::app::read;

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
    let file = tributary_reference::reference("formance/generic-openapi.yaml")?;
    let text = std::fs::read_to_string(file).expect("Formance's file is read");
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

/// The schema of a body that is JSON.
fn body<'a>(document: &'a Value, of: &'a Value) -> &'a Value {
    resolve(document, &resolve(document, of)["content"]["application/json"]["schema"])
}

fn properties(document: &Value, schema: &Value) -> Vec<(String, Value)> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, property)| (name.clone(), resolve(document, property).clone())).collect()
}

/// Whoever asks may send what Formance describes, and gets at least what it needs.
fn assert_same_body(path: &str, (ours, mine): (&Value, &Value), (theirs, operation): (&Value, &Value)) {
    let (sent, expected) = (body(ours, &mine["requestBody"]), body(theirs, &operation["requestBody"]));
    assert_eq!(names(&sent["required"]), names(&expected["required"]), "required to {path}");
    let known = |schema: &Value, document: &Value| {
        properties(document, schema).into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>()
    };
    assert_eq!(known(sent, ours), known(expected, theirs), "sent to {path}");
    let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
    for status in statuses {
        let (answer, expected) =
            (body(ours, &mine["responses"][status]), body(theirs, &operation["responses"][status]));
        assert!(answer.is_object(), "{path} {status}");
        let required = names(&expected["required"]);
        assert!(
            required.iter().all(|name| names(&answer["required"]).contains(name)),
            "{path} {status}: {answer}"
        );
        for (name, property) in properties(theirs, expected) {
            let Some((_, own)) = properties(ours, answer).into_iter().find(|(own, _)| *own == name) else {
                assert!(!required.contains(&name), "{path} {status}: {name}");
                continue;
            };
            assert_eq!(names(&own["enum"]), names(&property["enum"]), "{path} {status}: {name}");
            if property["format"].is_string() {
                assert_eq!(own["format"], property["format"], "{path} {status}: {name}");
            }
        }
    }
}

/// Requests that go wrong in the framework, and not in a handler of ours.
#[tokio::test]
async fn every_error_has_the_body_that_the_description_gives() {
    let app = TestApp::new().await;
    let ingest = app.ingest_key.clone();
    let request = |method: &str, target: &str, key: &str, body: Body| {
        let request = Request::builder().method(method).uri(target);
        request.header("authorization", format!("Bearer {key}")).body(body).unwrap()
    };
    let key = app.connector_key.as_str();
    let schema = &ours()["components"]["schemas"]["Error"];
    for (request, status) in [
        (request("GET", "/nowhere", key, Body::empty()), 404),
        (request("GET", "/accounts/nobody/balances", key, Body::empty()), 503),
        (request("GET", "/accounts/~/balances", key, Body::empty()), 404),
        (request("GET", "/accounts/%FF/balances", key, Body::empty()), 400),
        (request("GET", "/accounts?page=0", key, Body::empty()), 400),
        (request("POST", "/webhooks/%FF", key, Body::empty()), 401),
        (request("PUT", "/accounts", key, Body::empty()), 405),
        (request("MADE-UP", "/accounts", key, Body::empty()), 405),
        (request("POST", "/payouts", key, Body::from(vec![b' '; 300_000])), 413),
        (request("POST", "/ingest/accounts", &ingest, Body::from("{")), 400),
        (request("GET", "/accounts", &ingest, Body::empty()), 403),
        (request("GET", "/accounts", "none", Body::empty()), 401),
        (request("GET", "/metrics", key, Body::empty()), 404),
        (request("POST", "/admin/v1/sync", key, Body::empty()), 404),
    ] {
        let asked = format!("{} {}", request.method(), request.uri());
        let (got, answer) = read(app.call(request).await).await;
        assert_eq!(got.as_u16(), status, "{asked}: {answer}");
        let validator = jsonschema::validator_for(schema).unwrap();
        assert!(validator.is_valid(&answer), "{asked}: {answer}");
        assert!(!answer["Title"].as_str().unwrap().is_empty(), "{asked}: {answer}");
        assert!(!answer["Detail"].as_str().unwrap().is_empty(), "{asked}: {answer}");
    }
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
            let mine = &ours["paths"][path][method];
            assert!(mine.is_object(), "{method} {path}");
            if method == "post" {
                assert_same_body(path, (&ours, mine), (&theirs, operation));
            }
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
