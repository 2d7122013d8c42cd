//! S24: whose rows a key opens, whatever went wrong before on the same connection.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tributary::store::{self, api_keys};
use tributary_domain::ProviderName;
use tributary_domain::Scope;

use crate::support::app::{new_test_key, read};
use crate::support::process::{FILE_KEY, Place, stop};
use crate::support::proxy::report;
use crate::support::{TestApp, records};

/// An application with two providers: `acme`, and `other` with keys of its own.
struct Two {
    app: TestApp,
    other_connector: String,
    other_ingest: String,
}

impl Two {
    async fn new() -> Self {
        let app = TestApp::fast().await;
        let other: ProviderName = "other".parse().unwrap();
        let other_connector = new_test_key(&app.pool, &other, Scope::Connector).await;
        let other_ingest = new_test_key(&app.pool, &other, Scope::Ingest).await;
        Self { app, other_connector, other_ingest }
    }

    async fn other_get(&self, target: &str) -> (StatusCode, Value) {
        read(self.app.call(self.app.get_request(target, &self.other_connector)).await).await
    }

    /// Pushes for `other`, which shares the first record's id with `acme`.
    async fn other_push(&self, resource: &str, records: &[Value]) {
        let app = TestApp::with_keys(
            &self.app,
            self.app.pool.clone(),
            (self.other_connector.clone(), self.other_ingest.clone()),
        );
        app.push(resource, records).await;
    }
}

/// Gives each provider two records of every kind, marked as its own; one id is in both.
async fn fill(two: &Two) {
    let accounts = |name: &str, mark: &str| {
        ["shared".to_owned(), mark.to_owned()].map(|id| {
            let mut account = records::account(&id, "2026-01-01T00:00:00Z");
            account["metadata"] = json!({ "mark": mark });
            let owner = account.as_object_mut().unwrap().remove("accountName").unwrap();
            account[name] = owner;
            account
        })
    };
    let transactions = |mark: &str| {
        ["shared".to_owned(), mark.to_owned()].map(|id| {
            let mut transaction = records::transaction(&id, "SUCCEEDED");
            transaction["metadata"] = json!({ "mark": mark });
            transaction
        })
    };
    let balance =
        |id: &str, amount: &str| records::balances(id, "2026-01-02T00:00:00Z", &[("EUR/2", amount)]);
    for (resource, name) in [("accounts", "accountName"), ("beneficiaries", "ownerName")] {
        two.app.push(resource, &accounts(name, "of_acme")).await;
        two.other_push(resource, &accounts(name, "of_other")).await;
    }
    two.app.push("transactions", &transactions("of_acme")).await;
    two.other_push("transactions", &transactions("of_other")).await;
    two.app.push("balances", &[balance("shared", "1111"), balance("of_acme", "1112")]).await;
    two.other_push("balances", &[balance("shared", "2222")]).await;
    for provider in ["acme", "other"] {
        for resource in ["accounts", "beneficiaries", "transactions"] {
            two.app.sql(&format!("select publish('{provider}', '{resource}', 1000, 100, '1 day')")).await;
        }
    }
}

#[tokio::test]
async fn s24_another_providers_accounts_and_rows_do_not_exist_for_a_key() {
    let two = Two::new().await;
    fill(&two).await;
    let (status, body) = two.other_get("/accounts/of_acme/balances").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let (unknown, told) = two.other_get("/accounts/nobody_/balances").await;
    assert_eq!(unknown, StatusCode::SERVICE_UNAVAILABLE);
    let same = told.to_string().replace("nobody_", "of_acme");
    assert_eq!(body.to_string(), same, "not even that it exists is told");
    let (status, body) = two.other_get("/accounts/shared/balances").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["balances"], json!([{"amount": "2222", "currency": "EUR/2"}]));
    for resource in ["accounts", "beneficiaries", "transactions"] {
        let response =
            two.app.call(two.app.get_request(&format!("/{resource}?pageSize=1"), &two.app.connector_key));
        let link = response.await.headers()["link"].to_str().unwrap().to_owned();
        let (_, acmes_link) = link.split_once("cursor=").unwrap();
        let cursor = acmes_link.split(['&', '>']).next().unwrap();
        for query in ["", "?page=2&pageSize=1", "?provider=acme", &format!("?cursor={cursor}")] {
            let (status, body) = two.other_get(&format!("/{resource}{query}")).await;
            assert_eq!(status, StatusCode::OK);
            let rows = body.as_array().unwrap();
            assert!(!rows.is_empty(), "{resource}{query}");
            assert!(
                rows.iter().all(|row| row["metadata"]["mark"] == "of_other"),
                "{resource}{query}: {body}"
            );
        }
    }
}

/// One request on a connection that stays open; gives the status.
async fn ask(connection: &mut TcpStream, key: &str) -> String {
    let request = format!("GET /accounts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    loop {
        let mut bytes = [0; 4096];
        let count = connection.read(&mut bytes).await.unwrap();
        assert!(count > 0, "the connection was closed: {reply}");
        reply.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        let Some((head, body)) = reply.split_once("\r\n\r\n") else { continue };
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() >= length.parse().unwrap() {
            return head.split(' ').nth(1).unwrap().to_owned();
        }
    }
}

#[tokio::test]
async fn s24_a_revoked_key_opens_nothing_more_on_a_connection_that_stays_open() {
    let two = Two::new().await;
    let endpoint = two.app.listen().await;
    let mut connection = TcpStream::connect(endpoint.trim_start_matches("http://")).await.unwrap();
    assert_eq!(ask(&mut connection, &two.app.connector_key).await, "200");
    let keys = api_keys::list(&two.app.pool, Some(two.app.name())).await.unwrap();
    let key = keys.iter().find(|key| key.scope == "connector").unwrap();
    assert!(api_keys::revoke(&two.app.pool, key.id).await.unwrap());
    assert_eq!(ask(&mut connection, &two.app.connector_key).await, "401");
    assert_eq!(ask(&mut connection, &two.other_connector).await, "200", "a valid key still does");
    assert_eq!(ask(&mut connection, &two.app.connector_key).await, "401");
}

#[tokio::test]
async fn s24_the_key_of_a_provider_whose_file_is_gone_opens_nothing() {
    let place = Place::new("file_gone");
    let app = TestApp::new().await;
    let gone: ProviderName = "gone".parse().unwrap();
    let keys = [
        new_test_key(&app.pool, &gone, Scope::Connector).await,
        new_test_key(&app.pool, &gone, Scope::Ingest).await,
    ];
    // the variable of this key is not set
    let file = "provider: gone\npush: all\nkeys:\n  - { scope: connector, key: \"${GONE_KEY}\" }\n";
    std::fs::write(place.0.join("providers/gone.yaml"), file).unwrap();
    for (file_is_there, expected) in [(true, ["200", "403"]), (false, ["503", "503"])] {
        if !file_is_there {
            std::fs::remove_file(place.0.join("providers/gone.yaml")).unwrap();
        }
        let (server, address) = place.serve(Some(&app.url)).await;
        let mut connection = TcpStream::connect(&address).await.unwrap();
        for (key, expected) in keys.iter().zip(expected) {
            assert_eq!(ask(&mut connection, key).await, expected);
        }
        for unset in ["${GONE_KEY}", "", "GONE_KEY"] {
            assert_eq!(ask(&mut connection, unset).await, "401", "{unset:?}");
        }
        assert_eq!(ask(&mut connection, FILE_KEY).await, "200", "the other provider's key");
        stop(server).await;
    }
}

#[tokio::test]
async fn s24_a_pooled_connection_after_an_error_in_a_transaction_is_as_new() {
    let two = Two::new().await;
    two.app.push("accounts", &[records::account("acmes", "2026-01-01T00:00:00Z")]).await;
    two.app.push("transactions", &[records::transaction("locked", "PENDING")]).await;
    two.app.publish_all().await;
    let name: String =
        sqlx::query_scalar("select current_database()").fetch_one(&two.app.pool).await.unwrap();
    two.app.sql(&format!("alter database \"{name}\" set lock_timeout = '50ms'")).await;
    // every request has to take the one connection that there is
    let keys = (two.app.connector_key.clone(), two.app.ingest_key.clone());
    let single = TestApp::with_keys(&two.app, store::connect(&two.app.url, 1).await.unwrap(), keys);
    let pid = || sqlx::query_scalar::<_, i32>("select pg_backend_pid()").fetch_one(&single.service);
    let mut blocker = PgConnection::connect(&two.app.url).await.unwrap();
    let (mut failed, mut dropped) = (0, 0);
    for round in 0..10 {
        let backend = pid().await.unwrap();
        let mut locking = blocker.begin().await.unwrap();
        sqlx::query("select 1 from transactions where id = 'locked' for update")
            .execute(&mut *locking)
            .await
            .unwrap();
        // history, which says so for its transaction; it fails behind having written a row
        let batch = ["first", "locked"].map(|id| records::transaction(id, "DISPUTE"));
        let body = serde_json::to_vec(&batch).unwrap();
        let pushing = single.post("/ingest/transactions?backfill=true", "application/json", body);
        if round % 2 == 0 {
            let (status, answer) = pushing.await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            assert_eq!(pid().await.unwrap(), backend, "the pool keeps the connection");
            failed += 1;
        } else {
            // the client hangs up while the statement waits
            let answer = tokio::time::timeout(std::time::Duration::from_millis(25), pushing).await;
            dropped += u64::from(answer.is_err());
        }
        // the next request comes with another provider's key
        let other = two.app.get_request("/accounts", &two.other_connector);
        let (status, body) = read(single.call(other).await).await;
        assert_eq!((status, body), (StatusCode::OK, json!([])));
        locking.rollback().await.unwrap();
        single.push("transactions", &[records::transaction(&format!("fresh{round}"), "PENDING")]).await;
        let set: Option<String> =
            sqlx::query_scalar("select nullif(current_setting('tributary.backfill', true), '')")
                .fetch_one(&single.service)
                .await
                .unwrap();
        assert_eq!(set, None, "no request is taken for history because of the one before");
    }
    let staged: Vec<(String, bool)> = sqlx::query_as("select id, backfill from changes order by seq")
        .fetch_all(&two.app.pool)
        .await
        .unwrap();
    let expected: Vec<(String, bool)> = (0..10).map(|round| (format!("fresh{round}"), false)).collect();
    assert_eq!(staged, expected, "nothing of what failed, and nothing as history");
    report([("error_in_transaction", failed), ("dropped_in_transaction", dropped)]);
}
