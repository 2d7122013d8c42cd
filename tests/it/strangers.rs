//! What strangers may do to a serving process, and what it may cost.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::TestApp;
use crate::support::process::{FILE_KEY, PROGRAM, Place, stop};

async fn get(address: &str, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asking = client.get(format!("http://{address}{path}")).bearer_auth(FILE_KEY).send();
    let answer = tokio::time::timeout(Duration::from_secs(30), asking).await.expect("it answers").unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn series(operator: &str) -> usize {
    let (_, metrics) = get(operator, "/metrics").await;
    metrics.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

/// Sends requests of these methods on one connection, and reads the head of each answer.
async fn ask_with_methods(address: &str, path: &str, methods: impl Iterator<Item = String>) {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    for method in methods {
        stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).await.unwrap();
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            assert!(stream.read_line(&mut line).await.unwrap() > 0, "the connection ended");
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        stream.read_exact(&mut vec![0; length]).await.unwrap();
    }
}

#[tokio::test]
async fn methods_and_paths_that_strangers_make_up_are_no_series_of_their_own() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("made-up");
    let (server, address) = place.serve(None).await;
    for path in ["/healthz", "/nowhere"] {
        ask_with_methods(&address, path, ["MADE-UP".to_owned()].into_iter()).await;
    }
    let operator = place.operator(&address);
    let before = series(&operator).await;
    for path in ["/healthz", "/nowhere"] {
        ask_with_methods(&address, path, (0..2_000).map(|n| format!("M{n}"))).await;
    }
    ask_with_methods(&address, "/accounts/x/balances?a=1", (0..100).map(|n| format!("N{n}"))).await;
    let after = series(&operator).await;
    // what the publisher and others add by themselves meanwhile, and the route of balances
    assert!(after < before + 100, "{before} series, then {after}");
    let (_, metrics) = get(&operator, "/metrics").await;
    assert!(metrics.contains(r#"method="other",route="/healthz""#), "{metrics}");
    assert!(!metrics.contains("M1999") && !metrics.contains("/nowhere"), "{metrics}");
    stop(server).await;
}

#[tokio::test]
async fn connections_that_never_end_their_heads_keep_nobody_away_and_are_closed() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("half-open");
    let (server, address) = place
        .serve_as(|command| {
            command.env("ACME_KEY", FILE_KEY).env("TRIBUTARY_CONNECTIONS", "40");
            command.env("TRIBUTARY_HEAD_TIME", "3s");
        })
        .await;
    let mut half = vec![];
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /accounts HTTP/1.1\r\nHost: t\r\n").await.unwrap();
        half.push(stream);
    }
    assert_eq!(get(&address, "/healthz").await, (200, "ok".to_owned()));
    assert_eq!(get(&address, "/accounts").await, (200, "[]".to_owned()));
    for stream in &mut half {
        let mut told = String::new();
        let reading = tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut told));
        // whoever does not listen may be reset in the end, but not kept
        if reading.await.expect("it is closed").is_ok() && !told.is_empty() {
            assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
        }
    }
    assert_eq!(get(&address, "/healthz").await, (200, "ok".to_owned()));
    stop(server).await;
}

#[tokio::test]
async fn more_connections_than_files_may_be_open_are_refused_at_the_start() {
    let place = Place::new("files");
    let script = format!("ulimit -n 1024 && exec {PROGRAM} serve --connections 1000");
    let output = place.command_of(Path::new("sh"), &["-c", &script]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("--connections") && said.contains("ulimit -n"),
        "{said}"
    );
}

#[tokio::test]
async fn a_balances_record_of_very_many_assets_is_put_aside_and_the_rest_flows() {
    let app = TestApp::new().await;
    let account = |id: &str, assets: usize| {
        let balances: Vec<Value> =
            (0..assets).map(|n| json!({"currency": format!("EUR/{n}"), "amount": "1"})).collect();
        json!({"accountID": id, "at": "2026-03-01T12:00:00Z", "balances": balances})
    };
    let accounts =
        ["a", "b"].map(|id| json!({"id": id, "accountName": id, "createdAt": "2026-03-01T12:00:00Z"}));
    app.push("accounts", &accounts).await;
    let answer = app.push("balances", &[account("a", 60_000), account("b", 1_000)]).await;
    assert_eq!(answer["created"], 1_000);
    let quarantined = answer["quarantined"].as_array().unwrap();
    assert_eq!(quarantined.len(), 1, "{quarantined:?}");
    assert_eq!(quarantined[0]["index"], 0);
    assert_eq!(quarantined[0]["reason"], "balances: names 60000 assets; at most 1000 fit");
}
