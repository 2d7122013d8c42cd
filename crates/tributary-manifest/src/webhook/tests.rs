use super::*;
use crate::edited::edited;

thread_local! {
    /// How many codes over a body were made by this thread.
    pub(super) static CODES_MADE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

const NOW: &str = "2026-03-01T12:00:00Z";

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(NOW).unwrap().to_utc()
}

fn manifest(check: &str, triggers: &str) -> Manifest {
    let text = format!(
        "base_url: http://bank\nauth: {{ bearer: token }}\nevery: 1m\nwebhook:\n  check: {check}\n  triggers: {triggers}\n\
         streams:\n  - {{ name: accounts, request: {{ path: /a }}, records: '.[]' }}\n  \
         - {{ name: feed, resource: transactions, for_each: accounts, partition: .id, request: {{ path: /f }}, records: '.[]', map: . }}\n"
    );
    serde_saphyr::from_str(&text).unwrap()
}

fn webhook(check: &str, triggers: &str) -> Result<Webhook, String> {
    Webhook::new(&manifest(check, triggers))
        .map(|webhook| webhook.unwrap())
        .map_err(|error| error.to_string())
}

fn prove(check: &str, headers: &[(&str, &str)], body: &str) -> Result<(), Unproven> {
    let header = |name: &str| {
        let found = headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| (*value).to_owned())
    };
    let call = Call { body: body.as_bytes(), header: &header, headers: vec![] };
    webhook(check, "[{ stream: feed }]").unwrap().prove(&call, now())
}

const PLAIN: &str = "{ hmac: { algorithm: sha256, secret: key, header: X-Signature } }";
// of the text "The quick brown fox jumps over the lazy dog" with the key "key": known to the world
const FOX: &str = "The quick brown fox jumps over the lazy dog";
const FOX_SHA256: &str = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
const FOX_SHA1: &str = "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";

#[test]
fn a_code_over_the_body_proves_the_call() {
    assert_eq!(prove(PLAIN, &[("x-signature", FOX_SHA256)], FOX), Ok(()));
    assert_eq!(prove(PLAIN, &[("x-signature", &FOX_SHA256.to_uppercase())], FOX), Ok(()));
    let sha1 = edited(PLAIN, "sha256", "sha1");
    assert_eq!(prove(&sha1, &[("x-signature", FOX_SHA1)], FOX), Ok(()));
    let base64 = STANDARD.encode(decode(CodeEncoding::Hex, 32, FOX_SHA256).unwrap());
    let check = edited(PLAIN, "header:", "encoding: base64, header:");
    assert_eq!(prove(&check, &[("x-signature", &base64)], FOX), Ok(()));
}

#[test]
fn any_other_code_body_or_header_does_not() {
    let other = FOX_SHA256.replacen('f', "e", 1);
    for (code, body) in [
        (other.as_str(), FOX),
        (FOX_SHA256, "another body"),
        ("", FOX),
        ("not hex", FOX),
        (&FOX_SHA256[..32], FOX),
        ("00f", FOX),
    ] {
        assert_eq!(prove(PLAIN, &[("x-signature", code)], body), Err(Unproven::Code), "{code}");
    }
    assert!(matches!(prove(PLAIN, &[], FOX), Err(Unproven::Header(_))));
}

const FIELDS: &str = "{ hmac: { algorithm: sha256, secret: key, header: Sig, field: v1 } }";

/// Proves a call with this signature header; gives how many codes were made over its body, too.
fn prove_counting(signature: &str) -> (Result<(), Unproven>, usize) {
    CODES_MADE.set(0);
    let proven = prove(FIELDS, &[("sig", signature)], FOX);
    (proven, CODES_MADE.get())
}

#[test]
fn a_call_costs_one_code_at_most_however_many_it_brings() {
    let wrong = format!("v1={},", FOX_SHA256.replacen('f', "e", 1));
    let right = format!("v1={FOX_SHA256}");
    // what cannot be a code is passed over, and takes no place of one that can
    let junk = "v1=00,".repeat(20_000) + &format!("v1={},", "é".repeat(32));
    assert_eq!(prove_counting(&junk), (Err(Unproven::Code), 0));
    assert_eq!(prove_counting(&format!("{junk}{right}")), (Ok(()), 1));
    assert_eq!(prove_counting(&(wrong.repeat(4) + &right)), (Ok(()), 1));
    assert_eq!(prove_counting(&wrong.repeat(5)), (Err(Unproven::Code), 1));
    assert_eq!(prove_counting(&(wrong.repeat(5) + &right)), (Err(Unproven::Codes), 0));
    assert_eq!(prove_counting(&wrong.repeat(20_000)), (Err(Unproven::Codes), 0));
}

#[test]
fn headers_that_prove_nothing_are_refused_before_there_is_a_body() {
    let may_be = |check: &str, headers: &[(&str, &str)]| {
        let header = |name: &str| {
            let found = headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.map(|(_, value)| (*value).to_owned())
        };
        webhook(check, "[{ stream: feed }]").unwrap().may_be_proven(&header)
    };
    assert!(matches!(may_be(PLAIN, &[]), Err(Unproven::Header(_))));
    assert_eq!(may_be(PLAIN, &[("x-signature", "00")]), Err(Unproven::Code));
    assert_eq!(may_be(PLAIN, &[("x-signature", FOX_SHA256)]), Ok(()));
    let shared = "{ header: { name: X-Key, value: secret } }";
    assert_eq!(may_be(shared, &[("x-key", "another")]), Err(Unproven::Secret));
    assert_eq!(may_be(shared, &[("x-key", "secret")]), Ok(()));
}

fn code(key: &str, text: &str) -> String {
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key.as_bytes()), text.as_bytes());
    code.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_call_that_is_sent_again_later_is_refused() {
    let check = "{ hmac: { algorithm: sha512, secret: key, header: Sig, field: v1, signed: '{timestamp}.{body}', \
                 timestamp: { header: Sig, field: t, tolerance: 5m } } }";
    let sent = |at: &str| {
        let code = code("key", &format!("{at}.body"));
        prove(check, &[("sig", &format!("t={at},v1=00ff,v1={code}"))], "body")
    };
    let now = now().timestamp();
    assert_eq!(sent(&now.to_string()), Ok(()));
    assert_eq!(sent(&(now * 1000 - 299_000).to_string()), Ok(()), "milliseconds");
    assert_eq!(sent("2026-03-01T13:04:00+01:00"), Ok(()));
    assert_eq!(sent(&(now - 301).to_string()), Err(Unproven::Replayed(301)));
    assert_eq!(sent(&(now + 301).to_string()), Err(Unproven::Replayed(301)));
    assert!(matches!(sent("yesterday"), Err(Unproven::Header(_))));
    // another time than the one that was signed
    let code = code("key", &format!("{}.body", now - 9999));
    assert_eq!(prove(check, &[("sig", &format!("t={now},v1={code}"))], "body"), Err(Unproven::Code));
}

#[test]
fn a_shared_secret_proves_the_call_where_there_is_no_code() {
    let header = "{ header: { name: X-Token, value: s3cret } }";
    assert_eq!(prove(header, &[("x-token", "s3cret")], ""), Ok(()));
    assert_eq!(prove(header, &[("x-token", "s3cre")], ""), Err(Unproven::Secret));
    let basic = "{ basic: { username: bank, password: s3cret } }";
    let sent = |text: &str| format!("Basic {}", STANDARD.encode(text));
    assert_eq!(prove(basic, &[("authorization", &sent("bank:s3cret"))], ""), Ok(()));
    assert_eq!(prove(basic, &[("authorization", &sent("bank:other"))], ""), Err(Unproven::Secret));
    assert!(matches!(prove(basic, &[("authorization", "Bearer s3cret")], ""), Err(Unproven::Header(_))));
}

#[test]
fn what_cannot_prove_anything_is_refused_when_the_manifest_is_read() {
    let good = "[{ stream: feed }]";
    for (check, triggers, about) in [
        ("{ header: { name: X-Token, value: '' } }", good, "is empty"),
        ("{ hmac: { algorithm: sha256, secret: key, header: A, signed: '{timestamp}' } }", good, "{body}"),
        (
            "{ hmac: { algorithm: sha256, secret: key, header: A, signed: '{timestamp}{body}' } }",
            good,
            "timestamp",
        ),
        (PLAIN, "[]", "lists none"),
        (PLAIN, "[{ stream: nobody }]", "nobody"),
        (PLAIN, "[{ stream: accounts, partition: .id }]", "no partitions"),
        (PLAIN, "[{ stream: feed, when: '.body ==' }]", "webhook.triggers.when"),
        (PLAIN, "[{ stream: feed, when: 'env' }]", "undefined"),
    ] {
        let error = webhook(check, triggers).unwrap_err();
        assert!(error.contains(about), "{about}: {error}");
    }
}

async fn triggered(triggers: &str, content_type: &str, body: &str) -> Vec<(String, Option<String>)> {
    let header = |name: &str| (name == "content-type").then(|| content_type.to_owned());
    let headers = vec![("x-topic".to_owned(), "money".to_owned())];
    let call = Call { body: body.as_bytes(), header: &header, headers };
    let triggered = webhook(PLAIN, triggers).unwrap().triggered(&call).await;
    triggered.into_iter().map(|triggered| (triggered.stream, triggered.partition)).collect()
}

fn of(stream: &str, partition: Option<&str>) -> (String, Option<String>) {
    (stream.to_owned(), partition.map(str::to_owned))
}

const JSON: &str = "application/json";

#[tokio::test]
async fn filters_on_body_and_headers_say_what_is_read() {
    let triggers = "[{ stream: feed, when: '.body.kind == \"payment\"', partition: '.body.accounts[]' }, \
                     { stream: accounts, when: '.headers[\"x-topic\"] == \"people\"' }]";
    let body = r#"{"kind":"payment","accounts":["b","a","b"]}"#;
    assert_eq!(triggered(triggers, JSON, body).await, [of("feed", Some("a")), of("feed", Some("b"))]);
    assert_eq!(triggered(triggers, JSON, r#"{"kind":"ping"}"#).await, []);
    let number = "[{ stream: feed, partition: .body.account }]";
    assert_eq!(triggered(number, JSON, r#"{"account":7}"#).await, [of("feed", Some("7"))]);
    let form = "[{ stream: feed, when: '.body.id == \"tr_1\"' }]";
    assert_eq!(triggered(form, "application/x-www-form-urlencoded", "id=tr_1").await, [of("feed", None)]);
}

#[tokio::test]
async fn what_is_not_understood_has_everything_read() {
    let triggers = "[{ stream: feed, when: '.body.kind == \"payment\"' }]";
    assert_eq!(triggered(triggers, JSON, "not JSON").await, [of("feed", None)]);
    let triggers = "[{ stream: feed, partition: .body.account }]";
    assert_eq!(triggered(triggers, JSON, r#"{"account":[7]}"#).await, [of("feed", None)]);
    // the name of no account that there is: no index could hold it
    let long = format!(r#"{{"account":"{}"}}"#, "x".repeat(1_001));
    assert_eq!(triggered(triggers, JSON, &long).await, [of("feed", None)]);
}

#[test]
fn a_field_that_stands_for_nothing_is_not_signed_as_it_is_written() {
    for signed in ["{id}.{timestamp}.{body}", "{body}{nonce}"] {
        let check = edited(PLAIN, "header:", &format!("signed: \"{signed}\", header:"));
        let error = webhook(&check, "[{ stream: feed }]").unwrap_err();
        assert!(error.contains("webhook.check.hmac.signed") && error.contains("is not known"), "{error}");
    }
    let check = edited(PLAIN, "header:", "signed: \"https://acme.example/{body}\", header:");
    webhook(&check, "[{ stream: feed }]").unwrap();
}
