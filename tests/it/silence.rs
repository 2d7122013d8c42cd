//! A database that goes silent: connections stay open and nothing comes any more. Whatever works on it
//! gives up within its limit, and goes on when the database answers again.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use chrono::Utc;
use serde_json::json;
use tokio::time::Instant;
use tributary::payments::Policy;
use tributary::store;
use tributary::store::leases;
use tributary::sync::{Housekeeper, ProviderRetention, RenewedLease, Retention};

use crate::support::jobs::{Working, count, file, instance, record, stream, until};
use crate::support::process::Place;
use crate::support::proxy::{Fault, Proxy, contains};
use crate::support::till::{Till, quick};
use crate::support::{TestApp, Upstream};

const SUCCEEDED: &str = "select count(*) from sync_runs where status = 'succeeded'";
const SECOND: Duration = Duration::from_secs(1);

/// The same application again, which reaches its database through a proxy.
async fn behind_proxy(app: &TestApp) -> (TestApp, Proxy) {
    let (proxy, url) = Proxy::to_postgres(&app.url).await;
    let pool = store::connect(&url, 6).await.unwrap();
    (TestApp::with_keys(app, pool, (app.connector_key.clone(), app.ingest_key.clone())), proxy)
}

async fn pulled() -> (Upstream, TestApp, String) {
    let upstream = Upstream::start().await;
    upstream.set("/payments", json!([record("payment")]));
    let file = file(&upstream, "", &stream("payments", ""));
    let file = crate::support::edited(&file, "every: 1h", "every: 1s");
    let app = TestApp::with_file(&file).await;
    (upstream, app, file)
}

#[tokio::test]
async fn the_scheduler_goes_on_when_a_silent_database_answers_again() {
    let (upstream, app, file) = pulled().await;
    let (proxied, proxy) = behind_proxy(&app).await;
    let working = Working::start(&proxied, &file, instance("one", SECOND));
    until(&app.pool, SUCCEEDED, 1).await;
    // once while nothing runs, and once with a page in the middle of its commit
    for page in [false, true] {
        let mut held = page.then(|| upstream.hold("/payments"));
        if let Some(held) = &mut held {
            held.arrived().await;
        }
        proxy.fall_silent();
        if let Some(held) = held {
            held.answer(json!([record("in the silence")]));
        }
        let before = proxy.fired("black_hole");
        proxy.until_fired("black_hole", before + 3).await;
        proxy.heal();
        let succeeded = count(&app.pool, SUCCEEDED).await;
        let begun = Instant::now();
        while count(&app.pool, SUCCEEDED).await <= succeeded {
            assert!(begun.elapsed() < 30 * SECOND, "it goes on within its limits");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    working.stop().await;
}

#[tokio::test]
async fn one_silent_connection_ends_the_run_on_it_and_not_the_instance() {
    let (_upstream, app, file) = pulled().await;
    let (proxied, proxy) = behind_proxy(&app).await;
    proxy.next("insert into transactions", Fault::BlackHole);
    let working = Working::start(&proxied, &file, instance("one", SECOND));
    // its lease is kept alive meanwhile, by connections that work
    proxy.until_fired("black_hole", 1).await;
    let begun = Instant::now();
    until(&app.pool, SUCCEEDED, 1).await;
    assert!(begun.elapsed() < 40 * SECOND);
    assert_eq!(count(&app.pool, "select count(*) from sync_runs where status = 'failed'").await, 1);
    assert_eq!(count(&app.pool, "select count(*) from transactions").await, 1);
    working.stop().await;
}

#[tokio::test]
async fn a_lease_that_cannot_be_kept_alive_for_its_time_is_given_up() {
    let (_upstream, app, _) = pulled().await;
    let (proxied, proxy) = behind_proxy(&app).await;
    let one = instance("one", SECOND);
    let held = RenewedLease::take(&proxied.service, app.name(), "g", &one).await.unwrap().unwrap();
    let lost = held.lost();
    proxy.fall_silent();
    tokio::time::timeout(10 * SECOND, lost.cancelled()).await.expect("its holder hears of it");
    proxy.heal();
    drop(held);
    let other = async {
        while leases::take_now(&app.pool, app.name(), "g", "two", SECOND).await.unwrap().is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(10 * SECOND, other).await.expect("another one takes it over");
}

#[tokio::test]
async fn the_housekeeper_goes_on_when_a_silent_database_answers_again() {
    let app = TestApp::new().await;
    let (proxied, proxy) = behind_proxy(&app).await;
    let of_provider = ProviderRetention { provider: app.name().clone(), raw: None, longest_budget: None };
    let housekeeper = Housekeeper::new(proxied.service.clone(), vec![of_provider], Retention::default());
    housekeeper.forget(Utc::now()).await.unwrap();
    app.sql(
        "insert into sync_runs (id, provider, stream_group, started_at, finished_at, status)
         values (gen_random_uuid(), 'acme', 'g', now() - interval '31 days', now() - interval '31 days', 'succeeded')",
    )
    .await;
    proxy.fall_silent();
    // the limits are those of minutes: nothing else moves, so that the test's clock may run
    tokio::time::pause();
    let begun = Instant::now();
    housekeeper.forget(Utc::now()).await.unwrap_err();
    assert!(begun.elapsed() < 120 * SECOND, "{:?}", begun.elapsed());
    tokio::time::resume();
    proxy.heal();
    let begun = Instant::now();
    while housekeeper.forget(Utc::now()).await.is_err() {
        assert!(begun.elapsed() < 30 * SECOND);
    }
    assert_eq!(count(&app.pool, "select count(*) from sync_runs").await, 0);
}

#[tokio::test]
async fn an_order_is_carried_out_once_however_silent_the_database_was() {
    let till = Till::open(Policy::GUARD).await;
    let (proxied, proxy) = behind_proxy(&till.app).await;
    let payments = till.payments_over(&proxied.service, "one", quick());
    let app = TestApp::paying(&till.app, payments.clone());
    let stop = tokio_util::sync::CancellationToken::new();
    let working = tokio::spawn(payments.worker().run(stop.clone()));
    // the gate is asked, and nothing is heard of it: nothing is sent
    proxy.next("about to send", Fault::BlackHole);
    let body = json!({"amount": "1500", "currency": till.asset, "sourceAccountId": till.account,
        "destinationAccountId": till.payees[0], "idempotencyKey": "k", "description": "rent"});
    let request = Request::post("/payouts")
        .header(header::AUTHORIZATION, format!("Bearer {}", app.connector_key))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = app.call(request).await;
    assert!(response.status() == StatusCode::CREATED || response.status().is_server_error(), "{response:?}");
    proxy.until_fired("black_hole", 1).await;
    // and then nothing at all
    proxy.fall_silent();
    proxy.until_fired("black_hole", 3).await;
    assert_eq!(till.moved("k").await, 0, "nothing is sent that the database does not know of");
    proxy.heal();
    let begun = Instant::now();
    while till.state("k").await != "pending" {
        assert!(begun.elapsed() < 60 * SECOND, "{}", till.state("k").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(till.moved("k").await, 1);
    stop.cancel();
    working.await.unwrap();
}

#[tokio::test]
async fn a_request_is_answered_with_503_and_the_next_one_with_a_page() {
    let app = TestApp::new().await;
    let (proxied, proxy) = behind_proxy(&app).await;
    proxied.get_ok("/accounts").await;
    proxy.fall_silent();
    let begun = Instant::now();
    assert_eq!(proxied.get("/accounts").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(begun.elapsed() < 10 * SECOND, "before Formance gives up: {:?}", begun.elapsed());
    proxy.heal();
    let begun = Instant::now();
    while proxied.get("/accounts").await.0 != StatusCode::OK {
        assert!(begun.elapsed() < 20 * SECOND);
    }
}

#[tokio::test]
async fn a_command_on_a_silent_database_ends_and_says_so() {
    let app = TestApp::new().await;
    let (proxy, url) = Proxy::to_postgres(&app.url).await;
    let silent = std::sync::atomic::AtomicBool::new(false);
    proxy.choose(move |request| {
        use std::sync::atomic::Ordering::SeqCst;
        if contains(request, "from sync_runs") {
            silent.store(true, SeqCst);
        }
        silent.load(SeqCst).then_some(Fault::BlackHole)
    });
    let place = Place::new("silent-command");
    let begun = Instant::now();
    let output = place.command(&["runs"]).env("DATABASE_URL", url).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("has not answered for 30 s"), "{told}");
    assert!(begun.elapsed() < 60 * SECOND);
}

#[tokio::test]
async fn the_server_ends_what_a_vanished_client_left_behind() {
    let app = TestApp::new().await;
    let (proxied, _proxy) = behind_proxy(&app).await;
    let setting = async |pool, name: &'static str| -> String {
        sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(pool).await.unwrap()
    };
    for (name, value) in [
        ("statement_timeout", "1min"),
        ("lock_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "1min"),
    ] {
        assert_eq!(setting(&proxied.service, name).await, value, "{name}");
    }
    let mut holder = app.pool.begin().await.unwrap();
    sqlx::query("lock table quarantine in access exclusive mode").execute(&mut *holder).await.unwrap();
    let mut waiting = proxied.service.acquire().await.unwrap();
    sqlx::query("set lock_timeout = '50ms'").execute(&mut *waiting).await.unwrap();
    let refused = sqlx::query("select count(*) from quarantine").execute(&mut *waiting).await.unwrap_err();
    assert!(
        matches!(store::StoreError::from(refused), store::StoreError::Unavailable(_)),
        "it may be tried again"
    );
}

#[tokio::test]
async fn whoever_was_paused_within_a_transaction_is_told_to_try_again() {
    let app = TestApp::new().await;
    let (proxied, _proxy) = behind_proxy(&app).await;
    let mut silent = proxied.service.begin().await.unwrap();
    sqlx::query("set application_name = 'paused within a transaction'").execute(&mut *silent).await.unwrap();
    let limit = "set local idle_in_transaction_session_timeout = '10ms'";
    sqlx::query(limit).execute(&mut *silent).await.unwrap();
    let there =
        "select count(*) from pg_stat_activity where application_name = 'paused within a transaction'";
    until(&app.pool, there, 0).await;
    let ended = sqlx::query("select 1").execute(&mut *silent).await.unwrap_err();
    assert_eq!(ended.as_database_error().and_then(|error| error.code()).as_deref(), Some("25P03"));
    assert!(matches!(store::StoreError::from(ended), store::StoreError::Unavailable(_)));
}
