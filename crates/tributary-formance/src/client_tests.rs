use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::integer::Integer;
use crate::state::State;
use crate::storage::Rejection;

/// Serves `router` on a free port of this machine and gives a client for it.
async fn client_of(router: Router) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    client_at(address)
}

fn client_at(address: SocketAddr) -> Client {
    Client::new(&format!("http://{address}/prefix"), "key-1")
}

/// A server that answers each request with the next of `answers` and keeps what
/// it was asked.
async fn scripted(answers: &[(u16, String)]) -> (Client, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let answers: Vec<_> = answers.into();
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let answer = async move |uri: Uri, headers: HeaderMap, body: String| {
        let key = headers["authorization"].to_str().unwrap();
        log.lock().unwrap().push(format!("{key} {uri} {body}"));
        let (status, body) = answers.lock().unwrap().next().expect("no more requests");
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    (client_of(Router::new().fallback(answer)).await, asked)
}

/// A page of accounts with the given fractions of one second.
fn page(fractions: &[u32]) -> String {
    let row = |n: &u32| format!(r#"{{"id":"acc_{n}","createdAt":"2026-03-01T12:00:00.{n}Z"}}"#);
    format!("[{}]", fractions.iter().map(row).collect::<Vec<_>>().join(","))
}

fn references(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.reference.as_str()).collect()
}

#[tokio::test]
async fn a_drain_asks_with_the_key_below_the_prefix_until_there_is_no_more() {
    let (client, asked) = scripted(&[(200, page(&[1, 2])), (200, page(&[2, 3])), (200, page(&[]))]).await;
    let client = client.with_page_size(2);
    let mut state = State::default();
    let rows = client.drain(Kind::Accounts, &mut state).await.unwrap();
    assert_eq!(references(&rows), ["acc_1", "acc_2", "acc_3"]);
    assert_eq!(state.watermark.to_string(), "2026-03-01T12:00:00.3Z");
    assert_eq!(client.requests(), 3);
    let query = "pageSize=2&sort=createdAt%3Aasc";
    let from = "createdAtFrom=2026-03-01T12%3A00%3A00Z";
    assert_eq!(
        *asked.lock().unwrap(),
        [
            format!("Bearer key-1 /prefix/accounts?page=1&{query} "),
            format!("Bearer key-1 /prefix/accounts?{from}&page=1&{query} "),
            format!("Bearer key-1 /prefix/accounts?{from}&page=2&{query} "),
        ]
    );
}

#[tokio::test]
async fn a_failing_page_stops_the_drain_behind_what_is_stored() {
    let (client, _) = scripted(&[(200, page(&[1])), (503, r#"{"title":"busy"}"#.into())]).await;
    let client = client.with_page_size(1);
    let mut state = State::default();
    let stopped = client.drain(Kind::Accounts, &mut state).await.unwrap_err();
    assert_eq!(references(&stopped.rows), ["acc_1"]);
    assert_eq!(stopped.error.class(), ErrorClass::ServerError);
    assert_eq!(state.watermark, stopped.rows[0].watermark);
}

#[tokio::test]
async fn what_storage_refuses_does_not_move_the_state() {
    let body = r#"[{"id":"","createdAt":"2026-03-01T12:00:00Z"}]"#;
    let (client, _) = scripted(&[(200, body.into())]).await;
    let mut state = State::default();
    let stopped = client.drain(Kind::Accounts, &mut state).await.unwrap_err();
    assert_eq!(stopped.error, CallError::Storage(Rejection::AccountReference));
    assert_eq!(state, State::default());
}

#[tokio::test]
async fn a_server_that_feeds_without_end_meets_the_limit() {
    let client = client_of(Router::new().fallback(async || page(&[1]))).await;
    let client = client.with_page_size(1).with_request_limit(7);
    let stopped = client.drain(Kind::Accounts, &mut State::default()).await;
    assert_eq!(stopped.unwrap_err().error, CallError::RequestLimit(7));
    assert_eq!(client.requests(), 7);
}

#[tokio::test]
async fn balances_and_payouts_are_checked_like_lists() {
    let balances =
        r#"{"accountID":"acc_1","at":"2026-03-01T12:00:00Z","balances":[{"amount":"5","currency":"usd"}]}"#;
    let reply = r#"{"id":"po_1","idempotencyKey":"ref-1","amount":"1500","currency":"USD/2","status":"PENDING","createdAt":"2026-03-01T12:00:00Z"}"#;
    let (client, asked) = scripted(&[(200, balances.into()), (201, reply.into())]).await;

    let refused = client.balances("acc 1").await.unwrap_err();
    assert_eq!(refused, CallError::Storage(Rejection::BalanceAsset));

    let initiation = Initiation {
        reference: "ref-1".into(),
        amount: Integer::parse("1500").unwrap(),
        asset: "USD/2".into(),
        source: "acc_1".into(),
        destination: "ben_1".into(),
        description: "rent".into(),
        metadata: [("invoice".into(), "42".into())].into(),
    };
    let row = client.create(Movement::Payout, &initiation).await.unwrap();
    assert_eq!((row.reference.as_str(), row.payment_reference()), ("po_1", "ref-1"));

    let asked = asked.lock().unwrap();
    assert_eq!(asked[0], "Bearer key-1 /prefix/accounts/acc%201/balances ");
    let (target, body) = asked[1].split_at("Bearer key-1 /prefix/payouts ".len());
    assert_eq!(target, "Bearer key-1 /prefix/payouts ");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["idempotencyKey"], "ref-1");
}

#[tokio::test]
async fn a_refused_connection_is_final() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client_at(address).balances("acc_1").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::ClientError);
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_at(silent.local_addr().unwrap()).with_timeout(Duration::from_millis(50));
    let error = client.balances("acc_1").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::RequestTimeout);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_neither_a_page_nor_final() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_at(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(socket.read_u8().await.unwrap());
        }
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]";
        socket.write_all(head).await.unwrap();
    });
    let failed = client.fetch_next(Kind::Accounts, &State::default()).await;
    let error = failed.unwrap_err();
    assert!(matches!(error, CallError::Transport { class: ErrorClass::Other, .. }), "{error}");
    server.await.unwrap();
}
