//! The application over a database of its own, called in-process.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use sqlx::PgPool;
use tower::ServiceExt;
use tributary::config::{Provider, SingleSignOn};
use tributary::console;
use tributary::encryption::{self, Keyring};
use tributary::feed::{Polls, Publisher};
use tributary::http::{AppState, ServedProvider, app, new_api_key, operator_app};
use tributary::oidc::SignOn;
use tributary::payments::{Payments, Settings};
use tributary::store::api_keys::NewKey;
use tributary::store::{self, Readers, api_keys};
use tributary::workshop;
use tributary_domain::{ApiKeyDigest, PaymentLimit, ProviderName, RequestLimit, Scope};

/// One provider called `acme` on a fresh database, with a key of each scope. Nothing is
/// published but by [`TestApp::publish`] or a publisher that the test starts.
pub struct TestApp {
    /// Of the database's owner.
    pub url: String,
    /// Of the owner: what a test does by itself.
    pub pool: PgPool,
    /// Of the service: what it does for the application.
    pub service: PgPool,
    /// What reads pages for it.
    pub readers: Readers,
    /// What was polled of it, until it is written.
    pub polls: Polls,
    pub router: Router,
    /// What is served to operators.
    pub operator: Router,
    pub provider: Provider,
    pub connector_key: String,
    pub ingest_key: String,
}

impl TestApp {
    /// The usual provider.
    pub async fn new() -> Self {
        Self::with_file("provider: acme\npush: all\n").await
    }

    /// A provider whose feed is paced at 1,000 a second, for tests that would else wait for room.
    pub async fn fast() -> Self {
        Self::with_file("provider: acme\npush: all\nfeed: { pace: 1000/s }\n").await
    }

    /// A provider like [`TestApp::fast`] in the database of `url`, which has the schema.
    pub async fn on(url: &str) -> Self {
        let pool = store::connect(url, 10).await.unwrap();
        let file = "provider: acme\npush: all\nfeed: { pace: 1000/s }\n";
        let service = connect_service(url).await;
        Self::assemble(url.to_owned(), pool, service, Provider::parse(file, &|_| None).unwrap()).await
    }

    /// The application of `other` over another pool, with keys of its own.
    pub async fn over(other: &Self, pool: PgPool) -> Self {
        Self::assemble(other.url.clone(), pool.clone(), pool, other.provider.clone()).await
    }

    /// The application of `other` as an instance that pays by `payments`.
    pub fn paying(other: &Self, payments: Payments) -> Self {
        let keys = (other.connector_key.clone(), other.ingest_key.clone());
        let pools = (other.pool.clone(), other.service.clone());
        Self::build(other.url.clone(), pools, other.provider.clone(), keys, payments)
    }

    /// The application of `other` as an instance at which people sign in through an OpenID provider.
    pub fn signing_on(other: &Self, through: SingleSignOn) -> Self {
        let keys = (other.connector_key.clone(), other.ingest_key.clone());
        let (pools, payments) = ((other.pool.clone(), other.service.clone()), nobody_pays(&other.service));
        let through = Some(Arc::new(SignOn::new(through).unwrap()));
        Self::build_with(other.url.clone(), pools, other.provider.clone(), keys, payments, through)
    }

    /// With another provider file.
    pub async fn with_file(file: &str) -> Self {
        let url = super::server::new_database().await;
        let pool = store::connect(&url, 10).await.unwrap();
        let provider = Provider::parse(file, &|_| None).unwrap();
        let service = connect_service(&url).await;
        Self::assemble(url, pool, service, provider).await
    }

    /// The application of `other` over another pool, with the keys that are there already.
    pub fn with_keys(other: &Self, pool: PgPool, keys: (String, String)) -> Self {
        let payments = nobody_pays(&pool);
        let pools = (other.pool.clone(), pool);
        Self::build(other.url.clone(), pools, other.provider.clone(), keys, payments)
    }

    async fn assemble(url: String, pool: PgPool, service: PgPool, provider: Provider) -> Self {
        encryption::install(test_keys());
        workshop::use_program(super::process::PROGRAM);
        let connector_key = new_test_key(&pool, &provider.name, Scope::Connector).await;
        let ingest_key = new_test_key(&pool, &provider.name, Scope::Ingest).await;
        let payments = nobody_pays(&service);
        Self::build(url, (pool, service), provider, (connector_key, ingest_key), payments)
    }

    fn build(
        url: String,
        pools: (PgPool, PgPool),
        provider: Provider,
        keys: (String, String),
        payments: Payments,
    ) -> Self {
        Self::build_with(url, pools, provider, keys, payments, None)
    }

    fn build_with(
        url: String,
        (pool, service): (PgPool, PgPool),
        provider: Provider,
        (connector_key, ingest_key): (String, String),
        payments: Payments,
        single_sign_on: Option<Arc<SignOn>>,
    ) -> Self {
        let mut served = ServedProvider::from(provider.clone());
        if served.payment_limit == PaymentLimit::default() {
            // tests order faster than people do
            let most = NonZeroU32::new(10_000).unwrap();
            served.payment_limit = PaymentLimit(RequestLimit { per_second: most, burst: most });
        }
        let other = ServedProvider { keys: vec![], webhook: None, ..served.clone() };
        let providers = HashMap::from([(provider.name.clone(), served), ("other".parse().unwrap(), other)]);
        let state = AppState { single_sign_on, ..AppState::new(service.clone(), providers, payments) };
        let state = Arc::new(state);
        let (readers, polls) = (state.readers.clone(), state.polls.clone());
        let (router, operator) = (app(Arc::clone(&state)), operator_app(state, console::router));
        Self { url, pool, service, readers, polls, router, operator, provider, connector_key, ingest_key }
    }

    /// Closes every connection to the database.
    pub async fn close(&self) {
        self.pool.close().await;
        self.service.close().await;
    }

    /// The name of the provider.
    pub fn name(&self) -> &ProviderName {
        &self.provider.name
    }

    /// A publisher of the provider's feeds.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(
            self.service.clone(),
            HashMap::from([(self.provider.name.clone(), self.provider.pace)]),
        )
    }

    /// Publishes what has committed and has room; gives how many.
    pub async fn publish(&self) -> u64 {
        self.publisher().publish_now().await.unwrap()
    }

    /// Publishes until nothing waits but children without their parent: waits for room in the clock.
    pub async fn publish_all(&self) {
        loop {
            self.publish().await;
            let left: i64 = sqlx::query_scalar("select count(*) from changes where waits_since is null")
                .fetch_one(&self.pool)
                .await
                .unwrap();
            if left == 0 {
                return;
            }
            // the feed waits for the database's clock; nothing in the test can move it
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Calls with `key`.
    pub async fn call(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Calls what is served to operators.
    pub async fn call_operator(&self, request: Request<Body>) -> Response {
        self.operator.clone().oneshot(request).await.unwrap()
    }

    /// GET as the connector would; gives status and body.
    pub async fn get(&self, target: &str) -> (StatusCode, Value) {
        let response = self.call(self.get_request(target, &self.connector_key)).await;
        read(response).await
    }

    /// GET that has to answer 200.
    pub async fn get_ok(&self, target: &str) -> Value {
        let (status, body) = self.get(target).await;
        assert_eq!(status, StatusCode::OK, "{target}: {body}");
        body
    }

    /// A GET request with `key`.
    pub fn get_request(&self, target: &str, key: &str) -> Request<Body> {
        Request::get(target)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .body(Body::empty())
            .unwrap()
    }

    /// POSTs records to the push API; gives status and body.
    pub async fn post(&self, target: &str, content_type: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::post(target)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.ingest_key))
            .header(header::CONTENT_TYPE, content_type)
            .body(body.into())
            .unwrap();
        read(self.call(request).await).await
    }

    /// Pushes records, which has to succeed.
    pub async fn push(&self, resource: &str, records: &[Value]) -> Value {
        let body = serde_json::to_vec(records).unwrap();
        let (status, answer) = self.post(&format!("/ingest/{resource}"), "application/json", body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Runs SQL that no grant and no trigger allows: the past of the feed as it never was.
    pub async fn rewrite(&self, sql: &str) -> u64 {
        self.sql(&format!("set session_replication_role = replica; {sql}; reset session_replication_role"))
            .await
    }

    /// Runs SQL as the owner of the tables.
    pub async fn sql(&self, sql: &str) -> u64 {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&self.pool).await.unwrap().rows_affected()
    }

    /// The bodies of a feed, oldest first.
    pub async fn feed(&self, resource: &str) -> Vec<Value> {
        sqlx::query_scalar("select body from feed where provider = $1 and resource = $2 order by position")
            .bind(self.provider.name.as_str())
            .bind(resource)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    /// Serves on a port of its own until the test's runtime ends; gives the endpoint.
    pub async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }
}

/// Connections as the service, to the database that its owner opens by `url`.
async fn connect_service(url: &str) -> PgPool {
    store::connect(&super::logins::service(url).await, 10).await.unwrap()
}

/// The keys of the test process, which encrypt tokens; records stay as they came.
pub fn test_keys() -> Keyring {
    Keyring::parse(TEST_KEYS).unwrap()
}

/// As TRIBUTARY_ENCRYPTION_KEYS has them.
pub const TEST_KEYS: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Payments of providers that cannot pay.
fn nobody_pays(pool: &PgPool) -> Payments {
    Payments::new(pool.clone(), "nobody".to_owned(), HashMap::new(), None, Settings::default())
}

/// Makes a key in the database.
pub async fn new_test_key(pool: &PgPool, provider: &ProviderName, scope: Scope) -> String {
    let (id, key) = new_api_key();
    let name = format!("test-{}", id.simple()).parse().unwrap();
    let digest = ApiKeyDigest::of(&key);
    let new = NewKey { id, provider, name: &name, scope, digest: &digest, expires_at: None };
    assert!(api_keys::create(&mut pool.acquire().await.unwrap(), new).await.unwrap());
    key
}

/// What of a key must never be shown: all behind its id.
pub fn secret_of(key: &str) -> &str {
    key.splitn(3, '_').nth(2).expect("a key that Tributary made")
}

/// Status and JSON body.
pub async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (
        status,
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into())),
    )
}
