//! Pulling from a stand-in of Starling: what Formance holds in the end is the bank's own ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tributary::config::{Provider, Source};
use tributary::sync::{RunOutcome, run_once};
use tributary_formance::Kind;
use tributary_manifest::CompiledProvider;
use tributary_standin::kit::{self, Faults, RetryAfter, Running, Standin, StandinConfig, When};

use crate::providers::shipped::STARLING;
use crate::support::proxy::{Fault, Proxy, report};
use crate::support::till::{MANIFEST, TOKEN};
use crate::support::{Consumer, Loop, TestApp, with_fast_feed};

/// A bank, and an application that pulls from it.
struct Setup {
    bank: Arc<Standin>,
    running: Running,
    app: TestApp,
    connection: Arc<CompiledProvider>,
}

impl Setup {
    async fn new(items: usize) -> Self {
        // one account of each currency
        let config = StandinConfig { accounts: 5, items, ..StandinConfig::new(7, TOKEN) };
        let bank = Arc::new(Standin::new(STARLING.fsp, config).unwrap());
        let running = kit::start(Arc::clone(&bank)).await.unwrap();
        let app = TestApp::with_file(&with_fast_feed(MANIFEST)).await;
        let connection = Arc::new(connect(&running.url));
        Self { bank, running, app, connection }
    }

    /// With a proxy between Tributary and the bank.
    async fn behind_proxy(items: usize) -> (Self, Proxy) {
        let mut setup = Self::new(items).await;
        let proxy = Proxy::to(setup.running.url.strip_prefix("http://").unwrap()).await;
        setup.connection = Arc::new(connect(&format!("http://{}", proxy.address())));
        (setup, proxy)
    }

    async fn sync(&self) -> RunOutcome {
        run_once(&self.app.pool, self.app.name(), &self.connection, &Arc::default()).await.unwrap()
    }

    async fn sync_ok(&self) {
        let outcome = self.sync().await;
        assert!(matches!(outcome, RunOutcome::Succeeded { quarantined: 0, .. }), "{outcome:?}");
        self.app.publish_all().await;
    }

    /// Status and amount of every transaction as the tables hold it.
    async fn stored(&self) -> BTreeMap<String, (String, String)> {
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("select id, status, amount::text from transactions")
                .fetch_all(&self.app.pool)
                .await
                .unwrap();
        rows.into_iter().map(|(id, status, amount)| (id, (status, amount))).collect()
    }

    /// The same as the bank's ledger has it: a movement into a savings goal is one transaction.
    fn ledger(&self) -> BTreeMap<String, (String, String)> {
        let transactions = self.bank.truth().transactions.into_iter();
        transactions
            .map(|(id, item)| (id, (item.status.as_str().to_owned(), item.amount_minor.to_string())))
            .collect()
    }

    async fn check(&self) {
        let (stored, ledger) = (self.stored().await, self.ledger());
        for (id, expected) in &ledger {
            assert_eq!(stored.get(id), Some(expected), "item {id}");
        }
        assert_eq!(stored.len(), ledger.len(), "transactions that the bank does not have");
        for form in Loop::BOTH {
            let mut consumer = Consumer::new(&self.app, Kind::Transactions, form).await;
            consumer.poll().await;
            consumer.check(&self.app).await;
        }
    }
}

fn connect(url: &str) -> CompiledProvider {
    let provider = Provider::parse(MANIFEST, &|name| STARLING.lookup(name, url)).unwrap();
    let Source::Pull(mut manifest) = provider.source else { panic!("the manifest is pulled") };
    // the bank of the test takes any pace
    manifest.rate_limit.per_second = 1000;
    manifest.rate_limit.budgets.clear();
    CompiledProvider::new(&provider.name, &manifest).unwrap()
}

#[tokio::test]
async fn what_formance_gets_is_the_banks_ledger_while_it_changes() {
    let setup = Setup::new(3000).await;
    let mut consumers = Vec::new();
    for form in Loop::BOTH {
        consumers.push(Consumer::new(&setup.app, Kind::Transactions, form).await);
    }
    for _ in 0..5 {
        setup.sync_ok().await;
        for consumer in &mut consumers {
            consumer.poll().await;
        }
        setup.bank.advance(200);
    }
    setup.sync_ok().await;
    setup.check().await;
    for consumer in &mut consumers {
        consumer.poll().await;
        consumer.check(&setup.app).await;
        assert!(consumer.rows.len() > 3000);
    }
}

#[tokio::test]
async fn accounts_balances_and_payees_arrive_as_the_bank_has_them() {
    let setup = Setup::new(500).await;
    setup.sync_ok().await;
    let truth = setup.bank.truth();
    let mut accounts = Consumer::new(&setup.app, Kind::Accounts, Loop::Released).await;
    accounts.poll().await;
    accounts.check(&setup.app).await;
    assert_eq!(accounts.rows.len(), truth.accounts.len(), "accounts and savings goals");
    let client = tributary_formance::Client::new(&setup.app.listen().await, &setup.app.connector_key);
    let own = truth.accounts.iter().filter(|(_, account)| account.within.is_none());
    let mut assets = Vec::new();
    for (id, account) in own {
        let balances = client.balances(id).await.unwrap();
        let amounts: Vec<_> =
            balances.iter().map(|balance| (balance.amount.as_str(), balance.asset.as_str())).collect();
        assert_eq!(amounts, [(account.balance_minor.to_string().as_str(), account.asset.as_str())]);
        assets.push(account.asset.as_str());
    }
    assets.sort_unstable();
    assert_eq!(assets, ["EUR/2", "GBP/2", "JPY", "KWD/3", "USD/2"]);
    let mut beneficiaries = Consumer::new(&setup.app, Kind::Beneficiaries, Loop::Released).await;
    assert_eq!(beneficiaries.poll().await, truth.beneficiaries.len());
}

#[tokio::test]
async fn a_repeated_sync_writes_nothing() {
    let setup = Setup::new(500).await;
    setup.sync_ok().await;
    let entries = setup.app.feed("transactions").await.len();
    let outcome = setup.sync().await;
    let RunOutcome::Succeeded { tally, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((tally.created, tally.updated), (0, 0));
    setup.app.publish_all().await;
    assert_eq!(setup.app.feed("transactions").await.len(), entries);
}

#[tokio::test]
async fn a_bank_that_throttles_fails_and_breaks_off_is_read_in_full_all_the_same() {
    let setup = Setup::new(1000).await;
    setup.bank.set_faults(Faults {
        rate_limited: Some(When::every(13)),
        retry_after: vec![RetryAfter::Zero, RetryAfter::Absent],
        server_error: Some(When::every(11)),
        cut_body: Some(When::every(17)),
        ties: 20,
        ..Faults::default()
    });
    for _ in 0..2 {
        setup.bank.advance(100);
        setup.sync_ok().await;
    }
    setup.check().await;
    let fired = setup.bank.fired();
    assert!(fired.rate_limited_zero > 0 && fired.rate_limited_absent > 0, "{fired:?}");
    assert!(fired.server_errors > 0 && fired.cut_bodies > 0 && fired.ties > 0, "{fired:?}");
}

#[tokio::test]
async fn s14_a_sync_over_a_network_that_breaks_replies_brings_the_whole_ledger() {
    let (setup, proxy) = Setup::behind_proxy(800).await;
    let faults = [
        Fault::Refuse,
        Fault::Reset { after: 600 },
        Fault::Close { after: 400 },
        Fault::HalfClose { after: 300 },
    ];
    proxy.now_and_then(7, "GET ", 6, &faults);
    setup.sync_ok().await;
    // a bank that says nothing: the run is stopped, and the next one goes on from there
    proxy.next("/feed/", Fault::BlackHole);
    setup.bank.advance(100);
    let run = tokio::time::timeout(Duration::from_secs(2), setup.sync()).await;
    assert!(run.is_err(), "a bank that says nothing ended a run: {run:?}");
    proxy.heal();
    setup.sync_ok().await;
    setup.check().await;
    report(proxy.all_fired());
}

#[tokio::test]
async fn a_run_that_is_dropped_anywhere_goes_on_from_what_it_committed() {
    let setup = Setup::new(2000).await;
    let mut dropped = 0;
    for milliseconds in (5..).step_by(150) {
        let run = tokio::time::timeout(Duration::from_millis(milliseconds), setup.sync()).await;
        match run {
            Ok(_) => break,
            Err(_) => dropped += 1,
        }
        setup.bank.advance(20);
    }
    assert!(dropped > 0, "no run was ever dropped");
    setup.sync_ok().await;
    setup.check().await;
    let interrupted: i64 = sqlx::query_scalar("select count(*) from sync_runs where status = 'interrupted'")
        .fetch_one(&setup.app.pool)
        .await
        .unwrap();
    assert!(interrupted > 0, "dropped runs are told from those that ended");
    let running: i64 = sqlx::query_scalar("select count(*) from sync_runs where status = 'running'")
        .fetch_one(&setup.app.pool)
        .await
        .unwrap();
    assert_eq!(running, 0);
}

#[tokio::test]
async fn rows_that_could_not_be_kept_are_read_again() {
    let setup = Setup::new(2000).await;
    for kept in [0, 700] {
        setup
            .app
            .sql(&format!(
                "create function refuse() returns trigger language plpgsql as $$ begin
                   if (select count(*) from transactions) >= {kept} then raise 'no room'; end if;
                   return null;
                 end $$;
                 create trigger refuse before insert on transactions for each statement execute function refuse()"
            ))
            .await;
        let outcome = setup.sync().await;
        assert!(matches!(outcome, RunOutcome::Failed { .. }), "{outcome:?}");
        setup.app.sql("drop function refuse cascade").await;
    }
    setup.sync_ok().await;
    setup.check().await;
}

#[tokio::test]
async fn two_instances_share_the_work_without_doubling_it() {
    let setup = Setup::new(1500).await;
    for _ in 0..3 {
        setup.bank.advance(50);
        let (a, b) = tokio::join!(setup.sync(), setup.sync());
        let succeeded = [a, b].iter().filter(|run| matches!(run, RunOutcome::Succeeded { .. })).count();
        assert!(succeeded >= 1);
    }
    setup.sync_ok().await;
    setup.check().await;
}

#[tokio::test]
async fn a_refused_token_fails_the_run_and_says_so_without_showing_it() {
    let setup = Setup::new(10).await;
    let lookup = |name: &str| (name == "STARLING_TOKEN").then(|| "a-wrong-token-0123456789".to_owned());
    let provider = Provider::parse(MANIFEST, &lookup).unwrap();
    let Source::Pull(mut manifest) = provider.source else { panic!("the manifest is pulled") };
    manifest.base_url = setup.running.url.clone();
    let connection = Arc::new(CompiledProvider::new(&provider.name, &manifest).unwrap());
    let outcome = run_once(&setup.app.pool, setup.app.name(), &connection, &Arc::default()).await.unwrap();
    let RunOutcome::Failed { error, .. } = outcome else { panic!("{outcome:?}") };
    assert!(error.contains("403") && !error.contains("a-wrong-token"), "{error}");
    let held: i64 = sqlx::query_scalar("select count(*) from feeds where awaits_first_sync")
        .fetch_one(&setup.app.pool)
        .await
        .unwrap();
    assert_eq!(held, 0, "no feed is left held back");
}
