//! By which signatures a call proves itself, and what else a file can say of calls.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use ring::hmac;

use super::tests::{FOX, FOX_SHA256, PLAIN, now, prove, prove_at, webhook};
use super::{Call, Triggered, Unproven, Webhook};
use crate::edited::edited;
use crate::language::tests::manifest_of;

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
fn a_standard_secret_is_taken_as_a_text_only_where_the_file_says_so() {
    // base64 by accident: by its bytes and by its text codes differ
    let secret = &STANDARD_SECRET["whsec_".len()..];
    let error = webhook(&format!("standard: {{ secret: {secret} }}"), "feed").unwrap_err();
    assert!(error.contains("write `secret_encoding: text`") && !error.contains(secret), "{error}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = format!("msg_p5jXN8AQM9LWM0D4loKWxJek.{STANDARD_SENT}.{STANDARD_BODY}");
    let code = format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())));
    assert_eq!(standard(&format!("{secret}, secret_encoding: text"), &code, 0), Ok(()));
    let by_bytes = format!("v1,{STANDARD_CODE}");
    let text = format!("{secret}, secret_encoding: text");
    assert_eq!(standard(&text, &by_bytes, 0), Err(Unproven::Code));
    let public = format!("standard: {{ secret: whpk_{ED25519_RAW}, secret_encoding: text }}");
    assert!(webhook(&public, "feed").unwrap_err().contains("is a public key"));
    let other = webhook("standard: { secret: a, secret_encoding: base64 }", "feed").unwrap_err();
    assert!(other.contains("webhook.standard.secret_encoding: is a text: write text"), "{other}");
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

/// The webhook of a file that ships, with `secret` for what it has from the environment.
fn shipped(file: &str) -> Webhook {
    manifest_of(file).webhook_alone(|_| Some("secret".to_owned())).unwrap().unwrap()
}

#[tokio::test]
async fn a_call_of_airwallex_and_of_stripe_proves_itself_and_has_read_what_it_tells_of() {
    let old = "0".repeat(64);
    let signature = format!(
        "t=1772366400,v1={old},v1=e99ba3edd8acee65453ef29bdf396e37d3e5739cbee3eb1d2c0d725e61a56323,v0={old}"
    );
    // `openssl dgst -sha256 -hmac secret` over the time in milliseconds and the body, and over the time, a
    // point and the body
    for (file, headers, body, stream) in [
        (
            include_str!("../../../../providers/airwallex.yaml"),
            vec![
                ("x-timestamp", "1772366400000"),
                ("x-signature", "4e7c30c887b8bf148ac99c64cfb4724bb9327395b9e111bb7bf1f8357932e09c"),
            ],
            r#"{"name":"payout.transfer.paid"}"#,
            "transfers",
        ),
        (
            include_str!("../../../../providers/stripe.yaml"),
            vec![("stripe-signature", signature.as_str())],
            r#"{"type":"payout.paid"}"#,
            "payout_events",
        ),
    ] {
        let webhook = shipped(file);
        let header = |name: &str| {
            let found = headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
            found.map(|(_, value)| (*value).to_owned())
        };
        let call = Call { body: body.as_bytes(), header: &header, query: None, headers: vec![] };
        assert_eq!(webhook.prove(&call, now()), Ok(()), "{stream}");
        assert_eq!(
            webhook.triggered(&call).await,
            [Triggered { stream: stream.to_owned(), partition: None }]
        );
        let late = now() + chrono::TimeDelta::minutes(6);
        assert!(webhook.prove(&call, late).is_err(), "{stream}: a call of six minutes ago");
        let other = Call { body: b"{}", header: &header, query: None, headers: vec![] };
        assert!(webhook.prove(&other, now()).is_err(), "{stream}: another body");
    }
}
