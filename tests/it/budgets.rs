//! What heads, connections and bodies may cost a serving process, tried on one.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tributary_domain::Scope;

use crate::support::TestApp;
use crate::support::app::new_test_key;
use crate::support::process::{FILE_KEY, Place, stop};

/// All that is answered to `request` on a connection of its own.
async fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut answer));
    reading.await.expect("it is answered and closed").unwrap();
    answer
}

/// The most memory that a process has had, in MiB.
fn peak(process: &tokio::process::Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn heads_of_many_or_large_headers_are_refused() {
    let place = Place::new("heads");
    let (server, address) = place.serve(None).await;
    let get = |headers: String| {
        format!(
            "GET /accounts HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: Bearer {FILE_KEY}\r\n{headers}\r\n"
        )
    };
    let many = |count: usize| get((0..count).map(|n| format!("x-{n}: 1\r\n")).collect());
    assert!(exchange(&address, &many(90)).await.starts_with("HTTP/1.1 200 "));
    assert!(exchange(&address, &many(200)).await.starts_with("HTTP/1.1 431 "));
    assert!(
        exchange(&address, &get(format!("x: {}\r\n", "y".repeat(100_000))))
            .await
            .starts_with("HTTP/1.1 431 ")
    );
    stop(server).await;
}

#[tokio::test]
async fn records_that_cost_too_much_to_read_are_put_aside_or_refused_and_memory_stays_bounded() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let app = TestApp::new().await;
    let key = new_test_key(&app.pool, app.name(), Scope::Ingest).await;
    let place = Place::new("costly");
    let (server, address) = place.serve(Some(&app.url)).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let push = async |body: String| {
        let request = http.post(format!("http://{address}/ingest/accounts")).bearer_auth(&key);
        let answer = request.header("content-type", "application/x-ndjson").body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let account = |id: &str, metadata: &str| {
        format!(
            "{{\"id\":\"{id}\",\"accountName\":\"a\",\"createdAt\":\"2026-03-01T12:00:00Z\",\"metadata\":{metadata}}}\n"
        )
    };
    let keys: String = (0..1_000_000).map(|n| format!("\"{n}\":\"\",")).collect();
    let deep = 2_000_000;
    let costly = [
        (account("deep", &format!("{}{}", "[".repeat(deep), "]".repeat(deep))), "deeper than"),
        (account("long", &"9".repeat(4_000_000)), "digits"),
        (account("many", &format!("{{{keys}\"z\":\"\"}}")), "values"),
    ];
    let before = peak(&server);
    for (record, told) in &costly {
        let (status, answer) = push(format!("{record}{}", account("good", "{}"))).await;
        assert_eq!(status, 200, "{answer}");
        let quarantined = answer["quarantined"].as_array().unwrap();
        assert_eq!((quarantined.len(), &quarantined[0]["index"]), (1, &0.into()));
        assert!(quarantined[0]["reason"].as_str().unwrap().contains(told), "{answer}");
    }
    // as an array, nesting is refused as a whole
    let request = http.post(format!("http://{address}/ingest/accounts")).bearer_auth(&key);
    let answer =
        request.header("content-type", "application/json").body("[".repeat(deep)).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let grown = peak(&server) - before;
    assert!(
        grown < 300,
        "{grown} MiB for bodies of {} MiB",
        costly.iter().map(|(record, _)| record.len()).sum::<usize>() >> 20
    );
    stop(server).await;
}

/// A request whose answer waits for the rest of its body, and the end of that.
async fn half_a_push(address: &str, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /ingest/accounts HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn one_address_that_is_being_answered_gets_no_more_than_its_share_of_connections() {
    let app = TestApp::new().await;
    let key = new_test_key(&app.pool, app.name(), Scope::Ingest).await;
    for (trusted, expected) in [("", "HTTP/1.1 429 "), ("127.0.0.0/8", "HTTP/1.1 200 ")] {
        let place = Place::new("share");
        let (server, address) = place
            .serve_as(|command| {
                command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &app.url);
                command
                    .env("TRIBUTARY_CONNECTIONS_PER_ADDRESS", "4")
                    .env("TRIBUTARY_TRUSTED_PROXIES", trusted);
            })
            .await;
        // idle ones give their places up
        let idle: Vec<TcpStream> = futures::future::join_all((0..4).map(|_| TcpStream::connect(&address)))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let mut asking = vec![];
        for _ in 0..4 {
            asking.push(half_a_push(&address, &key).await);
        }
        let get = "GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
        let answer = exchange(&address, get).await;
        assert!(answer.starts_with(expected), "trusted {trusted:?}: {answer}");
        if trusted.is_empty() {
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.contains("retry-after: 1")
                    && serde_json::from_str::<Value>(body).unwrap()["Title"].is_string()
            );
        }
        for mut stream in asking {
            stream.write_all(b"[]").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "whoever was being answered is: {answer}");
        }
        assert!(exchange(&address, get).await.starts_with("HTTP/1.1 200 "), "there is a place again");
        drop(idle);
        stop(server).await;
    }
}
