//! What only shows on a real connection.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::starling::{Faults, When, serve};

type Server = (SocketAddr, oneshot::Sender<()>, JoinHandle<std::io::Result<()>>);

async fn start(bank: &Arc<Starling>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        let _ = stopped.await;
    };
    (address, stop, tokio::spawn(serve(listener, Arc::clone(bank), shutdown)))
}

/// All bytes that one request gets until the server closes the connection.
async fn raw(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: standin\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A reset after the first half is an acceptable way to be cut off.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_client_can_tell_a_cut_body_from_a_whole_one_and_the_server_ends_when_told() {
    let bank = bank();
    let (address, stop, server) = start(&bank).await;
    let category = categories(&bank.ledger())[0];
    let path = format!("{}?changesSince=2025-04-01T00:00:00Z", feed(category.0, category.1));

    let whole = raw(address, &path).await;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("transfer-encoding: chunked"));
    assert!(whole.ends_with("\r\n0\r\n\r\n"), "the terminator of a whole chunked body");

    bank.set_faults(Faults { cut_body: Some(When::next(1)), ..Faults::default() });
    let cut = raw(address, &path).await;
    assert!(
        cut.starts_with("HTTP/1.1 200") && cut.contains("feedItemUid"),
        "head and half of the body arrived"
    );
    assert!(cut.len() < whole.len() && !cut.ends_with("0\r\n\r\n"), "and nothing pretends to be the end");
    assert_eq!(bank.fired().cut_bodies, 1);

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
