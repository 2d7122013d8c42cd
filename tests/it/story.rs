//! The story of one record: what it came from, its versions, who has them; found by whatever it is called, by an
//! index, and gone with the person whose it is.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use tributary::encryption::Keyring;
use tributary::records::erase::{Wanted, erase, find as find_to_erase};
use tributary::records::story::{self, Story};
use tributary::store::named_records::RecordName;
use tributary::store::quarantine::{Chosen, Which};
use tributary::sync::{Busy, RemapRequest, SyncRequest};
use tributary_manifest::CompiledProvider;

use crate::support::jobs::{file, manifest, puller, replay, stream};
use crate::support::process::Place;
use crate::support::{TestApp, Upstream, edited, records};

/// Payments of `/payments`, kept as they came for a month.
struct Bank {
    upstream: Upstream,
    app: TestApp,
}

impl Bank {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let app = TestApp::with_file(&file(&upstream, "keep_raw: 30d\n", &stream("payments", ""))).await;
        Self { upstream, app }
    }

    fn file(&self, streams: &str) -> String {
        file(&self.upstream, "keep_raw: 30d\n", streams)
    }

    async fn sync(&self, streams: &str, records: Value) {
        self.upstream.set("/payments", records);
        let request = SyncRequest { stream: None, forget: true, busy: Busy::GiveUp };
        let puller = puller(&self.app, &self.file(streams), "by hand");
        puller.sync_now(&request, &CancellationToken::new()).await.unwrap();
        self.app.publish_all().await;
    }

    async fn story(&self, name: &str) -> Story {
        told(&self.app.pool, name).await
    }
}

/// The only record of this name.
async fn told(pool: &PgPool, name: &str) -> Story {
    let mut found = story::find(pool, name, None).await.unwrap();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    story::of(pool, &Keyring::default(), found.remove(0), None).await.unwrap()
}

fn came(story: &Story) -> Vec<Value> {
    let record = |came: &story::Came| serde_json::from_str(came.record.as_ref().unwrap().get()).unwrap();
    story.came.iter().map(record).collect()
}

#[tokio::test]
async fn a_record_is_told_from_what_came_to_who_has_it() {
    let bank = Bank::new().await;
    let pending = json!({"id": "a", "status": "PENDING", "amount": 9_007_199_254_740_993_u64});
    let done = json!({"id": "a", "status": "SUCCEEDED"});
    bank.sync(&stream("payments", ""), json!([pending, {"id": "b", "status": "PENDING"}])).await;
    bank.app.get_ok("/transactions").await;
    bank.app.polls.write(&bank.app.service).await.unwrap();
    bank.sync(&stream("payments", ""), json!([done, {"id": "b", "status": "PENDING"}])).await;

    let story = bank.story("a").await;
    assert_eq!(came(&story), [pending, done], "and nothing of b");
    assert!(story.came[0].record.as_ref().unwrap().get().contains("9007199254740993"), "digit by digit");
    assert!(story.came.iter().all(|came| came.stream == "payments" && came.asked_at.starts_with("20")));
    let versions: Vec<_> = story.versions.iter().map(|one| one.version.status.as_deref().unwrap()).collect();
    assert_eq!(versions, ["PENDING", "SUCCEEDED"]);
    assert!(story.versions[0].version.published_at < story.versions[1].version.published_at);
    let fetched: Vec<_> = story.versions.iter().map(|one| one.fetched[0].fetched).collect();
    assert_eq!(fetched, [true, false], "{:?}", story.versions);
    assert_eq!(story.now.as_ref().unwrap()["status"], "SUCCEEDED");
    assert!(story.order.is_none() && story.unpublished.is_empty());

    // what is committed and not published
    bank.app.sql("update transactions set status = 'DISPUTE' where id = 'a'").await;
    let story = bank.story("a").await;
    assert_eq!(story.unpublished[0].body["status"], "DISPUTE");

    let place = Place::new("records_show");
    let show = async |args: &[&str]| {
        let args = [&["records", "show"], args].concat();
        let output = place.command(&args).env("DATABASE_URL", &bank.app.url).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (ok, shown, errors) = show(&["a"]).await;
    assert!(ok, "{errors}");
    for part in [
        "It came from",
        r#""amount":9007199254740993"#,
        "position 1, ",
        " has it, by 20",
        "has not fetched it",
        "not published yet",
    ] {
        assert!(shown.contains(part), "{part:?} in\n{shown}");
    }
    let (_, json, _) = show(&["a", "--output", "json", "--resource", "transactions"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["id"], json["came"].as_array().unwrap().len()), (&json!("a"), 2), "{json:#}");
    let (ok, _, errors) = show(&["nobody"]).await;
    assert!(!ok && errors.contains("quarantine list"), "{errors}");
}

#[tokio::test]
async fn a_name_finds_accounts_as_served_and_says_when_it_is_one_of_several() {
    let app = TestApp::fast().await;
    app.push("accounts", &[records::account("branch/07", "2026-03-01T12:00:00Z")]).await;
    app.push("balances", &[records::balances("branch/07", "2026-03-01T12:00:00Z", &[("EUR/2", "5")])]).await;
    let mut refund = records::transaction("refund", "REFUNDED");
    refund["relatedTransactionID"] = "t".into();
    app.push("transactions", &[records::transaction("t", "SUCCEEDED"), refund]).await;
    app.push("transactions", &[records::transaction("branch/07", "SUCCEEDED")]).await;
    app.publish_all().await;
    let found = story::find(&app.pool, "branch/07", None).await.unwrap();
    let resources: Vec<_> = found.iter().map(|name| name.resource.as_str()).collect();
    assert_eq!(resources, ["accounts", "transactions"]);
    assert_eq!(story::find(&app.pool, "branch~2F07", None).await.unwrap(), found, "as Formance has it");
    let account = story::of(&app.pool, &Keyring::default(), found[0].clone(), None).await.unwrap();
    assert_eq!((account.balances[0].amount.as_str(), account.versions.len()), ("5", 1));
    assert_eq!(told(&app.pool, "t").await.children, ["refund"]);
    assert!(story::find(&app.pool, "t", Some(&"other".parse().unwrap())).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_mapped_or_replayed_later_is_linked_then() {
    let bank = Bank::new().await;
    let nothing = edited(&stream("payments", ""), "map: '{", "map: 'select(.id != \"a\") | {");
    bank.sync(&nothing, json!([{"id": "a", "status": "PENDING"}, {"id": "bad", "status": "NEVER"}])).await;
    assert!(story::find(&bank.app.pool, "a", None).await.unwrap().is_empty());
    let request = RemapRequest { stream: None, busy: Busy::GiveUp, report: &|_| {} };
    let puller = puller(&bank.app, &bank.file(&stream("payments", "")), "by hand");
    puller.remap(&request, &CancellationToken::new()).await.unwrap();
    assert_eq!(came(&bank.story("a").await), [json!({"id": "a", "status": "PENDING"})]);

    let mapped = edited(&stream("payments", ""), "{ id, status,", "{ id, status: \"FAILED\",");
    let compiled = CompiledProvider::new(bank.app.name(), &manifest(&bank.file(&mapped))).unwrap();
    let providers = [(bank.app.name().clone(), compiled.into())];
    let replayed = replay(&bank.app.pool, providers, Chosen::All(Which::default())).await;
    assert_eq!(replayed.freed, 1);
    assert_eq!(came(&bank.story("bad").await), [json!({"id": "bad", "status": "NEVER"})]);
}

#[tokio::test]
async fn what_a_record_came_from_goes_with_the_person_also_where_the_id_is_not_in_it() {
    let bank = Bank::new().await;
    let made = edited(&stream("payments", ""), "{ id, status,", "{ id: (\"p-\" + .id), status,");
    bank.sync(
        &made,
        json!([{"id": "a", "status": "PENDING", "to": "Jane"}, {"id": "b", "status": "PENDING"}]),
    )
    .await;
    assert_eq!(bank.story("p-a").await.came.len(), 1);
    let wanted = Wanted { provider: bank.app.name(), id: "p-a", with_payments: false, also: &[] };
    let found = find_to_erase(&bank.app.pool, &Keyring::default(), wanted).await.unwrap();
    erase(&bank.app.pool, wanted, &found, false).await.unwrap();
    let story = bank.story("p-a").await;
    assert!(story.came.is_empty() && story.versions[0].version.erased_at.is_some(), "{story:?}");
    assert_eq!(bank.story("p-b").await.came.len(), 1, "others stay");
}

/// Scans so far of whole tables, of those that were filled.
async fn scans(pool: &PgPool) -> i64 {
    sqlx::query("select pg_stat_force_next_flush()").execute(pool).await.unwrap();
    sqlx::query("select 1").execute(pool).await.unwrap();
    let scans = sqlx::query_scalar(
        "select sum(seq_scan)::bigint from pg_stat_user_tables where relname in ('accounts', 'balances',
           'transactions', 'feed', 'raw_records', 'payment_orders')",
    );
    scans.fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_story_reads_no_table_from_its_beginning_to_its_end() {
    let app = TestApp::fast().await;
    app.push("accounts", &[records::account("first", "2026-03-01T12:00:00Z")]).await;
    app.publish_all().await;
    // as many as make a scan dearer than an index; more of them show how long it takes
    let rows = std::env::var("STORY_ROWS").map_or(20_000, |rows| rows.parse().unwrap());
    for statement in [
        "alter table transactions disable trigger user",
        "alter table payment_orders disable trigger user",
        "alter table accounts disable trigger user",
        "alter table balances disable trigger user",
        "insert into accounts (provider, id, name, created_at)
         select 'acme', 'a' || i, '', now() from generate_series(1, 20000) i",
        "insert into balances (provider, account_id, asset, amount)
         select 'acme', 'a' || i, 'EUR/2', i from generate_series(1, 20000) i",
        "insert into transactions (provider, id, type, status, asset, amount, created_at)
         select 'acme', 't' || i, 'PAYIN', 'SUCCEEDED', 'EUR/2', i, now() from generate_series(1, 20000) i",
        "insert into feed (provider, resource, position, published_at, id, status, body)
         select 'acme', 'transactions', i, now() + i * interval '1 ms', 't' || i, 'SUCCEEDED', '{}'
         from generate_series(1, 20000) i",
        "insert into raw_records (provider, stream, partition, digest, record, parent, asked_at, became)
         select 'acme', 'payments', '', sha256(i::text::bytea), '{}', 'null', '', array['t' || i]
         from generate_series(1, 20000) i",
        "insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount, source_account_id,
           destination_account_id, state, provider_key, request)
         select gen_random_uuid(), 'acme', 'PAYOUT', 'k' || i, sha256(i::text::bytea), 'EUR/2', 1, 'a', 'b', 'recorded', 'p' || i, '{}'
         from generate_series(1, 20000) i",
        "analyze",
    ] {
        app.sql(&statement.replace("20000", &format!("{rows}"))).await;
    }
    let pool = PgPoolOptions::new().max_connections(1).connect(&app.url).await.unwrap();
    // what is planned for any value is what is planned for ever
    let mut slowest = Duration::ZERO;
    for _ in 0..7 {
        let before = scans(&pool).await;
        for name in ["t17", "k17", "a17"] {
            let begun = Instant::now();
            let found = story::find(&pool, name, None).await.unwrap();
            let [name]: [RecordName; 1] = found.try_into().unwrap();
            let story = story::of(&pool, &Keyring::default(), name, None).await.unwrap();
            slowest = slowest.max(begun.elapsed());
            assert!(
                story.name.id != "t17" || (story.came.len(), story.versions.len()) == (1, 1),
                "{story:?}"
            );
        }
        assert_eq!(scans(&pool).await - before, 0);
    }
    println!("of {rows} rows of a table, the slowest story takes {slowest:?}");
}
