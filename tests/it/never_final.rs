//! Formance takes every 4xx but 408, 421, 423, 425 and 429 for final, and pauses a schedule for good
//! after ten of them. So whatever happens to us, it hears "again", and once that is over the same request is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tributary::payments::{Point, Policy, Settings};
use tributary::store;
use tributary_domain::{ProviderName, Scope};
use tributary_formance::Movement;

use crate::providers::shipped::MERCURY;
use crate::support::TestApp;
use crate::support::app::{new_test_key, read};
use crate::support::process::{FILE_KEY, Place, signal};
use crate::support::proxy::{Fault, Proxy};
use crate::support::till::{Till, quick};

/// What is not final, of the statuses below 500.
const AGAIN: [u16; 5] = [408, 421, 423, 425, 429];
/// When Formance gives up waiting, and asks again.
const FORMANCE_WAITS: Duration = Duration::from_secs(10);
/// Connections of the application under test.
const CONNECTIONS: u32 = 6;

/// What Formance asks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Route {
    Accounts,
    Balances,
    Beneficiaries,
    Transactions,
    Payout,
    Transfer,
}

impl Route {
    const ALL: [Self; 6] = [
        Self::Accounts,
        Self::Balances,
        Self::Beneficiaries,
        Self::Transactions,
        Self::Payout,
        Self::Transfer,
    ];

    fn writes(self) -> bool {
        matches!(self, Self::Payout | Self::Transfer)
    }

    /// Method and path, where `account` is one that is served.
    fn target(self, account: &str) -> (&'static str, String) {
        match self {
            Self::Accounts => ("GET", "/accounts?page=1&pageSize=100&sort=createdAt:asc".to_owned()),
            Self::Balances => ("GET", format!("/accounts/{account}/balances")),
            Self::Beneficiaries => {
                ("GET", "/beneficiaries?page=1&pageSize=100&sort=createdAt:asc".to_owned())
            }
            Self::Transactions => ("GET", "/transactions?page=1&pageSize=100&sort=updatedAt:asc".to_owned()),
            Self::Payout => ("POST", "/payouts".to_owned()),
            Self::Transfer => ("POST", "/transfers".to_owned()),
        }
    }
}

/// What happens to us.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// Every connection to the database is reset.
    Refused,
    /// The database is behind a network that says nothing.
    Silent,
    /// Replies are reset, or end, in their middle.
    Reset,
    CutOff,
    ReadOnly,
    /// The database takes no more connections.
    Full,
    /// All connections of the pool are at work.
    PoolExhausted,
    /// Statements wait for a lock, and are cancelled.
    Cancelled,
    NoRights,
    NoSchema,
    OldSchema,
    /// A handler panics: over a time that no code can hold, or in the middle of an order.
    Panic,
}

const TROUBLES: [Trouble; 12] = [
    Trouble::Refused,
    Trouble::Silent,
    Trouble::Reset,
    Trouble::CutOff,
    Trouble::ReadOnly,
    Trouble::Full,
    Trouble::PoolExhausted,
    Trouble::Cancelled,
    Trouble::NoRights,
    Trouble::NoSchema,
    Trouble::OldSchema,
    Trouble::Panic,
];

/// What a trouble holds while it lasts.
#[derive(Default)]
struct Held {
    connections: Vec<PoolConnection<Postgres>>,
    tasks: tokio::task::JoinSet<()>,
}

/// A company at a bank that can do everything, and the service before it, whose database user may be
/// put into any trouble.
struct Company {
    till: Till,
    served: TestApp,
    pool: PgPool,
    proxy: Proxy,
    /// The database user of `served`.
    role: String,
    panics: Arc<AtomicBool>,
    beneficiary: String,
}

impl Company {
    async fn open() -> Self {
        let till = Till::at(MERCURY, Movement::Transfer, Policy::GUARD).await;
        till.app.publish_all().await;
        let beneficiary = till.bank.truth().beneficiaries.keys().next().unwrap().clone();
        let role = format!("never_final_{}", std::process::id());
        till.app
            .sql(&format!(
                "create role {role} login password 'of-the-test';
                 grant pg_read_all_data, pg_write_all_data to {role}"
            ))
            .await;
        let mut url: url::Url = till.app.url.parse().unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("of-the-test")).unwrap();
        let (proxy, url) = Proxy::to_postgres(url.as_str()).await;
        let pool = store::connect(&url, CONNECTIONS).await.unwrap();
        let panics = Arc::new(AtomicBool::new(false));
        let panicking = Arc::clone(&panics);
        let at = move |point| -> futures::future::BoxFuture<'static, ()> {
            assert!(point != Point::Kept || !panicking.load(SeqCst), "a bug, as this test wants it");
            Box::pin(std::future::ready(()))
        };
        let settings = Settings { at: Some(Arc::new(at)), ..quick() };
        let (served, _) = till.over(pool.clone()).instance("one", settings);
        Self { till, served, pool, proxy, role, panics, beneficiary }
    }

    /// Runs SQL as an administrator.
    async fn admin(&self, sql: &str) {
        self.till.app.sql(sql).await;
    }

    /// Ends the connections of `served`, so that the next ones are under what was changed.
    async fn disconnect(&self) {
        let role = &self.role;
        self.admin(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'"
        ))
        .await;
    }

    async fn set(&self, sql: &str) {
        self.admin(&sql.replace("ROLE", &self.role)).await;
        self.disconnect().await;
    }

    async fn begin(&self, trouble: Trouble) -> Held {
        let mut held = Held::default();
        let always = |fault| self.proxy.choose(move |_| Some(fault));
        match trouble {
            Trouble::Refused => always(Fault::Refuse),
            Trouble::Silent => always(Fault::BlackHole),
            Trouble::Reset => always(Fault::Reset { after: 5 }),
            Trouble::CutOff => always(Fault::Close { after: 5 }),
            Trouble::ReadOnly => self.set("alter role ROLE set default_transaction_read_only = on").await,
            Trouble::Full => self.set("alter role ROLE connection limit 0").await,
            Trouble::PoolExhausted => {
                for _ in 0..CONNECTIONS {
                    held.connections.push(self.pool.acquire().await.unwrap());
                }
            }
            Trouble::Cancelled => held.tasks = self.lock_and_cancel().await,
            Trouble::NoRights => self.set("revoke pg_read_all_data, pg_write_all_data from ROLE").await,
            Trouble::NoSchema => self.set("alter schema public rename to away").await,
            Trouble::OldSchema => {
                self.set(
                    "alter table feed rename body to content; alter table balances rename asset to currency;
                     alter table payment_orders rename replied_at to answered_at",
                )
                .await;
            }
            Trouble::Panic => {
                self.panics.store(true, SeqCst);
                self.set(
                    "create table kept_clocks as select * from feeds; update feeds set last_at = 'infinity';
                     alter table balances disable trigger user; alter table balances drop constraint balances_at_valid;
                     create table kept_balances as select * from balances; update balances set at = 'infinity'",
                )
                .await;
            }
        }
        held
    }

    /// Holds the tables locked, and cancels whoever waits for them.
    async fn lock_and_cancel(&self) -> tokio::task::JoinSet<()> {
        let mut locks = self.till.app.pool.begin().await.unwrap();
        sqlx::raw_sql("lock table feed, balances, payment_orders in access exclusive mode")
            .execute(&mut *locks)
            .await
            .unwrap();
        let (pool, role) = (self.till.app.pool.clone(), self.role.clone());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let _locks = locks;
            let sql = "select count(pg_cancel_backend(pid)) from pg_stat_activity
                       where usename = $1 and wait_event_type = 'Lock'";
            loop {
                sqlx::query_scalar::<_, i64>(sql).bind(&role).fetch_one(&pool).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        tasks
    }

    async fn end(&self, trouble: Trouble, mut held: Held) {
        self.proxy.heal();
        held.tasks.shutdown().await;
        drop(held);
        match trouble {
            Trouble::ReadOnly => self.set("alter role ROLE reset default_transaction_read_only").await,
            Trouble::Full => self.set("alter role ROLE connection limit -1").await,
            Trouble::NoRights => self.set("grant pg_read_all_data, pg_write_all_data to ROLE").await,
            Trouble::NoSchema => self.set("alter schema away rename to public").await,
            Trouble::OldSchema => {
                self.set(
                    "alter table feed rename content to body; alter table balances rename currency to asset;
                     alter table payment_orders rename answered_at to replied_at",
                )
                .await;
            }
            Trouble::Panic => {
                self.panics.store(false, SeqCst);
                self.set(
                    "update feeds f set last_at = k.last_at from kept_clocks k
                     where k.provider = f.provider and k.resource = f.resource;
                     update balances b set at = k.at from kept_balances k
                     where k.provider = b.provider and k.account_id = b.account_id and k.asset = b.asset;
                     alter table balances enable trigger user",
                )
                .await;
            }
            _ => {}
        }
    }

    fn request(&self, route: Route, key: &str) -> Request<Body> {
        let (method, target) = route.target(&self.till.account);
        let destination = if route == Route::Payout { &self.beneficiary } else { &self.till.payees[0] };
        let order = json!({"idempotencyKey": key, "amount": "1500", "currency": self.till.asset,
            "sourceAccountId": self.till.account, "destinationAccountId": destination, "metadata": {}});
        let body = if route.writes() { Body::from(order.to_string()) } else { Body::empty() };
        Request::builder()
            .method(method)
            .uri(target)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.served.connector_key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .unwrap()
    }

    /// The answer that Formance gets; `None` where none comes before it gives up.
    async fn ask(&self, route: Route, key: &str) -> Option<(StatusCode, Value)> {
        let asking = async { read(self.served.call(self.request(route, key)).await).await };
        tokio::time::timeout(FORMANCE_WAITS, asking).await.ok()
    }

    /// Asks as Formance does, until it is answered.
    async fn ask_until_answered(&self, trouble: Trouble, route: Route, key: &str) {
        let begun = Instant::now();
        loop {
            let answer = self.ask(route, key).await;
            if is_served(&format!("after {trouble:?}, {route:?}"), answer.as_ref()) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{trouble:?} is over, but {route:?} is not: {answer:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Whether an answer is one of success. It has to be one that Formance asks for again, if not.
fn is_served(what: &str, answer: Option<&(StatusCode, Value)>) -> bool {
    let Some((status, body)) = answer else { return false };
    if status.is_success() {
        return true;
    }
    assert!(status.is_server_error() || AGAIN.contains(&status.as_u16()), "{what}: a final {status}: {body}");
    for member in ["Title", "Detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{what}: {status}: {body}");
    }
    false
}

#[tokio::test]
async fn no_trouble_of_ours_is_a_final_answer_and_what_was_asked_is_answered_after_it() {
    let company = Company::open().await;
    for trouble in TROUBLES {
        let key = |route: Route| format!("{trouble:?} {route:?}");
        let held = company.begin(trouble).await;
        let asking = Route::ALL.map(async |route| (route, company.ask(route, &key(route)).await));
        let answers = join_all(asking).await;
        for (route, answer) in answers {
            let served = is_served(&key(route), answer.as_ref());
            let expected = trouble == Trouble::ReadOnly && !route.writes();
            assert_eq!(served, expected, "{trouble:?} has to be met by {route:?}: {answer:?}");
        }
        company.end(trouble, held).await;
        let asking =
            Route::ALL.map(async |route| company.ask_until_answered(trouble, route, &key(route)).await);
        join_all(asking).await;
        for route in Route::ALL.into_iter().filter(|route| route.writes()) {
            let moved = company.till.moved(&key(route)).await;
            assert!(moved <= 1, "{trouble:?}: {moved} movements for {route:?}");
        }
    }
}

#[tokio::test]
async fn an_account_that_is_not_known_yet_is_worth_asking_for_again() {
    let app = TestApp::new().await;
    let target = "/accounts/forgotten/balances";
    let response = app.call(app.get_request(target, &app.connector_key)).await;
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    let (status, body) = read(response).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    let detail = body["Detail"].as_str().unwrap();
    assert!(detail.contains("forgotten") && detail.contains("sync or push"), "{detail}");
    app.push("accounts", &[crate::support::records::account("forgotten", "2026-01-01T00:00:00Z")]).await;
    app.get_ok(target).await;
}

#[tokio::test]
async fn a_caller_over_its_limit_is_asked_to_come_later_on_every_route() {
    let app =
        TestApp::with_file("provider: acme\nsource: push\napi: { max_requests_per_second: 1, burst: 22 }\n")
            .await;
    app.push("accounts", &[crate::support::records::account("a", "2026-01-01T00:00:00Z")]).await;
    let ask = async |route: Route| {
        let (method, target) = route.target("a");
        let mut request = app.get_request(&target, &app.connector_key);
        *request.method_mut() = method.parse().unwrap();
        read(app.call(request).await).await
    };
    while ask(Route::Accounts).await.0 == StatusCode::OK {}
    for route in Route::ALL {
        // one a second comes back meanwhile, and is taken at once
        let (mut status, mut body) = ask(route).await;
        while status != StatusCode::TOO_MANY_REQUESTS {
            (status, body) = ask(route).await;
        }
        assert!(!is_served(&format!("{route:?}"), Some(&(status, body))));
    }
}

/// Asks a process what Formance asks.
async fn ask_process(address: &str, key: &str, route: Route) -> (StatusCode, Value) {
    let (method, path) = route.target("a");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.request(method.parse().unwrap(), format!("http://{address}{path}")).bearer_auth(key);
    let answer = request.body(if route.writes() { "{}" } else { "" }).send().await.unwrap();
    (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_key_whose_provider_file_is_missing_is_asked_to_come_again_and_a_draining_process_serves() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (app, place) = (TestApp::new().await, Place::new("file_missing"));
    let provider: ProviderName = "gone".parse().unwrap();
    let key = new_test_key(&app.pool, &provider, Scope::Connector).await;
    app.sql("insert into accounts (provider, id, name, created_at) values ('gone', 'a', 'a', '2026-01-01')")
        .await;
    for there in [false, true] {
        if there {
            std::fs::write(place.0.join("providers/gone.yaml"), "provider: gone\nsource: push\n").unwrap();
        }
        let (mut server, address) = place
            .serve_as(|command| {
                command.env("ACME_KEY", FILE_KEY).env("DATABASE_URL", &app.url);
                command.env("TRIBUTARY_LAME_DUCK", "3s");
            })
            .await;
        let check = async || {
            for route in Route::ALL {
                let (status, body) = ask_process(&address, &key, route).await;
                let served =
                    is_served(&format!("{route:?}, the file there: {there}"), Some(&(status, body.clone())));
                // what is pushed cannot pay: 501
                assert_eq!(served, there && !route.writes(), "{route:?}: {body}");
                assert!(there || body["Detail"].as_str().unwrap().contains("gone.yaml"), "{body}");
            }
            let (status, _) = ask_process(&address, &key.replace("trb_", "trb_0"), Route::Accounts).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "a key that is none is refused for good");
        };
        check().await;
        signal(&server, Signal::SIGTERM);
        check().await;
        let ended =
            tokio::time::timeout(Duration::from_secs(60), server.wait()).await.expect("it stops").unwrap();
        assert!(ended.success(), "{ended}");
    }
}
