//! The console: who sees it, for how long, what a browser is told with it, and that what it shows is what the gauges
//! and the commands say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tributary::console::{self, SCREENS};
use tributary::encryption::Keyring;
use tributary::payments::{Payments, Settings};
use tributary::store::operators::{self, NewOperator};
use tributary::store::quarantine::{self, Refused, RefusedRecord, Which};
use tributary::store::{consumers, payment_orders, sync_runs};
use tributary::sync::{Busy, SyncRequest};
use tributary::telemetry::Gauges;
use tributary_domain::{ApiKeyDigest, OrderState, Resource, Role};
use uuid::Uuid;

use crate::support::app::secret_of;
use crate::support::jobs::{file, puller, stream, until};
use crate::support::process::{FILE_KEY, Place, stop};
use crate::support::{TestApp, Upstream, records};

/// What the console answered.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A browser before the console of `app`.
pub struct Browser<'a> {
    pub app: &'a TestApp,
    pub cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        Self { app, cookie: None }
    }

    /// One in which somebody of `role` has signed in.
    pub async fn of(app: &'a TestApp, role: Role) -> Self {
        let key = new_operator(app, role.as_str(), role).await;
        let mut browser = Self::new(app);
        let answer = browser.sign_in(&key).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console"));
        browser
    }

    pub async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "console:8081");
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.app.call_operator(request.body(Body::from(body)).unwrap()).await;
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.into()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], String::new()).await
    }

    /// As the script asks.
    async fn fragment(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[("tributary-fragment", "1")], String::new()).await
    }

    /// A page that has to be there.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.text
    }

    /// Sends a form as a page of the console does.
    pub async fn send(&self, path: &str, form: String) -> Answer {
        let headers =
            [("sec-fetch-site", "same-origin"), ("content-type", "application/x-www-form-urlencoded")];
        self.ask(Method::POST, path, &headers, form).await
    }

    /// Sends a form, and keeps the cookie that comes with the answer.
    async fn enter(&mut self, path: &str, form: String) -> Answer {
        let answer = self.send(path, form).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        self.cookie = Some(cookie).filter(|cookie| !cookie.is_empty());
        answer
    }

    pub async fn sign_in(&mut self, key: &str) -> Answer {
        self.enter("/console/sign-in", format!("key={key}&next=")).await
    }
}

/// Makes an operator; gives the key.
pub async fn new_operator(app: &TestApp, name: &str, role: Role) -> String {
    let (id, key) = console::new_operator_key();
    let new = NewOperator {
        id,
        name: &name.parse().unwrap(),
        role,
        digest: &ApiKeyDigest::of(&key),
        expires_at: None,
    };
    assert!(operators::create(&app.pool, new).await.unwrap());
    key
}

/// Makes a link for an operator that lasts so long; gives where it leads.
async fn new_link(app: &TestApp, name: &str, lasts: Duration) -> String {
    let token = console::new_link();
    let digest = ApiKeyDigest::of(&token);
    assert!(operators::make_link(&app.pool, &digest, &name.parse().unwrap(), lasts).await.unwrap());
    token
}

/// A bank that was read once and failed once, with a consumer, refused records and a payment that is held.
pub struct Shown {
    pub app: TestApp,
    pub order: Uuid,
    /// The largest group of the quarantine.
    pub group: String,
}

impl Shown {
    pub async fn new() -> Self {
        let upstream = Upstream::start().await;
        let more = format!("keep_raw: 30d\n{FILES}");
        let file = file(&upstream, &more, &stream("payments", ""));
        let app = TestApp::with_file(&file).await;
        let payments: Vec<_> =
            (0..5).map(|n| json!({"id": format!("t{n}"), "status": "SUCCEEDED"})).collect();
        upstream.set("/payments", json!(payments));
        let request = SyncRequest { stream: None, forget: false, busy: Busy::GiveUp };
        let puller = puller(&app, &file, "by hand");
        puller.sync_now(&request, &CancellationToken::new()).await.unwrap();
        app.publish_all().await;
        app.get_ok("/transactions?page=1&pageSize=2").await;
        app.polls.write(&app.service).await.unwrap();
        upstream.refuse("/payments", 403);
        puller.sync_now(&request, &CancellationToken::new()).await.unwrap();
        refuse(&app, 4, "the status \"<b>NOPE</b>\" is none").await;
        refuse(&app, 1, "there is no amount").await;
        of_a_bank(&app).await;
        let groups = quarantine::groups(&app.pool, Which::default(), 1).await.unwrap();
        Self { order: hold(&app).await, group: groups[0].group.clone(), app }
    }

    /// The path of a screen that has something to show.
    pub fn path(&self, screen: &str) -> String {
        let id = match screen {
            "/console/payments/{id}" => self.order.to_string(),
            _ => "1".to_owned(),
        };
        let path = screen.replace("{provider}", "acme").replace("{id}", &id).replace("{group}", &self.group);
        let path = path.replace("{statement}", "1");
        match screen {
            "/console/record" => format!("{path}?provider=acme&resource=transactions&id=t1"),
            "/console/statements" => format!("{path}?provider=acme"),
            _ => path,
        }
    }
}

/// How its bank statements are read.
const FILES: &str = "files: { zone: Europe/Berlin, accounts: { DE1: main }, expect: { by: \"08:00\" } }\n";

/// Statements of which one is missing, one was put aside, and one has not all its pages; and the next one is late.
async fn of_a_bank(app: &TestApp) {
    use crate::statements::{day, mt940};
    let short = mt940(&day(4, 606, &[25, 50])).replace(",25", ",15");
    let page = ":20:A\n:25:DE1\n:28C:5/1\n:60F:C260306EUR6,81\n:61:2603060306CR1,NTRFNONREF\n:62M:C260306EUR7,81\n-\n";
    let texts = [mt940(&day(1, 5_000, &[100, -250])), mt940(&day(3, 500, &[106])), short, page.to_owned()];
    for (at, text) in texts.into_iter().enumerate() {
        let name = format!("/ingest/files?name=STMT{at}.STA");
        let (status, answer) = app.post(&name, "text/plain", text).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let mut connection = app.pool.acquire().await.unwrap();
    let due = "2026-03-05".parse().unwrap();
    tributary::store::statements::note_late(&mut connection, app.name(), due).await.unwrap();
}

/// Puts `count` records into quarantine, for the same reason.
async fn refuse(app: &TestApp, count: usize, reason: &str) {
    let refused = |n: usize| Refused {
        record: RefusedRecord::Canonical(format!("{{\"id\": \"{reason}{n}\"}}").into_bytes()),
        reason: reason.to_owned(),
    };
    let refused: Vec<Refused> = (0..count).map(refused).collect();
    let mut connection = app.pool.acquire().await.unwrap();
    quarantine::keep(&mut connection, &Keyring::default(), app.name(), Resource::Transactions, &refused)
        .await
        .unwrap();
}

/// An order that waits for somebody to approve it, of more than fits into a double.
pub async fn hold(app: &TestApp) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount, source_account_id,
           destination_account_id, provider_key, request, state, approvals_needed, placed_by)
         values ($1, 'acme', 'PAYOUT', 'invoice-17', sha256('k'), 'EUR/2', 9007199254740993, 'a', 'b', 'k', '{}',
           'held', 2, 'key:formance')",
    )
    .bind(id)
    .execute(&app.service)
    .await
    .unwrap();
    id
}

#[tokio::test]
async fn every_screen_is_shown_to_every_role_and_to_nobody_who_has_not_signed_in() {
    let shown = Shown::new().await;
    let stranger = Browser::new(&shown.app);
    for screen in SCREENS {
        let path = shown.path(screen);
        let answer = stranger.get(&path).await;
        let next = answer.header("location");
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(next.starts_with("/console/sign-in?next=%2Fconsole"), "{path}: {next}");
        assert!(answer.text.is_empty(), "{path}: {}", answer.text);
        assert_eq!(stranger.fragment(&path).await.status, StatusCode::UNAUTHORIZED, "{path}");
        let made_up = Browser { app: &shown.app, cookie: Some("tributary-session=trs_x_y".to_owned()) };
        assert_eq!(made_up.get(&path).await.status, StatusCode::SEE_OTHER, "{path}");
    }
    for role in Role::ALL {
        let browser = Browser::of(&shown.app, role).await;
        for screen in SCREENS {
            let page = browser.page(&shown.path(screen)).await;
            assert!(page.contains(&format!("{0} ({0})", role.as_str())), "{screen}: {page}");
            assert_eq!(page.matches("<h1>").count(), 1, "{screen}");
            for landmark in
                ["<html lang=\"en\">", "<header>", "<nav ", "<main ", "class=\"skip\" href=\"#main\""]
            {
                assert!(page.contains(landmark), "{landmark} in {screen}");
            }
            let part = browser.fragment(&shown.path(screen)).await;
            assert_eq!(part.status, StatusCode::OK, "{screen}");
            if page.contains("data-refresh") {
                assert!(
                    !part.text.contains("<html") && !part.text.contains("<h1>"),
                    "{screen}: {}",
                    part.text
                );
            }
        }
    }
}

/// That a page is one that everybody can use: elements are closed, ids are unique, headings go down by one level, fields
/// have labels, and nothing leads elsewhere.
pub fn assert_usable(page: &str, of: &str) {
    let tags = regex::Regex::new(r"<(/?)([a-z][a-z0-9]*)([^>]*)>").unwrap();
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split('"').next().unwrap().to_owned())
    };
    let (mut open, mut ids, mut level) = (Vec::new(), BTreeSet::new(), 0);
    for tag in tags.captures_iter(page) {
        let (name, rest) = (&tag[2], &tag[3]);
        if !tag[1].is_empty() {
            assert_eq!(open.pop().as_deref(), Some(name), "{of}: what is closed");
            continue;
        }
        if !["meta", "link", "input"].contains(&name) {
            open.push(name.to_owned());
        }
        if let Some(id) = attribute(rest, "id") {
            assert!(ids.insert(id.clone()), "{of}: {id} is there twice");
        }
        if let Some(now) = name.strip_prefix('h').and_then(|level| level.parse::<u32>().ok()) {
            assert!(now <= level + 1, "{of}: h{now} below h{level}");
            level = now;
        }
        for target in [attribute(rest, "href"), attribute(rest, "action"), attribute(rest, "src")] {
            let own = |target: &String| target.starts_with("/console") || target == "#main";
            assert!(target.as_ref().is_none_or(own), "{of}: {target:?}");
        }
        if ["input", "select"].contains(&name) && attribute(rest, "type").as_deref() != Some("hidden") {
            let id = attribute(rest, "id").unwrap_or_else(|| panic!("{of}: a field without an id"));
            assert!(page.contains(&format!("<label for=\"{id}\">")), "{of}: {id} has no label");
        }
        if name == "th" {
            assert!(attribute(rest, "scope").is_some(), "{of}: a head of nothing");
        }
    }
    assert!(open.is_empty(), "{of}: {open:?} are not closed");
}

#[tokio::test]
async fn every_page_can_be_used_by_keyboard_and_by_a_screen_reader() {
    let shown = Shown::new().await;
    let browser = Browser::of(&shown.app, Role::Viewer).await;
    for screen in SCREENS {
        assert_usable(&browser.page(&shown.path(screen)).await, screen);
    }
    for path in
        ["/console/sign-in", "/console/link?token=x", "/console/nowhere", "/console/records?name=none"]
    {
        assert_usable(&browser.get(path).await.text, path);
    }
}

#[tokio::test]
async fn where_there_is_nothing_it_is_said_what_to_do() {
    let app = TestApp::new().await;
    let browser = Browser::of(&app, Role::Viewer).await;
    for (path, said) in [
        ("/console", "tributary keys create --provider acme"),
        ("/console/providers/acme", "tributary sync acme"),
        ("/console/records", "A record has an id"),
        ("/console/records?name=nobody", "There is no record"),
        ("/console/quarantine", "Nothing is in quarantine"),
        ("/console/payments", "No order is like that"),
        ("/console/consumers", "Nobody has polled"),
    ] {
        assert!(browser.page(path).await.contains(said), "{path}: {said}");
    }
    for path in [
        "/console/providers/nobody",
        "/console/record?provider=acme&resource=accounts&id=none",
        "/console/record",
        "/console/quarantine/17",
        "/console/quarantine/x",
        "/console/quarantine/groups/x",
        "/console/payments/17",
        "/console/payments?state=lost",
        "/console/payments?provider=%20",
        "/console/quarantine?provider=%20",
        "/console/nowhere",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text.contains("To the overview"), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn every_answer_keeps_a_browser_from_running_or_loading_what_is_not_ours() {
    let shown = Shown::new().await;
    let browser = Browser::of(&shown.app, Role::Admin).await;
    let mut paths: Vec<String> = SCREENS.iter().map(|screen| shown.path(screen)).collect();
    let others = [
        "/",
        "/console/sign-in",
        "/console/link?token=x",
        "/console/console.css",
        "/console/console.js",
        "/console/icon.svg",
        "/console/nowhere",
        "/nowhere",
        "/metrics",
        "/readyz",
        "/admin/v1/sync",
    ];
    paths.extend(others.map(str::to_owned));
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    for path in &paths {
        for who in [&browser, &Browser::new(&shown.app)] {
            for method in [Method::GET, Method::POST] {
                let answer = who.ask(method, path, &[], String::new()).await;
                assert_eq!(answer.header("content-security-policy"), policy, "{path}");
                assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
                assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
                let kept = if (path.contains("console.") || path.contains("icon."))
                    && answer.status == StatusCode::OK
                {
                    "no-cache"
                } else {
                    "no-store"
                };
                assert_eq!(answer.header("cache-control"), kept, "{path}");
                // such a policy would stop them, and the page would not work
                for inline in ["<style", " style=", " onclick=", "<script>", "javascript:"] {
                    let is_page = answer.header("content-type").starts_with("text/html");
                    assert!(!is_page || !answer.text.contains(inline), "{inline} in {path}");
                }
            }
        }
    }
    let style = browser.get("/console/console.css").await;
    let known = [("if-none-match", style.header("etag"))];
    let again = browser.ask(Method::GET, "/console/console.css", &known, String::new()).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn what_others_wrote_is_text_wherever_it_is_shown() {
    let app = TestApp::fast().await;
    let evil = "<script>alert(1)</script>";
    let mut account = records::account("mine", "2026-01-01T00:00:00Z");
    account["accountName"] = evil.into();
    account["metadata"] = json!({"note": "\"><img src=x onerror=alert(1)>"});
    app.push("accounts", &[account]).await;
    app.publish_all().await;
    refuse(&app, 1, evil).await;
    let browser = Browser::of(&app, Role::Viewer).await;
    for (path, shows) in [
        ("/console/record?provider=acme&resource=accounts&id=mine", true),
        ("/console/quarantine", true),
        ("/console/quarantine/1", true),
        ("/console/records?name=%3Cscript%3Ealert(1)%3C%2Fscript%3E", true),
        ("/console/sign-in?next=%3Cscript%3Ealert(1)%3C%2Fscript%3E", false),
        ("/console/link?token=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", true),
    ] {
        let page = browser.page(path).await;
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{path}: {page}");
        assert_eq!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), shows, "{path}: {page}");
    }
}

#[tokio::test]
async fn a_session_ends_on_all_instances_when_its_key_is_revoked_or_its_time_is_over() {
    let app = TestApp::new().await;
    let keys = (app.connector_key.clone(), app.ingest_key.clone());
    let other = TestApp::with_keys(&app, app.service.clone(), keys);
    let key = new_operator(&app, "ann", Role::Viewer).await;
    for end in [
        "update operator_sessions set used_at = clock_timestamp() - interval '61 minutes'",
        "update operator_sessions set opened_at = clock_timestamp() - interval '13 hours', ends_at = clock_timestamp()",
        "update operators set expires_at = clock_timestamp()",
        "delete from operator_sessions",
        "update operators set revoked_at = clock_timestamp()",
    ] {
        app.sql("update operators set expires_at = null").await;
        let mut browser = Browser::new(&app);
        assert_eq!(browser.sign_in(&key).await.status, StatusCode::SEE_OTHER, "{end}");
        let elsewhere = Browser { app: &other, cookie: browser.cookie.clone() };
        for browser in [&browser, &elsewhere] {
            browser.page("/console").await;
        }
        app.sql(end).await;
        for browser in [&browser, &elsewhere] {
            assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER, "{end}");
            assert_eq!(browser.fragment("/console").await.status, StatusCode::UNAUTHORIZED, "{end}");
        }
    }
    let answer = Browser::new(&app).sign_in(&key).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (StatusCode::UNAUTHORIZED, ""));
}

#[tokio::test]
async fn a_page_that_refreshes_itself_does_not_keep_its_session_open() {
    let app = TestApp::new().await;
    let browser = Browser::of(&app, Role::Viewer).await;
    let idle =
        "select count(*) from operator_sessions where used_at < clock_timestamp() - interval '30 minutes'";
    let is_idle = async || sqlx::query_scalar::<_, i64>(idle).fetch_one(&app.pool).await.unwrap() == 1;
    app.sql("update operator_sessions set used_at = clock_timestamp() - interval '50 minutes'").await;
    assert_eq!(browser.fragment("/console").await.status, StatusCode::OK);
    assert!(is_idle().await, "nobody asked for that page");
    browser.page("/console").await;
    assert!(!is_idle().await, "somebody asked for that one");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_its_cookie() {
    let app = TestApp::new().await;
    let mut browser = Browser::of(&app, Role::Viewer).await;
    let copied = Browser { app: &app, cookie: browser.cookie.clone() };
    let answer = browser.enter("/console/sign-out", String::new()).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/sign-in"));
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(copied.get("/console").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_cookie_is_for_this_site_alone_and_the_database_has_neither_it_nor_the_key() {
    let app = TestApp::new().await;
    let key = new_operator(&app, "ann", Role::Viewer).await;
    let mut browser = Browser::new(&app);
    let cookie = browser.sign_in(&key).await.header("set-cookie").to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let link = new_link(&app, "ann", Duration::from_secs(60)).await;
    let rows: Vec<String> = sqlx::query_scalar(
        "select o::text from operators o union all select s::text from operator_sessions s
         union all select l::text from operator_links l",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert_eq!(rows.len(), 3);
    let session = browser.cookie.as_ref().unwrap().split_once('=').unwrap().1;
    for secret in [key.as_str(), session, link.as_str()] {
        let secret = secret_of(secret);
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(rows.iter().all(|row| !row.contains(secret) && !row.contains(&hex)), "{rows:?}");
    }
}

#[tokio::test]
async fn a_key_opens_a_session_only_whole_and_whoever_signs_in_goes_on_where_they_wanted_to() {
    let app = TestApp::new().await;
    let key = new_operator(&app, "ann", Role::Viewer).await;
    let (_, another) = console::new_operator_key();
    let mixed = format!("{}_{}", key.rsplit_once('_').map_or("", |(id, _)| id), "A".repeat(43));
    for wrong in ["", "x", &key[..key.len() - 1], &another, &mixed, &app.connector_key] {
        let answer = Browser::new(&app).sign_in(wrong).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (StatusCode::UNAUTHORIZED, ""), "{wrong}");
        assert!(answer.text.contains("This key opens nothing"), "{}", answer.text);
        assert!(wrong.len() < 2 || !answer.text.contains(wrong), "it is not repeated");
    }
    let next = "%2Fconsole%2Fpayments%3Fstate%3Dheld";
    let form = format!("key={key}&next={next}");
    let answer = Browser::new(&app).enter("/console/sign-in", form).await;
    assert_eq!(answer.header("location"), "/console/payments?state=held");
    let form = format!("key={key}&next=https%3A%2F%2Fevil.example");
    let answer = Browser::new(&app).enter("/console/sign-in", form).await;
    assert_eq!(answer.header("location"), "/console");
}

#[tokio::test]
async fn whoever_tries_keys_is_slowed_down() {
    let app = TestApp::new().await;
    let mut answers = BTreeMap::new();
    for _ in 0..200 {
        let (_, wrong) = console::new_operator_key();
        *answers.entry(Browser::new(&app).sign_in(&wrong).await.status.as_u16()).or_insert(0) += 1;
    }
    assert!(answers[&429] > 0 && answers[&401] >= 20, "{answers:?}");
    assert_eq!(app.get("/accounts").await.0, StatusCode::OK, "and nobody else is");
}

#[tokio::test]
async fn a_link_opens_one_session_whoever_shows_it_first() {
    let app = TestApp::new().await;
    new_operator(&app, "ann", Role::Viewer).await;
    let link = new_link(&app, "ann", Duration::from_secs(60)).await;
    let browser = Browser::new(&app);
    for _ in 0..3 {
        // whatever looks at a link in advance
        assert!(browser.page(&console::link_path(&link)).await.contains(&link));
    }
    let send = || browser.send("/console/link", format!("token={link}"));
    let (one, two, three) = tokio::join!(send(), send(), send());
    let statuses = [one.status, two.status, three.status];
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::SEE_OTHER).count(), 1, "{statuses:?}");
    let refused = browser.send("/console/link", format!("token={link}")).await;
    assert_eq!((refused.status, refused.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
    assert!(refused.text.contains("tributary operators link NAME"), "{}", refused.text);
    let opened = [one, two, three].into_iter().find(|one| one.status == StatusCode::SEE_OTHER).unwrap();
    let cookie = opened.header("set-cookie").split(';').next().unwrap().to_owned();
    Browser { app: &app, cookie: Some(cookie) }.page("/console").await;
    // neither one that is over, nor one of somebody whose key was revoked
    let over = new_link(&app, "ann", Duration::ZERO).await;
    let of_ann = new_link(&app, "ann", Duration::from_secs(60)).await;
    assert!(operators::revoke(&app.pool, &"ann".parse().unwrap()).await.unwrap());
    for link in [over, of_ann] {
        let answer = browser.send("/console/link", format!("token={link}")).await;
        assert!(
            answer.status.is_client_error() && answer.header("set-cookie").is_empty(),
            "{}",
            answer.status
        );
    }
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused_and_changes_nothing() {
    let app = TestApp::new().await;
    let browser = Browser::of(&app, Role::Admin).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for headers in [
        &[form, ("sec-fetch-site", "cross-site")][..],
        &[form, ("sec-fetch-site", "same-site")],
        &[form, ("origin", "https://evil.example")],
        &[form],
    ] {
        for path in ["/console/sign-out", "/console/sign-in", "/console/link"] {
            let answer = browser.ask(Method::POST, path, headers, "key=x&token=x".to_owned()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
    }
    browser.page("/console").await;
    let headers = [form, ("origin", "http://console:8081")];
    let answer = browser.ask(Method::POST, "/console/sign-out", &headers, String::new()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    // nobody is signed in any more, at the API next to it neither
    let answer = browser.ask(Method::POST, "/admin/v1/sync", &[], String::new()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// The series of `/metrics` with their values.
async fn gauges(app: &TestApp) -> HashMap<String, f64> {
    let nobody =
        Payments::new(app.service.clone(), "nobody".into(), HashMap::new(), None, Settings::default());
    let providers = vec![app.name().clone(), "other".parse().unwrap()];
    let text = Gauges::new(app.service.clone(), providers, nobody).render().await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(of, value)| (of.to_owned(), value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn every_number_of_the_overview_is_that_of_the_metrics() {
    let shown = Shown::new().await;
    let page = Browser::of(&shown.app, Role::Viewer).await.page("/console").await;
    let gauges = gauges(&shown.app).await;
    assert_eq!(gauges["tributary_abandoned_payments"] as i64, 1, "no file says how to pay here");
    let pattern = regex::Regex::new("<data value=\"([^\"]*)\" data-metric=\"([^\"]*)\">").unwrap();
    let on_page: HashMap<String, f64> = pattern
        .captures_iter(&page)
        .map(|found| (found[2].replace("&quot;", "\""), found[1].parse().unwrap()))
        .collect();
    for (series, value) in &on_page {
        let gauge = gauges.get(series).unwrap_or_else(|| panic!("{series} in {gauges:?}"));
        // what grows while time passes was read a moment later
        let slack = if series.contains("_seconds{") && !series.contains("timestamp") { 30.0 } else { 0.0 };
        assert!((gauge - value).abs() <= slack, "{series}: {value} is shown, and it is {gauge}");
    }
    for name in [
        "tributary_sync_last_success_timestamp_seconds",
        "tributary_sync_failures_in_a_row",
        "tributary_sync_breaker_open",
        "tributary_changes_queued",
        "tributary_changes_waiting_for_parent",
        "tributary_feed_clock_behind_seconds",
        "tributary_consumer_lag_entries",
        "tributary_consumer_lag_seconds",
        "tributary_consumer_silent",
        "tributary_quarantine_records",
        "tributary_abandoned_payments",
    ] {
        let of =
            |all: &HashMap<String, f64>| all.keys().filter(|key| key.split('{').next() == Some(name)).count();
        assert!(of(&on_page) > 0 && of(&on_page) == of(&gauges), "{name}: {on_page:?}");
    }
    // and not all of them are zero
    let value = |series: &str| on_page[series];
    assert_eq!(value("tributary_quarantine_records{provider=\"acme\"}") as i64, 5);
    assert_eq!(value("tributary_open_payments{provider=\"acme\",state=\"held\"}") as i64, 1);
    // whom the provider does not know waits as after three failures
    assert_eq!(value("tributary_sync_failures_in_a_row{provider=\"acme\",group=\"payments\"}") as i64, 3);
    assert_eq!(value("tributary_sync_breaker_open{provider=\"acme\",group=\"payments\"}") as i64, 1);
    let consumer = consumers::list(&shown.app.pool, None).await.unwrap().remove(0);
    assert_eq!(consumer.lag_entries, 3);
    let lag = format!(
        "tributary_consumer_lag_entries{{provider=\"acme\",feed=\"transactions\",key=\"{}\"}}",
        consumer.key
    );
    assert_eq!(value(&lag) as i64, 3);
    assert!(page.contains("Formance is behind") && page.contains("5 records are in quarantine"), "{page}");
}

#[tokio::test]
async fn a_screen_says_what_the_command_of_the_same_name_says() {
    let shown = Shown::new().await;
    let app = &shown.app;
    let browser = Browser::of(app, Role::Operator).await;

    let page = browser.page("/console/providers/acme").await;
    let runs = sync_runs::list(&app.pool, Some(app.name()), 20).await.unwrap();
    assert_eq!(runs.len(), 2);
    for run in &runs {
        assert!(page.contains(&format!("id=\"run-{}\"", run.id)) && page.contains(&run.status), "{page}");
    }
    let error = runs[0].error.as_ref().expect("the last run failed");
    assert!(page.contains(&maud::html! { (error) }.into_string()), "{error} in {page}");

    let page = browser.page("/console/quarantine").await;
    assert_eq!(page.matches("<th scope=\"row\">").count(), 2, "a group for each reason: {page}");
    assert!(page.contains("the status &quot;…&quot; is none</a></th><td class=\"number\">4</td>"), "{page}");
    assert!(page.contains("the status &quot;&lt;b&gt;NOPE&lt;/b&gt;&quot; is none"), "{page}");
    let page = browser.page("/console/quarantine/5").await;
    assert!(
        page.contains("there is no amount") && page.contains("tributary quarantine replay --id 5"),
        "{page}"
    );

    let page = browser.page("/console/payments").await;
    let orders = payment_orders::list(&app.pool, None, &[OrderState::Held], 50).await.unwrap();
    assert_eq!(orders.len(), 1);
    assert!(page.contains("invoice-17") && page.contains(">9007199254740993<"), "digit by digit: {page}");
    assert!(!browser.page("/console/payments?state=parked").await.contains("invoice-17"));
    assert!(browser.page("/console/payments?state=all").await.contains("invoice-17"));
    let page = browser.page(&shown.path("/console/payments/{id}")).await;
    assert!(page.contains(&format!("tributary payouts approve {}", shown.order)), "{page}");

    let answer = browser.get("/console/records?name=invoice-17").await;
    let story = browser.page(answer.header("location")).await;
    assert!(story.contains("It was ordered") && story.contains(&shown.order.to_string()), "{story}");
    let story = browser.page("/console/record?provider=acme&resource=transactions&id=t1").await;
    for said in ["It came from", "Position ", "has it, by", "SUCCEEDED"] {
        assert!(story.contains(said), "{said} in {story}");
    }
    let story = browser.page("/console/record?provider=acme&resource=transactions&id=t4").await;
    assert!(story.contains("has not fetched it"), "{story}");

    app.sql(
        "update consumers set gaps = '{10,10,10}', first_polled_at = now() - interval '1 hour',
           polled_at = now() - interval '30 minutes', caught_up_at = null",
    )
    .await;
    let page = browser.page("/console/consumers").await;
    assert!(
        page.contains("fctl payments connectors update-config generic acme.json --connector-id ID"),
        "{page}"
    );

    let page = browser.page("/console/keys").await;
    let keys = tributary::store::api_keys::list(&app.pool, None).await.unwrap();
    for key in &keys {
        assert!(page.contains(&key.name) && page.contains(&key.id.to_string()), "{page}");
        let digest: String = key.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!page.contains(&digest), "a digest is nobody's to see");
    }
}

#[tokio::test]
async fn operators_are_made_linked_and_revoked_by_commands_while_the_server_runs() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = Place::new("operators");
    let log = place.0.join("log");
    let (server, address) = place
        .serve_as(|command| {
            command.env("ACME_KEY", FILE_KEY).env("TRIBUTARY_TRUSTED_PROXIES", "127.0.0.1");
            command.env("TRIBUTARY_LOG", "trace").stderr(std::fs::File::create(&log).unwrap());
        })
        .await;
    let mut secrets = Vec::new();
    let operator = place.operator(&address);
    let key = place.stdout(&["operators", "create", "ann", "--role", "viewer"]).await;
    assert_eq!(key.lines().count(), 1, "the key alone is on standard output");
    let again = place.run(&["operators", "create", "ann", "--role", "admin"]).await;
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("tributary operators revoke ann"), "{said}");
    let listed = place.stdout(&["operators", "list"]).await;
    assert!(listed.contains("ann") && listed.contains("viewer") && !listed.contains(key.trim()), "{listed}");

    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = |path: &str| format!("http://{operator}{path}");
    let origin = format!("http://{operator}");
    // behind a proxy that was asked by https, the cookie is one that nobody else can have set
    for (scheme, name, attributes) in [
        ("https", "__Host-tributary", "; Path=/; HttpOnly; SameSite=Strict; Secure"),
        ("http", "tributary-session", "; Path=/; HttpOnly; SameSite=Strict"),
    ] {
        let link = place.stdout(&["operators", "link", "ann", "--operator-listen", &operator]).await;
        let token = link.trim().split_once("token=").unwrap().1;
        assert!(link.starts_with(&url("/console/link?token=")), "{link}");
        let form = client.post(url("/console/link")).header("origin", &origin);
        let form = form.header("x-forwarded-proto", scheme);
        let form =
            form.header("content-type", "application/x-www-form-urlencoded").body(format!("token={token}"));
        let answer = form.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.starts_with(&format!("{name}=trs_")) && cookie.ends_with(attributes), "{cookie}");
        secrets.extend([
            token.to_owned(),
            cookie.split_once('=').unwrap().1.split(';').next().unwrap().to_owned(),
        ]);
        let page = async |scheme: &str| {
            let cookie = cookie.split(';').next().unwrap();
            let ask =
                client.get(url("/console")).header("cookie", cookie).header("x-forwarded-proto", scheme);
            ask.send().await.unwrap().status().as_u16()
        };
        assert_eq!(page(scheme).await, 200);
        assert_eq!(
            page(if scheme == "https" { "http" } else { "https" }).await,
            303,
            "under the other name only"
        );
        if scheme == "http" {
            place.stdout(&["operators", "revoke", "ann"]).await;
            assert_eq!(page(scheme).await, 303, "the session ends with the key");
        }
    }
    let link = place.run(&["operators", "link", "ann"]).await;
    let said = String::from_utf8_lossy(&link.stderr).into_owned();
    assert!(!link.status.success() && said.contains("tributary operators list"), "{said}");
    // neither does one that is refused show in the log
    let form = client.post(url("/console/sign-in")).header("origin", &origin);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let answer = form.body(format!("key={}", key.trim())).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401, "the key was revoked");
    secrets.push(key.trim().to_owned());
    stop(server).await;
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("an operator signed in") && log.contains("no valid key of an operator"), "{log}");
    for secret in secrets {
        assert!(!log.contains(secret_of(&secret)), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_group_is_replayed_and_discarded_by_forms_of_who_may() {
    let app = TestApp::fast().await;
    refuse(&app, 3, "there is no amount").await;
    refuse(&app, 2, "there is no date").await;
    let groups = quarantine::groups(&app.pool, Which::default(), 9).await.unwrap();
    let path = |n: usize| format!("/console/quarantine/groups/{}", groups[n].group);
    let form = |n: usize, what: &str| format!("/console/do/quarantine/{what}?group={}&", groups[n].group);
    let said = |n: usize, more: &str| format!("group={}&back={}{more}", groups[n].group, path(n));
    let viewer = Browser::of(&app, Role::Viewer).await;
    let page = viewer.page(&path(0)).await;
    assert!(!page.contains("/console/do/") && !page.contains("/preview"), "{page}");
    let refused = viewer.send(&format!("{}/preview", path(0)), "file=".to_owned()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let browser = Browser::of(&app, Role::Operator).await;
    let page = browser.page(&path(0)).await;
    for what in ["replay", "discard"] {
        assert!(page.contains(&format!("href=\"{}", form(0, what))), "{what}: {page}");
    }
    let asked = browser.page(&form(0, "replay")).await;
    assert!(asked.contains("there is no amount") && asked.contains("<strong>3</strong>"), "{asked}");
    let answer = browser.send("/console/do/quarantine/replay", said(0, "")).await;
    let next = format!("{}?done=quarantine-replay", path(0));
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, next.as_str()));
    until(&app.pool, "select count(*) from quarantine_actions where ended_at is not null", 1).await;
    // they are no records, so that they stay, for the reason of now
    let page = browser.page(&next).await;
    assert!(page.contains("No record of this group is left") && page.contains("operator:operator"), "{page}");
    assert!(page.contains("The records are tried again."), "{page}");
    // what goes on is fetched anew, without the forms below it
    app.sql(
        "insert into quarantine_actions (action, provider, fault_group, audit_id, total)
         select 'replay', 'acme', fault_group, audit_id, 3 from quarantine_actions",
    )
    .await;
    let page = browser.page(&path(0)).await;
    assert!(
        page.contains("goes on") && page.contains("look again") && page.contains("data-refresh"),
        "{page}"
    );
    let part = browser.fragment(&path(1)).await.text;
    assert!(part.contains("there is no date") && !part.contains("<textarea"), "{part}");
    let discard = "/console/do/quarantine/discard";
    assert_eq!(browser.send(discard, said(1, "&reason=")).await.status, StatusCode::BAD_REQUEST);
    let admin = Browser::of(&app, Role::Admin).await;
    assert_eq!(admin.send(discard, said(1, "&reason=test+data")).await.status, StatusCode::SEE_OTHER);
    until(&app.pool, "select count(*) from quarantine_discards", 2).await;
    let page = admin.page(&path(1)).await;
    assert!(page.contains("discard: test data") && page.contains("operator:admin"), "{page}");
}

#[tokio::test]
async fn transactions_are_found_by_their_amount_and_day() {
    let app = TestApp::new().await;
    for (id, amount, at) in [
        ("a", "1250", "2026-03-01T23:59:59.999999Z"),
        ("b", "1250", "2026-03-02T00:00:00Z"),
        ("c", "1251", "2026-03-02T12:00:00Z"),
        ("d", "9007199254740993", "2026-03-03T00:00:00Z"),
    ] {
        let record = json!({"id": id, "type": "PAYIN", "status": "SUCCEEDED", "currency": "EUR/2", "amount": amount, "createdAt": at});
        app.push("transactions", &[record]).await;
    }
    let browser = Browser::of(&app, Role::Viewer).await;
    let found = async |query: &str| {
        let page = browser.page(&format!("/console/records?{query}")).await;
        let ids = regex::Regex::new(r"resource=transactions&amp;id=(\w+)").unwrap();
        ids.captures_iter(&page).map(|found| found[1].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("amount=1250&from=2026-03-01&to=2026-03-05").await, ["b", "a"], "the latest first");
    assert_eq!(found("amount=&from=2026-03-02&to=2026-03-02").await, ["c", "b"], "a day is whole");
    assert_eq!(found("amount=9007199254740993&to=2026-03-03").await, ["d"], "digit by digit");
    assert!(found("amount=1250&to=2026-04-03&provider=other").await.is_empty());
    let long_after = browser.page("/console/records?amount=1250").await;
    assert!(long_after.contains("the last 31 days"), "{long_after}");
    for (query, said) in [("amount=12.50", "minor units"), ("from=1.3.2026", "write 2026-03-01")] {
        assert!(browser.page(&format!("/console/records?{query}")).await.contains(said), "{query}");
    }
    assert_usable(&browser.page("/console/records?amount=1250&to=2026-03-05").await, "what was found");
}

#[tokio::test]
async fn the_overview_shows_what_was_published_in_each_of_the_last_24_hours() {
    let app = TestApp::new().await;
    let records: Vec<_> = (0..7)
        .map(|n| {
            json!({"id": format!("t{n}"), "type": "PAYIN", "status": "SUCCEEDED", "currency": "EUR/2", "amount": "1",
                "createdAt": "2026-03-01T12:00:00Z"})
        })
        .collect();
    app.push("transactions", &records).await;
    app.publish_all().await;
    let browser = Browser::of(&app, Role::Viewer).await;
    let page = browser.page("/console").await;
    assert!(page.contains("7 versions in the last 24 hours, at most 7 in one of them"), "{page}");
    assert!(page.contains("<th scope=\"row\">0 to 1</th><td class=\"number\">7</td>"), "{page}");
    app.rewrite("update feed set published_at = published_at - interval '90 minutes'").await;
    let page = browser.page("/console").await;
    assert!(page.contains("<th scope=\"row\">1 to 2</th><td class=\"number\">7</td>"), "{page}");
    app.rewrite("update feed set published_at = published_at - interval '25 hours'").await;
    assert!(browser.page("/console").await.contains("Nothing was published in the last 24 hours"));
}

#[tokio::test]
async fn the_audit_of_an_order_is_read_for_whoever_has_signed_in_and_not_by_the_service_alone() {
    let shown = Shown::new().await;
    let browser = Browser::of(&shown.app, Role::Viewer).await;
    let page = browser.page(&format!("/console/payments/{}", shown.order)).await;
    assert!(page.contains("<h2>Audit</h2>") && page.contains("</strong>: insert<ul>"), "{page}");
    let alone = sqlx::query("select * from audit_for_operator($1)").bind(shown.order);
    let refused = alone.fetch_all(&shown.app.service).await.unwrap_err().to_string();
    assert!(refused.contains("is for operators"), "{refused}");
}
