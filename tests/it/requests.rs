//! Who asked, as far as answers and the log tell it: request ids, addresses, keys, refusals.

use std::process::Stdio;

use reqwest::header::HeaderMap;
use serde_json::Value;
use tributary_domain::Scope;

use crate::support::TestApp;
use crate::support::app::{new_test_key, secret_of};
use crate::support::process::{FILE_KEY, Place, stop};

/// A server that logs to a file, and believes the proxies of `trusted`.
struct Logged {
    place: Place,
    server: tokio::process::Child,
    address: String,
    http: reqwest::Client,
}

impl Logged {
    async fn start(name: &str, url: &str, trusted: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let place = Place::new(name);
        let log = std::fs::File::create(place.0.join("log")).unwrap();
        let (server, address) = place
            .serve_as(|command| {
                command
                    .env("ACME_KEY", FILE_KEY)
                    .env("DATABASE_URL", url)
                    .env("TRIBUTARY_LOG", "info,tributary=debug");
                command.env("TRIBUTARY_TRUSTED_PROXIES", trusted).stderr(Stdio::from(log));
            })
            .await;
        Self { place, server, address, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// Asks with headers; gives status and headers of the answer.
    async fn ask(&self, path: &str, key: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap) {
        let mut request = self.http.get(format!("http://{}{path}", self.address)).bearer_auth(key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.headers().clone())
    }

    /// Stops it; gives its log.
    async fn log(self) -> Vec<Value> {
        stop(self.server).await;
        let log = std::fs::read_to_string(self.place.0.join("log")).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }
}

fn id(headers: &HeaderMap) -> &str {
    headers["x-request-id"].to_str().unwrap()
}

/// The lines of a log that belong to a request.
fn lines<'a>(log: &'a [Value], id: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| line["span"]["request_id"] == id).collect()
}

#[tokio::test]
async fn every_answer_has_an_id_that_all_log_lines_of_its_request_have_too_with_the_key_and_the_client() {
    let app = TestApp::new().await;
    let logged = Logged::start("request_ids", &app.url, "").await;
    let (status, one) = logged
        .ask("/accounts", FILE_KEY, &[("x-request-id", "mine"), ("x-forwarded-for", "203.0.113.7")])
        .await;
    let (_, two) = logged.ask("/accounts", &app.connector_key, &[]).await;
    let (_, refused) = logged.ask("/accounts", &app.ingest_key, &[]).await;
    let (_, missing) = logged.ask("/nowhere", FILE_KEY, &[]).await;
    assert_eq!(status, 200);
    let ids = [id(&one), id(&two), id(&refused), id(&missing)].map(str::to_owned);
    assert!(ids.iter().all(|id| id != "mine" && id.len() == 36), "a stranger's id is not taken: {ids:?}");
    let log = logged.log().await;
    for (id, key) in ids.iter().zip([Some("file:acme/connector"), Some("key:test-"), Some("key:test-"), None])
    {
        let lines = lines(&log, id);
        assert!(!lines.is_empty(), "{id} in {log:#?}");
        for line in lines {
            assert_eq!(line["span"]["client"], "127.0.0.1", "nobody is believed: {line}");
            let told = line["span"]["key"].as_str();
            assert!(told.is_none() == key.is_none() || line["message"] != "request", "{line}");
            assert!(
                told.unwrap_or_default().starts_with(key.unwrap_or_default()) || told.is_none(),
                "{line}"
            );
        }
    }
    let security = log.iter().find(|line| line["target"] == "tributary::security").expect("it is logged");
    assert_eq!(
        (&security["why"], &security["path"]),
        (&"a key of another scope".into(), &"/accounts".into())
    );
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_as_to_the_client_and_the_id() {
    let app = TestApp::new().await;
    let logged = Logged::start("trusted_proxy", &app.url, "10.0.0.0/8, 127.0.0.1").await;
    let way = "198.51.100.1, 203.0.113.7, 10.1.1.1";
    let (_, told) =
        logged.ask("/accounts", FILE_KEY, &[("x-request-id", "proxy-1"), ("x-forwarded-for", way)]).await;
    let (_, forged) = logged.ask("/accounts", FILE_KEY, &[("x-request-id", "a b")]).await;
    assert_eq!(id(&told), "proxy-1");
    assert_eq!(id(&forged).len(), 36, "what could forge a log line is not taken");
    let log = logged.log().await;
    let lines = lines(&log, "proxy-1");
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line["span"]["client"] == "203.0.113.7"),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn refused_keys_are_logged_with_their_ids_and_never_with_more_of_them() {
    let app = TestApp::new().await;
    let revoked = new_test_key(&app.pool, app.name(), Scope::Connector).await;
    app.sql("update api_keys set revoked_at = clock_timestamp()").await;
    let logged = Logged::start("refused_keys", &app.url, "").await;
    assert_eq!(logged.ask("/accounts", &revoked, &[]).await.0, 401);
    for _ in 0..400 {
        logged.ask("/accounts", "a-key-of-nobody", &[]).await;
    }
    let log = logged.log().await;
    let refusals: Vec<_> = log.iter().filter(|line| line["target"] == "tributary::security").collect();
    let key_id = uuid::Uuid::try_parse(revoked.split('_').nth(1).unwrap()).unwrap().to_string();
    assert_eq!(refusals[0]["key_id"], key_id.as_str(), "{:?}", refusals[0]);
    assert!(refusals.len() < 200, "a flood is not written: {}", refusals.len());
    let whole = format!("{log:?}");
    assert!(!whole.contains(secret_of(&revoked)) && !whole.contains("a-key-of-nobody"));
}

#[tokio::test]
async fn no_answer_is_to_be_kept_by_anybody_but_the_description() {
    let app = TestApp::new().await;
    for path in ["/accounts", "/transactions", "/nowhere", "/healthz", "/readyz", "/accounts/x/balances"] {
        let response = app.call(app.get_request(path, &app.connector_key)).await;
        assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
    }
    let response = app.call(app.get_request("/openapi.json", "")).await;
    assert!(!response.headers().contains_key("cache-control"));
}
