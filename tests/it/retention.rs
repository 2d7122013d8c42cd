//! What is past its retention goes, in small pieces; what is younger, or waits for somebody, stays.

use chrono::{TimeDelta, Utc};
use tributary::sync::{Housekeeper, ProviderRetention, Retention};
use tributary_manifest::Period;

use crate::support::TestApp;
use crate::support::jobs::count;

fn days(days: u32) -> Period {
    Period::from_seconds(days * 86_400)
}

fn housekeeper(app: &TestApp, raw: Option<Period>, longest_budget: Option<Period>) -> Housekeeper {
    let of_provider = ProviderRetention { provider: app.name().clone(), raw, longest_budget };
    Housekeeper::new(app.pool.clone(), vec![of_provider], Retention::default())
}

/// What a column of text has, sorted.
async fn left(app: &TestApp, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(&app.pool).await.unwrap()
}

#[tokio::test]
async fn runs_that_ended_long_ago_go_with_their_streams_and_warnings() {
    let app = TestApp::new().await;
    for (group, ended, status) in [
        ("old", "now() - interval '31 days'", "succeeded"),
        ("young", "now() - interval '29 days'", "failed"),
        ("never ended", "null", "running"),
    ] {
        app.sql(&format!(
            "with run as (insert into sync_runs (id, provider, stream_group, started_at, finished_at, status)
               values (gen_random_uuid(), 'acme', '{group}', now() - interval '31 days', {ended}, '{status}') returning id),
             stream as (insert into sync_run_streams (run, stream) select id, '{group}' from run)
             insert into sync_run_warnings (run, stream, kind, times, text) select id, '{group}', 'k', 1, 'x' from run"
        ))
        .await;
    }
    app.sql(
        "insert into sync_runs (id, provider, stream_group, started_at, finished_at, status)
         values (gen_random_uuid(), 'other', 'of another', now() - interval '99 days', now() - interval '99 days', 'failed')",
    )
    .await;
    housekeeper(&app, None, None).forget(Utc::now()).await.unwrap();
    let stay = ["never ended", "of another", "young"];
    assert_eq!(left(&app, "select stream_group from sync_runs order by 1").await, stay);
    for sql in
        ["select stream from sync_run_streams order by 1", "select stream from sync_run_warnings order by 1"]
    {
        assert_eq!(left(&app, sql).await, ["never ended", "young"]);
    }
}

#[tokio::test]
async fn refusals_go_a_quarter_of_a_year_after_they_happened_last() {
    let app = TestApp::new().await;
    app.sql(
        "insert into payment_refusals (provider, kind, status, title, detail, body, digest, first_at, last_at)
         select 'acme', 'PAYOUT', 400, 't', name, 'b', sha256(name::bytea), now() - interval '1 year', now() - age
         from (values ('old', interval '91 days'), ('still happening', interval '89 days')) r (name, age)",
    )
    .await;
    housekeeper(&app, None, None).forget(Utc::now()).await.unwrap();
    assert_eq!(left(&app, "select detail from payment_refusals").await, ["still happening"]);
}

#[tokio::test]
async fn of_a_flood_of_refusals_the_newest_stay_and_nobody_elses_go() {
    let app = TestApp::new().await;
    for (provider, many) in [("acme", 16_000), ("other", 1)] {
        app.sql(&format!(
            "insert into payment_refusals (provider, kind, status, title, detail, body, digest, last_at)
             select '{provider}', 'PAYOUT', 400, 't', n::text, 'b', sha256(('{provider}' || n)::bytea),
                    now() - n * interval '1 second'
             from generate_series(1, {many}) n"
        ))
        .await;
    }
    housekeeper(&app, None, None).forget(Utc::now()).await.unwrap();
    let kept = "select provider || ' ' || count(*) || ' ' || max(detail::int) from payment_refusals group by provider order by 1";
    assert_eq!(left(&app, kept).await, ["acme 10000 10000", "other 1 1"]);
}

#[tokio::test]
async fn requests_stay_for_as_long_as_any_budget_may_count_them() {
    let app = TestApp::new().await;
    let fill = "insert into request_log (provider, number, at)
        select 'acme', n, now() - make_interval(days => 400 - n) + interval '1 hour' from generate_series(0, 399) n";
    app.sql(fill).await;
    housekeeper(&app, None, Some(days(366))).forget(Utc::now()).await.unwrap();
    assert_eq!(count(&app.pool, "select count(*) from request_log").await, 366);
    // an instance of another version of the file may have a longer one
    housekeeper(&app, None, Some(days(1))).forget(Utc::now()).await.unwrap();
    assert_eq!(count(&app.pool, "select count(*) from request_log").await, 32);
}

#[tokio::test]
async fn tokens_of_former_configurations_go_and_the_last_one_never_does() {
    let app = TestApp::new().await;
    app.sql(
        "insert into provider_tokens
           (provider, auth_digest, refresh_token, access_token, usable_until, used_at, lease, leased_until)
         select provider, sha256(name::bytea), name::bytea, 'access', now() - age, now() - age,
                case when leased then gen_random_uuid() end, case when leased then now() + interval '1 minute' end
         from (values
           ('acme', 'former', interval '90 days', false),
           ('acme', 'former, being exchanged', interval '90 days', true),
           ('acme', 'current, of a provider that pauses', interval '80 days', false),
           ('other', 'of another provider', interval '99 days', false)) t (provider, name, age, leased)",
    )
    .await;
    housekeeper(&app, None, None).forget(Utc::now()).await.unwrap();
    let sql = "select convert_from(refresh_token, 'UTF8') || coalesce(' with ' || convert_from(access_token, 'UTF8'), '')
        from provider_tokens order by 1";
    let stay = [
        "current, of a provider that pauses",
        "former, being exchanged with access",
        "of another provider with access",
    ];
    assert_eq!(left(&app, sql).await, stay);
}

#[tokio::test]
async fn much_goes_in_pieces() {
    let app = TestApp::new().await;
    app.sql(
        "insert into raw_records (provider, stream, partition, digest, record, parent, asked_at, kept_at)
         select 'acme', 's', '', sha256(n::text::bytea), '{}', 'null', '', now() - interval '31 days'
         from generate_series(1, 12001) n",
    )
    .await;
    app.sql(
        "create table pieces (rows bigint);
         create function piece() returns trigger language plpgsql
         as $$ begin insert into pieces select count(*) from gone; return null; end $$;
         create trigger piece after delete on raw_records referencing old table as gone
           for each statement execute function piece()",
    )
    .await;
    housekeeper(&app, Some(days(30)), None).forget(Utc::now()).await.unwrap();
    let pieces: Vec<i64> = sqlx::query_scalar("select rows from pieces").fetch_all(&app.pool).await.unwrap();
    assert_eq!(pieces, [5_000, 5_000, 2_001]);
}

#[tokio::test]
async fn what_waits_for_somebody_never_goes() {
    let app = TestApp::new().await;
    app.sql(
        "insert into quarantine (provider, resource, raw, reason, raw_digest, fault, fault_group, first_seen, last_seen)
         values ('acme', 'transactions', '{}', 'r', sha256('{}'), 'r', '00000000000000aa', now() - interval '9 years', now() - interval '9 years');
         insert into unmatched_records (provider, id, record, backfill, decides, received_at)
         values ('acme', 'h', '{}', false, true, now() - interval '9 years');
         insert into sync_open_records (provider, stream, partition, key, record, canonical, first_seen, checked_at)
         values ('acme', 's', '', 'k', '{}', '[]', now() - interval '9 years', now() - interval '9 years');
         insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount,
           source_account_id, destination_account_id, state, provider_key, request, created_at)
         select gen_random_uuid(), 'acme', 'PAYOUT', state, sha256('f'), 'EUR/2', 1, 'a', 'b', state, state, '{}',
                now() - interval '9 years'
         from unnest('{recorded,held,sending,pending,unknown,parked}'::text[]) state",
    )
    .await;
    let tables = [
        "quarantine",
        "unmatched_records",
        "sync_open_records",
        "payment_orders",
        "payment_audit",
        "transactions",
        "changes",
    ];
    let rows = async || {
        let mut rows = Vec::new();
        for table in tables {
            let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
            rows.push(sqlx::query_scalar::<_, i64>(sql).fetch_one(&app.pool).await.unwrap());
        }
        rows
    };
    let before = rows().await;
    assert!(before.iter().all(|rows| *rows > 0), "{before:?}");
    housekeeper(&app, None, None).forget(Utc::now() + TimeDelta::days(3_650)).await.unwrap();
    assert_eq!(rows().await, before);
}
