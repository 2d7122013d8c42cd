//! A person's data is erased: names and metadata go from everywhere, and what was served stays in its
//! place, with its ids, types, amounts and times.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use tributary::encryption::Keyring;
use tributary::payments::Policy;
use tributary::records::erase::{Wanted, erase, find};
use tributary::store::erasures::{Erased, ORDER_ENDED};
use tributary::store::raw_records;
use tributary_domain::{Origin, RawRecord};
use tributary_formance::Kind;

use crate::support::jobs::count;
use crate::support::process::Place;
use crate::support::till::{Formance, Till, quick};
use crate::support::{Consumer, Loop, TestApp, records};

const TABLES: [&str; 18] = [
    "accounts",
    "beneficiaries",
    "transactions",
    "balances",
    "changes",
    "feed",
    "families",
    "quarantine",
    "raw_records",
    "unmatched_records",
    "sync_open_records",
    "payment_orders",
    "payment_attempts",
    "payment_steps",
    "payment_audit",
    "payment_refusals",
    "sync_run_warnings",
    "erasures",
];

/// The tables in which `words` can be read, bytes in hex included.
async fn traces(pool: &PgPool, words: &str) -> Vec<&'static str> {
    let hex: String = words.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut traces = Vec::new();
    for table in TABLES {
        let sql = format!("select count(*) from {table} t where t::text like $1 or t::text like $2");
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(format!("%{words}%"))
            .bind(format!("%{hex}%"))
            .fetch_one(pool)
            .await
            .unwrap();
        if found > 0 {
            traces.push(table);
        }
    }
    traces
}

fn wanted<'a>(app: &'a TestApp, id: &'a str, with_payments: bool, also: &'a [String]) -> Wanted<'a> {
    Wanted { provider: app.name(), id, with_payments, also }
}

async fn erased(app: &TestApp, wanted: Wanted<'_>) -> Vec<Erased> {
    let found = find(&app.pool, &Keyring::default(), wanted).await.unwrap();
    let mut erased = erase(&app.pool, wanted, &found, false).await.unwrap();
    erased.retain(|erased| erased.rows > 0);
    erased
}

fn rows(erased: &[Erased], table: &str) -> i64 {
    erased.iter().find(|erased| erased.table == table).map_or(0, |erased| erased.rows)
}

/// A payee, payments to them, one of somebody else, and what else there may be of them.
async fn with_jane(published: bool) -> TestApp {
    let app = TestApp::fast().await;
    let payee = |id: &str, name: &str| json!({"id": id, "ownerName": name, "createdAt": "2020-03-01T12:00:00Z", "metadata": {"iban": name}});
    app.push("beneficiaries", &[payee("jane", "Jane Doe"), payee("john", "John Smith")]).await;
    let to = |id: &str, to: &str, name: &str| {
        let mut record = records::transaction(id, "SUCCEEDED");
        record["destinationAccountID"] = to.into();
        record["metadata"] = json!({"to": name});
        record
    };
    let mut refund = to("t1-refund", "main", "Jane Doe");
    refund["relatedTransactionID"] = "t1".into();
    let transactions =
        [to("t1", "jane", "Jane Doe"), to("t2", "john", "John Smith"), to("t3", "jane", "Jane Doe"), refund];
    app.push("transactions", &transactions).await;
    if published {
        app.publish_all().await;
    }
    app
}

/// What is promised of an entry: all but names and metadata.
fn promised(body: &Value) -> Value {
    let mut body = body.clone();
    for personal in ["metadata", "ownerName", "accountName"] {
        if let Some(member) = body.get_mut(personal) {
            *member = Value::Null;
        }
    }
    body
}

#[tokio::test]
async fn a_person_is_erased_from_everywhere_and_what_was_served_keeps_its_place() {
    let app = with_jane(true).await;
    let record = json!({"id": "x", "payee": "jane", "name": "Jane Doe"}).to_string().into_bytes();
    let origin = Origin {
        stream: "payments".into(),
        partition: String::new(),
        record,
        parent: b"null".to_vec(),
        asked_at: "2026-03-01T12:00:00Z".into(),
        identity: None,
        vanished: false,
    };
    let mut connection = app.pool.acquire().await.unwrap();
    raw_records::keep(
        &mut connection,
        &Keyring::default(),
        app.name(),
        "payments",
        "",
        &[RawRecord { origin, became: vec![] }],
    )
    .await
    .unwrap();
    let mut bad = records::transaction("bad", "SUCCEEDED");
    (bad["amount"], bad["metadata"]) = ("ten".into(), json!({"to": "Jane Doe"}));
    app.push("transactions", &[bad]).await;
    app.sql(
        "insert into payment_refusals (provider, kind, status, title, detail, body, digest)
         values ('acme', 'PAYOUT', 400, 't', 'd', '{\"destinationAccountId\": \"jane\", \"description\": \"for Jane Doe\"}', sha256('a'))",
    )
    .await;
    let targets = ["/transactions?sort=updatedAt:asc", "/beneficiaries"];
    let mut before = Vec::new();
    for target in targets {
        before.push(app.get_ok(target).await);
    }
    let entries = "select resource, position, published_at::text, id, body::jsonb ->> 'updatedAt' from feed order by 1, 2";
    let positions: Vec<(String, i64, String, String, Option<String>)> =
        sqlx::query_as(entries).fetch_all(&app.pool).await.unwrap();

    let also = ["Jane Doe".to_owned()];
    let gone = erased(&app, wanted(&app, "jane", true, &also)).await;
    for (table, wanted) in [
        ("beneficiaries", 1),
        ("transactions", 3),
        ("feed", 4),
        ("quarantine", 1),
        ("raw_records", 1),
        ("payment_refusals", 1),
    ] {
        assert_eq!(rows(&gone, table), wanted, "{table} of {gone:?}");
    }
    assert_eq!(traces(&app.pool, "Jane Doe").await, [""; 0]);
    assert_eq!(traces(&app.pool, "John Smith").await, ["beneficiaries", "transactions", "feed"]);

    app.publish_all().await;
    let now: Vec<(String, i64, String, String, Option<String>)> =
        sqlx::query_as(entries).fetch_all(&app.pool).await.unwrap();
    assert_eq!(now, positions, "every position, time and id is as it was, and nothing is news");
    for (target, before) in targets.iter().zip(&before) {
        let (before, after) = (before.as_array().unwrap(), app.get_ok(target).await);
        let after = after.as_array().unwrap();
        assert!(before.iter().map(promised).eq(after.iter().map(promised)), "{after:?}");
    }
    let pages = app.get_ok("/beneficiaries").await;
    let jane = pages.as_array().unwrap().iter().find(|row| row["id"] == "jane").unwrap();
    assert_eq!(jane["ownerName"], "");
    assert!(jane["metadata"].as_object().unwrap().keys().all(|key| key == "tributary.createdAt"), "{jane}");
    for form in Loop::BOTH {
        let mut consumer = Consumer::new(&app, Kind::Transactions, form).await;
        consumer.poll().await;
        consumer.check(&app).await;
    }
}

#[tokio::test]
async fn without_payments_only_the_record_itself_goes() {
    let app = with_jane(true).await;
    let gone = erased(&app, wanted(&app, "jane", false, &[])).await;
    assert_eq!(
        (rows(&gone, "beneficiaries"), rows(&gone, "feed"), rows(&gone, "transactions")),
        (1, 1, 0),
        "{gone:?}"
    );
    let gone = erased(&app, wanted(&app, "t1", false, &[])).await;
    assert_eq!((rows(&gone, "transactions"), rows(&gone, "feed")), (2, 2), "with its refund: {gone:?}");
    assert_eq!(traces(&app.pool, "Jane Doe").await, ["transactions", "feed"], "t3 is left");
}

#[tokio::test]
async fn what_is_erased_does_not_come_back_with_the_next_sync_and_still_changes_its_status() {
    let app = with_jane(true).await;
    erased(&app, wanted(&app, "jane", true, &["Jane Doe".to_owned()])).await;
    let feed = app.feed("transactions").await.len();
    let mut again = records::transaction("t3", "SUCCEEDED");
    again["destinationAccountID"] = "jane".into();
    again["metadata"] = json!({"to": "Jane Doe"});
    app.push("transactions", &[again.clone()]).await;
    app.push(
        "beneficiaries",
        &[json!({"id": "jane", "ownerName": "Jane Doe", "createdAt": "2020-03-01T12:00:00Z"})],
    )
    .await;
    app.publish_all().await;
    assert_eq!(app.feed("transactions").await.len(), feed, "it is no news");
    again["status"] = "REFUNDED".into();
    app.push("transactions", &[again]).await;
    app.publish_all().await;
    let last = app.feed("transactions").await.pop().unwrap();
    assert_eq!((&last["status"], &last["metadata"]), (&json!("REFUNDED"), &json!({})));
    app.sql("update beneficiaries set name = 'Jane Doe', erased_at = null where id = 'jane'").await;
    assert_eq!(traces(&app.pool, "Jane Doe").await, [""; 0], "not even by hand");
}

#[tokio::test]
async fn what_is_about_to_be_published_is_erased_where_it_waits() {
    let app = with_jane(false).await;
    let gone = erased(&app, wanted(&app, "jane", true, &[])).await;
    assert_eq!((rows(&gone, "changes"), rows(&gone, "feed")), (4, 0), "{gone:?}");
    app.publish_all().await;
    assert_eq!(app.feed("transactions").await.len(), 4);
    assert_eq!(app.feed("beneficiaries").await.len(), 2);
    assert_eq!(traces(&app.pool, "Jane Doe").await, [""; 0]);
}

#[tokio::test]
async fn a_writer_that_is_not_done_yet_brings_nothing_past_the_erasure() {
    let app = with_jane(true).await;
    let mut writer = app.pool.begin().await.unwrap();
    sqlx::query("update transactions set status = 'REFUNDED' where id = 't3'")
        .execute(&mut *writer)
        .await
        .unwrap();
    let pool = app.pool.clone();
    let name = app.name().clone();
    let erasing = tokio::spawn(async move {
        let wanted = Wanted { provider: &name, id: "t3", with_payments: false, also: &[] };
        erase(&pool, wanted, &Default::default(), false).await.unwrap()
    });
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%erase_record%'
        and datname = current_database()";
    crate::support::jobs::until(&app.pool, waiting, 1).await;
    writer.commit().await.unwrap();
    let gone = erasing.await.unwrap();
    app.publish_all().await;
    assert_eq!(rows(&gone, "changes") + rows(&gone, "feed"), 2, "both states: {gone:?}");
    let states: Vec<Value> =
        app.feed("transactions").await.into_iter().filter(|body| body["id"] == "t3").collect();
    assert!(states.len() == 2 && states.iter().all(|body| body["metadata"] == json!({})), "{states:?}");
}

#[tokio::test]
async fn an_order_is_erased_once_it_has_ended_and_never_sent_again() {
    let till = Till::open(Policy::GUARD).await;
    let (app, payments) = till.instance("one", quick());
    let mut formance = Formance::of(&app).await;
    formance.pay(&till.initiation("k", 1500)).await.unwrap();
    till.carry_on(&payments, "k", &["pending"]).await;
    let payee = till.payees[0].clone();
    let open =
        erase(&app.pool, wanted(&app, &payee, true, &[]), &Default::default(), false).await.unwrap_err();
    assert!(open.broke(ORDER_ENDED), "{open}");
    assert_eq!(count(&app.pool, "select count(*) from payment_orders where description = 'rent'").await, 1);
    let key = &till.bank_keys("k").await[0];
    till.bank.move_payment(key, tributary_domain::Status::Failed);
    till.carry_on(&payments, "k", &["failed"]).await;
    formance.poll(&app).await;
    let served = app.feed("transactions").await.len();

    let gone = erased(&app, wanted(&app, &payee, true, &[])).await;
    assert_eq!((rows(&gone, "payment_orders"), rows(&gone, "beneficiaries")), (1, 1), "{gone:?}");
    let left =
        "select count(*) from payment_audit where before::text like '%rent%' or after::text like '%rent%'";
    assert_eq!(count(&app.pool, left).await, 0);
    let trail = "select count(*) from payment_audit where actor like 'erased by %' and what = 'erased' and after is null";
    assert_eq!(count(&app.pool, trail).await, 1, "that it was erased is on record");
    assert!(traces(&app.pool, "invoice").await.is_empty(), "metadata of the order is nowhere");
    app.publish_all().await;
    assert_eq!(app.feed("transactions").await.len(), served, "it is no news");
    let amounts = "select count(*) from payment_orders where amount = 1500 and status = 'FAILED' and idempotency_key = 'k'";
    assert_eq!(count(&app.pool, amounts).await, 1);
    // a Retry in Formance: what was ordered cannot be sent any more
    app.sql("update payment_orders set replied_at = now() - interval '1 day'").await;
    let row = formance.pay(&till.initiation("k", 1500)).await.unwrap();
    assert_eq!(row.payment().status.to_string(), "FAILED");
    assert_eq!(till.bank_keys("k").await.len(), 1, "no other attempt");
}

#[tokio::test]
async fn nothing_else_changes_what_was_published_or_audited() {
    let app = with_jane(true).await;
    app.sql(
        "insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount, source_account_id,
           destination_account_id, description, state, provider_key, request)
         values (gen_random_uuid(), 'acme', 'PAYOUT', 'k', sha256('f'), 'EUR/2', 1, 'a', 'b', 'rent', 'recorded', 'p',
           '{\"body\": \"rent\"}')",
    )
    .await;
    for forbidden in [
        "update feed set body = erased_body(body::jsonb)::text::json",
        "update feed set body = '{}', erased_at = now()",
        "update feed set body = (erased_body(body::jsonb) || '{\"amount\": \"9\"}')::text::json, erased_at = now() where resource = 'transactions'",
        "update feed set body = erased_body(body::jsonb)::text::json, erased_at = now(), published_at = now()",
        "update feed set erased_at = now() where resource = 'transactions'",
        "delete from feed",
        "update payment_audit set after = null",
        "update payment_audit set before = null, after = null, erased_at = now(), actor = 'x'",
        "update payment_orders set description = null, erased_at = now()",
        "update payment_orders set description = null",
        "update erasures set rows = '{}'",
        "delete from erasures",
        "truncate erasures",
    ] {
        if forbidden.contains("erasures") {
            erased(&app, wanted(&app, "t2", false, &[])).await;
        }
        let refused = sqlx::query(forbidden).execute(&app.pool).await;
        let refused = refused.expect_err(forbidden).into_database_error().unwrap();
        assert_eq!(refused.code().as_deref(), Some("23000"), "{forbidden}: {refused}");
    }
    let gone = erased(&app, wanted(&app, "jane", true, &[])).await;
    assert_eq!(rows(&gone, "feed"), 4, "and the one door is open: {gone:?}");
}

#[tokio::test]
async fn the_command_counts_first_and_leaves_a_trace_without_the_data() {
    let app = with_jane(true).await;
    let place = Place::new("erase");
    let run = async |args: &[&str]| {
        let args = [&["erase", "--provider", "acme"][..], args].concat();
        let output = place.command(&args).env("DATABASE_URL", &app.url).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (done, counted, told) = run(&["--id", "jane", "--dry-run"]).await;
    assert!(done && counted.contains("beneficiaries") && counted.contains("feed"), "{counted}{told}");
    assert!(told.contains("Nothing was erased") && told.contains("2 transactions and 0 orders"), "{told}");
    assert_eq!(count(&app.pool, "select count(*) from erasures").await, 0);
    assert!(!traces(&app.pool, "Jane Doe").await.is_empty());
    let (done, _, told) = run(&["--id", "jane"]).await;
    assert!(!done && told.contains("--yes"), "nobody is there to be asked: {told}");
    let (done, counted, told) = run(&["--id", "jane", "--with-payments", "--yes"]).await;
    assert!(done && counted.contains("transactions"), "{counted}{told}");
    let trace: (String, String, Value) =
        sqlx::query_as("select provider, asked_by, rows from erasures").fetch_one(&app.pool).await.unwrap();
    let login: String = sqlx::query_scalar("select session_user::text").fetch_one(&app.pool).await.unwrap();
    assert_eq!((trace.0.as_str(), &trace.1, &trace.2["transactions"]), ("acme", &login, &json!(3)));
    assert_eq!(traces(&app.pool, "Jane Doe").await, [""; 0]);
    let (done, _, told) = run(&["--id", "jane", "--with-payments", "--yes"]).await;
    assert!(!done && told.contains("nothing under the id"), "{told}");
    let (status, _) = app.get("/transactions").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn what_may_still_change_at_the_provider_is_not_erased() {
    let app = with_jane(true).await;
    app.sql(
        "insert into sync_open_records (provider, stream, partition, key, record, canonical, first_seen, checked_at)
         values ('acme', 'payments', '', 't9', '{\"to\": \"jane\"}', '[]', now(), now())",
    )
    .await;
    let place = Place::new("erase-open");
    let args = ["erase", "--provider", "acme", "--id", "jane", "--yes"];
    let output = place.command(&args).env("DATABASE_URL", &app.url).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && told.contains("may still change") && told.contains("payments"),
        "{told}"
    );
    assert_eq!(count(&app.pool, "select count(*) from beneficiaries where erased_at is not null").await, 0);
}

/// What goes with a person: columns that are emptied, and those of rows that are deleted.
const ERASED: &str = "
    accounts.name accounts.metadata beneficiaries.name beneficiaries.metadata transactions.metadata
    changes.body feed.body unmatched_records.record
    payment_orders.description payment_orders.metadata payment_orders.request payment_orders.provider_metadata
    payment_orders.reason
    payment_orders.refusal payment_attempts.reason payment_approvals.reason payment_audit.before payment_audit.after
    payment_refusals.detail payment_refusals.body raw_records.record raw_records.parent
    quarantine.raw quarantine.parent quarantine.reason quarantine.fault
    statement_files.bytes statement_files.name
    sync_runs.error sync_run_streams.error sync_run_warnings.text
    sync_open_records.record sync_open_records.canonical";

/// What stays: ids and keys, which others count on, and words of ours and of the provider's file.
const STAYS: &str = "
    accounts.provider accounts.id beneficiaries.provider beneficiaries.id
    transactions.provider transactions.id transactions.related_transaction_id transactions.type transactions.status
    transactions.asset transactions.source_account_id transactions.destination_account_id
    balances.provider balances.account_id balances.asset changes.provider changes.resource changes.id changes.parent_id
    changes.trace payment_orders.trace
    feed.provider feed.resource feed.id feed.status feeds.provider feeds.resource feeds.life families.provider families.id
    unmatched_records.provider unmatched_records.id erasures.provider erasures.asked_by erasures.rows
    payment_secrets.fingerprint payment_secrets.accepted_by
    notifications.kind notifications.provider notifications.subject notifications.body notifications.last_error
    consumers.provider consumers.resource consumers.key consumers.gaps
    operators.name operators.role operators.digest operators.issuer operators.subject operator_issuers.issuer
    operator_issuers.roles operator_sign_ins.digest operator_sign_ins.next operator_links.digest operator_sessions.digest
    operator_audit.person operator_audit.login operator_audit.verb operator_audit.subject operator_audit.details
    api_keys.provider api_keys.name api_keys.scope api_keys.digest
    payment_orders.provider payment_orders.kind payment_orders.idempotency_key payment_orders.fingerprint
    payment_orders.asset payment_orders.source_account_id payment_orders.destination_account_id payment_orders.state
    payment_orders.status payment_orders.provider_key payment_orders.provider_payment_id
    payment_orders.provider_reference payment_orders.record_id payment_orders.claim_owner payment_orders.placed_by payment_orders.retried_by
    payment_approvals.decision payment_approvals.person
    payment_attempts.provider payment_attempts.provider_key payment_attempts.provider_payment_id
    payment_attempts.provider_reference payment_attempts.record_id payment_attempts.status
    payment_steps.provider payment_steps.name payment_steps.gave
    payment_audit.provider payment_audit.actor payment_audit.login payment_audit.what
    payment_audit.salt payment_audit.content_digest payment_audit.hash payment_audit_head.hash
    payment_refusals.provider payment_refusals.kind payment_refusals.idempotency_key payment_refusals.title
    payment_refusals.digest
    provider_pace.provider closed_lanes.provider closed_lanes.lane request_log.provider provider_tokens.provider provider_tokens.auth_digest
    provider_tokens.key_id provider_tokens.refresh_token provider_tokens.access_token
    provider_pauses.provider provider_pauses.paused_by provider_pauses.why
    quarantine.provider quarantine.resource quarantine.key_id quarantine.stream quarantine.partition
    quarantine.asked_at quarantine.identity quarantine.raw_digest quarantine.fault_group
    quarantine_actions.action quarantine_actions.provider quarantine_actions.fault_group
    quarantine_actions.why quarantine_discards.provider quarantine_discards.resource quarantine_discards.stream
    quarantine_discards.raw_digest quarantine_discards.fault_group
    raw_records.provider raw_records.stream raw_records.partition raw_records.digest raw_records.key_id
    raw_records.asked_at raw_records.identity raw_records.became
    sync_cursors.provider sync_cursors.stream sync_cursors.partition sync_cursors.cursor
    sync_leases.provider sync_leases.stream_group sync_leases.holder sync_leases.first_read
    sync_known_next.provider sync_known_next.stream sync_known_next.next
    sync_open_records.provider sync_open_records.stream sync_open_records.partition sync_open_records.key
    sync_run_streams.stream sync_run_warnings.stream sync_run_warnings.kind
    sync_runs.provider sync_runs.stream_group sync_runs.status
    statement_files.provider statement_files.sha256 statement_files.source statement_files.key_id
    statement_accounts.provider statement_accounts.account statement_accounts.currency statement_accounts.account_id
    statement_accounts.rules statement_accounts.gaps
    statements.provider statements.sha256 statements.account statements.currency statements.format statements.kind
    statements.number statements.page statements.state statements.reason statements.facts
    statement_movements.provider statement_movements.id statement_movements.account statement_movements.currency
    statement_movements.state statement_movements.type statement_movements.related_transaction_id
    statement_movements.order_reference
    statement_sightings.provider statement_sightings.path statement_sightings.version statement_sightings.sha256
    sync_tasks.provider sync_tasks.stream sync_tasks.partition sync_tasks.stream_group sync_tasks.schedule";

#[tokio::test]
async fn of_every_column_that_can_hold_words_it_is_decided_whether_they_go_with_a_person() {
    let app = TestApp::new().await;
    let columns: Vec<String> = sqlx::query_scalar(
        "select table_name || '.' || column_name from information_schema.columns
         where table_schema = 'public' and data_type in ('text', 'json', 'jsonb', 'bytea', 'ARRAY')
           and table_name <> '_sqlx_migrations' order by 1",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    let decided: Vec<&str> = ERASED.split_whitespace().chain(STAYS.split_whitespace()).collect();
    let new: Vec<_> = columns.iter().filter(|column| !decided.contains(&column.as_str())).collect();
    assert!(new.is_empty(), "does erase_record have to empty them? Then say so here: {new:?}");
    let gone: Vec<_> = decided.iter().filter(|name| !columns.iter().any(|column| column == *name)).collect();
    assert!(gone.is_empty(), "there are no such columns: {gone:?}");
}
