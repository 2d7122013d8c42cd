//! What only shows on a real connection: the control API, a body that breaks off, and an end.

use super::*;

#[tokio::test]
async fn another_process_controls_the_stand_in_without_the_token() {
    let standin = open(&Mercury);
    let running = start(Arc::clone(&standin)).await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("{}{path}", running.url);

    let before = standin.truth().transactions.len();
    assert!(client.post(url("/_standin/advance?steps=50")).send().await.unwrap().status().is_success());
    assert!(standin.truth().transactions.len() > before);
    let truth: serde_json::Value =
        client.get(url("/_standin/truth")).send().await.unwrap().json().await.unwrap();
    assert_eq!(truth, serde_json::to_value(standin.truth()).unwrap());

    let faults = r#"{"cut_body":{"at_most":1},"late":{"every":2},"late_by":{"changes":5}}"#;
    let put = client.put(url("/_standin/faults")).header("content-type", "application/json").body(faults);
    assert_eq!(put.send().await.unwrap().status(), 204);
    let cut = client.get(url(ALL)).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.text().await.is_err(), "a client can tell a cut body from a whole one");
    assert!(client.get(url(ALL)).bearer_auth(TOKEN).send().await.unwrap().text().await.is_ok());

    let tally: serde_json::Value =
        client.get(url("/_standin/fired")).send().await.unwrap().json().await.unwrap();
    assert_eq!(tally["fired"]["cut_bodies"], 1);
    assert_eq!(tally["spent"]["requests"], 2, "the control API is not counted");
    assert_eq!(client.post(url("/_standin/settle")).send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_server_ends_when_it_is_told_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, open(&Mercury), async { drop(stopped.await) }));
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
