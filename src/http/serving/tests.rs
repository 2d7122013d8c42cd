//! What clients see of a stop, byte by byte.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{ConnectionLimits, Draining, Listening, Patience, Serving, Stop, Trusted};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const PATIENCE: Patience = Patience { lame_duck: Duration::ZERO, drain: Duration::from_secs(20) };

struct Server {
    serving: Serving,
    draining: Draining,
    address: String,
    /// A request for `/slow` has come.
    came: Arc<Notify>,
    /// Lets its answer go on.
    go: Arc<Notify>,
}

fn start() -> Server {
    start_with(ConnectionLimits::default())
}

fn limited(limits: ConnectionLimits) -> Server {
    start_with(limits)
}

fn start_with(limits: ConnectionLimits) -> Server {
    let (came, go) = <(Arc<Notify>, Arc<Notify>)>::default();
    let slow = {
        let (came, go) = (came.clone(), go.clone());
        async move || {
            came.notify_one();
            go.notified().await;
            "slow"
        }
    };
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/echo", post(|body: String| async { body }));
    let listening = Listening::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listening.address().unwrap().to_string();
    let draining = Draining::default();
    Server {
        serving: Serving::start(listening, app, draining.clone(), limits, Trusted::default()),
        draining,
        address,
        came,
        go,
    }
}

async fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until `end` has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

/// Reads to the end, which has to be one in order and not a reset.
async fn read_rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("the connection ends in order");
    text
}

async fn never() {
    std::future::pending().await
}

fn is_dismissal(text: &str) -> bool {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    head.starts_with("HTTP/1.1 408 ")
        && head.contains("connection: close")
        && head.contains(&format!("content-length: {}", text.len() - head.len() - 4))
        && body["Title"].is_string()
        && body["Detail"].is_string()
}

#[tokio::test]
async fn idle_and_silent_connections_are_told_408_before_they_are_closed() {
    let server = start();
    let silent = connect(&server.address).await;
    let mut idle = connect(&server.address).await;
    send(&mut idle, REQUEST).await;
    read_until(&mut idle, "hello").await;
    let reading = async { (read_rest(silent).await, read_rest(idle).await) };
    let ((silent, idle), ()) = tokio::join!(reading, server.serving.stop(Stop::Prompt, PATIENCE, never()));
    assert!(is_dismissal(&silent) && is_dismissal(&idle), "{silent}\n{idle}");
}

#[tokio::test]
async fn a_request_that_meets_the_dismissal_is_answered_or_told_408_and_never_reset() {
    let (mut answered, mut dismissed) = (0, 0);
    for round in 0..30_u64 {
        let server = start();
        let mut idle = vec![];
        for i in 0..20_u64 {
            let mut client = connect(&server.address).await;
            send(&mut client, REQUEST).await;
            read_until(&mut client, "hello").await;
            idle.push((i, client));
        }
        let clients = idle.into_iter().map(async |(i, mut client)| {
            // around the moment of the dismissal, which comes by itself
            let moment = super::FIRST_BYTES + Duration::from_micros(200 * i + 60 * round);
            tokio::time::sleep(moment.saturating_sub(Duration::from_millis(2))).await;
            send(&mut client, REQUEST).await;
            read_rest(client).await
        });
        let clients = futures::future::join_all(clients);
        let (texts, ()) = tokio::join!(clients, server.serving.stop(Stop::Prompt, PATIENCE, never()));
        for text in texts {
            if is_dismissal(&text) {
                dismissed += 1;
            } else {
                assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("hello"), "{text:?}");
                assert!(text.contains("connection: close"), "{text:?}");
                answered += 1;
            }
        }
    }
    assert!(answered > 0 && dismissed > 0, "{answered} answered, {dismissed} dismissed");
}

#[tokio::test]
async fn requests_in_flight_are_finished_and_their_answers_say_close() {
    let server = start();
    let mut slow = connect(&server.address).await;
    send(&mut slow, "GET /slow HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.came.notified().await;
    let mut half = connect(&server.address).await;
    send(&mut half, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n01234").await;
    let mut head = connect(&server.address).await;
    send(&mut head, "GET / HTTP/1.1\r\n").await;
    let idle = connect(&server.address).await;
    let finishing = async {
        assert!(is_dismissal(&read_rest(idle).await));
        assert!(server.draining.has_begun());
        server.go.notify_one();
        send(&mut half, "56789").await;
        send(&mut head, "Host: t\r\n\r\n").await;
        for (stream, body) in [(slow, "slow"), (half, "0123456789"), (head, "hello")] {
            let text = read_rest(stream).await;
            assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with(body), "{text}");
            assert!(text.contains("connection: close\r\n"), "{text}");
        }
    };
    tokio::join!(finishing, server.serving.stop(Stop::Prompt, PATIENCE, never()));
}

#[tokio::test]
async fn a_lame_duck_serves_new_connections_until_it_is_hurried() {
    let server = start();
    let hurry = Notify::new();
    let patience = Patience { lame_duck: Duration::from_secs(3_600), ..PATIENCE };
    let mut idle = connect(&server.address).await;
    let using = async {
        while !server.draining.has_begun() {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            let mut late = connect(&server.address).await;
            send(&mut late, REQUEST).await;
            assert!(read_rest(late).await.contains("connection: close\r\n"), "no keep-alive any more");
        }
        send(&mut idle, REQUEST).await;
        assert!(read_rest(idle).await.ends_with("hello"), "one that was open is served too");
        hurry.notify_one();
    };
    tokio::join!(using, server.serving.stop(Stop::Gentle, patience, hurry.notified()));
    assert!(TcpStream::connect(&server.address).await.is_err(), "and then nobody listens");
}

#[tokio::test]
async fn what_waits_in_the_queue_when_the_stop_comes_is_served() {
    let server = start();
    // nothing is accepted until this task gives way: the handshakes are the kernel's
    let queued: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
            std::io::Write::write_all(&mut stream, REQUEST.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            TcpStream::from_std(stream).unwrap()
        })
        .collect();
    let reading = futures::future::join_all(queued.into_iter().map(read_rest));
    let (texts, ()) = tokio::join!(reading, server.serving.stop(Stop::Prompt, PATIENCE, never()));
    for text in texts {
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    }
}

#[tokio::test]
async fn whoever_takes_longer_than_the_limit_is_cut_off() {
    let server = start();
    let mut slow = connect(&server.address).await;
    send(&mut slow, "GET /slow HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.came.notified().await;
    let patience = Patience { drain: Duration::from_millis(300), ..PATIENCE };
    tokio::time::timeout(Duration::from_secs(10), server.serving.stop(Stop::Prompt, patience, never()))
        .await
        .expect("it does not wait for ever");
    let mut text = String::new();
    slow.read_to_string(&mut text).await.ok();
    assert_eq!(text, "");
}

#[tokio::test]
async fn an_answer_reaches_a_client_that_is_still_sending() {
    let server = start();
    let mut client = connect(&server.address).await;
    // nobody reads this body: closing at once would reset the connection under the answer
    let body = vec![b'x'; 100_000];
    send(&mut client, "POST /nowhere HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n").await;
    let text = read_until(&mut client, "\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 404 "), "{text}");
    for _ in 0..5 {
        client.write_all(&body).await.unwrap();
    }
    assert_eq!(read_rest(client).await, "");
    server.serving.stop(Stop::Prompt, PATIENCE, never()).await;
}

#[tokio::test]
async fn http2_is_told_to_go_away_and_finishes_what_it_is_at() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let server = start();
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", server.address);
    assert_eq!(client.get(url("/")).send().await.unwrap().version(), reqwest::Version::HTTP_2);
    let slow = tokio::spawn(client.get(url("/slow")).send());
    server.came.notified().await;
    let idle = connect(&server.address).await;
    let finishing = async {
        assert!(is_dismissal(&read_rest(idle).await));
        server.go.notify_one();
        assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "slow");
    };
    tokio::join!(finishing, server.serving.stop(Stop::Prompt, PATIENCE, never()));
}

const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_head_that_does_not_end_is_told_408_and_an_idle_connection_too_each_after_its_own_limit() {
    let server = limited(ConnectionLimits { head: SHORT, idle: HOUR, ..ConnectionLimits::default() });
    let mut idle = connect(&server.address).await;
    send(&mut idle, REQUEST).await;
    read_until(&mut idle, "hello").await;
    let mut begun = connect(&server.address).await;
    send(&mut begun, "GET / HTTP/1.1\r\nHost: t\r\n").await;
    assert!(is_dismissal(&read_rest(begun).await));
    // a second request on the same connection has the same limit, counted from its own first byte
    send(&mut idle, "GET /").await;
    assert!(is_dismissal(&read_rest(idle).await));

    let server = limited(ConnectionLimits { head: HOUR, idle: SHORT, ..ConnectionLimits::default() });
    let silent = connect(&server.address).await;
    let mut used = connect(&server.address).await;
    send(&mut used, REQUEST).await;
    read_until(&mut used, "hello").await;
    assert!(is_dismissal(&read_rest(silent).await) && is_dismissal(&read_rest(used).await));
}

#[tokio::test]
async fn no_limit_cuts_off_a_request_that_has_arrived() {
    let server = limited(ConnectionLimits { most: 2, each: 3, head: SHORT, idle: SHORT });
    let mut slow = connect(&server.address).await;
    send(&mut slow, "GET /slow HTTP/1.1\r\nHost: t\r\n\r\n").await;
    server.came.notified().await;
    let mut half = connect(&server.address).await;
    send(&mut half, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n01234").await;
    // there is no place for it, and nobody who could give one up
    let mut waiting = connect(&server.address).await;
    send(&mut waiting, REQUEST).await;
    let early = tokio::time::timeout(4 * SHORT, waiting.read_u8()).await;
    assert!(early.is_err(), "it waits");
    send(&mut half, "56789").await;
    assert!(read_rest(half).await.contains("\r\n\r\n0123456789"));
    assert!(read_rest(waiting).await.contains("\r\n\r\nhello"));
    server.go.notify_one();
    assert!(read_rest(slow).await.contains("\r\n\r\nslow"));
}

#[tokio::test]
async fn whoever_asks_finds_a_place_however_many_only_hold_theirs() {
    let server = limited(ConnectionLimits { most: 10, each: 10, head: HOUR, idle: HOUR });
    let mut idle = connect(&server.address).await;
    send(&mut idle, REQUEST).await;
    read_until(&mut idle, "hello").await;
    let mut holding = vec![];
    for i in 0..40 {
        let mut stream = connect(&server.address).await;
        // some never begin
        send(&mut stream, if i % 8 == 0 { "" } else { "POST /echo HTTP/1.1\r\n" }).await;
        holding.push(stream);
        if i % 10 == 9 {
            let mut asking = connect(&server.address).await;
            send(&mut asking, "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await;
            assert!(read_rest(asking).await.ends_with("hello"), "after {i}");
        }
    }
    // whoever had begun a request made room before whoever had asked nothing
    for (i, stream) in holding.into_iter().enumerate().filter(|(i, _)| i % 8 != 0).take(20) {
        assert!(is_dismissal(&read_rest(stream).await), "{i}");
    }
    send(&mut idle, REQUEST).await;
    read_until(&mut idle, "hello").await;
}

#[tokio::test]
async fn http2_connections_on_which_nothing_is_asked_end_after_their_limit_too() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let server = limited(ConnectionLimits { most: 10, each: 10, head: HOUR, idle: SHORT });
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", server.address);
    assert_eq!(client.get(url("/")).send().await.unwrap().text().await.unwrap(), "hello");
    // the preface of HTTP/2, and then nothing
    let mut silent = connect(&server.address).await;
    send(&mut silent, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let mut ignored = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut ignored));
    ended.await.expect("it ends").ok();
    assert_eq!(client.get(url("/")).send().await.unwrap().text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let (came, gone) = <(Arc<Notify>, Arc<Notify>)>::default();
    struct Told(Arc<Notify>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let endless = {
        let (came, gone) = (came.clone(), gone.clone());
        async move || {
            came.notify_one();
            let told = Told(gone.clone());
            axum::body::Body::from_stream(futures::stream::repeat_with(move || {
                let _ = &told;
                Ok::<_, std::io::Error>(vec![b'x'; 1 << 16])
            }))
        }
    };
    let listening = Listening::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listening.address().unwrap().to_string();
    let app = Router::new().route("/", get(endless));
    let limits = ConnectionLimits { head: SHORT, ..ConnectionLimits::default() };
    let serving = Serving::start(listening, app, Draining::default(), limits, Trusted::default());
    let mut client = connect(&address).await;
    send(&mut client, REQUEST).await;
    came.notified().await;
    tokio::time::timeout(Duration::from_secs(20), gone.notified()).await.expect("it is given up");
    serving.stop(Stop::Prompt, PATIENCE, never()).await;
}
