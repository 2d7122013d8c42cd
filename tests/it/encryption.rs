//! Tokens, and records where an operator wants it, are encrypted in the database: with a key from
//! outside of it, bound to their rows, under keys that can be changed.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::PgPool;
use tributary::encryption::Keyring;
use tributary::store::quarantine::{self, Refused, RefusedRecord, Which};
use tributary::store::{StoreError, raw_records};
use tributary::sync::DatabaseShared;
use tributary_domain::{Origin, ProviderName, RawRecord, Resource};
use tributary_manifest::{CompiledProvider, EachPage};

use crate::support::app::{TEST_KEYS, test_keys};
use crate::support::jobs::{count, manifest, stream};
use crate::support::process::{FILE_KEY, Place};
use crate::support::{Strict, TestApp, Upstream, edited, records};

const NEW: &str = "new:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn keys(text: &str) -> Keyring {
    Keyring::parse(text).unwrap()
}

fn name(name: &str) -> ProviderName {
    name.parse().unwrap()
}

/// A provider of `bank` that exchanges a refresh token, with `keys`.
fn rotating(pool: &PgPool, provider: &str, bank: &Strict, keys: Keyring) -> CompiledProvider {
    let shared = Arc::new(DatabaseShared::new(pool.clone(), name(provider)).with_keys(keys));
    let file = format!(
        "provider: bank\napi: {}\nattempts: 1\nevery: 1m\n\
         auth: {{ oauth2: {{ grant: refresh_token, token_url: /token, client_id: me, refresh_token: first }} }}\n\
         limits: {{ pace: 1000/s, burst: 50 }}\n\
         pull: {{ accounts: {{ s: {{ get: /s, rows: ., map: . }} }} }}\n",
        bank.url
    );
    let manifest = manifest(&file);
    CompiledProvider::with_shared(&name(provider), &manifest, shared).unwrap()
}

async fn run(compiled: &CompiledProvider) -> Result<(), String> {
    compiled.run(&mut EachPage(|_| {})).await.map(|_| ()).map_err(|error| error.to_string())
}

/// Everything that a table says, as whoever reads a copy of the database sees it: bytes in hex.
async fn dump(pool: &PgPool, table: &str) -> String {
    let sql = format!("select coalesce(string_agg(t::text, e'\n'), '') from {table} t");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn tokens_cannot_be_read_in_the_database() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1).await;
    let provider = rotating(&app.pool, "acme", &bank, test_keys());
    for _ in 0..2 {
        run(&provider).await.unwrap();
        let good = bank.refresh_token().unwrap();
        let seen = dump(&app.pool, "provider_tokens").await;
        assert!(seen.contains("test"), "the id of the key: {seen}");
        for token in [good.as_str(), "first", "access-1", "refresh-"] {
            assert!(!seen.contains(token) && !seen.contains(&hex(token)), "{token} in {seen}");
        }
    }
}

#[tokio::test]
async fn a_ciphertext_that_is_moved_to_another_row_does_not_open() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1_000).await;
    let acme = rotating(&app.pool, "acme", &bank, test_keys());
    run(&acme).await.unwrap();
    let thief = rotating(&app.pool, "thief", &bank, test_keys());
    // somebody who can write to the database gives one provider what another has
    app.sql(
        "insert into provider_tokens (provider, auth_digest, key_id, refresh_token, access_token, usable_until, exchanges)
         select 'thief', auth_digest, key_id, refresh_token, access_token, usable_until, exchanges from provider_tokens",
    )
    .await;
    let refused = run(&thief).await.unwrap_err();
    assert!(refused.contains("does not open") && refused.contains("thief"), "{refused}");
    app.sql("update provider_tokens set refresh_token = access_token where provider = 'acme'").await;
    let refused = run(&rotating(&app.pool, "acme", &bank, test_keys())).await.unwrap_err();
    assert!(refused.contains("the refresh token of acme cannot be read"), "{refused}");
    assert_eq!(bank.exchanges(), 1, "nothing wrong was sent");
}

#[tokio::test]
async fn without_the_key_a_provider_fails_with_what_to_do_and_the_others_go_on() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1_000).await;
    run(&rotating(&app.pool, "acme", &bank, test_keys())).await.unwrap();
    let refused = run(&rotating(&app.pool, "acme", &bank, keys(NEW))).await.unwrap_err();
    assert!(refused.contains("\"test\"") && refused.contains("TRIBUTARY_ENCRYPTION_KEYS"), "{refused}");
    let refused = run(&rotating(&app.pool, "acme", &bank, Keyring::default())).await.unwrap_err();
    assert!(refused.contains("there is no key") && refused.contains("openssl rand"), "{refused}");
    let other = Strict::start("first", 1_000).await;
    run(&rotating(&app.pool, "other", &other, keys(NEW))).await.unwrap();
    run(&rotating(&app.pool, "acme", &bank, keys(&format!("{NEW},{TEST_KEYS}")))).await.unwrap();
    assert_eq!(bank.exchanges(), 1);
}

#[tokio::test]
async fn a_token_from_before_there_were_keys_is_read_and_encrypted_when_it_is_written_next() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1).await;
    let provider = rotating(&app.pool, "acme", &bank, test_keys());
    run(&provider).await.unwrap();
    let good = bank.refresh_token().unwrap();
    let plain = format!(
        "update provider_tokens set key_id = null, access_token = null, refresh_token = convert_to('{good}', 'UTF8')"
    );
    app.sql(&plain).await;
    run(&rotating(&app.pool, "acme", &bank, test_keys())).await.unwrap();
    assert_eq!(bank.exchanges(), 2);
    assert_eq!(count(&app.pool, "select count(*) from provider_tokens where key_id = 'test'").await, 1);
}

/// Records of which nothing became anything.
fn raw(origins: Vec<Origin>) -> Vec<RawRecord> {
    origins.into_iter().map(|origin| RawRecord { origin, became: vec![] }).collect()
}

fn origin(record: &Value) -> Origin {
    Origin {
        stream: "payments".to_owned(),
        partition: String::new(),
        record: record.to_string().into_bytes(),
        parent: br#"{"holder":"Jane Doe"}"#.to_vec(),
        asked_at: "2026-03-01T12:00:00Z".to_owned(),
        identity: None,
        vanished: false,
    }
}

#[tokio::test]
async fn records_are_kept_encrypted_where_an_operator_wants_it_and_each_state_once() {
    let app = TestApp::new().await;
    let keys = test_keys().encrypting_records(true);
    let (one, two) =
        (origin(&json!({"id": "a", "to": "Jane Doe"})), origin(&json!({"id": "b", "to": "Jane Doe"})));
    let mut connection = app.pool.acquire().await.unwrap();
    for batch in [vec![one.clone(), two.clone()], vec![one.clone()]] {
        raw_records::keep(&mut connection, &keys, app.name(), "payments", "", &raw(batch)).await.unwrap();
    }
    let kept = raw_records::list(&app.pool, &keys, app.name(), "payments", i64::MIN, 10).await.unwrap();
    let origins: Vec<Origin> = kept.into_iter().map(|kept| kept.origin).collect();
    assert_eq!(origins, [two.clone(), one.clone()], "the one that came again is the last");
    let seen = dump(&app.pool, "raw_records").await;
    assert!(!seen.contains("Jane") && !seen.contains(&hex("Jane")), "{seen}");

    let refused =
        |record: &Origin| Refused { record: RefusedRecord::Unmapped(record.clone()), reason: "r".into() };
    for _ in 0..2 {
        let resource = Resource::Transactions;
        quarantine::keep(&mut connection, &keys, app.name(), resource, &[refused(&one), refused(&two)])
            .await
            .unwrap();
    }
    let listed = quarantine::list(&app.pool, &keys, Which::default(), 0, 10).await.unwrap();
    let mut found: Vec<_> =
        listed.iter().map(|kept| (kept.record.origin().cloned().unwrap(), kept.attempts)).collect();
    found.sort_by_key(|(origin, _)| origin.record.clone());
    assert_eq!(found, [(one.clone(), 2), (two.clone(), 2)]);
    let seen = dump(&app.pool, "quarantine").await;
    assert!(!seen.contains(&hex("Jane")), "{seen}");
    let freed =
        quarantine::free(&mut connection, app.name(), Resource::Transactions, &[&one.record], &[None]).await;
    assert_eq!(freed.unwrap(), 1, "it is found by what it was");
    let unread = quarantine::list(&app.pool, &Keyring::default(), Which::default(), 0, 10).await.unwrap_err();
    assert!(matches!(&unread, StoreError::Sealed(why) if why.contains("\"test\"")), "{unread}");
}

#[tokio::test]
async fn a_service_that_keeps_tokens_does_not_start_without_a_key() {
    let app = TestApp::new().await;
    let place = Place::new("no-key");
    let file = "provider: bank\napi: http://127.0.0.1:1\nevery: 1m\n\
        auth: { oauth2: { grant: refresh_token, token_url: /t, client_id: me, refresh_token: first } }\n\
        pull: { accounts: { s: { get: /s, rows: ., map: . } } }\n";
    std::fs::write(place.0.join("providers/bank.yaml"), file).unwrap();
    let serve: &[&str] = &["serve", "--listen", "127.0.0.1:0"];
    for args in [serve, &["sync", "bank"]] {
        let mut command = place.command(args);
        command
            .env("DATABASE_URL", &app.url)
            .env("ACME_KEY", FILE_KEY)
            .env_remove("TRIBUTARY_ENCRYPTION_KEYS");
        let output = command.output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && told.contains("bank exchanges refresh tokens"),
            "{args:?}: {told}"
        );
        assert!(told.contains("TRIBUTARY_ENCRYPTION_KEYS"), "{told}");
    }
    for (name, value, advice) in [
        ("TRIBUTARY_ENCRYPTION_KEYS", "2026:c2hvcnQ=", "is not 32 bytes"),
        ("TRIBUTARY_ENCRYPT_RECORDS", "yes", "true or false"),
        ("TRIBUTARY_ENCRYPT_RECORDS", "true", "there is no key"),
    ] {
        let output =
            place.command(&["runs"]).env("DATABASE_URL", &app.url).env(name, value).output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(advice) && !told.contains("c2hvcnQ"), "{told}");
    }
}

/// Runs a command with `keys` on the database of `app`; gives what it says on standard output.
async fn command(place: &Place, app: &TestApp, keys: &str, args: &[&str]) -> (bool, String, String) {
    let mut command = place.command(args);
    command.env("DATABASE_URL", &app.url).env("ACME_KEY", FILE_KEY);
    command.env("TRIBUTARY_ENCRYPTION_KEYS", keys).env("TRIBUTARY_ENCRYPT_RECORDS", "true");
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn what_is_encrypted_is_synced_mapped_again_and_replayed_as_ever_and_its_key_can_be_changed() {
    let app = TestApp::new().await;
    let (upstream, place) = (Upstream::start().await, Place::new("encrypted-records"));
    let good = json!({"id": "good", "amount": "1", "to": "Jane Doe"});
    upstream.set("/payments", json!([good, {"id": "bad", "amount": "ten", "to": "Jane Doe"}]));
    let payments = edited(&stream("payments", ""), "status, ", "status: \"SUCCEEDED\", ");
    let write = |amount: &str| {
        let mapped = edited(&payments, "amount: \"100\"", &format!("amount: ({amount})"));
        let file = format!(
            "provider: bank\napi: {}\nauth: {{ bearer: t }}\nevery: 1h\nkeep_raw: 30d\npull:\n  transactions:\n{mapped}",
            upstream.url
        );
        std::fs::write(place.0.join("providers/bank.yaml"), file).unwrap();
    };
    write(".amount");
    let (unwarned, _, told) = command(&place, &app, TEST_KEYS, &["sync", "bank"]).await;
    assert!(!unwarned && told.contains("warning: payments: quarantined, 1 times"), "{told}");
    for table in ["raw_records", "quarantine"] {
        let seen = dump(&app.pool, table).await;
        assert!(
            !seen.is_empty() && !seen.contains(&hex("Jane")) && !seen.contains("Jane"),
            "{table}: {seen}"
        );
    }
    let both = format!("{NEW},{TEST_KEYS}");
    let (_, before, _) = command(&place, &app, &both, &["encryption", "status"]).await;
    assert!(before.contains("test: 3 rows still use it"), "{before}");
    let (rotated, said, told) = command(&place, &app, &both, &["encryption", "rotate"]).await;
    assert!(rotated && said.contains("3 rows encrypted with new"), "{said}{told}");
    assert!(said.contains("test: no row uses it"), "{said}");
    let (rotated, said, _) = command(&place, &app, &both, &["encryption", "rotate"]).await;
    assert!(rotated && said.contains("0 rows encrypted"), "there is nothing left to do: {said}");

    let (shown, raw, _) = command(&place, &app, NEW, &["quarantine", "show", "1"]).await;
    assert!(shown && raw.contains("Jane Doe"), "{raw}");
    let (listed, _, told) = command(&place, &app, TEST_KEYS, &["quarantine", "list"]).await;
    assert!(!listed && told.contains("\"new\""), "the old key alone reads nothing any more: {told}");
    write("if .amount == \"ten\" then \"10\" else \"2\" end");
    let (replayed, said, told) =
        command(&place, &app, NEW, &["quarantine", "replay", "--provider", "bank"]).await;
    assert!(replayed && said.contains("1 freed"), "{said}{told}");
    let (mapped, said, told) = command(&place, &app, NEW, &["remap", "bank"]).await;
    assert!(mapped && said.contains("2 records mapped: 0 created, 1 updated"), "{said}{told}");
    assert_eq!(upstream.asked("/payments"), 1);
}

#[tokio::test]
async fn a_change_of_keys_goes_on_where_it_was_stopped_and_names_what_it_cannot_read() {
    let app = TestApp::new().await;
    let bank = Strict::start("first", 1_000).await;
    run(&rotating(&app.pool, "acme", &bank, test_keys())).await.unwrap();
    let place = Place::new("rotation");
    let mut connection = app.pool.acquire().await.unwrap();
    let many: Vec<Origin> = (0..1_200).map(|i| origin(&json!({ "id": i }))).collect();
    let old = test_keys().encrypting_records(true);
    raw_records::keep(&mut connection, &old, app.name(), "payments", "", &raw(many.clone())).await.unwrap();
    let (lost, bad) = (
        keys("lost:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").encrypting_records(true),
        records::transaction("x", "PENDING"),
    );
    raw_records::keep(&mut connection, &lost, app.name(), "payments", "", &raw(vec![origin(&bad)]))
        .await
        .unwrap();
    let both = keys(&format!("{NEW},{TEST_KEYS}")).encrypting_records(true);
    // stopped after its first piece
    raw_records::reseal(&app.pool, &both, &mut raw_records::After::default(), 500).await.unwrap().unwrap();
    let new = "select count(*) from raw_records where key_id = 'new'";
    assert_eq!(count(&app.pool, new).await, 500);
    let (rotated, said, told) =
        command(&place, &app, &format!("{NEW},{TEST_KEYS}"), &["encryption", "rotate"]).await;
    assert!(!rotated && told.contains("1 rows stay") && told.contains("\"lost\""), "{told}");
    assert!(said.contains("701 rows encrypted with new") && said.contains("lost: missing"), "{said}");
    assert_eq!(count(&app.pool, new).await, 1_200);
    let read =
        raw_records::list(&app.pool, &keys(NEW), app.name(), "payments", i64::MIN, 1_200).await.unwrap();
    assert!(read.iter().map(|kept| &kept.origin).eq(&many), "unchanged, and in their order");
    run(&rotating(&app.pool, "acme", &bank, keys(NEW))).await.unwrap();
    assert_eq!(bank.exchanges(), 1, "the token is the same, under the new key");
}
