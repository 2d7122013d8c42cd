//! Instances share the work by leases: nothing is done twice, nothing is left lying, and whoever
//! lost a lease commits nothing any more.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use tributary::store::leases::{self, Lease};
use tributary::store::sync_runs;
use tributary::sync::{Busy, DatabaseSink, RunOutcome, SinkError, SyncProgress, SyncRequest, Synced};
use tributary::verbs::pauses::{Pause, Resume};
use tributary::verbs::sync::Sync;
use tributary::verbs::{Actor, Declared, On, perform};
use tributary_domain::{Resource, parse_record};
use tributary_manifest::{MappedRecord, PageSink, RecordPage};

use crate::support::jobs::{Working, count, file, instance, manifest, puller, record, stream, until};
use crate::support::process::{Place, read_log_until, signal, stop};
use crate::support::{TestApp, Upstream, edited};

const LONG: Duration = Duration::from_secs(3600);
const TRANSACTIONS: &str = "select count(*) from transactions";
const SUCCEEDED: &str = "select count(*) from sync_runs where status = 'succeeded'";
const HELD: &str = "select count(*) from sync_leases where holder is not null";

async fn setup(more: &str, names: &[&str]) -> (Upstream, TestApp, String) {
    let upstream = Upstream::start().await;
    let streams: String = names.iter().map(|name| stream(name, "")).collect();
    let file = file(&upstream, more, &streams);
    for name in names {
        upstream.set(&format!("/{name}"), json!([record(name)]));
    }
    (upstream, TestApp::with_file(&file).await, file)
}

#[tokio::test]
async fn instances_share_the_groups_of_a_provider_up_to_its_concurrency() {
    let (upstream, app, file) = setup("parallel: 2\n", &["payments", "refunds", "payouts"]).await;
    let mut payments = upstream.hold("/payments");
    let mut refunds = upstream.hold("/refunds");
    let one = Working::start(&app, &file, instance("one", LONG));
    let two = Working::start(&app, &file, instance("two", LONG));
    payments.arrived().await;
    refunds.arrived().await;
    assert_eq!(count(&app.pool, HELD).await, 2);
    assert_eq!(upstream.asked("/payouts"), 0, "it waits for its turn");
    payments.answer(json!([record("payment")]));
    refunds.answer(json!([record("refund")]));
    until(&app.pool, SUCCEEDED, 3).await;
    one.stop().await;
    two.stop().await;
    for path in ["/payments", "/refunds", "/payouts"] {
        assert_eq!(upstream.asked(path), 1, "{path}");
    }
    assert_eq!(count(&app.pool, TRANSACTIONS).await, 3);
    assert_eq!(count(&app.pool, "select count(*) from sync_runs").await, 3);
}

#[tokio::test]
async fn an_instance_that_stops_gives_its_work_back_at_once() {
    let (upstream, app, file) = setup("", &["payments"]).await;
    let mut held = upstream.hold("/payments");
    let one = Working::start(&app, &file, instance("one", LONG));
    held.arrived().await;
    one.stop().await;
    assert_eq!(count(&app.pool, HELD).await, 0);
    let two = Working::start(&app, &file, instance("two", LONG));
    until(&app.pool, SUCCEEDED, 1).await;
    two.stop().await;
    assert_eq!(count(&app.pool, "select count(*) from sync_runs where status = 'interrupted'").await, 1);
}

#[tokio::test]
async fn what_is_asked_for_in_full_is_read_without_its_cursors_by_whoever_is_at_work() {
    let (_upstream, app, file) = setup("", &["payments", "payouts"]).await;
    let one = Working::start(&app, &file, instance("one", LONG));
    until(&app.pool, SUCCEEDED, 2).await;
    app.sql(
        "insert into sync_cursors (provider, stream, partition, cursor)
         select 'acme', stream, '', '\"x\"' from unnest('{payments,payouts}'::text[]) stream",
    )
    .await;
    let declared = Declared::new();
    let (on, typed) = (On::to_the_end(&app.pool, &declared), Actor::Command { user: "ann".to_owned() });
    let full = Sync { provider: app.name().clone(), stream: Some("payouts".to_owned()), full: true };
    assert_eq!(perform(&full, on, &typed).await.unwrap().streams, ["payouts"]);
    until(&app.pool, SUCCEEDED, 3).await;
    one.stop().await;
    let left: Vec<String> =
        sqlx::query_scalar("select stream from sync_cursors").fetch_all(&app.pool).await.unwrap();
    assert_eq!(left, ["payments"]);
    assert_eq!(count(&app.pool, "select count(*) from sync_tasks where forgets").await, 0, "and only once");
}

#[tokio::test]
async fn nothing_of_a_paused_provider_is_read_until_it_is_resumed() {
    let (upstream, app, file) = setup("", &["payments"]).await;
    let mut held = upstream.hold("/payments");
    let one = Working::start(&app, &file, instance("one", LONG));
    held.arrived().await;
    let declared = Declared::new();
    let (on, typed) = (On::to_the_end(&app.pool, &declared), Actor::Command { user: "ann".to_owned() });
    let provider = app.name().clone();
    let pause = Pause { provider: provider.clone(), why: "their API moves".to_owned() };
    let sync = Sync { provider: provider.clone(), stream: None, full: false };
    perform(&pause, on, &typed).await.unwrap();
    let again = perform(&pause, on, &typed).await.unwrap_err().to_string();
    assert!(again.contains("ann paused acme at ") && again.contains("their API moves"), "{again}");
    let refused = perform(&sync, on, &typed).await.unwrap_err().to_string();
    assert!(refused.contains("`tributary resume acme` first"), "{refused}");
    // what was on its way comes too late
    held.answer(json!([record("late")]));
    until(&app.pool, "select count(*) from sync_runs where status = 'interrupted'", 1).await;
    app.sql("update sync_tasks set due_at = clock_timestamp()").await;
    let none = leases::take_due(&app.pool, app.name(), &["payments"], 9, "two", LONG).await.unwrap();
    assert_eq!(none, None, "while it is paused");
    let resume = Resume { provider };
    assert_eq!(perform(&resume, on, &typed).await.unwrap().why, "their API moves");
    until(&app.pool, SUCCEEDED, 1).await;
    one.stop().await;
    assert_eq!(
        count(&app.pool, TRANSACTIONS).await,
        1,
        "what is there when it is read again, and no late page"
    );
    assert_eq!(count(&app.pool, "select count(*) from transactions where id = 'late'").await, 0);
    perform(&resume, on, &typed).await.unwrap_err();
}

#[tokio::test]
async fn the_work_of_an_instance_that_died_is_taken_over_after_its_time() {
    let (_upstream, app, file) = setup("", &["payments"]).await;
    puller(&app, &file, "one").register().await.unwrap();
    let dead =
        leases::take_due(&app.pool, app.name(), &["payments"], 1, "dead", LONG).await.unwrap().unwrap();
    let none = leases::take_due(&app.pool, app.name(), &["payments"], 9, "two", LONG).await.unwrap();
    assert_eq!(none, None, "while its time lasts");
    app.sql("update sync_leases set expires_at = clock_timestamp()").await;
    let two = Working::start(&app, &file, instance("two", LONG));
    until(&app.pool, SUCCEEDED, 1).await;
    two.stop().await;
    assert!(count(&app.pool, "select fence from sync_leases").await > dead.lease.fence);
}

fn page(id: &str) -> RecordPage {
    let record = json!({"id": id, "createdAt": "2026-03-01T12:00:00Z", "type": "PAYIN", "status": "PENDING",
        "currency": "EUR/2", "amount": "1"});
    let record = parse_record(Resource::Transactions, record.to_string().as_bytes()).unwrap();
    RecordPage {
        stream: "payments".to_owned(),
        resource: Resource::Transactions,
        partition: String::new(),
        records: vec![MappedRecord::Canonical(record)],
        history: false,
        again: false,
        open: Vec::new(),
        closed: Vec::new(),
        cursor: Some(json!(id)),
        first_of_stream: true,
        end_of_stream: true,
        requests: 1,
        warnings: Default::default(),
        raw: Vec::new(),
    }
}

async fn commit(app: &TestApp, file: &str, lease: &Lease, id: &str) -> Result<(), SinkError> {
    let puller = puller(app, file, "sink");
    let mut connection = app.pool.acquire().await.unwrap();
    let run = sync_runs::begin(&mut connection, lease).await.unwrap();
    let connection = tributary_manifest::CompiledProvider::new(app.name(), &manifest(file)).unwrap();
    let progress = SyncProgress::default();
    let mut sink = DatabaseSink::new(&app.pool, lease, run, &connection, puller.groups(), &progress);
    sink.page(page(id)).await
}

#[tokio::test]
async fn a_run_whose_errors_quote_nul_ends_with_them() {
    let (_upstream, app, _file) = setup("", &["payments"]).await;
    let taken = leases::take_now(&app.pool, app.name(), "payments", "one", LONG).await.unwrap().unwrap();
    let mut connection = app.pool.acquire().await.unwrap();
    let run = sync_runs::begin(&mut connection, &taken.lease).await.unwrap();
    sync_runs::add_warnings(&mut connection, run, "payments", &[("odd", 1, "was a\0b")]).await.unwrap();
    let failures = [("payments", "paid\0 is no status".to_owned())];
    sync_runs::finish(&mut connection, run, None, Some("paid\0 failed"), &failures).await.unwrap();
    let kept: (String, String, String) = sqlx::query_as(
        "select r.error, s.error, w.text from sync_runs r join sync_run_streams s on s.run = r.id
         join sync_run_warnings w on w.run = r.id where r.id = $1 and r.status = 'failed'",
    )
    .bind(run)
    .fetch_one(&app.pool)
    .await
    .unwrap();
    let told = ["paid\u{fffd} failed", "paid\u{fffd} is no status", "was a\u{fffd}b"].map(str::to_owned);
    assert_eq!(kept, told.into());
}

#[tokio::test]
async fn what_an_instance_reads_after_it_lost_its_lease_is_not_committed() {
    let (_upstream, app, file) = setup("", &["payments"]).await;
    let take = async |name: &str| {
        leases::take_now(&app.pool, app.name(), "payments", name, LONG)
            .await
            .unwrap()
            .map(|taken| taken.lease)
    };
    let slow = take("slow").await.unwrap();
    assert_eq!(take("quick").await.unwrap_err().name, "slow", "it says who holds it");
    commit(&app, &file, &slow, "early").await.unwrap();
    app.sql("update sync_leases set expires_at = clock_timestamp()").await;
    commit(&app, &file, &slow, "late but alone").await.unwrap();
    app.sql("update sync_leases set expires_at = clock_timestamp()").await;
    let quick = take("quick").await.unwrap();
    let refused = commit(&app, &file, &slow, "too late").await;
    assert!(matches!(refused, Err(SinkError::LeaseLost)), "{refused:?}");
    commit(&app, &file, &quick, "quick").await.unwrap();
    let ids: Vec<String> =
        sqlx::query_scalar("select id from transactions order by 1").fetch_all(&app.pool).await.unwrap();
    assert_eq!(ids, ["early", "late but alone", "quick"]);
    let cursor: serde_json::Value =
        sqlx::query_scalar("select cursor from sync_cursors").fetch_one(&app.pool).await.unwrap();
    assert_eq!(cursor, "quick");
}

#[tokio::test]
async fn an_instance_that_is_paused_within_a_transaction_does_not_keep_its_lease_for_ever() {
    let (_upstream, app, _file) = setup("", &["payments"]).await;
    let time = Duration::from_secs(1);
    let taken = leases::take_now(&app.pool, app.name(), "payments", "paused", time).await.unwrap().unwrap();
    app.sql("update sync_leases set expires_at = clock_timestamp()").await;
    let mut paused = app.pool.begin().await.unwrap();
    leases::limit_silence(&mut paused, &taken.lease).await.unwrap();
    assert!(leases::confirm(&mut paused, &taken.lease).await.unwrap());
    // waits for the row until the server ends the silent session
    let next = leases::take_now(&app.pool, app.name(), "payments", "next", time);
    let next = tokio::time::timeout(Duration::from_secs(30), next).await.expect("it is let go").unwrap();
    assert!(next.unwrap().lease.fence > taken.lease.fence);
    assert!(paused.commit().await.is_err());
}

#[tokio::test]
async fn a_process_that_is_stopped_in_a_run_commits_nothing_after_another_took_over() {
    let upstream = Upstream::start().await;
    let place = Place::new("fencing");
    let app = TestApp::new().await;
    std::fs::write(place.0.join("providers/acme.yaml"), file(&upstream, "", &stream("payments", "")))
        .unwrap();
    std::fs::write(place.0.join(".env"), "TRIBUTARY_LEASE=2s\n").unwrap();
    let mut first = upstream.hold("/payments");
    let (mut paused, _) = place.serve_logging(Some(&app.url), Stdio::piped()).await;
    first.arrived().await;
    signal(&paused, Signal::SIGSTOP);
    let mut second = upstream.hold("/payments");
    let (other, _) = place.serve(Some(&app.url)).await;
    second.arrived().await;
    second.answer(json!([record("fresh")]));
    until(&app.pool, SUCCEEDED, 1).await;
    first.answer(json!([record("stale")]));
    signal(&paused, Signal::SIGCONT);
    read_log_until(&mut paused, "this instance lost its lease").await;
    stop(paused).await;
    stop(other).await;
    let ids: Vec<String> =
        sqlx::query_scalar("select id from transactions").fetch_all(&app.pool).await.unwrap();
    assert_eq!(ids, ["fresh"]);
    assert_eq!(count(&app.pool, "select count(*) from sync_runs where status = 'interrupted'").await, 1);
}

#[tokio::test]
async fn a_process_that_is_killed_in_a_run_leaves_its_work_to_the_next() {
    let upstream = Upstream::start().await;
    let place = Place::new("killed_in_a_run");
    let app = TestApp::new().await;
    let streams = [stream("payments", ""), stream("payouts", "")].concat();
    std::fs::write(place.0.join("providers/acme.yaml"), file(&upstream, "", &streams)).unwrap();
    std::fs::write(place.0.join(".env"), "TRIBUTARY_LEASE=1s\n").unwrap();
    upstream.set("/payments", json!([record("a")]));
    upstream.set("/payouts", json!([record("b")]));
    let mut held = upstream.hold("/payouts");
    let (mut killed, _) = place.serve(Some(&app.url)).await;
    held.arrived().await;
    signal(&killed, Signal::SIGKILL);
    killed.wait().await.unwrap();
    assert_eq!(count(&app.pool, HELD).await, 1, "it could not give it back");
    let (next, _) = place.serve(Some(&app.url)).await;
    until(&app.pool, SUCCEEDED, 2).await;
    stop(next).await;
    assert_eq!(count(&app.pool, TRANSACTIONS).await, 2);
    assert_eq!(upstream.asked("/payments"), 1, "what was committed is not read again");
}

#[tokio::test]
async fn a_sync_by_hand_waits_for_its_lease_or_says_who_has_it() {
    let (upstream, app, file) = setup("", &["payments"]).await;
    let mut held = upstream.hold("/payments");
    let scheduler = Working::start(&app, &file, instance("the other", LONG));
    held.arrived().await;
    let puller = puller(&app, &file, "by hand");
    let never = tokio_util::sync::CancellationToken::new();
    let request = |busy| SyncRequest { stream: None, forget: false, busy };
    let refused = puller.sync_now(&request(Busy::GiveUp), &never).await.unwrap();
    let Synced::Busy { group, holder } = refused else { panic!("{refused:?}") };
    assert_eq!((group.as_str(), holder.name.as_str()), ("payments", "the other"));
    let held = std::sync::Mutex::new(Some(held));
    let answer_when_told = |_: &str, _: &leases::Holder| {
        held.lock().unwrap().take().expect("told once").answer(json!([record("a")]));
    };
    let synced = puller.sync_now(&request(Busy::Wait(&answer_when_told)), &never).await.unwrap();
    let Synced::Ran(RunOutcome::Succeeded { tally, .. }) = synced else { panic!("{synced:?}") };
    assert_eq!((tally.created, tally.unchanged), (1, 0), "its own run, after the other's");
    scheduler.stop().await;
}

#[tokio::test]
async fn a_run_reads_what_is_due_and_what_is_above_it_and_what_has_one_schedule_stays_together() {
    let upstream = Upstream::start().await;
    let below = |name: &str| {
        let stream = stream(name, "      each: wallets\n      partition: .id\n");
        edited(&stream, &format!("get: /{name}"), &format!("get: '/wallets/{{id}}/{name}'"))
    };
    let wallets = "  lists:\n    wallets: { get: /wallets, rows: . }\n".to_owned();
    let file = file(&upstream, "", &[below("feed"), below("cards"), wallets].concat());
    let app = TestApp::with_file(&file).await;
    upstream.set("/wallets", json!([{"id": "a"}]));
    upstream.set("/wallets/a/feed", json!([]));
    upstream.set("/wallets/a/cards", json!([]));
    let asked = || ["/wallets", "/wallets/a/feed", "/wallets/a/cards"].map(|path| upstream.asked(path));
    let scheduler = Working::start(&app, &file, instance("one", LONG));
    until(&app.pool, SUCCEEDED, 1).await;
    assert_eq!(asked(), [1, 1, 1], "everything in one run");
    let together = "select count(distinct due_at) from sync_tasks";
    assert_eq!(count(&app.pool, together).await, 1);
    app.sql("update sync_tasks set due_at = clock_timestamp() where stream = 'feed'").await;
    until(&app.pool, SUCCEEDED, 2).await;
    scheduler.stop().await;
    assert_eq!(asked(), [2, 2, 1]);
    assert_eq!(count(&app.pool, together).await, 1, "it is back in step");
}

#[tokio::test]
async fn a_group_that_keeps_failing_is_tried_more_and_more_rarely_until_it_succeeds() {
    let (upstream, app, file) = setup("", &["payments"]).await;
    upstream.refuse("/payments", 404);
    let scheduler = Working::start(&app, &file, instance("one", LONG));
    let mut pauses = Vec::new();
    for failures in 1..=5 {
        until(&app.pool, "select coalesce(max(failures), 0)::bigint from sync_leases", failures).await;
        let pause: f64 = sqlx::query_scalar(
            "select round(extract(epoch from paused_until - now()) / 10)::float8 * 10 from sync_leases",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap();
        pauses.push(pause);
        if failures == 5 {
            upstream.set("/payments", json!([record("a")]));
        }
        app.sql("update sync_leases set paused_until = clock_timestamp()").await;
    }
    assert_eq!(pauses, [60.0, 60.0, 120.0, 240.0, 480.0]);
    until(&app.pool, SUCCEEDED, 1).await;
    scheduler.stop().await;
    assert_eq!(
        count(&app.pool, "select failures::bigint from sync_leases where paused_until is null").await,
        0
    );
}

#[tokio::test]
async fn a_sync_that_is_dropped_anywhere_leaves_no_lease_behind() {
    let (_upstream, app, file) = setup("", &["payments"]).await;
    let never = tokio_util::sync::CancellationToken::new();
    let puller = puller(&app, &file, "dropped");
    for microseconds in (0..20_000).step_by(500) {
        let request = SyncRequest { stream: None, forget: false, busy: Busy::Wait(&|_, _| {}) };
        let sync = puller.sync_now(&request, &never);
        tokio::time::timeout(Duration::from_micros(microseconds), sync).await.ok();
    }
    // its leases would hold for an hour
    until(&app.pool, HELD, 0).await;
}

#[tokio::test]
async fn a_lease_is_given_back_however_often_the_database_refuses_it() {
    let (upstream, app, file) = setup("", &["payments"]).await;
    app.sql(
        "create sequence refusals;
         create function refuse() returns trigger language plpgsql security definer as $$ begin
           if nextval('refusals') <= 3 then raise exception 'no' using errcode = '53300'; end if;
           return new;
         end $$;
         create trigger refuse before update on sync_leases
           for each row when (new.holder is null) execute function refuse()",
    )
    .await;
    let held = upstream.hold("/payments");
    let puller = puller(&app, &file, "dropped");
    let never = tokio_util::sync::CancellationToken::new();
    let request = SyncRequest { stream: None, forget: false, busy: Busy::GiveUp };
    tokio::select! {
        synced = puller.sync_now(&request, &never) => panic!("it waits for the answer: {synced:?}"),
        () = until(&app.pool, "select count(*) from sync_runs", 1) => {}
    }
    // the lease would hold for an hour
    until(&app.pool, HELD, 0).await;
    assert_eq!(count(&app.pool, "select last_value from refusals").await, 4);
    drop(held);
}
