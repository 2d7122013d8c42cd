use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::*;

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

fn payments(section: &str) -> Result<Payments, ManifestError> {
    Payments::new(&serde_saphyr::from_str::<Manifest>(section).unwrap())
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
        ("payment: '.[]'", "payment: '.['", "lookup.payment"),
    ] {
        assert!(SECTION.contains(from), "{from}");
        let error = payments(&SECTION.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(about), "{to}: {error}");
    }
}

#[test]
fn an_amount_goes_out_in_the_providers_own_decimals_and_comes_back_the_same() {
    let way = |currencies: &str, code: &str, units: &str| {
        let section = SECTION.replace("streams: []", &format!("streams: []\ncurrencies: {currencies}"));
        let manifest = serde_saphyr::from_str::<Manifest>(&section).unwrap();
        let there_and_back = format!(r#"major_units("{code}") | [., minor_units("{code}")]"#);
        let functions = manifest.definitions().unwrap();
        let filter = Filter::compile("payouts", "request.body", &functions, &there_and_back).unwrap();
        let scope = scope(Utc::now(), Val::Null);
        let deadline = Instant::now() + Duration::from_secs(5);
        filter.run_one(Val::from(units.to_owned()), &scope, one(deadline)).unwrap().to_string()
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
    let payments = payments(SECTION).unwrap();
    let api = payments.of(PaymentKind::Payout).unwrap();
    let judged = |status: u16, body: &str| {
        let incoming = Incoming {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Some(body.as_bytes().to_vec()),
            sent_at: Utc::now(),
        };
        match api.judge(incoming, Val::Null, Instant::now() + Duration::from_secs(5), body.to_owned()) {
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
