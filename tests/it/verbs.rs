//! What operators do, by three ways: each command is in one table, and is there by the API and at a page, or has a written
//! reason; each role may what it may by both, and nothing else; whatever is done has its person in the audit.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Map, Value, json};
use tributary::console::SCREENS;
use tributary::verbs::{Access, Entry, VERBS};
use tributary_domain::Role;
use uuid::Uuid;

use crate::console::{Browser, Shown, assert_usable, new_operator};
use crate::support::TestApp;
use crate::support::app::read;
use crate::support::process::{FILE_KEY, Place, stop};

/// The commands that may be typed, by their names.
fn typed(command: &clap::Command, above: &str, names: &mut BTreeSet<String>) {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set())
    {
        let name = format!("{above} {}", below.get_name()).trim().to_owned();
        let groups = below.get_subcommands().count() > 0;
        // `standin` has one for each bank, which is an argument of it in all but the form
        if !groups || !below.is_subcommand_required_set() || name == "standin" {
            names.insert(name.clone());
        }
        if name != "standin" {
            typed(below, &name, names);
        }
    }
}

#[test]
fn every_command_is_in_the_table_of_verbs_and_nothing_else() {
    let mut names = BTreeSet::new();
    typed(&tributary::cli::command(), "", &mut names);
    let table: BTreeSet<String> = VERBS.iter().map(|entry| entry.name.to_owned()).collect();
    assert_eq!(table.len(), VERBS.len(), "each is there once");
    // with an option, it is another thing
    let (optional, table): (BTreeSet<String>, BTreeSet<String>) =
        table.into_iter().partition(|name| name.contains(" --"));
    for (name, option) in optional.iter().filter_map(|name| name.split_once(" --")) {
        let command = tributary::cli::command();
        let command = command.find_subcommand(name).unwrap();
        assert!(command.get_arguments().any(|argument| argument.get_long() == Some(option)), "{name}");
    }
    assert_eq!(names, table);
    for entry in VERBS {
        let Access::Command(why) = entry.access else { continue };
        assert!(why.split(' ').count() > 3, "{}: why is it only typed?", entry.name);
    }
}

#[test]
fn the_api_has_exactly_the_verbs_of_the_table() {
    let document = serde_json::to_value(tributary::http::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeMap<&str, Vec<&String>> = paths
        .iter()
        .filter(|(path, _)| path.starts_with("/admin"))
        .map(|(path, item)| (path.as_str(), item.as_object().unwrap().keys().collect()))
        .collect();
    let mut expected = BTreeMap::new();
    let (get, post) = ("get".to_owned(), "post".to_owned());
    let paths: Vec<(String, &Entry)> = VERBS.iter().map(|entry| (entry.api_path(), entry)).collect();
    for (path, entry) in &paths {
        match entry.access {
            Access::Reads { .. } => expected.insert(path.as_str(), vec![&get]),
            Access::Changes { .. } | Access::Tries { .. } => expected.insert(path.as_str(), vec![&post]),
            Access::Command(_) => continue,
        };
    }
    assert_eq!(described, expected);
    // a form asks for what the API takes, and for nothing else
    for entry in VERBS {
        let Access::Changes { form, .. } = entry.access else { continue };
        let body = &document["paths"][entry.api_path()]["post"]["requestBody"]["content"]["application/json"];
        let fields: BTreeSet<&str> =
            body["schema"]["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let asked: BTreeSet<&str> = form.iter().map(|field| field.name).collect();
        assert_eq!(asked, fields, "{}", entry.name);
        let required = body["schema"]["required"].as_array();
        for field in form {
            assert_eq!(
                required.is_some_and(|required| required.contains(&json!(field.name))),
                field.required,
                "{} {}",
                entry.name,
                field.name
            );
        }
    }
}

/// What to say for a verb, so that it is done to something that is there.
fn fields(name: &str, shown: &Shown, unique: &str) -> Vec<(&'static str, String)> {
    let order = shown.order.to_string();
    let list: &[(&'static str, &str)] = match name {
        "sync" | "resume" | "limits lift" => &[("provider", "acme")],
        "pause" => &[("provider", "acme"), ("why", "their API moves")],
        "consumers forget" => &[("provider", "acme"), ("key", "nobody")],
        "quarantine show" => &[("id", "1")],
        "quarantine replay" => &[("ids", "999")],
        "quarantine discard" => &[("ids", "999"), ("reason", "test data")],
        "quarantine preview" => &[("group", &shown.group)],
        "remap" | "remap --dry-run" => &[("provider", "acme")],
        "statement show" => &[("provider", "acme"), ("statement", "1")],
        "payouts show" => &[("order", &order)],
        "records show" => &[("name", "t1")],
        // nobody's: whoever may is told so
        "payouts approve" => &[("order", "nobody")],
        "payouts reject" => &[("order", "nobody"), ("reason", "not ours")],
        "payouts resolve" => &[("order", "nobody"), ("outcome", "look")],
        "keys create" => &[("provider", "acme"), ("name", unique), ("scope", "read")],
        "keys rotate" => &[("name", "nobody")],
        "keys revoke" => &[("key", "nobody")],
        "operators create" => &[("name", unique), ("role", "viewer")],
        "operators link" | "operators revoke" => &[("name", "nobody")],
        _ => &[],
    };
    list.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn encoded(fields: &[(&str, String)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields).finish()
}

/// Asks the API with a key.
async fn ask(app: &TestApp, entry: &Entry, key: &str, fields: &[(&str, String)]) -> (StatusCode, Value) {
    let request = match entry.access {
        Access::Reads { .. } => Request::get(format!("{}?{}", entry.api_path(), encoded(fields))),
        _ => Request::post(entry.api_path()),
    };
    let body = match entry.access {
        Access::Reads { .. } => Body::empty(),
        _ => {
            let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
            Body::from(Value::Object(fields.collect::<Map<_, _>>()).to_string())
        }
    };
    let request = request.header(header::AUTHORIZATION, format!("Bearer {key}")).body(body).unwrap();
    read(app.call_operator(request).await).await
}

/// A bank that was read, with a stream that can be read again.
async fn shown() -> Shown {
    let shown = Shown::new().await;
    let known = "insert into sync_tasks (provider, stream, stream_group, schedule, due_at)
                 values ('acme', 'payments', 'payments', 'every 1h', now() + interval '1 hour')";
    shown.app.sql(known).await;
    shown
}

async fn audited(app: &TestApp) -> Vec<(String, String, String, String)> {
    let rows = "select person, login, verb, subject from operator_audit order by id";
    sqlx::query_as(rows).fetch_all(&app.pool).await.unwrap()
}

#[tokio::test]
async fn each_role_may_what_it_may_by_the_api_and_by_a_form_and_nothing_else() {
    let shown = shown().await;
    let app = &shown.app;
    for role in Role::ALL {
        let key = new_operator(app, &format!("by-key-{}", role.as_str()), role).await;
        let browser = Browser::of(app, role).await;
        for (n, entry) in VERBS.iter().enumerate().filter(|(_, entry)| !entry.roles().is_empty()) {
            let may = entry.roles().contains(&role);
            let of = format!("{} for {}", entry.name, role.as_str());
            let before = audited(app).await;
            let said = fields(entry.name, &shown, &format!("a{n}-{}", role.as_str()));
            let (status, answer) = ask(app, entry, &key, &said).await;
            assert_eq!(status != StatusCode::FORBIDDEN, may, "{of}: {status} {answer}");
            assert!(
                !status.is_server_error() && status != StatusCode::BAD_REQUEST,
                "{of}: {status} {answer}"
            );
            if !matches!(entry.access, Access::Changes { .. }) {
                assert_eq!(audited(app).await, before, "{of}: what only shows something is nobody's deed");
                continue;
            }
            let form = browser.get(&entry.form_path()).await;
            assert_eq!(form.status, if may { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{of}");
            let said = fields(entry.name, &shown, &format!("b{n}-{}", role.as_str()));
            let answer = browser.send(&entry.form_path(), encoded(&said)).await;
            assert_eq!(answer.status != StatusCode::FORBIDDEN, may, "{of}: {}", answer.text);
            assert!(!answer.status.is_server_error(), "{of}: {}", answer.text);
            if may {
                assert_usable(&form.text, &of);
            } else {
                assert_eq!(audited(app).await, before, "{of}: who may not leaves no row");
            }
        }
    }
}

#[tokio::test]
async fn nobody_asks_the_api_without_a_key_or_a_session_and_no_other_site_does() {
    let shown = shown().await;
    let app = &shown.app;
    let browser = Browser::of(app, Role::Admin).await;
    let revoked = new_operator(app, "bob", Role::Admin).await;
    app.sql("update operators set revoked_at = now() where name = 'bob'").await;
    for entry in VERBS.iter().filter(|entry| !entry.roles().is_empty()) {
        let said = fields(entry.name, &shown, "one");
        for key in ["", "x", revoked.as_str(), app.connector_key.as_str()] {
            let (status, answer) = ask(app, entry, key, &said).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{} {key:?}: {answer}", entry.name);
            assert!(answer["Detail"].as_str().unwrap().contains("tributary operators create"), "{answer}");
        }
        if matches!(entry.access, Access::Tries { .. }) {
            let foreign = [("sec-fetch-site", "cross-site")];
            let answer = browser.ask(Method::POST, &entry.api_path(), &foreign, "{}".to_owned()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}: {}", entry.name, answer.text);
            continue;
        }
        if !matches!(entry.access, Access::Changes { .. }) {
            // the cookie alone shows what the pages show
            let path = format!("{}?{}", entry.api_path(), encoded(&said));
            assert_eq!(browser.get(&path).await.status, StatusCode::OK, "{}", entry.name);
            continue;
        }
        for site in [&[("sec-fetch-site", "cross-site")][..], &[("origin", "https://evil.example")], &[]] {
            for path in [entry.api_path(), entry.form_path()] {
                let answer = browser.ask(Method::POST, &path, site, encoded(&said)).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {site:?}: {}", answer.text);
            }
        }
    }
    assert_eq!(audited(app).await, []);
    let own = [("sec-fetch-site", "same-origin")];
    let body = json!({"provider": "acme"}).to_string();
    let answer = browser.ask(Method::POST, "/admin/v1/sync", &own, body).await;
    assert_eq!(answer.status, StatusCode::OK, "a page of the console may: {}", answer.text);
}

#[tokio::test]
async fn nul_in_what_is_asked_for_is_no_fault_of_the_server() {
    let shown = shown().await;
    let app = &shown.app;
    let admin = new_operator(app, "ada", Role::Admin).await;
    let approver = new_operator(app, "ann", Role::Approver).await;
    let browser = Browser::of(app, Role::Admin).await;
    for entry in VERBS.iter().filter(|entry| !entry.roles().is_empty()) {
        let key = if entry.roles().contains(&Role::Admin) { &admin } else { &approver };
        let said = fields(entry.name, &shown, "nul");
        for at in 0..said.len() {
            let mut said = said.clone();
            said[at].1.push('\0');
            let (status, answer) = ask(app, entry, key, &said).await;
            assert!(!status.is_server_error(), "{} {said:?}: {status} {answer}", entry.name);
            if matches!(entry.access, Access::Changes { roles, .. } if roles.contains(&Role::Admin)) {
                let sent = browser.send(&entry.form_path(), encoded(&said)).await;
                assert!(!sent.status.is_server_error(), "{} {said:?}: {}", entry.name, sent.text);
            }
        }
    }
}

/// The fields of a form, with what is written into each.
type Fields = Vec<(&'static str, String)>;

#[tokio::test]
async fn whatever_is_done_has_its_person_in_the_audit() {
    let shown = shown().await;
    let app = &shown.app;
    let admin = new_operator(app, "ada", Role::Admin).await;
    let approver = new_operator(app, "ann", Role::Approver).await;
    app.sql("insert into closed_lanes (provider, lane, closed_until) values ('acme', 'tokens', now() + interval '1 hour')")
        .await;
    let order = shown.order.to_string();
    let provider = ("provider", "acme".to_owned());
    let consumer: String =
        sqlx::query_scalar("select key from consumers").fetch_one(&app.pool).await.unwrap();
    let named = ("name", "new".to_owned());
    let group = ("group", shown.group.clone());
    let done: Vec<(&str, Fields, &str)> = vec![
        ("sync", vec![provider.clone()], "acme"),
        ("pause", vec![provider.clone(), ("why", "their API moves".to_owned())], "acme"),
        ("resume", vec![provider.clone()], "acme"),
        ("limits lift", vec![provider.clone()], "acme"),
        ("consumers forget", vec![provider.clone(), ("key", consumer.clone())], &consumer),
        ("quarantine replay", vec![("ids", "1".to_owned())], "1"),
        ("quarantine discard", vec![("ids", "1, 2".to_owned()), ("reason", "test data".to_owned())], "1, 2"),
        ("quarantine discard", vec![group, ("reason", "test data".to_owned())], &shown.group),
        ("remap", vec![provider.clone()], "acme"),
        ("keys create", vec![provider.clone(), named.clone(), ("scope", "read".to_owned())], "acme/new"),
        ("keys rotate", vec![named.clone()], "acme/new"),
        ("keys revoke", vec![("key", "new".to_owned())], "acme/new"),
        ("operators create", vec![named.clone(), ("role", "viewer".to_owned())], "new"),
        ("operators link", vec![named.clone()], "new"),
        ("operators revoke", vec![named], "new"),
        ("payouts approve", vec![("order", order.clone())], &order),
        ("payouts reject", vec![("order", order.clone()), ("reason", "not ours".to_owned())], &order),
    ];
    for (verb, said, subject) in done {
        let (key, person) = match verb.starts_with("payouts") {
            true => (&approver, "operator:ann"),
            false => (&admin, "operator:ada"),
        };
        let before = audited(app).await.len();
        let (status, answer) = ask(app, tributary::verbs::entry(verb), key, &said).await;
        assert_eq!(status, StatusCode::OK, "{verb}: {answer}");
        let rows = audited(app).await;
        assert_eq!(rows.len(), before + 1, "{verb}");
        let (who, login, what, of) = rows.last().unwrap();
        assert_eq!((who.as_str(), what.as_str()), (person, verb));
        assert_eq!(login, "tributary_test_service", "the service did it for them");
        assert!(of.ends_with(subject), "{verb}: {of} and not {subject}");
        // the row is there for good, for everybody
        let refused = sqlx::query("delete from operator_audit").execute(&app.pool).await.unwrap_err();
        assert!(refused.to_string().contains("never changed or deleted"), "{refused}");
    }
    let actors: Vec<String> = sqlx::query_scalar(
        "select distinct actor from payment_audit where what in ('rejected', 'agrees that it goes out')",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert_eq!(actors, ["ann"], "and in the audit of payments");
    let page = Browser::of(app, Role::Viewer).await.page("/console/audit").await;
    assert!(page.contains("operator:ann") && page.contains("payouts reject"), "{page}");
}

async fn state(app: &TestApp, order: Uuid) -> String {
    let state = sqlx::query_scalar("select state from payment_orders where id = $1").bind(order);
    state.fetch_one(&app.pool).await.unwrap()
}

/// A browser in which the operator of this name has signed in.
async fn browser_of<'a>(app: &'a TestApp, name: &str, role: Role) -> Browser<'a> {
    let key = new_operator(app, name, role).await;
    let mut browser = Browser::new(app);
    assert_eq!(browser.sign_in(&key).await.status, StatusCode::SEE_OTHER);
    browser
}

#[tokio::test]
async fn a_payment_takes_the_approval_of_two_persons_at_the_page_and_each_counts_once() {
    let shown = shown().await;
    let (app, order) = (&shown.app, shown.order);
    let ann = browser_of(app, "ann", Role::Approver).await;
    let bob = browser_of(app, "bob", Role::Approver).await;
    let placer = browser_of(app, "formance", Role::Approver).await;
    let admin = browser_of(app, "ada", Role::Admin).await;
    let screen = format!("/console/payments/{order}");
    let link = format!(
        "/console/do/payouts/approve?order={}",
        encoded(&[("x", order.to_string())]).split_once('=').unwrap().1.replace('-', "%2D")
    );
    for (browser, may) in [(&ann, true), (&bob, true), (&admin, false)] {
        assert_eq!(browser.page(&screen).await.contains(&link), may, "a button for whoever may");
    }
    let form = ann.page(&link.replace("%2D", "-")).await;
    assert!(form.contains("9007199254740993 EUR/2") && form.contains("This cannot be undone"), "{form}");
    let path = "/console/do/payouts/approve";
    let said = encoded(&[("order", order.to_string()), ("back", screen.clone())]);
    let approve = async |browser: &Browser<'_>| browser.send(path, said.clone()).await;
    assert_eq!(approve(&admin).await.status, StatusCode::FORBIDDEN);
    let own = approve(&placer).await;
    assert_eq!(own.status, StatusCode::CONFLICT);
    assert!(own.text.contains("placed the order"), "{}", own.text);
    let first = approve(&ann).await;
    let next = format!("{screen}?done=payouts-approve");
    assert_eq!((first.status, first.header("location")), (StatusCode::SEE_OTHER, next.as_str()));
    assert!(ann.page(&next).await.contains("You have approved it."), "the page after it says so");
    let again = approve(&ann).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("you have approved it already"), "{}", again.text);
    assert_eq!(state(app, order).await, "held", "one person is not two");
    assert_eq!(approve(&bob).await.status, StatusCode::SEE_OTHER);
    assert_eq!(state(app, order).await, "recorded");
    let by: String = sqlx::query_scalar("select string_agg(person, ', ' order by at) from payment_approvals")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(by, "ann, bob");
}

#[tokio::test]
async fn whoever_administers_keys_makes_nobody_who_approves() {
    let app = TestApp::new().await;
    new_operator(&app, "bob", Role::Approver).await;
    let admin = new_operator(&app, "ada", Role::Admin).await;
    let create = [("name", "eve".to_owned()), ("role", "approver".to_owned())];
    for (verb, said) in [("operators create", &create[..]), ("operators link", &[("name", "bob".to_owned())])]
    {
        let (status, answer) = ask(&app, tributary::verbs::entry(verb), &admin, said).await;
        assert_eq!(status, StatusCode::CONFLICT, "{verb}: {answer}");
        assert!(answer["Detail"].as_str().unwrap().contains("owner of the database"), "{answer}");
    }
    assert_eq!(audited(&app).await, []);
    let people: i64 =
        sqlx::query_scalar("select count(*) from operators").fetch_one(&app.pool).await.unwrap();
    assert_eq!(people, 2);
}

#[tokio::test]
async fn a_new_key_is_shown_once_and_opens_what_it_is_for() {
    let app = TestApp::new().await;
    let admin = Browser::of(&app, Role::Admin).await;
    let said = [("provider", "acme"), ("name", "made"), ("scope", "read"), ("expires", "")];
    let said = encoded(&said.map(|(name, value)| (name, value.to_owned())));
    let answer = admin.send("/console/do/keys/create", said.clone()).await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (StatusCode::OK, "no-store"),
        "{}",
        answer.text
    );
    let key = answer.text.split("<pre data-copy>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_eq!(read(app.call(app.get_request("/accounts", &key)).await).await.0, StatusCode::OK);
    assert!(!admin.page("/console/keys").await.contains(&key));
    let again = admin.send("/console/do/keys/create", said).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(
        again.text.contains("tributary keys rotate made") && again.text.contains("value=\"made\""),
        "{}",
        again.text
    );
    let wrong =
        encoded(&[("provider", "nobody".to_owned()), ("name", "x".to_owned()), ("scope", "read".to_owned())]);
    assert_eq!(admin.send("/console/do/keys/create", wrong).await.status, StatusCode::NOT_FOUND);
    let wrong =
        encoded(&[("provider", "acme".to_owned()), ("name", "A b".to_owned()), ("scope", "read".to_owned())]);
    assert_eq!(admin.send("/console/do/keys/create", wrong).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_screen_of_each_form_leads_to_it() {
    let shown = shown().await;
    let app = &shown.app;
    let browsers = [Browser::of(app, Role::Approver).await, Browser::of(app, Role::Admin).await];
    let viewer = Browser::of(app, Role::Viewer).await;
    app.sql(
        "insert into closed_lanes (provider, lane, closed_until) values ('acme', 'tokens', now() + interval '1 hour');
         update consumers set gaps = '{10,10,10}', first_polled_at = now() - interval '1 hour',
           polled_at = now() - interval '30 minutes', caught_up_at = null",
    )
    .await;
    for entry in VERBS {
        match entry.access {
            Access::Command(_) => {}
            Access::Reads { screen } | Access::Tries { screen, .. } => {
                assert!(SCREENS.contains(&screen), "{}: {screen}", entry.name)
            }
            Access::Changes { roles, screen, .. } => {
                if entry.name == "payouts resolve" {
                    app.rewrite("update payment_orders set state = 'parked'").await;
                }
                if entry.name == "resume" {
                    app.sql(
                        "insert into provider_pauses (provider, paused_by, why) values ('acme', 'ann', 'so')",
                    )
                    .await;
                }
                let path = shown.path(screen);
                let browser = &browsers[usize::from(!roles.contains(&Role::Approver))];
                let link = format!("href=\"{}?", entry.form_path());
                assert!(browser.page(&path).await.contains(&link), "{path} leads to {}", entry.name);
                assert!(!viewer.page(&path).await.contains(&link), "{path}: a viewer has no button");
            }
        }
    }
}

/// The listings that there are, with both forms of output.
const LISTINGS: [&[&str]; 20] = [
    &["keys", "list"],
    &["operators", "list"],
    &["runs"],
    &["consumers"],
    &["notifications"],
    &["limits", "list"],
    &["quarantine", "list"],
    &["quarantine", "show", "1"],
    &["quarantine", "groups"],
    &["quarantine", "actions"],
    &["quarantine", "list", "--resource", "transactions"],
    &["payouts", "list"],
    &["payouts", "list", "--state", "held", "--state", "parked"],
    &["payouts", "list", "--all"],
    &["payouts", "list", "--refused"],
    &["audit", "list"],
    &["statement", "list"],
    &["statement", "list", "--provider", "acme", "--account", "DE1", "--before", "3"],
    &["statement", "files"],
    &["statement", "show", "acme", "1"],
];

#[tokio::test]
async fn a_server_gives_byte_for_byte_what_the_database_gives() {
    let shown = shown().await;
    let place = Place::new("by_server");
    let (server, address) = place.serve(Some(&shown.app.url)).await;
    let at = format!("http://{}", place.operator(&address));
    let command = async |args: &[&str], by: Option<(&str, &str)>| {
        let mut command = place.command(args);
        command.env("ACME_KEY", FILE_KEY);
        match by {
            Some((at, key)) => command.env("TRIBUTARY_SERVER", at).env("TRIBUTARY_OPERATOR_KEY", key),
            None => command.env("DATABASE_URL", &shown.app.url),
        };
        command.output().await.unwrap()
    };
    let made = command(&["operators", "create", "eve", "--role", "viewer"], None).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    shown.app.sql(
        "insert into closed_lanes (provider, lane, closed_until) values ('acme', 'tokens', now() + interval '1 hour');
         insert into notifications (kind, provider, subject, body, next_at) values ('provider.failing', 'acme', 'x', '{}', null);
         insert into payment_refusals (provider, kind, idempotency_key, status, title, detail, body, digest)
         values ('acme', 'PAYOUT', 'k', 403, 'Not enabled', 'no', '{}', sha256('x'));
         update consumers set position = 1000",
    )
    .await;
    for listing in LISTINGS {
        for form in ["table", "json"] {
            let args = [listing, &["--output", form]].concat();
            let by_server = command(&args, Some((&at, &key))).await;
            let by_database = command(&args, None).await;
            let said = String::from_utf8_lossy(&by_server.stderr);
            assert!(by_server.status.success() && by_database.status.success(), "{args:?}: {said}");
            assert_eq!(
                String::from_utf8_lossy(&by_server.stdout),
                String::from_utf8_lossy(&by_database.stdout),
                "{args:?}"
            );
            assert!(!by_server.stdout.is_empty(), "{args:?}");
        }
    }
    // what is refused is said in the same words
    let refused = command(&["sync", "acme"], Some((&at, &key))).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("eve is viewer, and `sync` is for: operator"),
        "{said}"
    );
    for (at, key, why) in [
        (at.as_str(), "", "TRIBUTARY_OPERATOR_KEY"),
        ("http://bank.example", key.as_str(), "by https alone"),
        ("nonsense", key.as_str(), "is no URL"),
    ] {
        let refused = command(&["keys", "list"], Some((at, key))).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(why), "{at}: {said}");
    }
    let rows = audited(&shown.app).await;
    assert_eq!(rows.len(), 1);
    assert!(rows[0].0.starts_with("cli:") && rows[0].2 == "operators create", "{rows:?}");
    stop(server).await;
}
