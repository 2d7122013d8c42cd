//! How the request of a payment goes out: once, and only through its gate.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use futures::future::BoxFuture;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::{Client, Rules};
use crate::fake::{self, Fake, answer, cut_off};
use crate::wire::{InMemory, Lane, Method, PaymentError, Request, Target};

/// Sends a payment to an upstream that answers each request with `answer`, through a gate that is
/// `open`: the status or why there is none, and how many requests came.
async fn pay(
    answer: impl Fn() -> Response + Send + Sync + 'static,
    open: bool,
) -> (Result<u16, PaymentError>, usize) {
    let fake = Fake::start(move |_, _| answer()).await;
    let yaml =
        format!("base_url: {}\nauth: none\nretry: {{ attempts: 4 }}\nevery: 1m\nstreams: []\n", fake.url);
    let manifest = serde_saphyr::from_str(&yaml).unwrap();
    let client = Client::new(&manifest, Arc::new(InMemory::default()), Arc::default()).unwrap();
    let target = Target::Relative { path: "/pay".to_owned(), query: vec![] };
    let request = Request {
        method: Method::Post,
        target,
        headers: HeaderMap::new(),
        body: Some(b"{}".to_vec()),
        lane: Lane::of_payments(),
        empty: Arc::default(),
        once: false,
        read_as: None,
        template: None,
    };
    let gate = || -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { if open { Ok(()) } else { Err("the order is another's".to_owned()) } })
    };
    let sent = client.send_payment(&request, Duration::from_secs(5), &gate).await;
    (sent.map(|incoming| incoming.status.as_u16()), fake.received().len())
}

#[tokio::test]
async fn a_limit_of_what_is_read_keeps_no_payment_from_being_sent() {
    let fake = Fake::start(|_, received| match received.path.as_str() {
        "/pay" => answer(201, &[], "{}"),
        _ => answer(429, &[("retry-after", "85092")], ""),
    })
    .await;
    let yaml = format!(
        "base_url: {}\nauth: none\nrate_limit: {{ scope: provider }}\nevery: 1m\nstreams: []\n",
        fake.url
    );
    let manifest = serde_saphyr::from_str(&yaml).unwrap();
    let client = Client::new(&manifest, Arc::new(InMemory::default()), Arc::default()).unwrap();
    let to = |path: &str| Target::Relative { path: path.to_owned(), query: vec![] };
    client.send(&Request::to(to("/records")), &Rules::default()).await.unwrap_err();
    let open = || -> BoxFuture<'_, Result<(), String>> { Box::pin(async { Ok(()) }) };
    let sent = client.send_payment(&Request::to(to("/pay")), Duration::from_secs(5), &open).await;
    assert_eq!(sent.unwrap().status.as_u16(), 201);
}

#[tokio::test]
async fn a_payment_is_sent_once_whatever_it_is_answered_with() {
    for status in [201, 307, 400, 401, 408, 409, 425, 429, 500, 503] {
        let (sent, requests) = pay(move || answer(status, &[("retry-after", "1")], "{}"), true).await;
        assert_eq!((sent.unwrap(), requests), (status, 1));
    }
    let (sent, requests) = pay(cut_off, true).await;
    assert!(matches!(sent, Err(PaymentError::Broken(_))), "it may have arrived: {sent:?}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn nothing_is_sent_through_a_closed_gate() {
    let (sent, requests) = pay(|| fake::json(json!({})), false).await;
    assert!(matches!(sent, Err(PaymentError::Unsent(why)) if why.contains("another's")));
    assert_eq!(requests, 0);
}
