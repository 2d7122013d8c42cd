//! The connector API as Formance meets it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use chrono::DateTime;
use serde_json::{Value, json};
use tributary_domain::Scope;
use tributary_formance::{Client, GoTime, Kept};

use crate::support::app::{new_test_key, read};
use crate::support::jobs::{WAIT_FOR_LOCKS, count};
use crate::support::{TestApp, records};

fn check_error(body: &Value) {
    assert!(body["Title"].is_string() && body["Detail"].is_string(), "{body}");
}

async fn with_transactions(count: usize) -> TestApp {
    let app = TestApp::new().await;
    app.push("transactions", &records::transactions("t", count)).await;
    app.publish_all().await;
    app
}

#[tokio::test]
async fn a_transaction_is_served_as_the_connector_expects_it() {
    let app = TestApp::new().await;
    let mut record = records::transaction("tx_1", "SUCCEEDED");
    record["sourceAccountID"] = "acc_0".into();
    app.push("transactions", &[record]).await;
    app.publish_all().await;
    let mut body = app.get_ok("/transactions").await[0].take();
    let updated_at = body["updatedAt"].take();
    assert_eq!(updated_at.as_str().unwrap().len(), "2026-03-01T12:00:00.000000Z".len());
    assert_eq!(
        body,
        json!({"id": "tx_1", "createdAt": "2026-03-01T12:00:00.000000Z", "updatedAt": null, "type": "PAYIN",
               "status": "SUCCEEDED", "currency": "EUR/2", "amount": "1050", "sourceAccountID": "acc_0",
               "destinationAccountID": "acc_1", "metadata": {"k": "v"}})
    );
}

#[tokio::test]
async fn s8_a_short_page_comes_only_at_the_end_and_past_the_end_there_is_an_empty_one() {
    let app = with_transactions(300).await;
    for (page_size, page, expected) in [
        (1, 300, 1),
        (1, 301, 0),
        (100, 3, 100),
        (100, 4, 0),
        (299, 2, 1),
        (1000, 1, 300),
        (100, 9_223_372_036_854_775_807_i64, 0),
    ] {
        let got =
            app.get_ok(&format!("/transactions?page={page}&pageSize={page_size}&sort=updatedAt:asc")).await;
        assert_eq!(got.as_array().unwrap().len(), expected, "page {page} of {page_size}");
    }
    let default = app.get_ok("/transactions").await;
    assert_eq!(default.as_array().unwrap().len(), 100);
    for query in [
        "pageSize=0",
        "pageSize=1001",
        "pageSize=99999999999999999999",
        "page=0",
        "page=x",
        "sort=createdAt:asc",
        "sort=updatedAt:desc",
    ] {
        let (status, body) = app.get(&format!("/transactions?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        check_error(&body);
    }
}

#[tokio::test]
async fn s7_from_is_an_inclusive_compare_of_instants_in_any_form() {
    let app = with_transactions(3).await;
    // three entries of one second: .000000, .500000, .999999
    app.rewrite(
        "update feed set published_at = '2026-03-01T12:00:00Z'::timestamptz
           + case position when 1 then 0 when 2 then 500000 else 999999 end * interval '1 microsecond'",
    )
    .await;
    for (from, expected) in [
        ("2026-03-01T12:00:00Z", 3),
        ("2026-03-01T12:00:00.000001Z", 2),
        ("2026-03-01T12:00:00.5Z", 2),
        ("2026-03-01T12:00:00.500000001Z", 1),
        ("2026-03-01T12:00:00.999999Z", 1),
        ("2026-03-01T12:00:01Z", 0),
        ("2026-03-01T14:00:00%2B02:00", 3),
        ("2026-03-01T14:00:00+02:00", 3),
        ("2026-03-01T07:00:00.999999999-05:00", 0),
        ("0001-01-01T00:00:00Z", 3),
        ("9999-12-31T23:59:59Z", 0),
    ] {
        let got = app.get_ok(&format!("/transactions?updatedAtFrom={from}")).await;
        assert_eq!(got.as_array().unwrap().len(), expected, "{from}");
    }
    for garbage in
        ["", "now", "2026-03-01", "2026-02-30T00:00:00Z", "1772366400", "%00", "2026-03-01T12:00:00"]
    {
        let (status, body) = app.get(&format!("/transactions?updatedAtFrom={garbage}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{garbage}");
        check_error(&body);
    }
    let (status, _) = app.get("/transactions?createdAtFrom=2026-03-01T12:00:00Z").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the other feed's parameter would filter nothing");
}

#[tokio::test]
async fn the_link_of_a_full_page_walks_the_same_positions() {
    let app = with_transactions(250).await;
    let mut target = "/transactions?pageSize=100".to_owned();
    let mut walked = Vec::new();
    loop {
        let response = app.call(app.get_request(&target, &app.connector_key)).await;
        let link = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        let (_, page) = read(response).await;
        walked.extend(page.as_array().unwrap().clone());
        let Some(link) = link else { break };
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
        target = format!("/transactions{next}");
        // what is published meanwhile goes behind, and moves nothing
        app.push("transactions", &[records::transaction(&format!("later{}", walked.len()), "PENDING")]).await;
        app.publish_all().await;
    }
    assert_eq!(walked.len(), 252);
    assert_eq!(walked, app.feed("transactions").await);
    let (status, body) = app.get("/transactions?cursor=nonsense").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    check_error(&body);
}

#[tokio::test]
async fn balances_answer_503_for_an_unknown_account_and_an_empty_list_for_a_bare_one() {
    let app = TestApp::new().await;
    let (status, body) = app.get("/accounts/nobody/balances").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    check_error(&body);
    for odd in [
        "/accounts/~zz/balances",
        "/accounts/%00/balances",
        "/accounts/~00/balances",
        "/accounts/a%2Fb/balances",
        &format!("/accounts/{}/balances", "a".repeat(1_001)),
    ] {
        assert_eq!(app.get(odd).await.0, StatusCode::NOT_FOUND, "{odd}");
    }
    app.push("accounts", &[records::account("bare", "2026-01-01T00:00:00Z")]).await;
    let body = app.get_ok("/accounts/bare/balances").await;
    assert_eq!(
        (&body["id"], &body["accountID"], &body["balances"]),
        (&json!("bare"), &json!("bare"), &json!([]))
    );
    let client = Client::new(&app.listen().await, &app.connector_key);
    assert!(client.balances("bare").await.unwrap().is_empty());
}

#[tokio::test]
async fn the_time_of_the_balances_grows_whenever_an_amount_changes() {
    let app = TestApp::new().await;
    app.push("accounts", &[records::account("a", "2026-01-01T00:00:00Z")]).await;
    let at = |minute: u32| format!("2026-03-01T12:{minute:02}:00Z");
    let mut seen: Vec<(String, Value)> = Vec::new();
    let steps: [(&str, Vec<(&str, &str)>); 5] = [
        (&at(10), vec![("EUR/2", "100"), ("USD/2", "-7")]),
        (&at(11), vec![("EUR/2", "150")]),
        // the very same time with another amount
        (&at(11), vec![("USD/2", "8")]),
        // an older answer that comes late is dropped
        (&at(5), vec![("EUR/2", "999")]),
        (&at(12), vec![("EUR/2", "150"), ("USD/2", "9")]),
    ];
    for (at, amounts) in &steps {
        app.push("balances", &[records::balances("a", at, amounts)]).await;
        let body = app.get_ok("/accounts/a/balances").await;
        seen.push((body["at"].as_str().unwrap().to_owned(), body["balances"].clone()));
    }
    app.sql("update balances set amount = 10 where asset = 'USD/2'").await;
    let body = app.get_ok("/accounts/a/balances").await;
    seen.push((body["at"].as_str().unwrap().to_owned(), body["balances"].clone()));
    for pair in seen.windows(2) {
        let (earlier, later) = (&pair[0], &pair[1]);
        assert!(if earlier.1 == later.1 { earlier.0 <= later.0 } else { earlier.0 < later.0 }, "{seen:?}");
    }
    assert_eq!(
        seen.last().unwrap().1,
        json!([{"currency": "EUR/2", "amount": "150"}, {"currency": "USD/2", "amount": "10"}])
    );
}

#[tokio::test]
async fn a_balance_holds_in_formance_at_any_time_between_two_confirmations() {
    let app = TestApp::new().await;
    app.push("accounts", &[records::account("a", "2026-01-01T00:00:00Z")]).await;
    let client = Client::new(&app.listen().await, &app.connector_key);
    let mut kept = Kept::default();
    let at = |minute: i64| GoTime::from_unix(1_772_366_400 + 60 * minute, 0);
    let text = |minute: i64| DateTime::from_timestamp(at(minute).unix_seconds(), 0).unwrap().to_rfc3339();
    // of one asset only the second time; confirmed, confirmed, changed, confirmed
    for (minute, amounts) in [
        (0, vec![("EUR/2", "100"), ("USD/2", "7")]),
        (30, vec![("EUR/2", "100")]),
        (60, vec![("EUR/2", "100"), ("USD/2", "7")]),
        (90, vec![("EUR/2", "150"), ("USD/2", "7")]),
        (120, vec![("EUR/2", "150"), ("USD/2", "7")]),
    ] {
        app.push("balances", &[records::balances("a", &text(minute), &amounts)]).await;
        kept.take_balances(&client.balances("a").await.unwrap()).unwrap();
        // a poll without a confirmation in between changes nothing
        kept.take_balances(&client.balances("a").await.unwrap()).unwrap();
    }
    // a µs lies between two assets that were told together
    let soon_after = |minute: i64| GoTime::from_unix(at(minute).unix_seconds() + 1, 0);
    for minute in 0..120 {
        let held = |asset| kept.balance_at("a", asset, soon_after(minute)).map(|amount| amount.to_string());
        let eur = if minute < 90 { "100" } else { "150" };
        assert_eq!((held("EUR/2").as_deref(), held("USD/2").as_deref()), (Some(eur), Some("7")), "{minute}");
    }
    assert_eq!(kept.balance_at("a", "EUR/2", soon_after(120)), None, "nobody confirmed that");
    // a failed look, and an older one that comes late, confirm nothing
    app.push("balances", &[records::balances("a", &text(119), &[("EUR/2", "150")])]).await;
    kept.take_balances(&client.balances("a").await.unwrap()).unwrap();
    assert_eq!(kept.balance_at("a", "EUR/2", soon_after(120)), None);
}

#[tokio::test]
async fn two_writers_of_one_account_never_share_a_time() {
    let app = TestApp::new().await;
    app.push("accounts", &[records::account("a", "2026-01-01T00:00:00Z")]).await;
    let at = "2026-03-01T12:00:00Z";
    app.push("balances", &[records::balances("a", at, &[("EUR/2", "0"), ("USD/2", "0")])]).await;
    let mut first = app.pool.begin().await.unwrap();
    sqlx::query("update balances set amount = 1, at = '2026-03-01T12:00:01Z' where asset = 'EUR/2'")
        .execute(&mut *first)
        .await
        .unwrap();
    let pool = app.pool.clone();
    let second = tokio::spawn(async move {
        sqlx::query("update balances set amount = 1, at = '2026-03-01T12:00:01Z' where asset = 'USD/2'")
            .execute(&pool)
            .await
    });
    // the second writer waits for the first, however long that takes
    let waiting = async {
        while count(&app.pool, WAIT_FOR_LOCKS).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("it waits");
    first.commit().await.unwrap();
    second.await.unwrap().unwrap();
    let times: i64 =
        sqlx::query_scalar("select count(distinct at) from balances").fetch_one(&app.pool).await.unwrap();
    assert_eq!(times, 2);
}

#[tokio::test]
async fn without_a_valid_key_every_path_answers_401_in_json() {
    let app = TestApp::new().await;
    for authorization in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic abc"),
        Some("Bearer trb_nonsense"),
        Some(&*format!("Bearer {}x", app.connector_key)),
    ] {
        for target in ["/accounts", "/accounts/a/balances", "/beneficiaries", "/transactions"] {
            let mut request = Request::get(target);
            if let Some(value) = authorization {
                request = request.header(header::AUTHORIZATION, value);
            }
            let (status, body) = read(app.call(request.body(Body::empty()).unwrap()).await).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{target} with {authorization:?}");
            check_error(&body);
        }
    }
}

#[tokio::test]
async fn a_key_opens_its_scope_only() {
    let app = TestApp::new().await;
    let (status, body) = read(app.call(app.get_request("/accounts", &app.ingest_key)).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    check_error(&body);
    let push = Request::post("/ingest/accounts")
        .header(header::AUTHORIZATION, format!("Bearer {}", app.connector_key))
        .body(Body::from("[]"))
        .unwrap();
    assert_eq!(read(app.call(push).await).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn one_providers_key_never_reads_anothers_rows() {
    let app = with_transactions(3).await;
    app.push("accounts", &[records::account("a", "2026-01-01T00:00:00Z")]).await;
    app.publish_all().await;
    let other = new_test_key(&app.pool, &"other".parse().unwrap(), Scope::Connector).await;
    for target in ["/accounts", "/beneficiaries", "/transactions"] {
        let (status, body) = read(app.call(app.get_request(target, &other)).await).await;
        assert_eq!((status, body), (StatusCode::OK, json!([])), "{target}");
    }
    let (status, _) = read(app.call(app.get_request("/accounts/a/balances", &other)).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    // the key of a provider that no file declares any more opens nothing
    let gone = new_test_key(&app.pool, &"gone".parse().unwrap(), Scope::Connector).await;
    let (status, _) = read(app.call(app.get_request("/accounts", &gone)).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn pages_are_compressed_when_asked_for() {
    let app = with_transactions(100).await;
    let mut request = app.get_request("/transactions", &app.connector_key);
    request.headers_mut().insert(header::ACCEPT_ENCODING, "gzip".parse().unwrap());
    let response = app.call(request).await;
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), app.get_ok("/transactions").await);
}

#[tokio::test]
async fn older_formance_hears_only_words_that_it_knows() {
    let app = TestApp::with_file("provider: acme\npush: all\nformance: { version: \"3.1\" }\n").await;
    for (i, status) in [
        "PENDING",
        "SUCCEEDED",
        "FAILED",
        "CANCELLED",
        "EXPIRED",
        "REFUNDED",
        "REFUNDED_FAILURE",
        "REFUND_REVERSED",
        "DISPUTE",
        "DISPUTE_WON",
        "DISPUTE_LOST",
        "AUTHORISATION",
        "CAPTURE",
        "CAPTURE_FAILED",
        "OTHER",
    ]
    .iter()
    .enumerate()
    {
        let mut record = records::transaction(&format!("t{i}"), status);
        record["type"] = if i % 2 == 0 { "OTHER" } else { "PAYIN" }.into();
        app.push("transactions", &[record]).await;
    }
    app.publish_all().await;
    let page = app.get_ok("/transactions").await;
    let untold = 1 + 1 + 2;
    assert_eq!(page.as_array().unwrap().len(), 15 + untold, "of REFUNDED, CAPTURE and REFUND_REVERSED");
    for row in page.as_array().unwrap() {
        assert!(["PENDING", "SUCCEEDED", "FAILED"].contains(&row["status"].as_str().unwrap()), "{row}");
        assert!(["PAYIN", "PAYOUT", "TRANSFER"].contains(&row["type"].as_str().unwrap()), "{row}");
    }
    let lost = page.as_array().unwrap().iter().find(|row| row["id"] == "t10").unwrap();
    assert_eq!(lost["metadata"]["tributary.status"], "DISPUTE_LOST");
}

#[tokio::test]
async fn what_is_not_there_answers_in_json_too() {
    let app = TestApp::new().await;
    let (status, body) = app.get("/nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    check_error(&body);
    let request = Request::delete("/accounts").body(Body::empty()).unwrap();
    let (status, body) = read(app.call(request).await).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    check_error(&body);
}

#[tokio::test]
async fn health_needs_no_database_and_readiness_does() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(app.get("/readyz").await.0, StatusCode::OK);
    app.close().await;
    assert_eq!(app.get("/healthz").await.0, StatusCode::OK);
    // an answer holds for a second
    let noticed = async {
        loop {
            match app.get("/readyz").await {
                (StatusCode::SERVICE_UNAVAILABLE, body) => return body,
                (status, _) => assert_eq!(status, StatusCode::OK),
            }
        }
    };
    let body = tokio::time::timeout(Duration::from_secs(20), noticed).await.expect("it notices");
    check_error(&body);
    assert!(!body["Detail"].as_str().unwrap().contains("database"), "strangers are not told why: {body}");
    let (status, body) = app.get("/transactions").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "not 401, which Formance would take for final");
    check_error(&body);
}
