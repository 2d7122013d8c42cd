//! What strangers may do to a serving process, and what it may cost.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tributary_domain::Role;

use crate::support::TestApp;
use crate::support::app::read;
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

#[tokio::test]
async fn a_full_quarantine_refuses_the_pushes_that_would_add_to_it_and_no_others() {
    let app = TestApp::new().await;
    let fill = |records: u32, bytes: u32| {
        format!(
            "insert into quarantine (provider, resource, raw, reason, raw_digest, fault, fault_group)
             select 'acme', 'accounts', convert_to(repeat('x', {bytes}), 'UTF8'), 'r', sha256(n::text::bytea), 'r',
                    '00000000000000aa'
             from generate_series(1, {records}) n"
        )
    };
    let good = json!({"id": "a", "accountName": "a", "createdAt": "2026-03-01T12:00:00Z"});
    let bad = |name: &str| json!({"id": name});
    let push = async |records: Value| {
        app.post("/ingest/accounts", "application/json", serde_json::to_vec(&records).unwrap()).await
    };
    let waiting = async || -> i64 {
        sqlx::query_scalar("select count(*) from quarantine").fetch_one(&app.pool).await.unwrap()
    };
    app.sql(&fill(99_999, 1)).await;
    assert_eq!(push(json!([bad("last")])).await.0, StatusCode::OK);
    let (status, told) = push(json!([good, bad("one more")])).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(told["Detail"].as_str().unwrap().contains("tributary quarantine list"), "{told}");
    assert_eq!(waiting().await, 100_000);
    // what waits already takes no more room, and what is right none
    assert_eq!(push(json!([bad("last")])).await.0, StatusCode::OK);
    let (status, answer) = push(json!([good])).await;
    assert_eq!(
        (status, &answer["created"]),
        (StatusCode::OK, &json!(1)),
        "nothing of the refused call was kept"
    );
    app.sql("truncate quarantine").await;
    app.sql(&fill(11, 100_000_000)).await;
    assert_eq!(push(json!([bad("large")])).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(waiting().await, 11);
}

#[tokio::test]
async fn an_answer_repeats_no_more_than_a_little_of_what_was_sent() {
    let app = TestApp::new().await;
    for query in ["updatedAtFrom", "page", "sort"] {
        let target = format!("/transactions?{query}={}", "%07".repeat(20_000));
        let (status, told) = app.get(&target).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(told["Detail"].as_str().unwrap().len() < 5_000, "{query}");
    }
    let (status, told) = app.get(&format!("/accounts/{}/balances", "x".repeat(50_000))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(told["Detail"].as_str().unwrap().len() < 5_000);
}

#[tokio::test]
async fn an_order_to_sync_names_a_stream_and_is_not_read_beyond() {
    const WHAT: &str = r#"{"provider":"acme"}"#;
    let app = TestApp::new().await;
    let key = crate::console::new_operator(&app, "ann", Role::Operator).await;
    let ask = async |length: usize| {
        let request = Request::post("/admin/v1/sync").header("authorization", format!("Bearer {key}"));
        read(
            app.call_operator(
                request.body(Body::from(format!("{}{WHAT}", " ".repeat(length - WHAT.len())))).unwrap(),
            )
            .await,
        )
        .await
        .0
    };
    // nothing of this provider is pulled
    assert_eq!(ask(16 * 1024).await, StatusCode::NOT_FOUND);
    assert_eq!(ask(16 * 1024 + 1).await, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_past_of_one_record_however_long_is_not_read_with_each_new_version() {
    let app = TestApp::fast().await;
    // of a parent that is younger, so that dates are looked up
    let parent = json!({"id": "p", "createdAt": "2026-03-05T12:00:00Z", "type": "PAYIN", "status": "SUCCEEDED",
        "currency": "EUR/2", "amount": "1"});
    let child = |status: &str, n: usize| {
        json!({"id": "c", "relatedTransactionID": "p", "createdAt": "2026-03-01T12:00:00Z", "type": "PAYIN",
            "status": status, "currency": "EUR/2", "amount": "1", "metadata": {"n": n.to_string()}})
    };
    app.push("transactions", &[parent, child("PENDING", 0)]).await;
    app.publish_all().await;
    let past = "insert into feed (provider, resource, position, published_at, id, body)
         select e.provider, e.resource, f.last_position + n, f.last_at + n * interval '1 microsecond', e.id, e.body
         from feeds f join feed e using (provider, resource), generate_series(1, 20000) n
         where e.id = 'c' and resource = 'transactions' and f.last_position = e.position";
    let clock = "update feeds set last_position = last_position + 20000, last_at = last_at + interval '20 ms'
         where resource = 'transactions'";
    app.rewrite(&format!("{past}; {clock}; analyze feed")).await;
    app.push("transactions", &[child("REFUNDED", 1)]).await;
    app.publish_all().await;
    let mut news: Vec<Value> = (2..50).map(|n| child(["REFUNDED", "DISPUTE"][n % 2], n)).collect();
    // and others, which have nothing to do with it
    let other = |id: &str, parent: Option<&str>| {
        json!({"id": id, "relatedTransactionID": parent, "createdAt": "2026-03-01T12:00:00Z", "type": "PAYIN",
            "status": "SUCCEEDED", "currency": "EUR/2", "amount": "1"})
    };
    news.push(other("q", None));
    news.extend((0..20).map(|n| other(&format!("q{n}"), Some("q"))));
    app.push("transactions", &news).await;
    let mut transaction = app.pool.begin().await.unwrap();
    sqlx::query("set local jit = off").execute(&mut *transaction).await.unwrap();
    // what one call takes, however much of it has room in the clock
    let published: i32 =
        sqlx::query_scalar("select published from publish('acme', 'transactions', 1000000, 5000, '1h')")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
    let read: i64 = sqlx::query_scalar(
        "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables where relname = 'feed'",
    )
    .fetch_one(&mut *transaction)
    .await
    .unwrap();
    assert!(published > 60 && read < 5_000, "{published} published, {read} rows of the past read");
}
