//! Who may do what in the database: each group what it is for, and nothing else.

use std::collections::BTreeSet;

use private_pg::PrivatePostgres;
use sqlx::{Connection, Executor, PgConnection, Row};
use tributary::store::{self, roles};

use crate::support::logins::{self, ANN};
use crate::support::process::{Place, stop};
use crate::support::{TestApp, records};

/// Runs SQL by `url`; gives what it was refused with.
async fn refused(url: &str, sql: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    match connection.execute(sqlx::AssertSqlSafe(sql)).await {
        Ok(_) => panic!("{sql}: nobody refused it"),
        Err(error) => error.to_string(),
    }
}

/// What no login but the owner's may do, and what it is refused with.
const NOBODYS: [(&str, &str); 24] = [
    ("create table mine (id int)", "permission denied for schema public"),
    ("create function mine() returns int language sql as 'select 1'", "permission denied for schema public"),
    ("create schema mine", "permission denied for database"),
    ("alter table feed add column mine text", "must be owner of table feed"),
    ("alter table payment_audit disable trigger all", "must be owner of table payment_audit"),
    ("alter table transactions disable trigger user", "must be owner of table transactions"),
    ("drop table payment_refusals", "must be owner of table payment_refusals"),
    ("drop trigger payment_orders_audit on payment_orders", "must be owner of relation payment_orders"),
    (
        "create or replace function deciding_person() returns text language sql as 'select ''ann'''",
        "permission denied",
    ),
    ("set session_replication_role = replica", "permission denied to set parameter"),
    ("truncate feed", "permission denied for table feed"),
    ("truncate payment_audit", "permission denied for table payment_audit"),
    ("truncate transactions", "permission denied for table transactions"),
    ("update feed set body = '{}'", "permission denied for table feed"),
    ("delete from feed", "permission denied for table feed"),
    (
        "insert into feed (provider, resource, position, published_at, id, body) values ('acme', 'accounts', 1, now(), 'a', '{}')",
        "permission denied for table feed",
    ),
    ("update feeds set last_position = 0", "permission denied for table feeds"),
    ("delete from feeds", "permission denied for table feeds"),
    (
        "insert into changes (provider, resource, id, created_at, backfill, body) values ('acme', 'accounts', 'a', now(), false, '{}')",
        "permission denied for table changes",
    ),
    ("update payment_audit set actor = 'me'", "permission denied for table payment_audit"),
    ("delete from payment_audit", "permission denied for table payment_audit"),
    (
        "insert into payment_audit (order_id, provider, actor, what) values (gen_random_uuid(), 'acme', 'ann', 'approved')",
        "permission denied for table payment_audit",
    ),
    (
        "update payment_audit_head set position = position + 1",
        "permission denied for table payment_audit_head",
    ),
    ("delete from payment_orders", "permission denied for table payment_orders"),
];

#[tokio::test]
async fn what_only_the_owner_may_do_is_refused_to_everybody_else() {
    let app = TestApp::new().await;
    for url in [
        logins::service(&app.url).await,
        logins::person(&app.url, ANN).await,
        logins::writer(&app.url).await,
        logins::nobody(&app.url).await,
    ] {
        for (sql, why) in NOBODYS {
            let error = refused(&url, sql).await;
            assert!(error.contains(why), "{sql}: {error}");
        }
    }
}

#[tokio::test]
async fn each_login_is_refused_what_is_for_another() {
    let app = TestApp::new().await;
    app.push("accounts", &[records::account("a", "2026-01-01T00:00:00Z")]).await;
    let (service, person) = (logins::service(&app.url).await, logins::person(&app.url, ANN).await);
    let (writer, nobody) = (logins::writer(&app.url).await, logins::nobody(&app.url).await);
    for (url, sql, why) in [
        (&service, "select what, before from payment_audit", "permission denied for table payment_audit"),
        (&service, "select latest_created_at from families", "permission denied for table families"),
        (&service, "delete from transactions", "permission denied for table transactions"),
        (&service, "update payment_attempts set status = 'x'", "permission denied for table payment_attempts"),
        (&service, "insert into payment_approvals values (gen_random_uuid())", "permission denied for table payment_approvals"),
        // but for an operator who shows a key or a session: verbs::…
        (&service, "insert into api_keys (id, provider, scope, digest) values (gen_random_uuid(), 'acme', 'connector', sha256('a'))", "for an operator who is admin"),
        (&service, "update api_keys set revoked_at = null", "for an operator who is admin"),
        (&service, "update api_keys set scope = 'connector'", "permission denied for table api_keys"),
        (&service, "insert into operators (id, name, role, digest) values (gen_random_uuid(), 'me', 'admin', sha256('a'))", "for an operator who is admin"),
        (&service, "update operators set revoked_at = null", "for an operator who is admin"),
        (&service, "update operators set role = 'admin'", "permission denied for table operators"),
        (&service, "insert into operator_links values (sha256('a'), gen_random_uuid(), now())", "for an operator who is admin"),
        (&service, "set tributary.proof = 'aa'; insert into operator_links values (sha256('a'), gen_random_uuid(), now())", "sign in again"),
        (&service, "insert into operator_sessions (digest) values (sha256('a'))", "permission denied for table operator_sessions"),
        // nor does it say who signs in, unless the owner trusts an issuer
        (&service, "insert into operator_issuers (issuer, roles) values ('https://i.example', '{approver}')", "permission denied for table operator_issuers"),
        (&service, "select open_person_session('https://i.example', '1', 'me', 'approver', sha256('a'), '1 hour')", "tributary operators trust https://i.example --roles approver"),
        (&service, "insert into operators (id, name, role, issuer, subject) values (gen_random_uuid(), 'me~0a1b2c3d', 'viewer', 'https://i.example', '1')", "for an operator who is admin"),
        (&person, "select open_person_session('https://i.example', '1', 'me', 'viewer', sha256('a'), '1 hour')", "permission denied for function open_person_session"),
        (&service, "insert into operator_audit (person, login, verb, subject, details) values ('operator:ann', 'a', 'sync', 'acme', '{}')", "permission denied for table operator_audit"),
        (&service, "select approve_payment_order(gen_random_uuid())", "it is no member of tributary_operator"),
        (&person, "insert into api_keys (id, provider, scope, digest) values (gen_random_uuid(), 'acme', 'connector', sha256('a'))", "permission denied for table api_keys"),
        (&person, "insert into operators (id, name, role, digest) values (gen_random_uuid(), 'me', 'admin', sha256('a'))", "permission denied for table operators"),
        (&writer, "insert into operators (id, name, role, digest) values (gen_random_uuid(), 'me', 'admin', sha256('a'))", "permission denied for table operators"),
        (&person, "insert into operator_sessions (digest) values (sha256('a'))", "permission denied for table operator_sessions"),
        (&service, "select fail_payment_order(gen_random_uuid(), 'x')", "it is no member of tributary_operator"),
        (&service, "select chain_payment_audit()", "permission denied for function chain_payment_audit"),
        // what runs as the owner cannot be hung under a table of one's own
        (
            &service,
            "create temp table mine (provider text, id text, name text, metadata jsonb, created_at timestamptz);
             create trigger mine after insert on mine referencing new table as new_rows
               for each statement execute function track_new_accounts()",
            "permission denied for function track_new_accounts",
        ),
        (&person, "insert into accounts (provider, id, name, created_at) values ('acme', 'b', 'b', now())", "permission denied for table accounts"),
        (&person, "select refresh_token from provider_tokens", "permission denied for table provider_tokens"),
        (&person, "select publish('acme', 'accounts', 100, 100, '1 day')", "permission denied for function publish"),
        (&person, "update payment_orders set state = 'failed'", "permission denied for table payment_orders"),
        (&person, "insert into payment_lookups (order_id, attempt, found) values (gen_random_uuid(), 1, false)", "permission denied for table payment_lookups"),
        (&writer, "select release_changes(0)", "permission denied for function release_changes"),
        (&writer, "select id from payment_orders", "permission denied for table payment_orders"),
        (&writer, "select body from feed", "permission denied for table feed"),
        (&writer, "select digest from api_keys", "permission denied for table api_keys"),
        (&nobody, "select id from accounts", "permission denied for table accounts"),
        (&nobody, "select publish('acme', 'accounts', 100, 100, '1 day')", "permission denied for function publish"),
    ] {
        let error = refused(url, sql).await;
        assert!(error.contains(why), "{sql}: {error}");
    }
    // and the owner is kept from accidents
    app.publish_all().await;
    for (sql, why) in [
        ("update feed set body = '{}'", "never changed or deleted"),
        ("delete from feed", "never changed or deleted"),
        ("truncate feed", "never changed or deleted"),
        ("update feeds set last_position = last_position - 1", "never goes back"),
        ("update feeds set last_at = last_at - interval '1 s'", "never goes back"),
        ("update feeds set floor = floor - interval '1 s'", "never goes back"),
        ("delete from feeds", "never changed or deleted"),
        ("truncate feeds", "never changed or deleted"),
    ] {
        let error = refused(&app.url, sql).await;
        assert!(error.contains(why), "{sql}: {error}");
    }
}

#[tokio::test]
async fn who_writes_with_sql_may_write_the_records_and_is_tracked() {
    let app = TestApp::new().await;
    let mut writer = PgConnection::connect(&logins::writer(&app.url).await).await.unwrap();
    for sql in [
        "insert into accounts (provider, id, name, created_at) values ('acme', 'a', 'a', now())",
        "insert into beneficiaries (provider, id, name, created_at) values ('acme', 'b', 'b', now())",
        "insert into balances (provider, account_id, asset, amount) values ('acme', 'a', 'EUR/2', 5)",
        "insert into transactions (provider, id, type, status, asset, amount, created_at)
         values ('acme', 't', 'PAYIN', 'PENDING', 'EUR/2', 5, now())",
        "update transactions set status = 'SUCCEEDED'",
        "update balances set amount = 6",
        "delete from beneficiaries",
    ] {
        assert_eq!(writer.execute(sql).await.unwrap().rows_affected(), 1, "{sql}");
    }
    app.publish_all().await;
    let statuses: Vec<_> = app.feed("transactions").await.iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["PENDING", "SUCCEEDED"]);
}

#[tokio::test]
async fn what_runs_as_the_owner_is_nobodys_to_call_and_looks_nowhere_else() {
    let app = TestApp::new().await;
    let definers = sqlx::query(
        "select p.oid::regprocedure::text as name, coalesce(p.proconfig::text, '') as settings,
                exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0) as anyone
         from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert!(definers.len() > 10, "{}", definers.len());
    for row in definers {
        let (name, settings): (String, String) = (row.get("name"), row.get("settings"));
        assert!(!row.get::<bool, _>("anyone"), "{name}: anybody may call it");
        assert!(settings.contains("search_path=public, pg_temp"), "{name}: {settings}");
    }
}

/// Runs SQL as `url`.
async fn run(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap();
}

/// `url` with another database and login.
fn other(url: &str, login: &str, database: &str) -> String {
    let mut url: url::Url = url.parse().unwrap();
    url.set_username(login).unwrap();
    url.set_path(database);
    url.into()
}

/// Migrates as `tributary migrate` does; gives the groups that are missing then.
async fn migrate(url: &str) -> BTreeSet<String> {
    let pool = store::connect(url, 2).await.unwrap();
    store::migrate(&pool).await.unwrap();
    let missing = roles::grant(&mut pool.acquire().await.unwrap()).await.unwrap();
    pool.close().await;
    missing.into_iter().collect()
}

/// A server of its own: groups belong to all databases of a server.
#[tokio::test]
async fn groups_are_made_once_by_whoever_may_and_are_not_needed_to_migrate() {
    let place = Place::new("roles");
    let private = PrivatePostgres::open(&place.0.join("data")).await.unwrap();
    let url = private.url();
    for sql in ["create role maker login createrole", "create role humble login"] {
        run(&url, sql).await;
    }
    let database = async |login: &str, name: &str| {
        run(&url, &format!("create database {name} owner {login}")).await;
        other(&url, login, name)
    };
    // several databases are migrated at once, and no group is there yet
    for round in 0..3 {
        let (one, two) = (database("maker", "one").await, database("maker", "two").await);
        let (missing_one, missing_two) = tokio::join!(migrate(&one), migrate(&two));
        assert_eq!((missing_one.len(), missing_two.len()), (0, 0), "round {round}");
        for sql in [
            "drop database one",
            "drop database two",
            "drop role tributary_app, tributary_operator, tributary_writer",
        ] {
            run(&url, sql).await;
        }
    }
    // a login that may not make them migrates without
    let humble = database("humble", "humble").await;
    assert_eq!(migrate(&humble).await.len(), 3);
    let output = place.command(&["migrate"]).env("DATABASE_URL", &humble).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("create role tributary_app nologin") && said.contains("tributary migrate"),
        "{said}"
    );
    // until somebody made them
    run(&url, "create role tributary_app; create role tributary_operator; create role tributary_writer")
        .await;
    run(&url, "create role service login in role tributary_app").await;
    let service = other(&humble, "service", "humble");
    assert!(refused(&service, "select id from accounts").await.contains("permission denied"));
    assert_eq!(migrate(&humble).await.len(), 0);
    run(&service, "select id from accounts").await;
    // what was granted besides is taken back
    run(&humble, "grant delete on feed to tributary_app").await;
    migrate(&humble).await;
    assert!(refused(&service, "delete from feed").await.contains("permission denied for table feed"));
    // and a group that may do more than its grants is none
    run(&url, "alter role tributary_app superuser").await;
    let pool = store::connect(&humble, 1).await.unwrap();
    let error = store::migrate(&pool).await.unwrap_err().to_string();
    assert!(error.contains("the role tributary_app may do more than a group is for"), "{error}");
    pool.close().await;
    private.close().await.unwrap();
}

/// Where there is no password to ask for but a person's.
#[tokio::test]
async fn the_private_postgresql_has_a_login_for_the_service_and_asks_persons_for_their_password() {
    let place = Place::new("private_roles");
    let private = PrivatePostgres::open(&place.0.join("data")).await.unwrap();
    let owner = private.url();
    assert_eq!(migrate(&owner).await.len(), 0);
    run(&owner, "create role ann login password 'of-ann' in role tributary_operator").await;
    run(
        &owner,
        "insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount, source_account_id,
           destination_account_id, provider_key, request, state, approvals_needed, placed_by)
         values (gen_random_uuid(), 'acme', 'PAYOUT', 'k', sha256('k'), 'EUR/2', 1, 'a', 'b', 'k', '{}', 'held', 1,
           'key:x')",
    )
    .await;
    let (server, _) = place.serve(None).await;
    let pool = store::connect(&owner, 2).await.unwrap();
    let logins = "select string_agg(distinct usename::text, ', ') from pg_stat_activity
                  where backend_type = 'client backend' and pid <> pg_backend_pid() and usename <> 'tributary'";
    let logins: Option<String> = sqlx::query_scalar(logins).fetch_one(&pool).await.unwrap();
    assert_eq!(logins.as_deref(), Some("tributary_service"), "no instance serves as the owner");
    for (login, password, said) in [
        (None, None, "--login"),
        (Some("ann"), None, "password"),
        (Some("ann"), Some("guessed"), "password authentication failed"),
        (Some("tributary_service"), None, "it is no member of tributary_operator"),
        (Some("tributary"), None, "whatever the owner of the tables may"),
        (Some("ann"), Some("of-ann"), "is sent within a second"),
        (Some("ann"), Some("of-ann"), "is recorded and not held"),
    ] {
        let mut command = place.command(&["payouts", "approve", "k"]);
        login.map(|login| command.args(["--login", login]));
        password.map(|password| command.env("PGPASSWORD", password));
        let output = command.output().await.unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(text.contains(said), "{login:?} {password:?}: {text}");
    }
    pool.close().await;
    stop(server).await;
    private.close().await.unwrap();
}
