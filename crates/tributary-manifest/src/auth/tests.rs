//! Every kind of auth against an upstream that sees what arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::Response;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, KeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::*;
use crate::client::{Client, Rules};
use crate::fake::{self, Fake, Pauses, Received, answer};
use crate::manifest::Manifest;
use crate::wire::{ClientError, InMemory, Request, Target};

fn connect(url: &str, auth: &str) -> Result<Client, String> {
    let yaml = format!(
        "base_url: {url}\nauth: {auth}\nheaders: {{ X-Version: v7 }}\nrate_limit: {{ per_second: 1000, burst: 100 }}\n\
         retry: {{ attempts: 3 }}\nevery: 1m\nstreams: []\n"
    );
    // without the lines around a mistake, as provider files are read
    let options = serde_saphyr::options! { with_snippet: false };
    let manifest: Manifest =
        serde_saphyr::from_str_with_options(&yaml, options).map_err(|error| error.to_string())?;
    let manifest = manifest
        .interpolated(|name| (name == "SECRET").then(|| "hunter2-hunter2".to_owned()))
        .map_err(|error| error.to_string())?;
    Client::new(&manifest, Arc::new(InMemory::default()), Arc::default())
}

fn feed() -> Request {
    Request::get("/feed".to_owned(), vec![("since".to_owned(), "a b".to_owned())])
}

async fn ask(client: &Client) -> Result<(), ClientError> {
    client.send(&feed(), &Rules::default()).await.map(|_| ())
}

/// The first request as the API sees it with this auth.
async fn received(auth: &str) -> Received {
    let fake = Fake::start(|_, _| fake::json(json!([]))).await;
    ask(&connect(&fake.url, auth).unwrap()).await.unwrap();
    fake.received().remove(0)
}

/// An API whose tokens are `token-0`, `token-1`, …, of which only the last is good.
async fn token_api(token_answer: impl Fn(usize, &Received) -> Response + Send + Sync + 'static) -> Fake {
    let given = AtomicUsize::new(0);
    Fake::start(move |_, received| match received.path.as_str() {
        "/token" => token_answer(given.fetch_add(1, Ordering::SeqCst), received),
        _ => {
            let good = format!("Bearer token-{}", given.load(Ordering::SeqCst).wrapping_sub(1));
            match received.headers.get("authorization").is_some_and(|value| *value == good) {
                true => fake::json(json!([])),
                false => answer(401, &[], format!("{:?}", received.headers.get("authorization"))),
            }
        }
    })
    .await
}

fn token(number: usize) -> Response {
    fake::json(json!({ "access_token": format!("token-{number}"), "expires_in": 2400 }))
}

fn token_requests(fake: &Fake) -> Vec<Received> {
    fake.received().into_iter().filter(|received| received.path == "/token").collect()
}

const CLIENT: &str = "{ oauth2: { grant: client_credentials, token_url: /token, client_id: me:1, \
                      client_secret: '${SECRET}', scope: read } }";

#[tokio::test]
async fn fixed_proofs_go_where_the_api_looks_for_them() {
    let header = |received: &Received, name: &str| {
        received.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let basic = received("{ basic: { user: me, password: '${SECRET}' } }").await;
    assert_eq!(header(&basic, "authorization").unwrap(), "Basic bWU6aHVudGVyMi1odW50ZXIy");
    let keyed = received("{ header: { name: X-Api-Key, value: 'Key ${SECRET}' } }").await;
    assert_eq!(header(&keyed, "x-api-key").unwrap(), "Key hunter2-hunter2");
    let query = received("{ query: { name: key, value: '${SECRET}' } }").await;
    assert_eq!((query.query["key"].as_str(), query.query["since"].as_str()), ("hunter2-hunter2", "a b"));
    let none = received("none").await;
    assert_eq!((header(&none, "authorization"), header(&none, "x-version").unwrap().as_str()), (None, "v7"));
}

#[tokio::test]
async fn a_link_that_repeats_the_key_gets_it_once_and_errors_show_it_never() {
    let fake = Fake::start(|_, received| answer(403, &[], format!("no: {:?}", received.query))).await;
    let client = connect(&fake.url, "{ query: { name: key, value: 'a&${SECRET}' } }").unwrap();
    let link = format!("{}/feed?key=old&page=2", fake.url).parse().unwrap();
    let error = client.send(&Request::to(Target::Absolute(link)), &Rules::default()).await.unwrap_err();
    assert_eq!(fake.received()[0].query["key"], "a&hunter2-hunter2");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_token_is_got_once_for_all_and_again_shortly_before_it_expires() {
    let fake = token_api(|number, _| token(number)).await;
    let mut client = connect(&fake.url, CLIENT).unwrap();
    let pauses = Pauses::of(&mut client);
    let asked = futures::future::join_all((0..10).map(|_| ask(&client))).await;
    asked.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let first = token_requests(&fake);
    assert_eq!(first.len(), 1, "one for ten requests at the same time");
    // RFC 6749, 2.3.1: both are encoded before they are joined
    assert_eq!(
        first[0].headers["authorization"],
        format!("Basic {}", STANDARD.encode("me%3A1:hunter2-hunter2"))
    );
    assert_eq!(first[0].headers["x-version"], "v7");
    let expected = [("grant_type", "client_credentials"), ("scope", "read")];
    assert_eq!(first[0].form(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    pauses.pass(Duration::from_secs(2400 - 70));
    ask(&client).await.unwrap();
    assert_eq!(token_requests(&fake).len(), 1);
    pauses.pass(Duration::from_secs(15));
    ask(&client).await.unwrap();
    assert_eq!(token_requests(&fake).len(), 2);
    assert_eq!(client.sent(), 14, "requests for tokens count");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_per_request() {
    let fake = Fake::start(|before, received| match received.path.as_str() {
        "/token" => token(before),
        _ => answer(401, &[], "you said token-0 and token-2"),
    })
    .await;
    let client = connect(&fake.url, CLIENT).unwrap();
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 401, .. }), "{error:?}");
    assert!(error.to_string().contains("you said [secret] and [secret]"), "{error}");
    let paths: Vec<String> = fake.received().iter().map(|received| received.path.clone()).collect();
    assert_eq!(paths, ["/token", "/feed", "/token", "/feed"]);
}

#[tokio::test]
async fn a_rotating_refresh_token_is_never_sent_twice() {
    let fake = token_api(|number, received| {
        let expected = if number == 0 { "first".to_owned() } else { format!("refresh-{}", number - 1) };
        match received.form()["refresh_token"] == expected {
            true => fake::json(json!({
                "access_token": format!("token-{number}"), "expires_in": "60",
                "refresh_token": format!("refresh-{number}"),
            })),
            false => answer(400, &[], r#"{"error":"invalid_grant"}"#),
        }
    })
    .await;
    let auth = "{ oauth2: { grant: refresh_token, token_url: /token, client_id: me, refresh_token: first } }";
    let mut client = connect(&fake.url, auth).unwrap();
    let pauses = Pauses::of(&mut client);
    for _ in 0..4 {
        ask(&client).await.unwrap();
        pauses.pass(Duration::from_secs(60));
    }
    let sent: Vec<String> =
        token_requests(&fake).iter().map(|received| received.form()["refresh_token"].clone()).collect();
    assert_eq!(sent, ["first", "refresh-0", "refresh-1", "refresh-2"]);
    assert_eq!(token_requests(&fake)[0].form()["client_id"], "me");
}

#[tokio::test]
async fn a_token_endpoint_that_fails_for_a_moment_is_asked_again_and_a_refusal_is_explained() {
    let fake = token_api(|number, _| match number {
        0 => answer(503, &[], ""),
        1 => answer(200, &[], "<html>"),
        _ => token(number),
    })
    .await;
    let mut client = connect(&fake.url, CLIENT).unwrap();
    let pauses = Pauses::of(&mut client);
    ask(&client).await.unwrap();
    assert_eq!(pauses.taken().len(), 2);
    for (status, body, said) in [
        (
            400,
            r#"{"error":"invalid_client","you":"hunter2-hunter2"}"#,
            r#"{"error":"invalid_client","you":"[secret]"}"#,
        ),
        (200, r#"{"error":"invalid_scope","error_description":"no"}"#, "invalid_scope: no"),
        (200, r#"{"refresh_token":"topsecret"}"#, "there is no access_token in it"),
    ] {
        let fake = token_api(move |_, _| answer(status, &[], body)).await;
        let error = ask(&connect(&fake.url, CLIENT).unwrap()).await.unwrap_err();
        let expected = format!("there is no access token: POST /token was answered with {status}: {said}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(fake.received().len(), 1, "nothing else is sent, and not again");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_asks_to_wait_long_is_left_alone() {
    let fake = token_api(|_, _| answer(429, &[("retry-after", "3600")], "")).await;
    let client = connect(&fake.url, CLIENT).unwrap();
    for _ in 0..2 {
        let error = ask(&client).await.unwrap_err();
        assert!(matches!(error, ClientError::AskedToWait { .. }), "{error:?}");
    }
    assert_eq!(fake.received().len(), 1);
}

fn assertion_auth(algorithm: &str, key_file: &std::path::Path) -> String {
    format!(
        "{{ oauth2: {{ grant: refresh_token, token_url: /token, client_id: me, refresh_token: first, \
         extra: {{ tenant: t1 }}, access_token_lifetime: 40m, \
         assertion: {{ algorithm: {algorithm}, private_key: {}, key_id: k1, issuer: app.example, \
         audience: 'https://bank.example', lifetime: 2m }} }} }}",
        key_file.display()
    )
}

/// A file that is gone with the test.
fn key_file(name: &str, pem: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("tributary-{}-{name}", std::process::id()));
    std::fs::write(&path, pem).unwrap();
    path
}

async fn assertion(algorithm: &str, name: &str, pem: &str) -> (String, Received) {
    let fake = token_api(|_, _| fake::json(json!({ "access_token": "token-0" }))).await;
    let file = key_file(name, pem);
    let client = connect(&fake.url, &assertion_auth(algorithm, &file)).unwrap();
    std::fs::remove_file(file).unwrap();
    ask(&client).await.unwrap();
    let received = token_requests(&fake).remove(0);
    (received.form()["client_assertion"].clone(), received)
}

fn verified(jwt: &str, algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8]) -> [Value; 2] {
    let (signed, given) = jwt.rsplit_once('.').unwrap();
    let given = URL_SAFE_NO_PAD.decode(given).unwrap();
    UnparsedPublicKey::new(algorithm, key).verify(signed.as_bytes(), &given).unwrap();
    let mut parts =
        signed.split('.').map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap());
    [parts.next().unwrap(), parts.next().unwrap()]
}

#[tokio::test]
async fn a_client_proves_itself_with_a_signed_assertion() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let (jwt, received) = assertion("ES256", "es256.pem", &pair.serialize_pem()).await;
    let [header, claims] =
        verified(&jwt, &signature::ECDSA_P256_SHA256_FIXED, rcgen::PublicKeyData::der_bytes(&pair));
    assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("app.example"), &json!("me")));
    assert_eq!(claims["aud"], "https://bank.example");
    let (from, to) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!((Utc::now().timestamp() - from).abs() < 60 && to - from == 120);
    assert_eq!(received.headers.get("authorization"), None);
    let form = received.form();
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!((form["refresh_token"].as_str(), form["tenant"].as_str()), ("first", "t1"));
}

#[tokio::test]
async fn assertions_are_signed_with_rsa_and_edwards_keys_too() {
    let pem = include_str!("testdata/assertion-rsa.pem");
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let pair = signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let (jwt, _) = assertion("RS256", "rs256.pem", pem).await;
    verified(&jwt, &signature::RSA_PKCS1_2048_8192_SHA256, &public);
    let (jwt, _) = assertion("PS256", "ps256.pem", pem).await;
    verified(&jwt, &signature::RSA_PSS_2048_8192_SHA256, &public);
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let (jwt, _) = assertion("EdDSA", "eddsa.pem", &pair.serialize_pem()).await;
    verified(&jwt, &signature::ED25519, rcgen::PublicKeyData::der_bytes(&pair));
}

#[tokio::test]
async fn a_login_of_the_apis_own_making_gives_a_token_for_a_header_of_its_own() {
    let fake = Fake::start(|before, received| match received.path.as_str() {
        "/login" => fake::json(json!({ "session": { "token": format!("token-{before}"), "until":
            (Utc::now() + chrono::TimeDelta::minutes(30)).format("%Y-%m-%dT%H:%M:%S%z").to_string() } })),
        _ => fake::json(json!([])),
    })
    .await;
    let auth = "{ login: { request: { path: /login, headers: { X-Client: '${SECRET}' }, \
                body: { user: me, pins: ['${SECRET}', 1] } }, token: .session.token, \
                expires_in: .session.until, header: { name: X-Session, prefix: 'S ' } } }";
    let mut client = connect(&fake.url, auth).unwrap();
    let pauses = Pauses::of(&mut client);
    ask(&client).await.unwrap();
    ask(&client).await.unwrap();
    pauses.pass(Duration::from_secs(29 * 60 + 30));
    ask(&client).await.unwrap();
    let received = fake.received();
    let paths: Vec<&str> = received.iter().map(|received| received.path.as_str()).collect();
    assert_eq!(paths, ["/login", "/feed", "/feed", "/login", "/feed"]);
    assert_eq!(
        (received[0].method.as_str(), &received[0].headers["x-client"]),
        ("POST", &received[3].headers["x-client"])
    );
    assert_eq!(received[0].headers["x-client"], "hunter2-hunter2");
    let body: Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(body, json!({ "user": "me", "pins": ["hunter2-hunter2", 1] }));
    assert_eq!(
        (&received[1].headers["x-session"], &received[4].headers["x-session"]),
        (&"S token-0".parse().unwrap(), &"S token-3".parse().unwrap())
    );
}

#[tokio::test]
async fn a_request_is_signed_as_the_api_checks_it_beside_another_proof() {
    let auth = "{ bearer: tok, hmac: { algorithm: sha256, secret: '${SECRET}', encoding: hex, \
                signed: \"{timestamp}\\n{method}\\n{path}?{query}\\n{body}{nonce}\", \
                headers: { X-Sign: 'v1={signature}', X-Time: '{timestamp}', X-Nonce: '{nonce}', X-Key: k1 } } }";
    let received = received(auth).await;
    let header = |name: &str| received.headers[name].to_str().unwrap();
    assert_eq!((header("authorization"), header("x-key")), ("Bearer tok", "k1"));
    let signed = format!("{}\nGET\n/feed?since=a+b\n{}", header("x-time"), header("x-nonce"));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"hunter2-hunter2");
    let expected: String =
        ring::hmac::sign(&key, signed.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header("x-sign"), format!("v1={expected}"));
    let time: i64 = header("x-time").parse().unwrap();
    assert!((Utc::now().timestamp() - time).abs() < 60);
}

#[test]
fn what_cannot_work_is_named_without_the_secret_in_it() {
    let oauth2 = |rest: &str| {
        format!("{{ oauth2: {{ grant: client_credentials, token_url: /token, client_id: me, {rest} }} }}")
    };
    let hmac = |rest: &str| format!("{{ hmac: {{ algorithm: sha256, encoding: hex, {rest} }} }}");
    for (auth, about) in [
        ("hunter2".to_owned(), "auth"),
        ("{}".to_owned(), "auth: give one of"),
        ("{ bearer: hunter2, query: { name: a, value: hunter2 } }".to_owned(), "auth: give one of"),
        ("{ basic: { user: 'hunter2:', password: x } }".to_owned(), "auth.basic.user"),
        ("{ header: { name: 'a b', value: hunter2 } }".to_owned(), "auth.header.name"),
        ("{ header: { name: a, value: \"hunter2\\n\" } }".to_owned(), "auth.header.value"),
        ("{ header: { name: a, value: '' } }".to_owned(), "auth.header.value"),
        ("{ query: { name: '', value: hunter2 } }".to_owned(), "auth.query.name"),
        (oauth2("client_auth: body"), "auth.oauth2.client_secret"),
        (oauth2("client_auth: assertion"), "auth.oauth2.assertion"),
        (oauth2("refresh_token: hunter2"), "auth.oauth2.refresh_token"),
        (oauth2("client_auth: none, client_secret: hunter2"), "auth.oauth2.client_secret"),
        (oauth2("grunt: hunter2"), "grunt"),
        (oauth2("assertion: { algorithm: RS256, private_key: hunter2 }"), "auth.oauth2.assertion.private_key"),
        (
            oauth2("assertion: { algorithm: RS256, private_key: '-----BEGIN PRIVATE KEY-----\\nhunter2' }"),
            "auth.oauth2.assertion.private_key",
        ),
        (
            "{ oauth2: { grant: refresh_token, token_url: /token, client_id: me } }".to_owned(),
            "auth.oauth2.refresh_token: is missing",
        ),
        (
            "{ oauth2: { grant: client_credentials, token_url: 'http://hunter2@elsewhere.example/', client_id: me } }"
                .to_owned(),
            "auth.oauth2.token_url",
        ),
        (
            "{ login: { request: { path: /login }, token: '.token |' } }".to_owned(),
            "auth.login.token: expected",
        ),
        (hmac("secret: hunter2, signed: '{nonsense}', headers: { A: '{signature}' }"), "auth.hmac.signed"),
        (hmac("secret: hunter2, signed: '{signature}', headers: { A: '{signature}' }"), "auth.hmac.signed"),
        (hmac("secret: hunter2, signed: '{body}', headers: { A: b }"), "auth.hmac.headers"),
        (hmac("secret: '', signed: '{body}', headers: { A: '{signature}' }"), "auth.hmac.secret"),
        (
            hmac("secret: hunter2, secret_encoding: hex, signed: '{body}', headers: { A: '{signature}' }"),
            "auth.hmac.secret",
        ),
    ] {
        let error = connect("https://bank.example", &auth).map(|_| ()).unwrap_err();
        assert!(error.contains(about), "{auth}: {error}");
        assert!(!error.contains("hunter2"), "{auth}: {error}");
    }
}

#[test]
fn nothing_of_auth_is_shown_by_debug_output() {
    let auth = "{ oauth2: { grant: refresh_token, token_url: /t, client_id: me, refresh_token: hunter2, \
                extra: { a: hunter2 }, assertion: { algorithm: RS256, private_key: hunter2 } } }";
    let login = "{ login: { request: { path: /l, headers: { A: hunter2 }, body: [hunter2] }, token: . } }";
    for auth in [
        auth,
        login,
        "{ bearer: x, hmac: { algorithm: sha256, secret: hunter2, encoding: hex, signed: '', headers: { A: hunter2 } } }",
    ] {
        let yaml = format!(
            "base_url: x\nauth: {auth}\ntls: {{ identity: hunter2, key: hunter2 }}\nevery: 1m\nstreams: []\n"
        );
        let manifest: Manifest = serde_saphyr::from_str(&yaml).unwrap();
        assert!(!format!("{manifest:?}").contains("hunter2"));
    }
}
