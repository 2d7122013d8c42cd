//! Groups of the quarantine: thousands of records that are here for a few faults are a few lines, and are replayed or
//! discarded as one, wherever that is stopped.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use nix::sys::signal::Signal;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use tributary::encryption::Keyring;
use tributary::store::quarantine::{self, Actor, Chosen, Group, Refused, RefusedRecord, Which};
use tributary::sync::{self, Replayer};
use tributary_domain::{Resource, Scope};

use crate::support::app::{new_test_key, read};
use crate::support::jobs::{count, until};
use crate::support::process::{Place, signal};
use crate::support::{TestApp, records};

/// Puts records aside, each with its reason.
async fn put_aside(app: &TestApp, refused: impl Iterator<Item = (Value, String)>) {
    let refused: Vec<Refused> = refused
        .map(|(record, reason)| Refused {
            record: RefusedRecord::Canonical(record.to_string().into_bytes()),
            reason,
        })
        .collect();
    let mut connection = app.pool.acquire().await.unwrap();
    for some in refused.chunks(1_000) {
        quarantine::keep(&mut connection, &Keyring::default(), app.name(), Resource::Transactions, some)
            .await
            .unwrap();
    }
}

/// Records that would be taken now, which were refused for one fault.
fn mended(count: usize) -> impl Iterator<Item = (Value, String)> {
    (0..count).map(|n| {
        let id = format!("t{n}");
        (
            records::transaction(&id, "SUCCEEDED"),
            format!("amount: the amount of {id} is {n}.50, and not whole"),
        )
    })
}

async fn groups(app: &TestApp) -> Vec<Group> {
    quarantine::groups(&app.service, Which::default(), 100).await.unwrap()
}

/// The group of all there is.
async fn only_group(app: &TestApp) -> String {
    let groups = groups(app).await;
    assert_eq!(groups.len(), 1, "{groups:?}");
    groups[0].group.clone()
}

/// What the actions of a kind add up to: freed, stayed, discarded, and how many have ended.
async fn totals(app: &TestApp, action: &str) -> (i64, i64, i64, i64) {
    let row = sqlx::query(
        "select coalesce(sum(freed), 0)::bigint, coalesce(sum(stayed), 0)::bigint, coalesce(sum(discarded), 0)::bigint, count(ended_at) \
         from quarantine_actions where action = $1",
    );
    let row = row.bind(action).fetch_one(&app.pool).await.unwrap();
    (row.get(0), row.get(1), row.get(2), row.get(3))
}

#[tokio::test]
async fn ten_thousand_records_are_a_handful_of_groups_counted_by_an_index() {
    let app = TestApp::new().await;
    put_aside(
        &app,
        (0..10_000_usize).map(|n| {
            let record = json!({"id": format!("t{n}"), "note": "a record as wide as they are ".repeat(50)});
            let reason = match n % 10 {
                0 => format!("the status \"S{n}\" is none"),
                1..=3 => format!("the id \"t{n}\" is that of another payment"),
                _ => format!("amount: {n}.5 is no whole number of minor units"),
            };
            (record, reason)
        }),
    )
    .await;
    let groups = groups(&app).await;
    let told: Vec<(&str, i64)> = groups.iter().map(|group| (group.fault.as_str(), group.count)).collect();
    assert_eq!(
        told,
        [
            ("amount: # is no whole number of minor units", 6_000),
            ("the id \"…\" is that of another payment", 3_000),
            ("the status \"…\" is none", 1_000),
        ]
    );
    let largest = &groups[0];
    assert_eq!(largest.samples.len(), 3);
    assert!(largest.latest_reason.contains(".5 is no whole"), "{largest:?}");
    assert!(largest.first_seen < largest.last_seen);
    assert_eq!(quarantine::group(&app.service, &largest.group).await.unwrap().as_ref(), Some(largest));

    vacuum(&app).await;
    let mut connection = PgConnection::connect(&app.url).await.unwrap();
    for (part, arguments) in [
        ("group by fault_group order by count(*) desc", "null, null, 100".to_owned()),
        ("where fault_group = $1 group by fault_group", format!("'{}'", largest.group)),
    ] {
        let plan = plan(&mut connection, part, &arguments).await;
        assert!(plan.contains("quarantine_fault_group_idx"), "{part}: {plan}");
        assert!(!plan.contains("Seq Scan"), "{part}: {plan}");
    }
}

/// Has PostgreSQL know what all can see. It cannot before what was committed is on the disk, which nobody waits for here.
async fn vacuum(app: &TestApp) {
    let vacuumed = async {
        while count(
            &app.pool,
            "select count(*) from pg_class where relname = 'quarantine' and relallvisible < relpages",
        )
        .await
            > 0
            || count(&app.pool, "select count(*) from pg_class where relname = 'quarantine' and relpages = 0")
                .await
                > 0
        {
            app.sql("vacuum analyze quarantine").await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), vacuumed).await.expect("nothing is held back");
}

/// How PostgreSQL does the one statement of the program that has `part` in it.
async fn plan(connection: &mut PgConnection, part: &str, arguments: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let statements = files.map(|file| {
        let described: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        described["query"].as_str().unwrap().to_owned()
    });
    let found: Vec<String> = statements
        .filter(|sql| sql.split_whitespace().collect::<Vec<_>>().join(" ").contains(part))
        .collect();
    assert_eq!(found.len(), 1, "{part}");
    let run = async |connection: &mut PgConnection, sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await.unwrap()
    };
    run(connection, format!("prepare tried as {}", found[0])).await;
    let plan = run(connection, format!("explain (costs off) execute tried ({arguments})")).await;
    run(connection, "deallocate tried".to_owned()).await;
    plan.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_replay_of_thousands_that_is_stopped_anywhere_loses_nothing_and_writes_nothing_twice() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let app = TestApp::fast().await;
    put_aside(&app, mended(3_000)).await;
    let group = only_group(&app).await;
    let chosen = Chosen::Group(&group);
    let mut stopped = 0;
    loop {
        let replayer = Replayer::new(&app.service, HashMap::new());
        let replay = replayer.replay(chosen, "shell:ann", &|_| {});
        let patience = Duration::from_millis(rng.random_range(1..300));
        let ended = tokio::time::timeout(patience, replay).await;
        let (left, there) = (
            count(&app.pool, "select count(*) from quarantine").await,
            count(&app.pool, "select count(*) from transactions").await,
        );
        assert_eq!(left + there, 3_000, "each is in one place");
        assert_eq!(totals(&app, "replay").await.0, there, "what was freed is what is kept of it");
        match ended {
            Ok(done) => {
                assert_eq!(done.unwrap().refused, 0);
                break;
            }
            Err(_) => stopped += 1,
        }
    }
    println!("stopped {stopped} times");
    assert_eq!(count(&app.pool, "select count(*) from quarantine").await, 0);
    app.publish_all().await;
    assert_eq!(count(&app.pool, "select count(*) from feed").await, 3_000, "each is published once");
}

/// A trigger that has whoever writes the transaction of this id wait for the test.
async fn wait_at(app: &TestApp, id: &str) -> PgConnection {
    let mut gate = PgConnection::connect(&app.url).await.unwrap();
    sqlx::raw_sql("select pg_advisory_lock(1)").execute(&mut gate).await.unwrap();
    app.sql(&format!(
        "create function wait_at() returns trigger language plpgsql as $$
         begin
           if new.id = '{id}' then perform pg_advisory_xact_lock_shared(1); end if;
           return new;
         end $$"
    ))
    .await;
    app.sql("create trigger wait_at before insert on transactions for each row execute function wait_at()")
        .await;
    gate
}

#[tokio::test]
async fn a_killed_command_goes_on_when_the_same_is_typed_again() {
    let app = TestApp::fast().await;
    put_aside(&app, mended(1_200)).await;
    let group = only_group(&app).await;
    let place = Place::new("quarantine_killed");
    let command = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("DATABASE_URL", &app.url).env("ACME_KEY", "a-key-of-the-environment");
        command
    };
    let args = ["quarantine", "replay", "--group", &group];
    let gate = wait_at(&app, "t700").await;
    let mut killed = command(&args).spawn().unwrap();
    until(&app.pool, "select count(*) from pg_locks where locktype = 'advisory' and not granted", 1).await;
    signal(&killed, Signal::SIGKILL);
    killed.wait().await.unwrap();
    drop(gate);
    until(&app.pool, "select count(*) from pg_locks where locktype = 'advisory' and objid = 1", 0).await;
    assert_eq!(count(&app.pool, "select count(*) from quarantine").await, 700, "one batch was committed");
    assert_eq!(totals(&app, "replay").await, (500, 0, 0, 0), "and its end is open");

    let again = command(&args).output().await.unwrap();
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(said.starts_with("700 freed (700 created, 0 updated, 0 unchanged), 0 stay"), "{said}");
    assert_eq!(totals(&app, "replay").await, (1_200, 0, 0, 1));
    assert_eq!(count(&app.pool, "select count(*) from transactions").await, 1_200);
    let again = command(&args).output().await.unwrap();
    assert!(again.status.success(), "nothing is left, and that is no failure");
}

#[tokio::test]
async fn what_still_cannot_be_taken_stays_for_its_reason_of_now_and_stops_no_other() {
    let app = TestApp::fast().await;
    let refused = mended(1_000).enumerate().map(|(n, (mut record, reason))| {
        if n % 100 == 7 {
            record["amount"] = "ten".into();
        }
        (record, reason)
    });
    put_aside(&app, refused).await;
    // what only the database sees
    app.sql("alter table transactions add constraint not_t500 check (id <> 't500')").await;
    let group = only_group(&app).await;
    let report = |_: &sync::Replayed| {};
    let replayer = Replayer::new(&app.service, HashMap::new());
    let done = replayer.replay(Chosen::Group(&group), "shell:ann", &report).await.unwrap();
    assert_eq!((done.freed, done.refused, done.tally.created), (989, 11, 989));
    let left: Vec<(i64, String)> =
        groups(&app).await.into_iter().map(|group| (group.count, group.fault)).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].0 == 10 && left[0].1.starts_with("amount: "), "{left:?}");
    assert!(left[1].0 == 1 && left[1].1.contains("violates check constraint"), "{left:?}");
    assert_eq!(quarantine::group(&app.pool, &group).await.unwrap(), None);
    assert_eq!(totals(&app, "replay").await, (989, 11, 0, 1));
}

#[tokio::test]
async fn what_a_discard_removes_is_kept_with_who_and_why_wherever_it_is_stopped() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let app = TestApp::fast().await;
    put_aside(&app, mended(3_000)).await;
    let group = only_group(&app).await;
    put_aside(&app, std::iter::once((records::transaction("other", "PENDING"), "another fault".to_owned())))
        .await;
    let actor = Actor { name: "shell:ann", why: Some("test data of the bank") };
    for without in [Actor { why: None, ..actor }, Actor { why: Some("  "), ..actor }] {
        let refused = sync::discard(&app.service, Chosen::Group(&group), without, &|_| {}).await;
        assert!(refused.unwrap_err().to_string().contains("quarantine_actions_discard_explained"));
    }
    loop {
        let discard = sync::discard(&app.service, Chosen::Group(&group), actor, &|_| {});
        let ended = tokio::time::timeout(Duration::from_millis(rng.random_range(1..60)), discard).await;
        let kept = count(&app.pool, "select count(*) from quarantine_discards").await;
        assert_eq!(count(&app.pool, "select count(*) from quarantine").await + kept, 3_001);
        assert_eq!(totals(&app, "discard").await.2, kept);
        if ended.is_ok_and(|ended| ended.is_ok()) {
            break;
        }
    }
    let kept = "select count(*) from quarantine_discards d join quarantine_actions a on a.id = d.action_id
                where a.actor = 'shell:ann' and a.why = 'test data of the bank'
                  and d.fault_group = a.fault_group and octet_length(d.raw_digest) = 32";
    assert_eq!(count(&app.pool, kept).await, 3_000);
    assert_eq!(groups(&app).await[0].fault, "another fault", "the other group is untouched");
    assert_eq!(count(&app.pool, "select count(*) from transactions").await, 0);
}

#[tokio::test]
async fn commands_show_groups_and_discard_one_with_a_reason_only() {
    let app = TestApp::fast().await;
    put_aside(&app, mended(3)).await;
    let group = only_group(&app).await;
    let place = Place::new("quarantine_groups");
    let run = async |args: &[&str]| {
        let args = [&["quarantine"], args].concat();
        let output = place.command(&args).env("DATABASE_URL", &app.url).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (ok, shown, _) = run(&["groups"]).await;
    assert!(ok && shown.contains(&group) && shown.contains("the amount of # is #, and not whole"), "{shown}");
    let (_, shown, _) = run(&["groups", "--output", "json"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown[0]["count"], &shown[0]["group"]), (&json!(3), &json!(group)));
    let (_, shown, _) = run(&["list", "--group", &group, "--output", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap().as_array().unwrap().len(), 3);
    let (ok, _, said) = run(&["discard", "--group", &group, "--yes"]).await;
    assert!(!ok && said.contains("--reason"), "{said}");
    let (ok, _, said) = run(&["discard", "--group", &group, "--yes", "--reason", " "]).await;
    assert!(!ok && said.contains("say why"), "{said}");
    let (ok, shown, said) = run(&["discard", "--group", &group, "--yes", "--reason", "a test"]).await;
    assert!(ok && shown.starts_with("3 discarded"), "{shown} {said}");
    let who = "select count(*) from quarantine_actions where actor like 'shell:_%' and why = 'a test'";
    assert_eq!(count(&app.pool, who).await, 1);
}

#[tokio::test]
async fn an_admin_key_sees_and_replays_the_groups_of_its_provider_alone() {
    let app = TestApp::fast().await;
    put_aside(&app, mended(600)).await;
    let group = only_group(&app).await;
    let ask = async |key: &str, method: &str, path: &str, body: Value| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        read(app.call_operator(request.body(body).unwrap()).await).await
    };
    let own = new_test_key(&app.pool, app.name(), Scope::Admin).await;
    let other = new_test_key(&app.pool, &"other".parse().unwrap(), Scope::Admin).await;
    let path = format!("/admin/v1/quarantine/groups/{group}");
    let (status, listed) = ask(&own, "GET", "/admin/v1/quarantine/groups", Value::Null).await;
    assert_eq!((status, &listed[0]["count"]), (StatusCode::OK, &json!(600)), "{listed}");
    assert_eq!(ask(&other, "GET", "/admin/v1/quarantine/groups", Value::Null).await.1, json!([]));
    for (method, path, body) in [
        ("GET", path.clone(), Value::Null),
        ("POST", format!("{path}/replay"), Value::Null),
        ("POST", format!("{path}/discard"), json!({"reason": "x"})),
    ] {
        assert_eq!(ask(&other, method, &path, body).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let (status, said) = ask(&own, "POST", &format!("{path}/discard"), json!({"reason": ""})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    let (status, started) = ask(&own, "POST", &format!("{path}/replay"), Value::Null).await;
    assert_eq!((status, &started["records"]), (StatusCode::ACCEPTED, &json!(600)), "{started}");
    until(&app.pool, "select count(*) from quarantine_actions where ended_at is not null", 1).await;
    let (_, shown) = ask(&own, "GET", &path, Value::Null).await;
    assert_eq!((&shown["group"], &shown["actions"][0]["freed"]), (&Value::Null, &json!(600)), "{shown}");
    assert!(shown["actions"][0]["actor"].as_str().unwrap().starts_with("key:"), "{shown}");
}
