//! What the instances that pull one provider share: a refresh token that is good once, budgets of
//! requests, and the pauses that the provider asks for.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tributary::encryption::Place;
use tributary::store;
use tributary::sync::DatabaseShared;
use tributary_domain::ProviderName;
use tributary_manifest::{
    AccessToken, CompiledProvider, EachPage, Exchange, Granted, Manifest, Secret, Shared, TokenKey,
};

use crate::support::app::test_keys;
use crate::support::{Strict, TestApp, edited};

const ROTATING: &str = "
auth:
  oauth2: { grant: refresh_token, token_url: /token, client_id: me, refresh_token: FIRST }";

fn name() -> ProviderName {
    "acme".parse().unwrap()
}

/// An instance that pulls `streams` streams with a request each, over a pool of its own.
async fn instance(app: &TestApp, url: &str, fields: &str, streams: usize) -> (CompiledProvider, PgPool) {
    let pool = store::connect(&app.url, 4).await.unwrap();
    let shared = Arc::new(DatabaseShared::new(pool.clone(), name()));
    let streams: String = (0..streams)
        .map(|n| {
            format!(
                "\n- {{ name: s{n}, resource: accounts, request: {{ path: /s{n} }}, records: '.[]', map: . }}"
            )
        })
        .collect();
    let yaml = format!("base_url: {url}\nretry: {{ attempts: 3 }}\nevery: 1m{fields}\nstreams:{streams}\n");
    let manifest: Manifest = serde_saphyr::from_str(&yaml).unwrap();
    (CompiledProvider::with_shared(&name(), &manifest, shared).unwrap(), pool)
}

async fn rotating(app: &TestApp, bank: &Strict, first: &str, streams: usize) -> (CompiledProvider, PgPool) {
    let fields =
        format!("{}\nrate_limit: {{ per_second: 1000, burst: 50 }}", edited(ROTATING, "FIRST", first));
    instance(app, &bank.url, &fields, streams).await
}

async fn run(compiled: &CompiledProvider) -> Result<(), String> {
    compiled.run(&mut EachPage(|_| {})).await.map(|_| ()).map_err(|error| error.to_string())
}

async fn kept(app: &TestApp) -> Vec<String> {
    let sql = "select auth_digest, key_id, refresh_token from provider_tokens order by updated_at";
    let rows: Vec<(Vec<u8>, String, Vec<u8>)> = sqlx::query_as(sql).fetch_all(&app.pool).await.unwrap();
    let opened = rows.into_iter().map(|(digest, key_id, token)| {
        let row: &[&[u8]] = &[&digest];
        let place = Place { table: "provider_tokens", column: "refresh_token", provider: "acme", row };
        String::from_utf8(test_keys().open(place, &key_id, &token).unwrap()).unwrap()
    });
    opened.collect()
}

#[tokio::test]
async fn two_instances_that_race_for_a_single_use_token_never_send_one_twice() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 3).await;
    let (one, _) = rotating(&app, &bank, "first", 4).await;
    let (two, _) = rotating(&app, &bank, "first", 4).await;
    for round in 0..6 {
        let (a, b) = tokio::join!(run(&one), run(&two));
        // a token that the other one has renewed meanwhile is refused; once per request that is mended
        let failed = [a, b].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert!(failed.iter().all(|error| error.contains("401")), "round {round}: {failed:?}");
        let good = bank.refresh_token().expect("no spent token was sent");
        assert_eq!(kept(&app).await, [good]);
    }
    assert!(bank.exchanges() > 6, "{}", bank.exchanges());
}

#[tokio::test]
async fn one_access_token_serves_all_instances_for_as_long_as_it_is_good() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1_000).await;
    for _ in 0..3 {
        let (one, _) = rotating(&app, &bank, "first", 2).await;
        let (two, _) = rotating(&app, &bank, "first", 2).await;
        let (a, b) = tokio::join!(run(&one), run(&two));
        a.and(b).unwrap();
    }
    assert_eq!(bank.exchanges(), 1, "and restarts do not ask for another");
}

#[tokio::test]
async fn a_run_that_is_dropped_in_the_middle_of_an_exchange_loses_no_token() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1_000).await;
    let (one, _) = rotating(&app, &bank, "first", 1).await;
    let (two, _) = rotating(&app, &bank, "first", 1).await;
    bank.hold_tokens(true);
    tokio::select! {
        ended = run(&one) => panic!("{ended:?}"),
        () = bank.exchange_begun(1) => {}
    }
    let waiting = tokio::spawn(async move { run(&two).await });
    bank.hold_tokens(false);
    one.drained().await;
    assert_eq!(kept(&app).await, ["refresh-1"]);
    waiting.await.unwrap().unwrap();
    run(&one).await.unwrap();
    assert_eq!((bank.exchanges(), bank.refresh_token().as_deref()), (1, Some("refresh-1")));
}

#[tokio::test]
async fn an_instance_that_loses_its_database_in_the_middle_of_an_exchange_keeps_the_token_afterwards() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1_000).await;
    let (one, _) = rotating(&app, &bank, "first", 1).await;
    bank.hold_tokens(true);
    let running = tokio::spawn(async move { run(&one).await });
    bank.exchange_begun(1).await;
    let (two, _) = rotating(&app, &bank, "first", 1).await;
    let waiting = tokio::spawn(async move { run(&two).await });
    let mut lost = 0;
    while lost < 2 {
        lost += app
            .sql(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
            .await;
        tokio::task::yield_now().await;
    }
    bank.hold_tokens(false);
    running.await.unwrap().unwrap();
    // the other one may have been cut off in the middle of a statement; it did not exchange
    let _ = waiting.await.unwrap();
    assert_eq!((bank.exchanges(), kept(&app).await), (1, vec!["refresh-1".to_owned()]));
    let (three, _) = rotating(&app, &bank, "first", 1).await;
    run(&three).await.unwrap();
    assert_eq!(bank.refresh_token().as_deref(), Some("refresh-1"));
}

#[tokio::test]
async fn the_exchange_of_an_instance_that_died_is_taken_over_when_its_claim_ends() {
    let app = TestApp::new().await;
    let shared = |lease| {
        let shared = DatabaseShared::new(app.pool.clone(), name());
        Arc::new(shared.with_lease(Duration::from_millis(lease)))
    };
    let exchange = |send| Exchange { key: TokenKey::of(&["key"]), first: secret("first"), stale: None, send };
    let (begun, sent) = tokio::sync::oneshot::channel();
    let dying = shared(1_000);
    let died = exchange(Box::new(move |_| {
        begun.send(()).unwrap();
        Box::pin(std::future::pending())
    }));
    let dying = tokio::spawn(async move { dying.exchange_token(died).await });
    sent.await.unwrap();
    let claimed = tokio::time::Instant::now();
    dying.abort();
    let (sender, refresh) = tokio::sync::oneshot::channel();
    let token = shared(60_000)
        .exchange_token(exchange(Box::new(move |refresh| {
            sender.send(refresh).unwrap();
            let access = AccessToken { value: secret("access"), usable_until: None };
            Box::pin(async move { Ok(Granted { access, refresh: Some(secret("second")) }) })
        })))
        .await
        .unwrap();
    assert_eq!((token.value, refresh.await.unwrap()), (secret("access"), secret("first")));
    assert!(claimed.elapsed() > Duration::from_millis(800), "not while the claim held");
    assert_eq!(kept(&app).await, ["second"]);
}

fn secret(text: &str) -> Secret {
    text.to_owned().into()
}

#[tokio::test]
async fn a_newly_configured_refresh_token_takes_the_place_of_the_kept_one() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1).await;
    let (old, _) = rotating(&app, &bank, "first", 2).await;
    run(&old).await.unwrap();
    assert_eq!(kept(&app).await, ["refresh-2"]);
    let consented_anew = Strict::start("another", 1_000).await;
    let fields = edited(ROTATING, "FIRST", "another");
    let fields = edited(&fields, "/token", &format!("{}/token", consented_anew.url));
    let (new, _) = instance(&app, &consented_anew.url, &fields, 1).await;
    run(&new).await.unwrap();
    assert_eq!(kept(&app).await.last().unwrap(), "refresh-1");
    assert_eq!(consented_anew.exchanges(), 1);
}

#[tokio::test]
async fn instances_together_never_exceed_a_budget_even_if_one_is_stopped_in_between() {
    let app = TestApp::new().await;
    // the log forgets, the test does not
    app.sql(
        "create table counted (number bigint, at timestamptz);
         create function count_it() returns trigger language plpgsql
         as $$ begin insert into counted values (new.number, new.at); return new; end $$;
         create trigger count_it after insert on request_log for each row execute function count_it()",
    )
    .await;
    let bank = Strict::start("first", usize::MAX).await;
    let fields = "
auth: none
rate_limit: { per_second: 1000, burst: 50, budgets: [{ requests: 5, per: 1s }, { requests: 12, per: 3s }] }";
    let (one, _) = instance(&app, &bank.url, fields, 8).await;
    let (two, _) = instance(&app, &bank.url, fields, 8).await;
    let (stopped, _) = instance(&app, &bank.url, fields, 100).await;
    let (a, b, _) = tokio::join!(run(&one), run(&two), async {
        tokio::time::timeout(Duration::from_millis(1_500), run(&stopped)).await.unwrap_err()
    });
    a.and(b).unwrap();
    let (restarted, _) = instance(&app, &bank.url, fields, 4).await;
    run(&restarted).await.unwrap();
    assert!(bank.requests() > 20, "{}", bank.requests());
    // what is counted here in time may arrive there a moment late on a busy machine
    assert!(bank.most_within(Duration::from_millis(800)) <= 5);
    assert!(bank.most_within(Duration::from_millis(2_700)) <= 12);
    for (requests, seconds) in [(5_i64, 1.0), (12, 3.0)] {
        let shortest: f64 = sqlx::query_scalar(
            "select extract(epoch from min(b.at - a.at))::float8
             from counted a join counted b on b.number = a.number + $1",
        )
        .bind(requests)
        .fetch_one(&app.pool)
        .await
        .unwrap();
        assert!(shortest >= seconds, "{requests} requests and one more within {shortest} s");
    }
    let kept: i64 =
        sqlx::query_scalar("select count(*) from request_log").fetch_one(&app.pool).await.unwrap();
    assert!(kept < bank.requests() as i64, "old requests are removed: {kept}");
}

#[tokio::test]
async fn a_pause_that_the_provider_asks_for_holds_for_other_instances_and_after_a_restart() {
    let app = TestApp::new().await;
    let bank = Strict::closed("7200").await;
    for fields in [
        "\nauth: none\nrate_limit: { scope: provider }",
        "\nauth: none\nrate_limit: { scope: provider, budgets: [{ requests: 100, per: 1m }] }",
    ] {
        let (instance, _) = instance(&app, &bank.url, fields, 2).await;
        let error = run(&instance).await.unwrap_err();
        assert!(error.contains("no request before") && error.contains("the provider asked"), "{error}");
    }
    assert_eq!(bank.requests(), 1);
}

#[tokio::test]
async fn a_budget_that_has_no_room_for_longer_than_a_run_waits_ends_the_run_with_the_time() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", usize::MAX).await;
    let fields = "\nauth: none\nrate_limit: { budgets: [{ requests: 4, per: 1d }] }";
    for (streams, fits) in [(3, true), (3, false), (1, false)] {
        let (instance, _) = instance(&app, &bank.url, fields, streams).await;
        match run(&instance).await {
            Ok(()) => assert!(fits),
            Err(error) => assert!(!fits && error.contains("the budget of requests is used up"), "{error}"),
        }
    }
    assert_eq!(bank.requests(), 4);
}
