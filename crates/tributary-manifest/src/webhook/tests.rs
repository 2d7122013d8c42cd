use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::*;
use crate::edited::edited;
use crate::language::{self, Node};

thread_local! {
    /// How many codes over a body were made by this thread.
    pub(super) static CODES_MADE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

const NOW: &str = "2026-03-01T12:00:00Z";

pub(super) fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(NOW).unwrap().to_utc()
}

/// A file whose webhook has these lines, and reads these streams.
pub(super) fn webhook(check: &str, reads: &str) -> Result<Webhook, String> {
    let text = format!(
        "api: http://bank\nauth: {{ bearer: token }}\nevery: 1m\nwebhook:\n  {check}\n  reads: {reads}\n\
         pull:\n  accounts: {{ get: /a, rows: ., id: .id, name: .id }}\n  \
         transactions:\n    feed: {{ each: accounts, partition: .id, get: /f, rows: ., map: . }}\n"
    );
    let file = Node::parse(&text).map_err(|mistake| mistake.to_string())?;
    let manifest = language::read(&file).map_err(|mistakes| mistakes.to_string())?;
    Webhook::new(&manifest).map(|webhook| webhook.unwrap()).map_err(|error| error.to_string())
}

/// Looks a header of `headers` up, whatever its case.
fn of(headers: &[(&str, &str)], name: &str) -> Option<String> {
    let found = headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, value)| (*value).to_owned())
}

pub(super) fn prove_at(
    check: &str,
    query: Option<&str>,
    headers: &[(&str, &str)],
    body: &str,
    at: DateTime<Utc>,
) -> Result<(), Unproven> {
    let header = |name: &str| of(headers, name);
    let call = Call { body: body.as_bytes(), header: &header, query, headers: vec![] };
    webhook(check, "feed").unwrap().prove(&call, at)
}

pub(super) fn prove(check: &str, headers: &[(&str, &str)], body: &str) -> Result<(), Unproven> {
    prove_at(check, None, headers, body, now())
}

pub(super) const PLAIN: &str = "hmac: { algorithm: sha256, secret: key, header: X-Signature }";
// of the text "The quick brown fox jumps over the lazy dog" with the key "key": known to the world
pub(super) const FOX: &str = "The quick brown fox jumps over the lazy dog";
pub(super) const FOX_SHA256: &str = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
const FOX_SHA1: &str = "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";

#[test]
fn a_code_over_the_body_proves_the_call() {
    assert_eq!(prove(PLAIN, &[("x-signature", FOX_SHA256)], FOX), Ok(()));
    assert_eq!(prove(PLAIN, &[("x-signature", &FOX_SHA256.to_uppercase())], FOX), Ok(()));
    let sha1 = edited(PLAIN, "sha256", "sha1");
    assert_eq!(prove(&sha1, &[("x-signature", FOX_SHA1)], FOX), Ok(()));
    let base64 = "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=";
    let check = edited(PLAIN, "header:", "encoding: base64, header:");
    assert_eq!(prove(&check, &[("x-signature", base64)], FOX), Ok(()));
    // percent-encoded, in the letters of URLs, and without its padding
    for written in
        ["97yD9DBThCSxMpjmqm%2BxQ%2B9NWaFJRhdZl0edvC0aPNg%3D", "97yD9DBThCSxMpjmqm-xQ-9NWaFJRhdZl0edvC0aPNg"]
    {
        assert_eq!(prove(&check, &[("x-signature", written)], FOX), Ok(()), "{written}");
    }
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
        let refused = prove(PLAIN, &[("x-signature", code)], body);
        assert!(matches!(refused, Err(Unproven::Code | Unproven::NoCode(_))), "{code}: {refused:?}");
    }
    assert!(matches!(prove(PLAIN, &[], FOX), Err(Unproven::Header(_))));
}

const FIELDS: &str = "hmac: { algorithm: sha256, secret: key, header: Sig, field: v1 }";

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
    assert_eq!(prove_counting(&junk), (Err(Unproven::NoCode("Sig".to_owned())), 0));
    assert_eq!(prove_counting(&format!("{junk}{right}")), (Ok(()), 1));
    assert_eq!(prove_counting(&(wrong.repeat(4) + &right)), (Ok(()), 1));
    assert_eq!(prove_counting(&wrong.repeat(5)), (Err(Unproven::Code), 1));
    assert_eq!(prove_counting(&(wrong.repeat(5) + &right)), (Err(Unproven::Codes), 0));
    assert_eq!(prove_counting(&wrong.repeat(20_000)), (Err(Unproven::Codes), 0));
}

#[test]
fn headers_that_prove_nothing_are_refused_before_there_is_a_body() {
    let may_be = |check: &str, headers: &[(&str, &str)]| {
        webhook(check, "feed").unwrap().may_be_proven(&|name| of(headers, name))
    };
    assert!(matches!(may_be(PLAIN, &[]), Err(Unproven::Header(_))));
    assert_eq!(may_be(PLAIN, &[("x-signature", "00")]), Err(Unproven::NoCode("X-Signature".to_owned())));
    assert_eq!(may_be(PLAIN, &[("x-signature", FOX_SHA256)]), Ok(()));
    let shared = "header: { name: X-Key, value: secret }";
    assert_eq!(may_be(shared, &[("x-key", "another")]), Err(Unproven::Secret));
    assert_eq!(may_be(shared, &[("x-key", "secret")]), Ok(()));
}

fn code(key: &str, text: &str) -> String {
    let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key.as_bytes()), text.as_bytes());
    code.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_call_that_is_sent_again_later_is_refused() {
    let check = "hmac: { algorithm: sha512, secret: key, header: Sig, field: v1, signed: '{timestamp}.{body}', \
                 timestamp: { header: Sig, field: t, tolerance: 5m } }";
    let sent = |at: &str| {
        let code = code("key", &format!("{at}.body"));
        prove(check, &[("sig", &format!("t={at},v1=00ff,v1={code}"))], "body")
    };
    let now = now().timestamp();
    assert_eq!(sent(&now.to_string()), Ok(()));
    assert_eq!(sent(&(now * 1000 - 299_000).to_string()), Ok(()), "milliseconds");
    assert_eq!(sent("2026-03-01T13:04:00+01:00"), Ok(()));
    assert_eq!(
        sent(&(now - 301).to_string()),
        Err(Unproven::Replayed(301, "2026-03-01T11:54:59Z".to_owned()))
    );
    assert_eq!(
        sent(&(now + 301).to_string()),
        Err(Unproven::Replayed(301, "2026-03-01T12:05:01Z".to_owned()))
    );
    assert!(matches!(sent("yesterday"), Err(Unproven::Header(_))));
    // another time than the one that was signed
    let code = code("key", &format!("{}.body", now - 9999));
    assert_eq!(prove(check, &[("sig", &format!("t={now},v1={code}"))], "body"), Err(Unproven::Code));
}

#[test]
fn a_shared_secret_proves_the_call_where_there_is_no_code() {
    let header = "header: { name: X-Token, value: s3cret }";
    assert_eq!(prove(header, &[("x-token", "s3cret")], ""), Ok(()));
    assert_eq!(prove(header, &[("x-token", "s3cre")], ""), Err(Unproven::Secret));
    let basic = "basic: { user: bank, password: s3cret }";
    let sent = |text: &str| format!("Basic {}", STANDARD.encode(text));
    assert_eq!(prove(basic, &[("authorization", &sent("bank:s3cret"))], ""), Ok(()));
    assert_eq!(prove(basic, &[("authorization", &sent("bank:other"))], ""), Err(Unproven::Secret));
    assert!(matches!(prove(basic, &[("authorization", "Bearer s3cret")], ""), Err(Unproven::Header(_))));
}

#[test]
fn what_cannot_prove_anything_is_refused_when_the_file_is_read() {
    let hmac = |more: &str| format!("hmac: {{ algorithm: sha256, secret: key, header: A, {more} }}");
    for (check, reads, about) in [
        ("header: { name: X-Token, value: '' }".to_owned(), "feed", "webhook.header.value: is empty"),
        (hmac("signed: '{header.x}'"), "feed", "webhook.hmac.signed: holds neither {body} nor {timestamp}"),
        (hmac("signed: '{timestamp}{body}'"), "feed", "webhook.hmac.timestamp: belongs to {timestamp}"),
        (hmac("timestamp: { header: T }"), "feed", "webhook.hmac.timestamp: belongs to {timestamp}"),
        (hmac("signed: '{url}{body}'"), "feed", "webhook.hmac.signed: holds {url}: give `webhook.url`"),
        (hmac("signed: '{id}.{body}'"), "feed", "name the header that holds it, as in {header.webhook-id}"),
        (hmac("signed: '{body}{nonce}'"), "feed", "webhook.hmac.signed: {nonce} is not known"),
        (
            hmac("signed: '{timestamp}{body}', timestamp: { header: T, tolerance: 2d }"),
            "feed",
            "webhook.hmac.timestamp.tolerance: take more than 0 and at most 1d",
        ),
        (
            hmac("secret_encoding: hex"),
            "feed",
            "webhook.hmac.secret: is not written as `secret_encoding` says",
        ),
        ("standard: { secret: whsec_%% }".to_owned(), "feed", "webhook.standard.secret: is not written as"),
        ("standard: { secret: [] }".to_owned(), "feed", "webhook.standard.secret: give one, or a list"),
        (format!("{PLAIN}\n  header: {{ name: A, value: b }}"), "feed", "give one of `standard`, `hmac`"),
        (format!("{PLAIN}\n  challenge: {{ }}"), "feed", "give one of `query` and `body`"),
        (format!("{PLAIN}\n  challenge: {{ body: '.body |' }}"), "feed", "webhook.challenge.body"),
        (format!("{PLAIN}\n  answer: 404"), "feed", "webhook.answer: write 200 to 299"),
        (PLAIN.to_owned(), "[]", "lists none"),
        (PLAIN.to_owned(), "nobody", "nobody"),
        (PLAIN.to_owned(), "[{ stream: accounts, partition: .id }]", "no partitions"),
        (PLAIN.to_owned(), "[{ stream: feed, where: '.body ==' }]", "webhook.reads[0].where"),
        (PLAIN.to_owned(), "[{ stream: feed, where: 'env' }]", "undefined"),
    ] {
        let error = webhook(&check, reads).unwrap_err();
        assert!(error.contains(about), "{about}: {error}");
        assert!(!error.contains("%%"), "no secret is repeated: {error}");
    }
}

async fn triggered(triggers: &str, content_type: &str, body: &str) -> Vec<(String, Option<String>)> {
    let header = |name: &str| (name == "content-type").then(|| content_type.to_owned());
    let headers = vec![("x-topic".to_owned(), "money".to_owned())];
    let call = Call { body: body.as_bytes(), header: &header, query: None, headers };
    let triggered = webhook(PLAIN, triggers).unwrap().triggered(&call).await;
    triggered.into_iter().map(|triggered| (triggered.stream, triggered.partition)).collect()
}

fn read(stream: &str, partition: Option<&str>) -> (String, Option<String>) {
    (stream.to_owned(), partition.map(str::to_owned))
}

const JSON: &str = "application/json";

#[tokio::test]
async fn filters_on_body_and_headers_say_what_is_read() {
    let triggers = "[{ stream: feed, where: '.body.kind == \"payment\"', partition: '.body.accounts[]' }, \
                     { stream: accounts, where: '.headers[\"x-topic\"] == \"people\"' }]";
    let body = r#"{"kind":"payment","accounts":["b","a","b"]}"#;
    assert_eq!(triggered(triggers, JSON, body).await, [read("feed", Some("a")), read("feed", Some("b"))]);
    assert_eq!(triggered(triggers, JSON, r#"{"kind":"ping"}"#).await, []);
    let number = "[{ stream: feed, partition: .body.account }]";
    assert_eq!(triggered(number, JSON, r#"{"account":7}"#).await, [read("feed", Some("7"))]);
    let form = "[{ stream: feed, where: '.body.id == \"tr_1\"' }]";
    assert_eq!(triggered(form, "application/x-www-form-urlencoded", "id=tr_1").await, [read("feed", None)]);
}

#[tokio::test]
async fn what_is_not_understood_has_everything_read() {
    let triggers = "[{ stream: feed, where: '.body.kind == \"payment\"' }]";
    assert_eq!(triggered(triggers, JSON, "not JSON").await, [read("feed", None)]);
    let triggers = "[{ stream: feed, partition: .body.account }]";
    assert_eq!(triggered(triggers, JSON, r#"{"account":[7]}"#).await, [read("feed", None)]);
    // the name of no account that there is: no index could hold it
    let long = format!(r#"{{"account":"{}"}}"#, "x".repeat(1_001));
    assert_eq!(triggered(triggers, JSON, &long).await, [read("feed", None)]);
}
