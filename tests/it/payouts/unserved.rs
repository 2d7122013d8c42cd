//! Orders that cannot be taken or carried on just now: nobody is told that they failed, and somebody
//! is told that they wait.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use tributary::payments::Policy;

use crate::support::app::read;
use crate::support::process::{FILE_KEY, Place, read_log_until, stop};
use crate::support::till::{Formance, Till, number, quick};

#[tokio::test]
async fn an_order_whose_filters_do_not_get_to_say_is_to_come_again() {
    let mut till = Till::open(Policy::GUARD).await;
    till.change(|manifest| {
        let prepare = &mut manifest.payouts.as_mut().unwrap().prepare;
        let spins = "(if .idempotencyKey == \"spin\" then (def spin: spin; spin) else . end)";
        *prepare = Some(format!("{spins} | {}", prepare.as_ref().unwrap()));
    });
    let (app, _) = till.instance("one", quick());
    let order = |key: &str| {
        let order = json!({"idempotencyKey": key, "amount": "1500", "currency": "GBP/2",
            "sourceAccountId": till.account, "destinationAccountId": till.payees[0]});
        Request::post("/payouts")
            .header(header::AUTHORIZATION, format!("Bearer {}", app.connector_key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(order.to_string()))
            .unwrap()
    };
    let (status, answer) = read(app.call(order("spin")).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert!(answer["Detail"].as_str().unwrap().contains("cannot be taken now"), "{answer}");
    let (status, answer) = read(app.call(order("good")).await).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert_eq!(number(&app.pool, "select count(*) from payment_orders").await, 1);
    assert_eq!(number(&app.pool, "select count(*) from payment_refusals").await, 0, "nothing was refused");
}

#[tokio::test]
async fn open_orders_of_a_provider_whose_file_is_gone_are_counted_and_spoken_of() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let till = Till::open(Policy::GUARD).await;
    let (app, _) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    // a server without the file
    let place = Place::new("abandoned");
    let url = app.url.clone();
    let (mut server, address) = place
        .serve_as(|command| {
            command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &url);
            command.stderr(std::process::Stdio::piped());
        })
        .await;
    read_log_until(&mut server, "nobody carries these payments on").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let gauge = "tributary_abandoned_payments";
    let metrics = async || {
        client
            .get(format!("http://{}/metrics", place.operator(&address)))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    let counted = async {
        while !metrics().await.lines().any(|line| line == format!("{gauge} 1")) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), counted).await.expect("it is counted");
    stop(server).await;
}
