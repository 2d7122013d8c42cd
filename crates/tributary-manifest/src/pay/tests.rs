use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use jaq_json::Val;
use tributary_domain::PaymentKind;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::probe;
use super::*;
use crate::client::Client;
use crate::edited::edited;
use crate::jq::{Filter, Limits, Scope};
use crate::manifest::Manifest;
use crate::period::Period;
use crate::plan::ManifestError;
use crate::wire::{InMemory, Incoming};

const SECTION: &str = "
base_url: https://example.com
auth: { bearer: token }
rate_limit: { per_second: 1 }
every: 1h
streams: []
payouts:
  request: { method: POST, path: /pay, body: '{ key, amount }' }
  key: { format: uuid, lifetime: 24h }
  accepted: [409]
  answer: if .id then { id, status } else error(\"it names no payment\") end
  status_map: { done: SUCCEEDED }
  refused:
    - { status: [400, 404] }
    - { status: [422], body: .refused }
  unsent:
    - { status: [401, 429] }
  reason: .message
  lookup: { request: { path: /list }, payment: '.[]', settle: 1m }
";

fn plans(section: &str) -> Result<PaymentPlans, ManifestError> {
    PaymentPlans::new(&serde_saphyr::from_str::<Manifest>(section).unwrap())
}

#[test]
fn a_mistake_is_refused_with_its_field() {
    for (from, to, about) in [
        ("[400, 404]", "[500]", "payouts.refused[0].status: name statuses"),
        ("[400, 404]", "[408]", "payouts.refused[0].status: name statuses"),
        ("{ status: [401, 429] }", "{ body: .later }", "payouts.unsent[0].status: name statuses"),
        ("body: .refused", "body: '.refused =='", "payouts.refused[1].body: expected"),
        ("{ status: [401, 429] }", "{ status: [401], body: '.a ==' }", "payouts.unsent[0].body: expected"),
        ("accepted: [409]", "accepted: [200]", "payouts.accepted: 2xx"),
        ("accepted: [409]", "accepted: [408]", "payouts.accepted: 2xx"),
        ("lifetime: 24h }", "max_length: 5 }", "payouts.key.max_length: take 16 to 200"),
        ("accepted: [409]", "timeout: 61s", "payouts.timeout: take 1s to 60s"),
        ("payment: '.[]'", "payment: '.['", "pay.payouts.find.rows"),
    ] {
        let error = plans(&edited(SECTION, from, to)).unwrap_err().to_string();
        assert!(error.contains(about), "{to}: {error}");
    }
}

#[test]
fn an_amount_goes_out_in_the_providers_own_decimals_and_comes_back_the_same() {
    let way = |currencies: &str, code: &str, units: &str| {
        let section = edited(SECTION, "streams: []", &format!("streams: []\ncurrencies: {currencies}"));
        let manifest = serde_saphyr::from_str::<Manifest>(&section).unwrap();
        let there_and_back = format!(r#"major_units("{code}") | [., minor_units("{code}")]"#);
        let functions = manifest.definitions().unwrap();
        let filter = Filter::compile("payouts", "request.body", &functions, &there_and_back).unwrap();
        let scope = Scope::at(Utc::now(), Val::Null);
        let deadline = Instant::now() + Duration::from_secs(5);
        filter.run_one(Val::from(units.to_owned()), &scope, Limits::one(deadline)).unwrap().to_string()
    };
    for (currencies, code, units, there_and_back) in [
        ("{}", "XOF", "1050", r#"[1050,"1050"]"#),
        ("{ XOF: 2 }", "XOF", "1050", r#"[10.50,"1050"]"#),
        ("{ XOF: 2 }", "EUR", "5", r#"[0.05,"5"]"#),
        ("{ EUR: 0 }", "EUR", "900719925474099301", r#"[900719925474099301,"900719925474099301"]"#),
        ("{ BTC: 8 }", "BTC", "1", r#"[0.00000001,"1"]"#),
    ] {
        assert_eq!(way(currencies, code, units), there_and_back, "{currencies} {code}");
    }
}

#[test]
fn an_answer_proves_only_what_the_manifest_names() {
    let plans = plans(SECTION).unwrap();
    let plan = plans.payouts.as_ref().unwrap();
    let judged = |status: u16, body: &str| {
        let incoming = Incoming {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Some(body.as_bytes().to_vec()),
            sent_at: Utc::now(),
        };
        match plan.judge(incoming, Val::Null, Instant::now() + Duration::from_secs(5), body.to_owned()) {
            Sent::Accepted(state) => format!("accepted {} {}", state.id.unwrap(), state.status.as_str()),
            Sent::Refused(why) => format!("refused {why}"),
            Sent::Unsent(_) => "unsent".to_owned(),
            Sent::Unknown(_) => "unknown".to_owned(),
        }
    };
    for (status, body, proof) in [
        (200, r#"{"id": "p", "status": "done"}"#, "accepted p SUCCEEDED"),
        (201, r#"{"id": "p", "status": "on its way"}"#, "accepted p PENDING"),
        (409, r#"{"id": "p"}"#, "accepted p PENDING"),
        (409, r#"{"message": "busy"}"#, "unknown"),
        (200, "{}", "unknown"),
        (200, "<html>", "unknown"),
        (400, r#"{"message": "no money"}"#, "refused no money"),
        (404, "{}", "refused the provider refused it with 404 Not Found: {}"),
        (422, r#"{"refused": true, "message": "no"}"#, "refused no"),
        (422, "{}", "unknown"),
        (401, "{}", "unsent"),
        (429, "<html>", "unsent"),
        (403, "{}", "unknown"),
        (500, r#"{"id": "p"}"#, "unknown"),
    ] {
        assert_eq!(judged(status, body), proof, "{status} {body}");
    }
}

#[test]
fn a_request_without_the_key_is_refused_before_any_money_moves() {
    for (from, to, refused) in [
        ("'{ key, amount }'", "'{ amount }'", true),
        // Formance's key stays the same over attempts, the provider's does not
        ("'{ key, amount }'", "'{ key: .idempotencyKey, amount }'", true),
        ("'{ key, amount }'", "'{ amount }', headers: { Idempotency-Key: \"{key}\" }", false),
        ("path: /pay, body: '{ key, amount }'", "path: '/pay/{key}', body: '{ amount }'", false),
        ("path: /pay,", "path: /pay, query: { once: \"{key}\" },", false),
        // of which no sample can be made: the text has to name it
        ("'{ key, amount }'", "'if .metadata.is == \"7\" then { amount } else error(\"7\") end'", true),
        ("'{ key, amount }'", "'if .metadata.is == \"7\" then { key } else error(\"7\") end'", false),
    ] {
        let error = plans(&edited(SECTION, from, to)).err().map(|error| error.to_string());
        let about_key = error
            .as_ref()
            .is_some_and(|error| error.contains("payouts.request: its request does not carry the key"));
        assert_eq!((error.is_some(), about_key), (refused, refused), "{to}: {error:?}");
    }
}

#[tokio::test]
async fn an_order_whose_own_request_loses_the_key_is_not_sent() {
    let section =
        edited(SECTION, "'{ key, amount }'", "'if .amount == \"666\" then { amount } else { key } end'");
    let manifest = serde_saphyr::from_str::<Manifest>(&section).unwrap();
    let client = Client::new(&manifest, Arc::new(InMemory::default()), Arc::default()).unwrap();
    let apis = PaymentApis::new(&PaymentPlans::new(&manifest).unwrap(), &Arc::new(client));
    let api = apis.of(PaymentKind::Payout).unwrap();
    let order = |amount: &str| serde_json::json!({"key": "THE-KEY-OF-IT", "amount": amount});
    assert!(api.prepare(&order("1500")).await.is_ok());
    let error = api.prepare(&order("666")).await.unwrap_err();
    assert!(error.to_string().contains("does not carry the key"), "{error}");
}

fn api(section: &str) -> PaymentApi {
    let manifest = serde_saphyr::from_str::<Manifest>(section).unwrap();
    let client = Client::new(&manifest, Arc::new(InMemory::default()), Arc::default()).unwrap();
    let apis = PaymentApis::new(&PaymentPlans::new(&manifest).unwrap(), &Arc::new(client));
    apis.of(PaymentKind::Payout).unwrap().clone()
}

const ORDER: &str = r#"{"key": "THE-KEY-OF-IT", "amount": "1500"}"#;

#[tokio::test]
async fn what_is_kept_of_a_request_is_all_of_it_without_what_proves_who_sends_it() {
    let section = edited(
        SECTION,
        "'{ key, amount }'",
        "'{ key, exact: 1.50, amount }', query: { a: \"b c\" }, headers: { X-Once: \"{key}\" }",
    );
    let order: serde_json::Value = serde_json::from_str(ORDER).unwrap();
    let kept = api(&section).prepare(&order).await.unwrap();
    assert_eq!(
        kept,
        serde_json::json!({
            "order": order, "record": r#"{"amount":"1500","key":"THE-KEY-OF-IT"}"#,
            "method": "POST", "url": "https://example.com/pay?a=b+c",
            "headers": [["x-once", "THE-KEY-OF-IT"]],
            "body": r#"{"key":"THE-KEY-OF-IT","exact":1.50,"amount":"1500"}"#,
            "proven": true,
        })
    );
    assert!(!kept.to_string().contains("token"), "{kept}");
}

#[tokio::test]
async fn a_form_is_kept_with_what_says_that_it_is_one() {
    let section = edited(SECTION, "'{ key, amount }'", "'{ key, to: { amount } }', body_form: fields");
    let kept = api(&section).prepare(&serde_json::from_str(ORDER).unwrap()).await.unwrap();
    assert_eq!(kept["body"], "key=THE-KEY-OF-IT&to%5Bamount%5D=1500");
    let request = api(&section).thaw(&kept, "THE-KEY-OF-IT", &Given::new()).unwrap().request();
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.body.as_deref(), kept["body"].as_str().map(str::as_bytes));
}

#[tokio::test]
async fn a_request_that_holds_a_secret_is_not_kept() {
    let section = edited(SECTION, "bearer: token", "bearer: s3cr3t-token");
    let section = edited(&section, "'{ key, amount }'", "'{ key, amount, auth: \"s3cr3t-token\" }'");
    let error = api(&section).prepare(&serde_json::from_str(ORDER).unwrap()).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("holds a secret of the file") && !told.contains("s3cr3t"), "{told}");
}

#[tokio::test]
async fn what_was_kept_goes_out_as_long_as_the_file_lets_it() {
    let kept = api(SECTION).prepare(&serde_json::from_str(ORDER).unwrap()).await.unwrap();
    for (from, to, refused) in [
        // what the order was approved as stays what it is
        ("'{ key, amount }'", "'{ key, amount: \"9\" }'", None),
        ("path: /pay,", "path: /other,", None),
        ("base_url: https://example.com", "base_url: https://example.com/v2", None),
        ("base_url: https://example.com", "base_url: https://other.example", Some("leads to example.com")),
        (
            "base_url: https://example.com",
            "base_url: https://other.example\nallow_hosts: [example.com]",
            None,
        ),
        ("auth: { bearer: token }", "auth: none", Some("no longer says how to prove")),
    ] {
        let thawed = api(&edited(SECTION, from, to)).thaw(&kept, "THE-KEY-OF-IT", &Given::new());
        match refused {
            None => {
                let request = thawed.unwrap().request();
                assert_eq!(
                    request.body.as_deref(),
                    Some(r#"{"key":"THE-KEY-OF-IT","amount":"1500"}"#.as_bytes())
                );
            }
            Some(why) => assert!(thawed.as_ref().is_err_and(|error| error.contains(why)), "{to}: {thawed:?}"),
        }
    }
    let error = api(SECTION).thaw(&kept, "ANOTHER-KEY", &Given::new()).unwrap_err();
    assert!(error.contains("does not carry the key"), "{error}");
}

#[tokio::test]
async fn filters_that_do_not_get_to_say_refuse_no_order() {
    let order: serde_json::Value = serde_json::from_str(ORDER).unwrap();
    let made = async |then: &str| {
        let body = format!("'{{ key }} | if .key == \"THE-KEY-OF-IT\" then {then} else . end'");
        api(&edited(SECTION, "'{ key, amount }'", &body)).prepare(&order).await
    };
    let never = made("(def spin: spin; spin)").await;
    assert!(matches!(never, Err(NotPrepared::Busy(_))), "{never:?}");
    let said = made("error(\"no\")").await;
    assert!(matches!(said, Err(NotPrepared::Refused(_))), "{said:?}");
}

#[test]
fn a_file_that_ships_promises_for_how_long_a_key_is_known_only_where_its_fsp_does() {
    for (file, promised) in [
        (include_str!("../../../../providers/airwallex.yaml"), None),
        (include_str!("../../../../providers/mercury.yaml"), None),
        (include_str!("../../../../providers/paystack.yaml"), None),
        (include_str!("../../../../providers/revolut.yaml"), None),
        (include_str!("../../../../providers/starling.yaml"), None),
        // 24 hours at least, less one for clocks and a slow request
        (include_str!("../../../../providers/stripe.yaml"), Some(Period::from_seconds(23 * 3600))),
        (include_str!("../../../../providers/wise.yaml"), None),
        (include_str!("../../../../providers/xendit.yaml"), None),
    ] {
        let manifest = crate::language::tests::manifest_of(file);
        for pays in [&manifest.payouts, &manifest.transfers].into_iter().flatten() {
            assert_eq!(pays.key.lifetime, promised);
        }
    }
}

#[test]
fn a_sample_order_makes_a_request_of_every_section_that_ships() {
    let mut sections = 0;
    for file in [
        include_str!("../../../../providers/airwallex.yaml"),
        include_str!("../../../../providers/mercury.yaml"),
        include_str!("../../../../providers/paystack.yaml"),
        include_str!("../../../../providers/revolut.yaml"),
        include_str!("../../../../providers/starling.yaml"),
        include_str!("../../../../providers/stripe.yaml"),
        include_str!("../../../../providers/wise.yaml"),
        include_str!("../../../../providers/xendit.yaml"),
    ] {
        let manifest = crate::language::tests::manifest_of(file);
        let plans = PaymentPlans::new(&manifest).unwrap();
        let functions = manifest.definitions().unwrap();
        for (kind, plan, described) in [
            (PaymentKind::Payout, &plans.payouts, &manifest.payouts),
            (PaymentKind::Transfer, &plans.transfers, &manifest.transfers),
        ] {
            let (Some(plan), Some(described)) = (plan, described) else { continue };
            assert_eq!(probe::sampled(kind, plan, &functions, described), Some(true), "{file}");
            sections += 1;
        }
    }
    assert_eq!(sections, 10);
}
