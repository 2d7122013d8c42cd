//! S24: what must stay secret is in no log line and in no error, however much is logged and
//! whatever goes wrong.

use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use sqlx::{Connection, Executor, PgConnection};
use tokio::net::TcpListener;
use tributary_domain::Scope;

use crate::support::app::{new_test_key, secret_of};
use crate::support::process::{Place, stop};
use crate::support::proxy::{Fault, Proxy, report};
use crate::support::{TestApp, edited, records};

const PASSWORD: &str = "a-password-of-the-database";
const FILE_KEY: &str = "a-connector-key-of-the-file";
const TOKEN: &str = "the-bearer-token-of-the-bank";
const HEADER: &str = "the-value-of-a-secret-header";
const WRONG_KEY: &str = "a-key-that-never-was-valid";
const BASIC: &str = "dXNlcjphLXBhc3N3b3Jk";

const BANK: &str = r#"
provider: bank
api: ${BANK_URL}
auth: { bearer: "${BANK_TOKEN}" }
headers: { x-api-secret: "${BANK_HEADER}" }
limits: { pace: 100/s }
attempts: 2
every: 1s
pull:
  accounts: { get: /accounts, rows: .accounts, id: .id, name: .name, created: .at }
"#;

/// A bank that answers with everything it was sent: a refusal, a failure or a strange record.
async fn indiscreet_bank() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let answer = std::sync::Arc::new(move |headers: HeaderMap| {
        let told = format!("{headers:?}").replace('"', "'");
        let status = [StatusCode::UNAUTHORIZED, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::OK];
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (status[call % 3], format!(r#"{{"accounts": [{{"id": "a", "name": "n", "at": "{told}"}}]}}"#))
    });
    let router = Router::new().fallback(move |headers: HeaderMap| {
        let answer = std::sync::Arc::clone(&answer);
        async move { answer(headers) }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A role of its own with a password, and the URL that it logs in with.
async fn url_with_password(url: &str) -> (String, String) {
    let role = format!("tributary_secret_{}", std::process::id());
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = format!("create role {role} login password '{PASSWORD}' in role tributary_app");
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    let mut url: url::Url = url.parse().unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some(PASSWORD)).unwrap();
    (role, url.into())
}

/// Requests of all kinds, with secrets in all places, of which many fail. Gives what was
/// answered to those that failed.
async fn provoke(address: &str, connector: &str, ingest: &str) -> Vec<String> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build().unwrap();
    let url = |path: &str| format!("http://{address}{path}");
    let mut refusals = Vec::new();
    for round in 0..12 {
        let record = records::transaction(&format!("t{round}"), "PENDING");
        let requests = [
            http.get(url("/transactions?pageSize=0")).bearer_auth(connector),
            http.get(url("/transactions")).bearer_auth(connector),
            http.get(url("/accounts/nobody/balances")).bearer_auth(connector),
            http.get(url("/accounts")).bearer_auth(FILE_KEY),
            http.get(url("/accounts")).bearer_auth(WRONG_KEY),
            // with the id of a valid key
            http.get(url("/accounts")).bearer_auth(format!("{}x", connector)),
            http.get(url("/accounts")).bearer_auth(ingest),
            http.get(url("/accounts")).header("Authorization", format!("Basic {BASIC}")),
            http.get(url("/accounts")).header("X-Api-Key", WRONG_KEY),
            http.get(url(&format!("/accounts?api_key={WRONG_KEY}"))),
            http.post(url("/ingest/transactions")).bearer_auth(ingest).json(&[record]),
            http.post(url("/ingest/transactions")).bearer_auth(ingest).body("no json"),
            http.post(url("/ingest/transactions")).bearer_auth(ingest).json(&[serde_json::json!({"id": ""})]),
            http.delete(url("/accounts")).bearer_auth(connector),
        ];
        for request in requests {
            let response = request.send().await.unwrap();
            if !response.status().is_success() {
                refusals.push(format!("{:?} {}", response.headers().clone(), response.text().await.unwrap()));
            }
        }
    }
    refusals
}

/// What commands that cannot work say.
async fn failing_commands(place: &Place, url: &str) -> Vec<String> {
    let nowhere = format!("postgres://user:{PASSWORD}@localhost:port/database");
    let missing = edited(url, "/tributary_test", "/no_such_database");
    let mut said = Vec::new();
    for (args, url) in [
        (vec!["keys", "list"], nowhere.as_str()),
        (vec!["keys", "list"], missing.as_str()),
        (vec!["serve", "--listen", "127.0.0.1:0", "--nonsense"], url),
        (vec!["serve", "--help"], url),
    ] {
        let output = place
            .command(&args)
            .env("DATABASE_URL", url)
            .env("ACME_KEY", FILE_KEY)
            .env("BANK_TOKEN", TOKEN)
            .env("TRIBUTARY_LOG", "trace")
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.success(), args.contains(&"--help"), "{args:?}");
        said.push(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned());
    }
    said
}

#[tokio::test]
async fn s24_no_log_line_and_no_error_holds_a_secret() {
    let app = TestApp::new().await;
    let acme = "acme".parse().unwrap();
    let connector = new_test_key(&app.pool, &acme, Scope::Connector).await;
    let ingest = new_test_key(&app.pool, &acme, Scope::Ingest).await;
    let (role, url) = url_with_password(&app.url).await;
    let (database, url) = Proxy::to_postgres(&url).await;
    let bank = Proxy::to(&indiscreet_bank().await).await;
    bank.now_and_then(24, "GET ", 4, &[Fault::Reset { after: 0 }, Fault::Close { after: 200 }]);
    let place = Place::new("secrets");
    std::fs::write(place.0.join("providers/bank.yaml"), BANK).unwrap();

    let log = std::fs::File::create(place.0.join("log")).unwrap();
    let (server, address) = place
        .serve_as(|command| {
            command
                .env("DATABASE_URL", &url)
                .env("ACME_KEY", FILE_KEY)
                .env("BANK_URL", format!("http://{}", bank.address()))
                .env("BANK_TOKEN", TOKEN)
                .env("BANK_HEADER", HEADER)
                .env("TRIBUTARY_LOG", "trace")
                .env("RUST_BACKTRACE", "1")
                .stdout(Stdio::from(log.try_clone().unwrap()))
                .stderr(Stdio::from(log));
        })
        .await;
    let mut said = provoke(&address, &connector, &ingest).await;
    database.now_and_then(
        25,
        "",
        15,
        &[
            Fault::Reset { after: 0 },
            Fault::Close { after: 20 },
            Fault::HalfClose { after: 5 },
            Fault::Refuse,
        ],
    );
    said.extend(provoke(&address, &connector, &ingest).await);
    database.heal();
    stop(server).await;
    said.extend(failing_commands(&place, &url).await);

    let log = std::fs::read_to_string(place.0.join("log")).unwrap();
    assert!(log.contains("\"TRACE\"") && log.contains("a sync run failed"), "it is logged all right");
    let refused = said.len() as u64;
    said.push(log);
    let sync_errors: Vec<String> = sqlx::query_scalar("select error from sync_runs where error is not null")
        .fetch_all(&app.pool)
        .await
        .unwrap();
    assert!(!sync_errors.is_empty());
    said.extend(sync_errors);
    let secrets = [PASSWORD, FILE_KEY, TOKEN, HEADER, WRONG_KEY, BASIC];
    for secret in secrets.into_iter().chain([secret_of(&connector), secret_of(&ingest)]) {
        for text in &said {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret} is shown");
        }
    }
    app.sql(&format!("drop role {role}")).await;
    let mut fired = database.all_fired();
    fired.extend(bank.all_fired());
    fired.push(("refusals_read", refused));
    report(fired);
}
