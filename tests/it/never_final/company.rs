//! The company of the table: a service before a bank, whose database user may be put into any trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tributary::payments::{Point, Policy, Settings};
use tributary::store::{self, readers::Reader};
use tributary_formance::Movement;

use super::{Route, is_served};
use crate::providers::shipped::MERCURY;
use crate::support::TestApp;
use crate::support::app::read;
use crate::support::proxy::{Fault, Proxy};
use crate::support::till::{Till, quick};

/// When Formance gives up waiting, and asks again.
const FORMANCE_WAITS: Duration = Duration::from_secs(10);
/// Connections of the application under test.
const CONNECTIONS: u32 = 6;

/// What happens to us.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
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
    /// All connections are at work, of the pool and of those that read pages.
    PoolExhausted,
    /// Statements wait for a lock, and are cancelled.
    Cancelled,
    NoRights,
    NoSchema,
    OldSchema,
    /// A handler panics: over a time that no code can hold, or in the middle of an order.
    Panic,
}

pub const TROUBLES: [Trouble; 12] = [
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
pub struct Held {
    connections: Vec<PoolConnection<Postgres>>,
    readers: Vec<Reader>,
    tasks: tokio::task::JoinSet<()>,
}

/// A company at a bank that can do everything, and the service before it, whose database user may be
/// put into any trouble.
pub struct Company {
    pub till: Till,
    served: TestApp,
    pool: PgPool,
    proxy: Proxy,
    /// The database user of `served`.
    role: String,
    panics: Arc<AtomicBool>,
    beneficiary: String,
}

impl Company {
    pub async fn open() -> Self {
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

    pub async fn begin(&self, trouble: Trouble) -> Held {
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
                for _ in 0..self.served.readers.most() {
                    held.readers.push(self.served.readers.take().await.unwrap());
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
                    "create table kept_clocks as select * from feeds; alter table feeds disable trigger user;
                     update feeds set last_at = 'infinity';
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

    pub async fn end(&self, trouble: Trouble, mut held: Held) {
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
                     alter table balances enable trigger user; alter table feeds enable trigger user",
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
    pub async fn ask(&self, route: Route, key: &str) -> Option<(StatusCode, Value)> {
        let asking = async { read(self.served.call(self.request(route, key)).await).await };
        tokio::time::timeout(FORMANCE_WAITS, asking).await.ok()
    }

    /// Asks as Formance does, until it is answered.
    pub async fn ask_until_answered(&self, trouble: Trouble, route: Route, key: &str) {
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
