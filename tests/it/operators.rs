//! The listener for operators: what is there and nowhere else, and how both sockets are handed over.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Output, Stdio};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tower::ServiceExt as _;

use crate::support::app::read;
use crate::support::process::{FILE_KEY, PROGRAM, Place, free_addresses, stop};
use crate::support::{TestApp, server};

async fn status(address: &str, path: &str) -> u16 {
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client
        .get(format!("http://{address}{path}"))
        .bearer_auth(FILE_KEY)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

/// That operators are served at one address and everybody else at the other.
async fn check(public: &str, operator: &str) {
    for (path, at_public, at_operator) in [
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/metrics", 404, 200),
        ("/accounts", 200, 404),
        ("/openapi.json", 200, 404),
        ("/_healthcheck", 200, 404),
        ("/_info", 200, 404),
    ] {
        assert_eq!(
            (status(public, path).await, status(operator, path).await),
            (at_public, at_operator),
            "{path}"
        );
    }
}

/// A server that was handed two sockets called `names`.
fn handed(place: &Place, sockets: [&TcpListener; 2], names: &str, url: &str) -> Command {
    let mut command = place.command_of("/bin/sh".as_ref(), &[]);
    let script = "exec 3<&0 4<&1 0</dev/null 1>&2; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" serve";
    command.args(["-c", script, PROGRAM]).env("LISTEN_FDNAMES", names);
    let [first, second] = sockets.map(|socket| Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    command.stdin(first).stdout(second).env("ACME_KEY", FILE_KEY).env("DATABASE_URL", url);
    // it would be refused: whoever gets a socket does not bind one
    command.env("TRIBUTARY_LISTEN", "192.0.2.1:1").env("TRIBUTARY_OPERATOR_LISTEN", "192.0.2.1:2");
    command
}

#[tokio::test]
async fn whatever_watches_services_of_formance_can_watch_this_one() {
    let app = TestApp::new().await;
    // without a key, as they are asked
    let ask = async |path: &str| {
        let answer =
            app.router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let (status, body) = read(answer).await;
        (status, body)
    };
    assert_eq!(ask("/_healthcheck").await, (StatusCode::OK, json!({})));
    let info = json!({"version": env!("CARGO_PKG_VERSION"), "debug": cfg!(debug_assertions)});
    assert_eq!(ask("/_info").await, (StatusCode::OK, info));
    let described = serde_json::to_value(tributary::http::openapi()).unwrap();
    for path in ["/_healthcheck", "/_info"] {
        let operation = &described["paths"][path]["get"];
        assert_eq!(operation["security"], json!([{}]), "{path} takes no key");
        assert_eq!(operation["responses"].as_object().unwrap().keys().collect::<Vec<_>>(), ["200"]);
    }
}

#[tokio::test]
async fn what_is_for_operators_is_not_served_to_everybody_and_the_other_way_round() {
    let app = TestApp::new().await;
    for (path, public, operator) in [
        ("/admin/v1/sync", StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED),
        ("/ingest/accounts", StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND),
        ("/payouts", StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND),
        ("/webhooks/acme", StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND),
    ] {
        let request = || Request::post(path).body(Body::empty()).unwrap();
        assert_eq!(read(app.call(request()).await).await.0, public, "{path}");
        assert_eq!(read(app.call_operator(request()).await).await.0, operator, "{path}");
    }
}

#[tokio::test]
async fn sockets_that_are_handed_over_are_told_apart_by_their_names() {
    let place = Place::new("two_sockets");
    let url = server::new_database().await;
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = sockets.each_ref().map(|socket| socket.local_addr().unwrap().to_string());
    for (names, public, operator) in [("public:operator", &one, &two), ("operator:http", &two, &one)] {
        let server = handed(&place, sockets.each_ref(), names, &url).spawn().unwrap();
        place.until_up(public).await;
        check(public, operator).await;
        stop(server).await;
    }
}

#[tokio::test]
async fn sockets_that_nobody_can_tell_apart_are_refused_with_what_to_do() {
    let place = Place::new("unclear_sockets");
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    for names in ["", "a:b", "operator:operator"] {
        let mut command = handed(&place, sockets.each_ref(), names, "postgres://nowhere");
        let Output { status, stderr, .. } =
            command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(!status.success() && said.contains("FileDescriptorName=operator"), "{names:?}: {said}");
    }
}

#[tokio::test]
async fn an_upgrade_in_place_hands_both_sockets_on() {
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let place = Place::new("two_handed_on");
    let [public, operator] = free_addresses();
    let told_at = place.0.join("notify");
    let told = UnixDatagram::bind(&told_at).unwrap();
    let mut command = place.command(&["serve", "--listen", &public, "--operator-listen", &operator]);
    command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", server::new_database().await);
    command.env("NOTIFY_SOCKET", &told_at);
    let mut first = command.spawn().unwrap();
    place.until_up(&public).await;
    kill(Pid::from_raw(first.id().unwrap() as i32), Signal::SIGUSR2).unwrap();
    let successor = loop {
        let mut message = [0; 256];
        let length = told.recv(&mut message).await.unwrap();
        if let Some(pid) = std::str::from_utf8(&message[..length]).unwrap().strip_prefix("MAINPID=") {
            break Pid::from_raw(pid.parse().unwrap());
        }
    };
    assert!(first.wait().await.unwrap().success());
    check(&public, &operator).await;
    kill(successor, Signal::SIGTERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || nix::sys::wait::waitpid(successor, None));
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_the_flags() {
    let place = Place::new("taken");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--operator-listen", &address]);
    command.env("DATABASE_URL", server::new_database().await);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains(&address) && said.contains("--operator-listen"),
        "{said}"
    );
}
