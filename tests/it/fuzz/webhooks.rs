//! Webhooks, by each way in which a provider may prove itself: what proves nothing gets 401, what does
//! is taken whatever its body says.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use ring::hmac;

use super::{assert_error, fuzz};
use crate::support::TestApp;
use crate::support::app::read;

/// As large as a body may be, in bytes.
const LARGEST: usize = 256 * 1024;
const SECRET: &str = "a-secret-of-the-test";
const CHECKS: [&str; 4] = [
    "hmac: { algorithm: sha256, secret: a-secret-of-the-test, header: X-Signature, field: v1, signed: '{timestamp}.{body}', timestamp: { header: X-Signature, field: t, tolerance: 5m } }",
    "hmac: { algorithm: sha512, secret: a-secret-of-the-test, header: X-Signature, encoding: base64, signed: '{body}' }",
    "header: { name: X-Signature, value: a-secret-of-the-test }",
    "basic: { user: bank, password: a-secret-of-the-test }",
];

fn file(check: &str) -> String {
    format!(
        "provider: acme\napi: http://127.0.0.1:1\nauth: {{ bearer: t }}\nevery: 1h\nwebhook:\n  {check}\n  reads:\n  \
         - {{ where: '.body.type == \"a\"', stream: s }}\n  \
         - {{ where: '.headers[\"x-kind\"] | test(\"^b+$\")', stream: s }}\n\
         pull: {{ accounts: {{ s: {{ get: /s, rows: ., map: . }} }} }}\n"
    )
}

/// The header that proves `body`, by one of [`CHECKS`].
fn proof(scheme: usize, body: &[u8]) -> (&'static str, String) {
    let code = |algorithm, signed: &[u8]| {
        hmac::sign(&hmac::Key::new(algorithm, SECRET.as_bytes()), signed).as_ref().to_vec()
    };
    let base64 = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    match scheme {
        0 => {
            let at = chrono::Utc::now().timestamp();
            let code = code(hmac::HMAC_SHA256, &[format!("{at}.").as_bytes(), body].concat());
            let code: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
            ("x-signature", format!("t={at},v1={code}"))
        }
        1 => ("x-signature", base64(&code(hmac::HMAC_SHA512, body))),
        2 => ("x-signature", SECRET.to_owned()),
        _ => ("authorization", format!("Basic {}", base64(format!("bank:{SECRET}").as_bytes()))),
    }
}

#[derive(Debug, Clone)]
struct Called {
    scheme: usize,
    proven: bool,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

fn called() -> impl Strategy<Value = Called> {
    let value = prop_oneof![
        vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..], 0..60),
        select(
            &[
                "",
                "t=,v1=",
                "t=1",
                "v1=00,v1=00,v1=00,v1=00,v1=00,v1=00,t=1",
                "Basic",
                "Basic ====",
                "basic YTpi",
                "t=99999999999999999999,v1=aa",
                "t=-9223372036854775808,v1=aa",
                "sha256=zz",
                "=,=,=",
                ",,,,"
            ][..]
        )
        .prop_map(|text| text.as_bytes().to_vec()),
        (1_usize..20_000).prop_map(|parts| "v1=0,".repeat(parts).into_bytes()),
    ];
    let names = ["x-signature", "authorization", "content-type", "x-kind", "content-encoding", "cookie"];
    let body = prop_oneof![
        vec(any::<u8>(), 0..200),
        select(
            &[
                "",
                "null",
                "[]",
                r#"{"type":"a"}"#,
                r#"{"type":{"type":[]}}"#,
                "type=a&type=b",
                "%ff=%zz&=",
                "{\"type\":\"\\ud800\"}"
            ][..]
        )
        .prop_map(|text| text.as_bytes().to_vec()),
        (1_usize..30_000).prop_map(|depth| "[".repeat(depth).into_bytes()),
        (1_usize..500_000).prop_map(|digits| format!("{{\"type\":{}}}", "9".repeat(digits)).into_bytes()),
    ];
    (0..CHECKS.len(), any::<bool>(), vec((select(names.to_vec()), value), 0..5), body)
        .prop_map(|(scheme, proven, headers, body)| Called { scheme, proven, headers, body })
}

fn request(called: &Called) -> Request<Body> {
    let mut request = Request::post("/webhooks/acme").body(Body::from(called.body.clone())).unwrap();
    let proof = called.proven.then(|| proof(called.scheme, &called.body));
    for (name, value) in &called.headers {
        // the first header of a name counts
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        if proof.as_ref().is_none_or(|(proves, _)| proves != name) {
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    if let Some((name, value)) = &proof {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

async fn check(apps: &[TestApp], called: &Called) {
    let (status, answer) = loop {
        let response = apps[called.scheme].call(request(called)).await;
        if response.status() != StatusCode::TOO_MANY_REQUESTS {
            break read(response).await;
        }
        let seconds = response.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    };
    let what = format!("{called:?}").chars().take(1_000).collect::<String>();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        // of one that may prove itself by its headers
        assert!(called.body.len() > LARGEST, "{what}: {answer}");
        assert_error(status.as_u16(), &answer, &what);
    } else if called.proven {
        assert!(called.body.len() <= LARGEST, "{what}: {answer}");
        assert_eq!(status, StatusCode::ACCEPTED, "{what}: {answer}");
    } else {
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}: {answer}");
        assert_error(status.as_u16(), &answer, &what);
    }
}

#[test]
fn a_webhook_is_taken_if_it_proves_itself_and_refused_if_not_whatever_it_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let apps = runtime.block_on(async {
        let mut apps = Vec::new();
        for check in CHECKS {
            apps.push(TestApp::with_file(&file(check)).await);
        }
        apps
    });
    fuzz("webhooks", 150, &called(), |called| runtime.block_on(check(&apps, &called)));
}
