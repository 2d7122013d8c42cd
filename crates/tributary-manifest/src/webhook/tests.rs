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

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(NOW).unwrap().to_utc()
}

/// A file whose webhook has these lines, and reads these streams.
fn webhook(check: &str, reads: &str) -> Result<Webhook, String> {
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

fn prove_at(
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

fn prove(check: &str, headers: &[(&str, &str)], body: &str) -> Result<(), Unproven> {
    prove_at(check, None, headers, body, now())
}

const PLAIN: &str = "hmac: { algorithm: sha256, secret: key, header: X-Signature }";
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

fn public(algorithm: &str, key: &str) -> String {
    format!(
        "signature: {{ algorithm: {algorithm}, key: \"{}\", header: Sig }}",
        key.trim().replace('\n', "\\n")
    )
}

const RSA: &str = include_str!("testdata/rsa.pem");
const P256: &str = include_str!("testdata/p256.pem");
const ED25519: &str = include_str!("testdata/ed25519.pem");
const ED25519_RAW: &str = "RkTndnBL3DhtStNO9mkwhCbMfKpQHw3n7BHLShj04r0=";
// `openssl dgst -sign` and `openssl pkeyutl -sign` over FOX, with the private keys of testdata/*.pem
const SIGNED: [(&str, &str, &str); 7] = [
    (
        "rsa_sha256",
        RSA,
        "zSTkg9cl9dte/O4s6hquvODmF84ynDPuY1vbS67EMaiNUUtWkTbFMcpZxocNX6ENC/cXGEsJgoVjrzZh1JjwIpbhFJQ1ppGbmvKSdZ4V1ZfKmIr9kwca4d8Fi42nh4IcveAqtZLBA8sR6NGc1ZoVvqTvW34D2koEyyF4O96v95+W8AJGFceueNq4S5XqMRAXWYP7ZsGqnEO3gBhuh5gPRMpEf05phlta4+VUps0htT+xxZLutbZf3Td4oCRL8e/DZ1Tu3tfPG6Ypt3F4gY9mAbkTxQm5J6iLnY3+27pFfaBY5+COuN8/fUP7nHNArIE8IBzHoYsBc1oGQYOjudbGdg==",
    ),
    (
        "rsa_sha512",
        RSA,
        "llHBooiJ1+H4jMWZstZotbvdJyDigObb/7xKoYVuyR8nLuhiJmbE5bDfK7o24Z3m18MrKKAge1HKmFTuXUAC6+WqT+Z03WfPxGGwVnNm0TMy3IorVs6SXOehXucC9fcKHzbOm6hU+b1kpXTD0WA1CKhVb/kiCb+5/TKyseFurZpD9jRsU09PtjgYvj8omum3tct/MK/IfW4g0V7f+iIE31sNERJ+Co1z2W57Ll00suNDlV4Lf92ecsZZ5xluF6bM2exTiETlJ7gHs40gZ8BBtqRon+iIXlAPfrC3gnM8O+LI3U+M4IvvBV8EHw4tWq1DCSqI1XoYD+8SfRb76jU01Q==",
    ),
    (
        "rsa_pss_sha256",
        RSA,
        "V+WgjRLr/d0HqRphqzGjH3Kd5T5yOswHH2W/44TmsxbS0k8CdYxV4wnBHSzn9ppakK2mbuQYU+Ae2wxU0qIDL5+pqG0vCainEmQK9cVZkL8QxxkbwZBQ70ggU8CwMFEZqJVdPmTEZLwotyPOLYueP5X6yyExT8T6gGz9QehMmftmT00j9zPiPaNuOubgU2IX5lfYNY3luzNXM6MKZs8RGBig98JZB6S/8474OuBbSj1fYG5v4+FopsKA8zFQs6uZewjvEFxHn/MhGm6Ud8jzvDYAbdqkahBoy/srcMFsDs9Kf8YJvjgStx2MXbuRVEb5RRPbt9+Kds6HUMqmO4qCzA==",
    ),
    (
        "rsa_pss_sha512",
        RSA,
        "E4mM5RWpVjz+F0WEGDa9p4CgjP/7j4Kl5km2+LSAaWQRYROjn8G2mxT29njx6wpzsyvOmd25zNk/HlyY/7SlY0Wmd5/MLs9qMmQ/BLgH2eAlvwt/RCIDyOxNTcyI4Vt9cp951W3VNlFH2ZXJx7gdh06t9JcR9M7q3b3QNvGq86i7LCHXKIxfYcms4equ9kj8bOk4zLMzkzrF4rQgMpdsmY6dnH1PqViD4qcX2imDFhAJTKdDU7GQU0Q+d9wMh1nJT4dwYa/bDKsFFfYqZHsXVcCIREbBr95qOUQpp2C0gCs1+gEAr8lKAWPk9CAB7U+iGlQuddGQ2F/XHEIn/iF5/A==",
    ),
    (
        "ecdsa_p256_sha256",
        P256,
        "MEQCIAY10uA84CGnDTgEHdH8snNrGzOx1dkJskS5GOM68e8yAiBKHKgbieOrAvbR0WXztIfWtdGjECC+8nQg5ANc1Wnjjg==",
    ),
    // the same as two numbers
    (
        "ecdsa_p256_sha256",
        P256,
        "BjXS4DzgIacNOAQd0fyyc2sbM7HV2QmyRLkY4zrx7zJKHKgbieOrAvbR0WXztIfWtdGjECC+8nQg5ANc1Wnjjg==",
    ),
    (
        "ed25519",
        ED25519,
        "QFogMS+9Oj64nLV/CbPGCqhtYPRq7gii66MxunngZ2FbRwug8dLUQ5FpVYSP7k5axn7KwwDnl5/C1mUn7ZpGBQ==",
    ),
];

#[test]
fn a_signature_of_the_providers_private_key_proves_the_call() {
    for (algorithm, key, signature) in SIGNED {
        let check = public(algorithm, key);
        assert_eq!(prove(&check, &[("sig", signature)], FOX), Ok(()), "{algorithm}");
        let forged = prove(&check, &[("sig", signature)], "The quick brown fox");
        assert_eq!(forged, Err(Unproven::Code), "{algorithm}");
        // beside one of another key, and of another length
        let several = format!("{}, {signature}", STANDARD.encode([7; 64]));
        assert_eq!(prove(&check, &[("sig", &several)], FOX), Ok(()), "{algorithm}");
        assert!(matches!(prove(&check, &[("sig", "AAAA")], FOX), Err(Unproven::NoCode(_))), "{algorithm}");
    }
    let hex: String =
        STANDARD.decode(SIGNED[6].2).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let check = edited(&public("ed25519", ED25519), "header:", "encoding: hex, header:");
    assert_eq!(prove(&check, &[("sig", &hex)], FOX), Ok(()));
}

#[test]
fn a_public_key_may_be_pem_base64_the_key_alone_or_a_file() {
    let body = |pem: &str| pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/webhook/testdata/rsa.pem");
    let pkcs1 = include_str!("testdata/rsa-pkcs1.pem");
    for (algorithm, key, signature) in [
        ("rsa_sha256", body(RSA), SIGNED[0].2),
        ("rsa_sha256", pkcs1.to_owned(), SIGNED[0].2),
        ("rsa_sha256", file.to_owned(), SIGNED[0].2),
        ("ecdsa_p256_sha256", body(P256), SIGNED[4].2),
        ("ed25519", ED25519_RAW.to_owned(), SIGNED[6].2),
    ] {
        assert_eq!(prove(&public(algorithm, &key), &[("sig", signature)], FOX), Ok(()), "{algorithm}");
    }
    // the old one and the new one, while the provider changes it
    let check = edited(
        &public("ed25519", ED25519_RAW),
        &format!("\"{ED25519_RAW}\""),
        &format!("[\"{}\", \"{ED25519_RAW}\"]", STANDARD.encode([9; 32])),
    );
    assert_eq!(prove(&check, &[("sig", SIGNED[6].2)], FOX), Ok(()));
}

#[test]
fn a_key_of_another_kind_is_refused_with_what_is_meant() {
    for (algorithm, key, about) in [
        ("rsa_sha256", P256, "is no public key of RSA"),
        (
            "rsa_sha256",
            include_str!("testdata/rsa-1024.pem"),
            "is an RSA key of 1024 bits; 2048 are the least",
        ),
        (
            "ecdsa_p256_sha256",
            include_str!("testdata/p384.pem"),
            "is no public key of ECDSA on the curve P-256",
        ),
        ("ed25519", RSA, "is no public key of Ed25519"),
        (
            "rsa_sha256",
            include_str!("../auth/testdata/assertion-rsa.pem"),
            "the provider's public key is meant",
        ),
        (
            "rsa_sha256",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "openssl x509 -pubkey",
        ),
        ("rsa_sha256", "no key of anybody", "is no public key as PEM or base64"),
    ] {
        let error = webhook(&public(algorithm, key), "feed").unwrap_err();
        assert!(error.contains("webhook.signature.key") && error.contains(about), "{about}: {error}");
        assert!(!error.contains("no key of anybody"), "nothing given is repeated: {error}");
    }
}

// the example of the specification of Standard Webhooks
const STANDARD_BODY: &str = r#"{"test": 2432232314}"#;
const STANDARD_CODE: &str = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_SENT: i64 = 1_614_265_330;

fn standard(secret: &str, signature: &str, seconds_later: i64) -> Result<(), Unproven> {
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", signature),
    ];
    let at = DateTime::from_timestamp(STANDARD_SENT + seconds_later, 0).unwrap();
    prove_at(&format!("standard: {{ secret: {secret} }}"), None, &headers, STANDARD_BODY, at)
}

#[test]
fn standard_webhooks_prove_themselves_by_any_secret_and_any_code() {
    let right = format!("v1,{STANDARD_CODE}");
    let other = format!("v1,{}", STANDARD.encode([7; 32]));
    assert_eq!(standard(STANDARD_SECRET, &right, 0), Ok(()));
    assert_eq!(standard(&STANDARD_SECRET["whsec_".len()..], &right, 0), Ok(()), "as some write it");
    assert_eq!(standard(STANDARD_SECRET, &format!("{other} v2,abc {right}"), 0), Ok(()));
    let rotated = format!("[whsec_{}, {STANDARD_SECRET}]", STANDARD.encode("another secret"));
    assert_eq!(standard(&rotated, &right, 0), Ok(()));
    assert_eq!(standard(STANDARD_SECRET, &other, 0), Err(Unproven::Code));
    assert!(
        matches!(standard(STANDARD_SECRET, STANDARD_CODE, 0), Err(Unproven::NoCode(_))),
        "without version"
    );
    assert_eq!(standard(STANDARD_SECRET, &right, 300), Ok(()));
    assert!(matches!(standard(STANDARD_SECRET, &right, 301), Err(Unproven::Replayed(301, _))));
    assert!(matches!(standard(STANDARD_SECRET, &right, -301), Err(Unproven::Replayed(301, _))));
    // by its public key, as `openssl pkeyutl -sign` makes it
    let signed =
        "v1a,bnK0LsL2TRNcUKEWXCoYM/uZDB7r/qJaWNT9moGloY+MQLP2hqBCftfoOK/u3OLoftlnbH8dF6iHFoWYalUoAw==";
    let key = format!("whpk_{ED25519_RAW}");
    assert_eq!(standard(&key, signed, 0), Ok(()));
    assert_eq!(standard(&format!("[{STANDARD_SECRET}, {key}]"), signed, 0), Ok(()));
    assert!(matches!(standard(STANDARD_SECRET, signed, 0), Err(Unproven::NoCode(_))));
}

#[test]
fn dates_nonces_and_percent_encoded_codes_of_an_authorization_header_prove_the_call() {
    let check = r#"hmac: { algorithm: sha1, secret: key, header: Authorization, field: signature, encoding: base64,
    signed: "date: {timestamp}\nx-mod-nonce: {header.x-mod-nonce}", timestamp: { header: Date } }"#;
    // `openssl dgst -sha1 -hmac key`
    let authorization = r#"Signature keyId="id",algorithm="hmac-sha1",headers="date x-mod-nonce",signature="Ol3vrgdYas98YKgB87r%2BwKvRP48%3D""#;
    let nonce = ("x-mod-nonce", "28154b24-ed34-46ab-9f02-5c1b5b9a7d6e");
    let sent = ("date", "Sun, 01 Mar 2026 12:00:00 GMT");
    assert_eq!(prove(check, &[("authorization", authorization), nonce, sent], ""), Ok(()));
    let other = ("x-mod-nonce", "another");
    assert_eq!(prove(check, &[("authorization", authorization), other, sent], ""), Err(Unproven::Code));
    assert_eq!(
        prove(check, &[("authorization", authorization), sent], ""),
        Err(Unproven::Header("x-mod-nonce".to_owned()))
    );
}

#[test]
fn a_code_over_the_address_and_the_body_is_of_the_address_as_the_provider_has_it() {
    let check =
        "hmac: { algorithm: sha256, secret: key, header: Sig, encoding: base64, signed: '{url}{body}' }
  url: https://tributary.acme.example/webhooks/acme";
    // `openssl dgst -sha256 -hmac key` over the address with ?a=1, and FOX
    let headers = [("sig", "2AInoyZjd0epyojGJzPEDTaAz6omsXnnVNj9ggUF37c=")];
    assert_eq!(prove_at(check, Some("a=1"), &headers, FOX, now()), Ok(()));
    assert_eq!(prove_at(check, Some("a=2"), &headers, FOX, now()), Err(Unproven::Code));
    assert_eq!(prove_at(check, None, &headers, FOX, now()), Err(Unproven::Code));
}

#[test]
fn secrets_may_be_written_as_bytes() {
    // the three letters of "key"
    for (encoding, secret) in [("hex", "'6b6579'"), ("base64", "a2V5")] {
        let check = edited(PLAIN, "secret: key", &format!("secret: {secret}, secret_encoding: {encoding}"));
        assert_eq!(prove(&check, &[("x-signature", FOX_SHA256)], FOX), Ok(()), "{encoding}");
    }
}

#[test]
fn what_is_signed_here_proves_itself() {
    let stripe = "hmac: { algorithm: sha512, secret: key, header: Sig, field: v1, signed: '{timestamp}.{body}', \
                  timestamp: { header: Sig, field: t } }";
    let standard = format!("standard: {{ secret: {STANDARD_SECRET} }}");
    for check in
        [PLAIN, stripe, &standard, "header: { name: A, value: b }", "basic: { user: a, password: b }"]
    {
        let webhook = webhook(check, "feed").unwrap();
        let id = |name: &str| (name == "webhook-id").then(|| "msg_1".to_owned());
        let call = Call { body: FOX.as_bytes(), header: &id, query: None, headers: vec![] };
        let made = webhook.sign(&call, now()).unwrap();
        let header = |name: &str| {
            let found = made.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone()).or_else(|| id(name))
        };
        let call = Call { body: FOX.as_bytes(), header: &header, query: None, headers: vec![] };
        assert_eq!(webhook.prove(&call, now()), Ok(()), "{check}");
    }
    let only = webhook(&public("ed25519", ED25519_RAW), "feed").unwrap();
    let call = Call { body: b"", header: &|_| None, query: None, headers: vec![] };
    assert!(only.sign(&call, now()).unwrap_err().contains("only the provider can sign it"));
}

#[tokio::test]
async fn a_challenge_is_echoed_where_the_file_says_so_and_nothing_else_is() {
    let by_query = webhook(&format!("{PLAIN}\n  challenge: {{ query: hub.challenge }}"), "feed").unwrap();
    assert_eq!(
        by_query.echo_of_query(Some("hub.mode=subscribe&hub.challenge=a%2Bb-7")),
        Ok("a+b-7".to_owned())
    );
    let long = format!("hub.challenge={}", "x".repeat(1_025));
    for query in
        [None, Some("challenge=a"), Some("hub.challenge="), Some("hub.challenge=%3Cscript%3E"), Some(&long)]
    {
        assert_eq!(by_query.echo_of_query(query), Err(Unproven::Challenge), "{query:?}");
    }
    let by_body = webhook(&format!("{PLAIN}\n  challenge: {{ body: .body.challenge }}"), "feed").unwrap();
    assert_eq!(by_body.echo_of_query(Some("challenge=a")), Err(Unproven::Challenge));
    for (body, echo) in [
        (r#"{"challenge":"3eZbrw1a"}"#, Some("3eZbrw1a")),
        (r#"{"type":"payment"}"#, None),
        (r#"{"challenge":["a"]}"#, None),
        (r#"{"challenge":"<script>"}"#, None),
        ("[]", None),
    ] {
        let call = Call { body: body.as_bytes(), header: &|_| None, query: None, headers: vec![] };
        assert_eq!(by_body.echo_of(&call).await.as_deref(), echo, "{body}");
    }
}
