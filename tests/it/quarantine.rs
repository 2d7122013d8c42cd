//! Groups of the quarantine: thousands of records that are here for a few faults are a few lines, and are replayed or
//! discarded as one, wherever that is stopped.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use nix::sys::signal::Signal;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use tributary::encryption::Keyring;
use tributary::store::quarantine::{self, Chosen, Group, Refused, RefusedRecord, Which};
use tributary::verbs::quarantine::Discard;
use tributary::verbs::{self, Actor, Declared, On};
use tributary_domain::{Resource, Role};

use crate::console::new_operator;
use crate::support::app::read;
use crate::support::jobs::{self, AT_THE_GATE, WAIT_FOR_LOCKS, count, until};
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
        let replay = jobs::replay(&app.service, [], chosen);
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
                assert_eq!(done.stay, 0);
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

#[tokio::test]
async fn states_of_a_record_that_came_on_one_page_are_replayed_in_their_order() {
    let app = TestApp::fast().await;
    let states = (0..40).flat_map(|n| {
        let state = move |status| (records::transaction(&format!("t{n}"), status), "no status".to_owned());
        [state("PENDING"), state("SUCCEEDED")]
    });
    put_aside(&app, states).await;
    let done = jobs::replay(&app.service, [], Chosen::All(Which::default())).await;
    assert_eq!((done.freed, done.created, done.updated), (80, 40, 40), "{done:?}");
    assert_eq!(count(&app.pool, "select count(*) from transactions where status = 'SUCCEEDED'").await, 40);
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
    until(&app.pool, WAIT_FOR_LOCKS, 1).await;
    signal(&killed, Signal::SIGKILL);
    killed.wait().await.unwrap();
    drop(gate);
    until(&app.pool, AT_THE_GATE, 0).await;
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
    let done = jobs::replay(&app.service, [], Chosen::Group(&group)).await;
    assert_eq!((done.freed, done.stay, done.created), (989, 11, 989));
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
    let (actor, declared) = (Actor::Command { user: "ann".to_owned() }, Declared::new());
    let discard = |reason: &str| Discard {
        group: Some(group.clone()),
        reason: reason.to_owned(),
        ..Discard::default()
    };
    let on = On::to_the_end(&app.service, &declared);
    for without in ["", "  "] {
        let refused = verbs::perform(&discard(without), on, &actor).await;
        assert!(refused.unwrap_err().to_string().contains("say why"));
    }
    app.sql("insert into operator_audit (person, login, verb, subject, details) values ('x', 'x', 'x', 'x', '{}')").await;
    let unexplained = "insert into quarantine_actions (action, audit_id, total) values ('discard', 1, 1)";
    let refused = sqlx::query(unexplained).execute(&app.pool).await.unwrap_err().to_string();
    assert!(refused.contains("quarantine_actions_discard_explained"), "{refused}");
    let verb = discard("test data of the bank");
    loop {
        let discard = verbs::perform(&verb, on, &actor);
        let ended = tokio::time::timeout(Duration::from_millis(rng.random_range(1..60)), discard).await;
        let kept = count(&app.pool, "select count(*) from quarantine_discards").await;
        assert_eq!(count(&app.pool, "select count(*) from quarantine").await + kept, 3_001);
        assert_eq!(totals(&app, "discard").await.2, kept);
        if ended.is_ok_and(|ended| ended.is_ok()) {
            break;
        }
    }
    let kept = "select count(*) from quarantine_discards d join quarantine_actions a on a.id = d.action_id
                join operator_audit o on o.id = a.audit_id
                where o.person = 'cli:ann' and o.verb = 'quarantine discard' and a.why = 'test data of the bank'
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
    let (_, shown, _) = run(&["actions", "--group", &group, "--output", "json"]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown[0]["why"], &shown[0]["discarded"]), (&json!("a test"), &json!(3)), "{shown}");
    assert!(shown[0]["person"].as_str().unwrap().starts_with("cli:"), "{shown}");
    let (ok, _, said) = run(&["replay", "--group", "0000000000000000"]).await;
    assert!(!ok && said.contains("never here"), "a group that was never there is a mistake: {said}");
}

#[tokio::test]
async fn a_group_is_replayed_in_the_background_of_a_server_for_an_operator() {
    let app = TestApp::fast().await;
    put_aside(&app, mended(600)).await;
    let group = only_group(&app).await;
    let ask = async |key: &str, path: &str, body: Value| {
        let request = if body.is_null() { Request::get(path) } else { Request::post(path) };
        let request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        read(app.call_operator(request.body(body).unwrap()).await).await
    };
    let ann = new_operator(&app, "ann", Role::Operator).await;
    let (status, listed) = ask(&ann, "/admin/v1/quarantine/groups", Value::Null).await;
    assert_eq!((status, &listed[0]["count"]), (StatusCode::OK, &json!(600)), "{listed}");
    let (replay, discard) = ("/admin/v1/quarantine/replay", "/admin/v1/quarantine/discard");
    let (status, said) = ask(&ann, discard, json!({"group": group, "reason": ""})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    for (fields, refused) in [
        (json!({}), StatusCode::NOT_FOUND),
        (json!({"ids": [], "group": null}), StatusCode::NOT_FOUND),
        (json!({"ids": [1], "group": group}), StatusCode::CONFLICT),
        (json!({"ids": (0..501).collect::<Vec<_>>()}), StatusCode::BAD_REQUEST),
    ] {
        let (status, said) = ask(&ann, replay, fields).await;
        assert_eq!(status, refused, "never all there is: {said}");
    }
    // the records of a group are of one provider: all of them, or none
    for (provider, all) in [("acme", 600), ("other", 0)] {
        let path = format!("/admin/v1/quarantine/list?group={group}&provider={provider}");
        let (_, listed) = ask(&ann, &path, Value::Null).await;
        assert_eq!(listed["all"], all, "{provider}");
    }
    assert_eq!(ask(&ann, replay, json!({"group": "0000000000000000"})).await.0, StatusCode::NOT_FOUND);
    let (status, begun) = ask(&ann, replay, json!({"group": group})).await;
    assert_eq!((status, &begun["records"], &begun["goes_on"]), (StatusCode::OK, &json!(600), &json!(true)));
    until(&app.pool, "select count(*) from quarantine_actions where ended_at is not null", 1).await;
    let (_, shown) = ask(&ann, &format!("/admin/v1/quarantine/actions?group={group}"), Value::Null).await;
    assert_eq!((&shown[0]["freed"], &shown[0]["person"]), (&json!(600), &json!("operator:ann")), "{shown}");
    let (status, again) = ask(&ann, replay, json!({"group": group})).await;
    assert_eq!((status, &again["records"]), (StatusCode::OK, &json!(0)), "nothing is left: {again}");
    let audited = "select count(*) from operator_audit where verb = 'quarantine replay' and details->>'records' = '600'";
    assert_eq!(count(&app.pool, audited).await, 1);
}
