//! Bytes on a socket, as anybody may send them: requests that are cut, that lie about their bodies, that
//! come one behind the other, and what is no request at all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;

use super::{assert_error, fuzz};
use crate::support::process::{FILE_KEY, Place, stop};

/// By how much the memory of the process may grow, in KiB.
const GROWTH_KIB: u64 = 256 * 1024;
/// After how long without a byte no answer is waited for.
const QUIET: Duration = Duration::from_millis(150);
/// What the HTTP library says without a body, before a request is one.
const BARE: [u16; 5] = [400, 408, 413, 414, 431];

/// The key of the push API.
const INGEST_KEY: &str = "an-ingest-key-of-the-environment";
const FILE: &str = "provider: acme
push: all
keys:
  - { scope: connector, key: \"${ACME_KEY}\" }
  - { scope: ingest, key: \"${ACME_INGEST_KEY}\" }
";

#[derive(Debug, Clone)]
enum Body {
    None,
    /// With the length that it has, or another one.
    Bytes(Vec<u8>, Option<String>),
    /// Chunks as they are written.
    Chunked(Vec<u8>),
}

fn body() -> impl Strategy<Value = Body> {
    let lengths =
        ["-1", "0", "5", "5, 5", "5, 6", "+5", "0x5", "99999999999999999999", "18446744073709551615", ""];
    let length = prop_oneof![Just(None), select(lengths.to_vec()).prop_map(|text| Some(text.to_owned()))];
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..300),
        select(&["", "[]", "{}", "[{}]", "null", r#"{"idempotencyKey":"k"}"#, "{\"stream\":1}"][..])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let chunks = select(
        &[
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhel",
            "ffffffffffffffff\r\n",
            "fffffffffffffffff\r\n",
            "-1\r\n",
            "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
            "\r\n",
            "2\r\n[]\r\n0\r\n\r\n",
            "g\r\n",
            "5\nhello\n0\n\n",
        ][..],
    );
    prop_oneof![
        2 => Just(Body::None),
        3 => (bytes, length).prop_map(|(bytes, length)| Body::Bytes(bytes, length)),
        2 => chunks.prop_map(|text| Body::Chunked(text.as_bytes().to_vec())),
    ]
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "/accounts",
        "/accounts?page=1&pageSize=100",
        "/accounts?page=0",
        "/accounts?createdAtFrom=%ff%fe",
        "/accounts?cursor=",
        "/beneficiaries?sort=",
        "/transactions?updatedAtFrom=9999-12-31T23:59:59.999999999Z",
        "/transactions?updatedAtFrom=0000-01-01T00:00:00Z&page=9223372036854775807&pageSize=1000",
        "/accounts/a/balances",
        "/accounts/%00/balances",
        "/accounts/~/balances",
        "/accounts//balances",
        "/accounts/%f0%9f%92%b6/balances",
        "/payouts",
        "/transfers",
        "/ingest/accounts?backfill=",
        "/ingest/balances",
        "/ingest/transactions?backfill=%00",
        "/webhooks/acme",
        "/webhooks/%2e%2e",
        "/admin/v1/sync",
        "/admin/v1/payouts/list?states=%00&limit=-1",
        "/admin/v1/quarantine/show?id=9223372036854775808",
        "/metrics",
        "/healthz",
        "/openapi.json",
        "*",
        "http://elsewhere/accounts",
        "//",
        "/..%2f..%2fetc/passwd",
        "/%",
        "?",
        "",
    ];
    prop_oneof![
        8 => select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(0x21_u8.., 1..80).prop_map(|bytes| [b"/", &bytes[..]].concat()),
        1 => (1_usize..80_000).prop_map(|size| [b"/".to_vec(), vec![b'a'; size]].concat()),
    ]
}

fn header() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "Connection: close",
        "Connection: keep-alive, upgrade",
        "Expect: 100-continue",
        "Content-Type: application/x-ndjson",
        "Content-Type: application/json",
        "Content-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding:",
        "Content-Length: 3",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        "Authorization: Bearer",
        "Authorization: Bearer trb_",
        "Authorization: \u{e9}",
        "Authorization: Bearer trb_00000000000040008000000000000000_x",
        "Range: bytes=0-",
        "Host: a",
        ": x",
        " folded",
        "Accept: image/png",
        "If-None-Match: *",
        "X-Request-Id: \u{7f}",
        "traceparent: 00-zz-zz-zz",
    ];
    prop_oneof![
        10 => select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        6 => Just(format!("Authorization: Bearer {FILE_KEY}").into_bytes()),
        1 => vec(any::<u8>(), 0..60),
        1 => (1_usize..90_000).prop_map(|size| [b"X-Long: ".to_vec(), vec![b'a'; size]].concat()),
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => polite(), 1 => rude()]
}

/// A request that any server understands, though it may not like what it asks for.
fn polite() -> impl Strategy<Value = Vec<u8>> {
    let method =
        prop_oneof![6 => Just("GET"), 4 => Just("POST"), 1 => select(&["PUT", "OPTIONS", "MADE-UP"][..])];
    let keys = [None, Some(FILE_KEY), Some(FILE_KEY), Some(INGEST_KEY)];
    let kinds = [
        "application/json",
        "application/x-ndjson",
        "text/plain",
        "application/x-www-form-urlencoded",
        "\"\"",
    ];
    let target = target().prop_filter("a line", |target| target.starts_with(b"/") && target.len() < 1_000);
    let body = prop::option::of(prop_oneof![
        vec(any::<u8>(), 0..300),
        select(&["[]", "{}", "[{}]", "null", r#"{"idempotencyKey":"k"}"#, "{\"stream\":1}", "[1]\n{"][..])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]);
    (method, target, select(keys.to_vec()), select(kinds.to_vec()), body, any::<bool>()).prop_map(
        |(method, target, key, kind, body, closes)| {
            let mut head = format!("Host: t\r\nContent-Type: {kind}\r\n");
            if let Some(key) = key {
                head += &format!("Authorization: Bearer {key}\r\n");
            }
            if closes {
                head += "Connection: close\r\n";
            }
            let body = body.unwrap_or_default();
            head += &format!("Content-Length: {}\r\n\r\n", body.len());
            [method.as_bytes(), b" ", &target, b" HTTP/1.1\r\n", head.as_bytes(), &body].concat()
        },
    )
}

/// One that lies, or is hardly one.
fn rude() -> impl Strategy<Value = Vec<u8>> {
    // no HEAD: its answers announce bodies that do not come
    let method = select(
        &["GET", "GET", "GET", "POST", "POST", "PUT", "OPTIONS", "TRACE", "get", "MADE-UP", "", "G\u{e9}T"][..],
    );
    let version =
        select(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "http/1.1", ""][..]);
    (method, target(), version, vec(header(), 0..6), body(), prop::bool::weighted(0.8)).prop_map(
        |(method, target, version, headers, body, host)| {
            let mut lines = vec![[method.as_bytes(), b" ", &target[..], b" ", version.as_bytes()].concat()];
            lines.extend(host.then(|| b"Host: t".to_vec()));
            lines.extend(headers);
            let body = match body {
                Body::None => Vec::new(),
                Body::Bytes(bytes, length) => {
                    let length = length.unwrap_or_else(|| bytes.len().to_string());
                    lines.push(format!("Content-Length: {length}").into_bytes());
                    bytes
                }
                Body::Chunked(chunks) => {
                    lines.push(b"Transfer-Encoding: chunked".to_vec());
                    chunks
                }
            };
            [&lines.join(&b"\r\n"[..])[..], b"\r\n\r\n", &body[..]].concat()
        },
    )
}

fn sent() -> impl Strategy<Value = Vec<u8>> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let cut = (request(), any::<prop::sample::Index>());
    prop_oneof![
        4 => request(),
        3 => vec(request(), 2..5).prop_map(|requests| requests.concat()),
        2 => cut.prop_map(|(bytes, at)| bytes[..at.index(bytes.len())].to_vec()),
        1 => vec(any::<u8>(), 0..600),
        1 => vec(any::<u8>(), 0..200).prop_map(move |frames| [&preface[..], &frames[..]].concat()),
    ]
}

/// All that is answered to `bytes`, to the end of the connection.
async fn answers(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut told = Vec::new();
    let talking = async {
        // whoever is refused in the middle may be closed before all is sent
        let _ = stream.write_all(bytes).await;
        while let Ok(read) = tokio::time::timeout(QUIET, stream.read_buf(&mut told)).await {
            if matches!(read, Ok(0) | Err(_)) {
                return;
            }
        }
        // it waits for the rest of a request, or for another one; a direction that is closed ends what is under way
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut told).await;
    };
    tokio::time::timeout(Duration::from_secs(60), talking).await.expect("the connection ends");
    told
}

/// The first answer in `told`: status, body, and what comes behind it. `None` where it was cut.
fn split(told: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let end = told.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&told[..end]).expect("a head is text").to_lowercase();
    let status = head
        .strip_prefix("http/1.")
        .and_then(|rest| rest.get(2..5))
        .expect("a line of status")
        .parse()
        .unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    let rest = &told[end..];
    Some((status, rest.get(..length)?, &rest[length..]))
}

/// Whatever was answered is a documented success, or an error as all of them are.
fn check_answers(mut told: &[u8], what: &str, statuses: &mut BTreeMap<u16, u64>) {
    if told.first().is_some_and(|byte| *byte != b'H') {
        // frames of HTTP/2
        return;
    }
    while let Some((status, body, rest)) = split(told) {
        told = rest;
        *statuses.entry(status).or_default() += 1;
        if status < 200 || (BARE.contains(&status) && body.is_empty()) {
            continue;
        }
        assert!([200, 201, 202].contains(&status) || status >= 400, "{status} to {what}");
        if status >= 400 {
            let body: Value =
                serde_json::from_slice(body).unwrap_or_else(|error| panic!("{status} to {what}: {error}"));
            assert_error(status, &body, what);
        }
    }
}

/// The most memory that a process ever had, in KiB; 0 where the system does not say.
fn peak_kib(process: &Child) -> u64 {
    let file = format!("/proc/{}/status", process.id().expect("it runs"));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
}

#[test]
fn whatever_is_sent_to_the_socket_the_process_lives_and_says_what_is_wrong() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::new("fuzz-requests");
    std::fs::write(place.0.join("providers/acme.yaml"), FILE).unwrap();
    let log = std::fs::File::create(place.0.join("log")).unwrap();
    let (mut server, address) = runtime.block_on(place.serve_as(|command| {
        command.env("ACME_KEY", FILE_KEY).env("ACME_INGEST_KEY", INGEST_KEY).stderr(log);
    }));
    let (before, statuses) = (peak_kib(&server), RefCell::default());
    fuzz("requests", 300, &sent(), |bytes| {
        let what = String::from_utf8_lossy(&bytes[..bytes.len().min(1_500)]).into_owned();
        check_answers(&runtime.block_on(answers(&address, &bytes)), &what, &mut statuses.borrow_mut());
    });
    let statuses = statuses.into_inner();
    println!("answers by status: {statuses:?}");
    assert!([200, 400, 401, 404].iter().all(|status| statuses.contains_key(status)), "not all was tried");
    runtime.block_on(async {
        let healthy =
            answers(&address, b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await;
        assert_eq!(split(&healthy).map(|(status, body, _)| (status, body)), Some((200, &b"ok"[..])));
        assert!(server.try_wait().unwrap().is_none(), "it still runs");
        let grown = peak_kib(&server) - before;
        assert!(grown < GROWTH_KIB, "its memory has grown by {grown} KiB");
        stop(server).await;
    });
    let log = std::fs::read_to_string(place.0.join("log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}
